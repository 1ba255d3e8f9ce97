"""A diagnosis for a stressed reader: the answer, the proof, what to do, the chain, then the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from diagnose import mask
from diagnose.model import FAULTS, Diagnosis, Evidence, Finding, LinkState, Remedy, Status
from diagnose.render.words import ANSWERS, LINKS, QUESTIONS, STATUSES, Words, shown

MARKS = {
    Status.PASS: ("✓", "green"),
    Status.FAIL: ("✗", "bold red"),
    Status.WARN: ("!", "yellow"),
    Status.NOTE: ("i", "cyan"),
    Status.UNKNOWN: ("?", "magenta"),
    Status.NOT_APPLICABLE: ("-", "dim"),
    Status.NOT_REACHED: ("·", "dim"),
    Status.CRASH: ("#", "bold red"),
}
PLAIN = {"✓": "+", "✗": "x", "·": ".", "│": "|", "┊": ":", "─": "-", "…": "..."}
WIDEST = 120
"""Columns that are used of a wider terminal: longer lines are hard to read."""
NARROWEST = 20
"""Columns that a line always has for its text."""
MAX_LINE = 3000
"""Characters of one line of the answer, before it is wrapped."""
PLACE = 64
"""Characters of an address or a path that is quoted."""
SAID = 160
"""Characters of words that are quoted."""
PLACES = ("url", "urls", "path", "input", "host", "prompt")
SKIPPED = (
    "schema",
    "value",
    "method",
    "queue",
    "final",
    "by",
    "library",
    "network",
    "origin",
    "complete",
    "params",
    "weak",
    "derived",
    "loc",
)
"""Fields that tell a reader nothing."""


class Page:
    """Writes diagnoses to a console."""

    def __init__(self, console: Console, words: Words, verbose: bool) -> None:
        self.console, self.words, self.verbose = console, words, verbose
        self.width = max(20, min(console.width, WIDEST))

    def show(self, d: Diagnosis, checklist: bool) -> None:
        """The whole answer; with `checklist` the seven questions stand first."""
        self.line(self.words.headline(d, 2 * self.width - 12), "bold", hang=0)
        self.facts(d)
        nothing = not any(f.evidence for f in d.findings)
        if nothing:
            self.notes(d.notes)
        if checklist:
            self.questions(d)
        proof = d.root or next(
            (f for f in d.findings if f.check == "parameter_unknown" and f.status is Status.WARN), None
        )
        if proof is not None:
            self.proof(proof)
        if not nothing or self.verbose:
            self.chain(d)
        self.beside(d, proof)
        self.looked(d)
        self.rest(d)
        if not nothing:
            self.notes(d.notes)
        if self.verbose:
            self.findings(d.findings)

    def short(self, broken: str, d: Diagnosis) -> None:
        """One fault of the demo: what was broken, the answer, its first proof and what to do."""
        self.console.print()
        self.line(f"{self.words('Broken')}: {broken}", "dim", hang=0)
        self.line(self.words.headline(d, 2 * self.width - 12), "bold", hang=0)
        found = d.root or next(
            (f for f in d.findings if f.status is Status.WARN and f.check != "parameter_unknown"), None
        )
        found = found or d.finding("parameter_unknown")
        if found is not None and found.remedy is not None:
            self.line(f"  {found.evidence[0].source}  {found.check}")
            self.line(f"  > {self.words.remedy(found.remedy).title}", "green")

    def brief(self, time: str, d: Diagnosis) -> None:
        """One generation in a line: when, what came of it, the model, and the cause."""
        mark, style = MARKS[_sign(d)]
        said = [self.words.headline(d, max(60, self.width - 16)), shown(d.decision.model) if d.decision.model else ""]
        said.append(d.root.check if d.root is not None else "")
        line = f"{time}  {mark} {'  '.join(part for part in said if part)}"
        # what is not read on a screen is read line by line
        self.line(line, style, hang=len(time) + 4, whole=not self.console.is_terminal)

    def rule(self) -> None:
        """Between two answers."""
        self.console.print()
        self.line("─" * self.width, "dim")
        self.console.print()

    # --- lines

    def title(self, text: str) -> None:
        self.console.print()
        self.line(self.words(text), "bold underline" if self.console.color_system else "bold")

    def line(self, text: str, style: str = "", hang: int | None = None, whole: bool = False) -> None:
        """A line, wrapped and hung under itself; nothing in it is taken for markup or a terminal command.

        `whole` leaves a command to copy in one piece, however long.
        """
        safe = self.printable(mask.cut(text, MAX_LINE)).rstrip()
        if whole:
            self._put(safe, style)
            return
        lead = safe[: len(safe) - len(safe.lstrip())]
        # on a narrow screen a line hangs less, so that some of it still fits
        below = " " * max(0, min(len(lead) + 2 if hang is None else hang, self.width - NARROWEST))
        for index, part in enumerate(wrapped(safe.lstrip(), self.width - len(lead), self.width - len(below))):
            self._put((below if index else lead) + part, style)

    def _put(self, text: str, style: str) -> None:
        self.console.print(Text(text, style=style), overflow="ignore", crop=False, soft_wrap=True)

    def printable(self, text: str) -> str:
        """What this console can show of a text."""
        safe = visible(text)
        encoding = self.console.encoding
        if encoding.lower().startswith("utf"):
            return safe
        return "".join(PLAIN.get(c, c) for c in safe).encode(encoding, "replace").decode(encoding)

    # --- parts of the answer

    def facts(self, d: Diagnosis) -> None:
        """What a machine would read first, in the words of the JSON document."""
        rows = [
            (
                self.words("outcome"),
                self.words("{outcome}, generation {generation}", outcome=d.outcome, generation=d.generation),
            )
        ]
        if d.decision.model or d.decision.expected_model:
            rows.append((self.words("model"), self._model(d)))
        if d.root is not None:
            symptoms = [check for check in d.because if check != d.root.check]
            rows.append(
                (self.words("cause"), d.root.check + (f" > {' > '.join(reversed(symptoms))}" if symptoms else ""))
            )
        if d.subject.source:
            when = f", {d.subject.timestamp}" if d.subject.timestamp else ""
            rows.append((self.words("about"), f"{d.subject.source}{when} ({self.words('profile')} {d.profile})"))
        column = max(len(name) for name, _ in rows) + 4
        for name, said in rows:
            self.line(f"  {name:<{column - 2}}{said}", "dim", hang=column)

    def _model(self, d: Diagnosis) -> str:
        used, wanted = d.decision.model, d.decision.expected_model
        if used and wanted and used != wanted:
            return self.words("{used}, not {wanted}", used=shown(used), wanted=shown(wanted))
        if used:
            return shown(used)
        return self.words(
            "none; {wanted} was expected" if d.outcome == "refused" else "not seen; {wanted} was expected",
            wanted=shown(wanted),
        )

    def proof(self, found: Finding) -> None:
        self.title("Proof")
        self.evidence(found.evidence)
        if found.remedy is not None:
            self.remedy(found.remedy)

    def evidence(self, evidence: Iterable[Evidence]) -> None:
        """Each piece with its place; places that say the same stand together."""
        said: dict[tuple[str, str], list[str]] = {}
        for e in evidence:
            said.setdefault((str(e.witness), quoted(e)), []).append(e.source)
        for (witness, what), sources in said.items():
            self.line(f"  {', '.join(dict.fromkeys(sources))}  [{witness}]{f'  {what}' if what else ''}", hang=4)

    def remedy(self, remedy: Remedy) -> None:
        self.title("What to do")
        remedy = self.words.remedy(remedy)
        self.line(
            f"  {remedy.title}" + ("" if remedy.safe else f" ({self.words('cannot simply be undone')})"),
            "bold",
        )
        for number, step in enumerate(remedy.steps, 1):
            self.line(f"  {number}. {step}", hang=5)
        if remedy.command:
            self.line(f"     {remedy.command}", "cyan", whole=True)

    def questions(self, d: Diagnosis) -> None:
        self.title("Checklist")
        answers = [self.words(ANSWERS.get(question.status, "cannot tell")) for question in d.checklist]
        column = max(len(answer) for answer in answers)
        for question, answer in zip(d.checklist, answers, strict=True):
            mark, style = MARKS[question.status]
            where = f"  {question.evidence[0].source}" if question.evidence else ""
            self.line(
                f"  {mark} {answer:<{column}}  {self.words(QUESTIONS[question.id])}{where}", style, hang=column + 6
            )

    def chain(self, d: Diagnosis) -> None:
        """The chain as a drawing: the line is whole as far as the photo came."""
        self.title("Chain")
        names = [self.words(LINKS[state.link]) for state in d.chain]
        statuses = [self.words(STATUSES[state.status]) for state in d.chain]
        first, second = max(map(len, names)), max(map(len, statuses))
        whole = True
        for state, name, status in zip(d.chain, names, statuses, strict=True):
            mark, style = MARKS[state.status]
            whole = whole and state.status in (Status.PASS, Status.WARN)
            rail = "│" if whole else "┊"
            said = f"  {rail} {mark} {name:<{first}}  {status:<{second}}  {self._seen(state)}"
            self.line(said, style, hang=first + second + 10)

    def _seen(self, state: LinkState) -> str:
        """What a link came to: its faults, or where its product was seen."""
        if state.findings:
            return ", ".join(state.findings)
        return state.proof.source if state.proof is not None else ""

    def beside(self, d: Diagnosis, proof: Finding | None) -> None:
        """Warnings beside the chain, and every other fault, each in a line."""
        faults = [f for f in d.findings if f.status in (Status.WARN, Status.CRASH) and f is not proof]
        if faults:
            self.title("Also seen")
            for fault in faults:
                self._finding(fault)

    def looked(self, d: Diagnosis) -> None:
        """What a look at the living system found in order, and what did not answer it."""
        shown = [
            f for f in d.findings if f.status not in FAULTS and any(e.kind.startswith("live.") for e in f.evidence)
        ]
        if shown:
            self.title("Looked at now")
            for found in shown:
                self._finding(found)

    def _finding(self, found: Finding) -> None:
        mark, style = MARKS[found.status]
        source = f"  ({found.evidence[0].source})" if found.evidence else ""
        self.line(f"  {mark} {found.check}: {self.words.message(found.message)}{source}", style, hang=4)

    def rest(self, d: Diagnosis) -> None:
        if d.counterfactual is not None:
            c = d.counterfactual
            self.title("Otherwise")
            changes = self.words(" and ").join(self.words(change) for change in c.changes)
            said = self.words("If {changes}: {mode} with {model}", changes=changes, mode=c.mode, model=shown(c.model))
            self.line("  " + said + " " + self.words("(replayed by {by})", by=c.verified_by), hang=2)
            if c.next_blockers:
                self.line(
                    "  " + self.words("What would show up next: {blockers}", blockers=", ".join(c.next_blockers)),
                    hang=4,
                )
        if d.suspects and (d.subject.source or self.verbose):  # without an attempt everything is open, and says nothing
            self.suspects(d)
        if d.deeper and self.verbose:
            self.title("Deeper causes that were not seen")
            self.line("  " + ", ".join(d.deeper), hang=2)
        if d.conflicts:
            self.title("Witnesses that disagree")
            for conflict in d.conflicts:
                told = "; ".join(f"{shown(value, PLACE)} ({e.source}, {e.witness})" for value, e in conflict.witnesses)
                self.line(f"  {conflict.fact}: {told}", hang=4)
        if d.missing:
            self.missing(d)

    def suspects(self, d: Diagnosis) -> None:
        """The checks that are not excluded, under their links."""
        self.title("Not excluded")
        links = {f.check: f.link for f in d.findings}
        by_link: dict[str, list[str]] = {}
        for check in d.suspects:
            by_link.setdefault(str(links[check]) if check in links else "", []).append(check)
        column = max(len(link) for link in by_link) + 4
        for link, checks in by_link.items():
            self.line(f"  {link:<{column - 2}}{', '.join(checks)}", hang=column)

    def missing(self, d: Diagnosis) -> None:
        """What could not be seen, and how to get it; one piece can decide several links."""
        seen = sum(1 for state in d.chain if state.status is not Status.UNKNOWN)
        self.title("What could not be seen")
        self.line("  " + self.words("{seen} of {of} links were seen", seen=seen, of=len(d.chain)))
        pieces: dict[tuple[str, str], list[str]] = {}
        for piece in d.missing:
            pieces.setdefault((piece.evidence, piece.how), []).append(self.words(LINKS[piece.link]))
        for (evidence, how), links in pieces.items():
            self.line(f"  ? {', '.join(links)}: {self.words(evidence)}", hang=4)
            self.line(f"    {self.words(how)}", "dim", hang=6)

    def notes(self, notes: Sequence[str]) -> None:
        if notes:
            self.title("How it was read")
            for note in notes:
                self.line(f"  {note}", hang=4)

    def findings(self, findings: Iterable[Finding]) -> None:
        self.title("Every check")
        for found in findings:
            self._finding(found)


def _sign(d: Diagnosis) -> Status:
    """How one generation is marked."""
    if d.root is not None and d.root.status is Status.NOTE and d.generation != "failed":
        return Status.NOTE
    if d.outcome == "undetermined":
        return Status.UNKNOWN
    if d.outcome != "switched" or d.root is not None or d.suspects or d.generation == "failed":
        return Status.FAIL
    return Status.WARN if any(f.status is Status.WARN for f in d.findings) else Status.PASS


def quoted(e: Evidence) -> str:
    """The fields of a piece of evidence that a reader wants, in a line."""
    said: dict[str, str] = {}
    for key, value in e.fields.items():
        if key in SKIPPED or (key == "text" and "message" in said):
            continue
        told = _told(key, value)
        if told and told not in said.values():
            said[key] = told
    return "; ".join(f"{key}: {told}" for key, told in said.items())


def _told(key: str, value: object) -> str:
    if key == "body" and isinstance(value, Mapping):
        return ", ".join(
            f"{name}: {shown(inner, PLACE)}" for name, inner in list(value.items())[:20] if name != "prompt"
        )
    if key == "images" and isinstance(value, (list, tuple)):
        return (
            ", ".join(
                shown(image["name"] if isinstance(image, Mapping) and "name" in image else image, PLACE)
                for image in value[:8]
            )
            or "none"
        )
    if key == "url" and value is None:
        return "none"
    if value is None or value is False or (isinstance(value, (str, Mapping, list, tuple)) and not value):
        return ""
    return shown(value, PLACE if key in PLACES else SAID)


def visible(text: str) -> str:
    """Control characters shown, so that evidence cannot command the terminal; bidirectional overrides as well."""
    return (
        text if text.isascii() and text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)
    )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def wrapped(text: str, first: int, rest: int) -> Iterator[str]:
    """The lines of a text, the first in `first` columns and the others in `rest`; only what is longer than a line is broken."""
    line, room = "", first
    for word in re.findall(r" *[^ ]+", text):
        if cell_len(line) + cell_len(word) <= room:
            line += word
            continue
        if line:
            yield line
            room = rest
        line = word.lstrip(" ")
        while cell_len(line) > room:
            fits = _fitting(line, room)
            yield line[:fits]
            line, room = line[fits:], rest
    yield line


def _fitting(word: str, room: int) -> int:
    """How much of a long word stands in a line: up to its last separator there, if that is far enough."""
    fits = next((n for n in range(min(len(word), room), 1, -1) if cell_len(word[:n]) <= room), 1)
    after = max(word.rfind(separator, 0, fits) for separator in "/,&?;=")
    return after + 1 if after > fits // 2 else fits
