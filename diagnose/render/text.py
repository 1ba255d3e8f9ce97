"""A diagnosis for a stressed reader: the answer, the proof, what to do, the chain, then the rest."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from diagnose import mask
from diagnose.model import Diagnosis, Evidence, Finding, Remedy, Status
from diagnose.render.words import LINKS, QUESTIONS, Words

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
PLAIN = {"✓": "+", "✗": "x", "·": ".", "│": "|"}
ANSWERS = {
    Status.PASS: "yes",
    Status.FAIL: "NO",
    Status.WARN: "no",
    Status.NOTE: "no",
    Status.UNKNOWN: "cannot tell",
    Status.NOT_APPLICABLE: "does not apply",
    Status.CRASH: "cannot tell",
}
MAX_LINE = 600


class Page:
    """Writes one diagnosis to a console."""

    def __init__(self, console: Console, words: Words, verbose: bool) -> None:
        self.console, self.words, self.verbose = console, words, verbose

    def show(self, d: Diagnosis, checklist: bool) -> None:
        """The whole answer; with `checklist` the seven questions stand before the chain."""
        self.line(self.words.headline(d), "bold")
        if d.subject.source:
            when = f", {d.subject.timestamp}" if d.subject.timestamp else ""
            self.line(f"  {d.subject.source}{when} ({self.words('profile')} {d.profile})", "dim")
        proof = d.root or next((f for f in d.findings if f.check == "parameter_unknown" and f.status is Status.WARN), None)
        if proof is not None:
            self.title("Proof")
            self.evidence(proof.evidence)
            if proof.remedy is not None:
                self.remedy(proof.remedy)
        if checklist:
            self.questions(d)
        self.chain(d)
        self.beside(d, proof)
        self.rest(d)
        if self.verbose:
            self.findings(d.findings)

    def short(self, broken: str, d: Diagnosis) -> None:
        """One fault of the demo: what was broken, the answer, its first proof and what to do."""
        self.console.print()
        self.line(f"{self.words('Broken')}: {broken}", "dim")
        self.line(self.words.headline(d), "bold")
        shown = d.root or next((f for f in d.findings if f.status is Status.WARN and f.check != "parameter_unknown"), None)
        shown = shown or d.finding("parameter_unknown")
        if shown is not None and shown.remedy is not None:
            self.line(f"  {shown.evidence[0].source}  {shown.check}")
            self.line(f"  > {self.words(shown.remedy.title)}", "green")

    def title(self, text: str) -> None:
        self.console.print()
        self.line(self.words(text), "bold underline" if self.console.color_system else "bold")

    def line(self, text: str, style: str = "", indent: int = 0) -> None:
        """A wrapped line; nothing in it is taken for markup or a terminal command."""
        safe = visible(mask.text(text))
        if self.console.encoding.lower().replace("-", "") not in ("utf8", "utf16"):
            safe = "".join(PLAIN.get(c, c) for c in safe).encode(self.console.encoding, "replace").decode(self.console.encoding)
        if len(safe) > MAX_LINE:
            safe = safe[:MAX_LINE] + "..."
        lead = " " * (len(safe) - len(safe.lstrip()) + indent)
        body = Text(safe.lstrip(), style=style)
        width = max(20, self.console.width - len(lead))
        for index, part in enumerate(body.wrap(self.console, width, overflow="fold")):
            part.rstrip()
            self.console.print(Text(lead if index == 0 else lead + "  ") + part, overflow="ignore", crop=False, soft_wrap=True)

    def evidence(self, evidence: Iterable[Evidence]) -> None:
        for e in evidence:
            self.line(f"  {e.source}  [{e.witness}]  {quoted(e)}")

    def remedy(self, remedy: Remedy) -> None:
        self.title("What to do")
        self.line(f"  {self.words(remedy.title)}" + ("" if remedy.safe else f" ({self.words('cannot simply be undone')})"), "bold")
        for number, step in enumerate(remedy.steps, 1):
            self.line(f"  {number}. {self.words(step)}")
        if remedy.command:
            self.line(f"     $ {remedy.command}", "cyan")

    def questions(self, d: Diagnosis) -> None:
        self.title("Checklist")
        for question in d.checklist:
            mark, style = MARKS[question.status]
            answer = self.words(ANSWERS.get(question.status, "cannot tell"))
            where = f"  ({question.evidence[0].source})" if question.evidence else ""
            self.line(f"  {mark} {self.words(QUESTIONS[question.id])} {answer}{where}", style)

    def chain(self, d: Diagnosis) -> None:
        self.title("Chain")
        for index, state in enumerate(d.chain):
            mark, style = MARKS[state.status]
            said = f"  {', '.join(state.findings)}" if state.findings else ""
            status = self.words(str(state.status).replace("_", " "))
            self.line(f"  {mark} {self.words(LINKS[state.link]):<33} {status}{said}", style)
            if index < len(d.chain) - 1 and self.console.width >= 60:
                self.line("  │", "dim")

    def beside(self, d: Diagnosis, shown: Finding | None) -> None:
        """Warnings beside the chain, and every other fault, each in a line."""
        faults = [f for f in d.findings if f.status in (Status.WARN, Status.CRASH) and f is not shown]
        if faults:
            self.title("Also seen")
            for fault in faults:
                mark, style = MARKS[fault.status]
                source = f"  ({fault.evidence[0].source})" if fault.evidence else ""
                self.line(f"  {mark} {fault.check}: {self.words.message(fault.message)}{source}", style)

    def rest(self, d: Diagnosis) -> None:
        if d.counterfactual is not None:
            c = d.counterfactual
            self.title("Otherwise")
            changes = self.words(" and ").join(self.words(change) for change in c.changes)
            self.line(self.words("  If {changes}: {mode} with {model} (replayed by {by})", changes=changes, mode=c.mode, model=c.model, by=c.verified_by))
            if c.next_blockers:
                self.line(self.words("  What would show up next: {blockers}", blockers=", ".join(c.next_blockers)))
        if d.suspects:
            self.title("Not excluded")
            self.line("  " + ", ".join(d.suspects))
        if d.deeper and self.verbose:
            self.title("Deeper causes that were not seen")
            self.line("  " + ", ".join(d.deeper))
        if d.conflicts:
            self.title("Witnesses that disagree")
            for conflict in d.conflicts:
                told = "; ".join(f"{value} ({e.source}, {e.witness})" for value, e in conflict.witnesses)
                self.line(f"  {conflict.fact}: {told}")
        if d.missing:
            seen = sum(1 for s in d.chain if s.status is not Status.UNKNOWN)
            self.title("What could not be seen")
            self.line(self.words("  {seen} of {of} links were seen", seen=seen, of=len(d.chain)))
            for piece in d.missing:
                self.line(f"  ? {self.words(LINKS[piece.link])}: {self.words(piece.evidence)}")
                self.line(f"    {self.words(piece.how)}", "dim")
        if d.notes:
            self.title("How it was read")
            for note in d.notes:
                self.line(f"  {note}")

    def findings(self, findings: Iterable[Finding]) -> None:
        self.title("Every check")
        for f in findings:
            mark, style = MARKS[f.status]
            self.line(f"  {mark} {f.check}: {self.words.message(f.message)}", style)


def quoted(e: Evidence) -> str:
    """The fields of a piece of evidence that a reader wants, in a line."""
    shown = []
    for key, value in e.fields.items():
        if value in (None, "", [], {}, False) or key in ("schema", "value", "method", "queue", "final", "by", "library", "network", "origin", "complete"):
            continue
        if key == "body" and isinstance(value, dict):
            value = ", ".join(f"{k}={v}" for k, v in value.items() if k != "prompt")
        if key == "images" and isinstance(value, (list, tuple)):
            value = ", ".join(str(image.get("name")) for image in value)
        if key == "params":
            continue
        shown.append(f"{key}: {str(value)[:160]}")
    return "; ".join(shown)[:400]


def visible(text: str) -> str:
    """Control characters shown, so that evidence cannot command the terminal; bidirectional overrides as well."""
    return "".join(c if c.isprintable() or c == " " else f"\\x{ord(c):02x}" for c in text)
