"""A diagnosis for a stressed reader: the answer, the proof, what to do, the chain, then the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from diagnose import mask
from diagnose.model import Diagnosis, Remedy, Status
from diagnose.render import report
from diagnose.render.report import Answer, Block, Chain, Checklist, Cure, Facts, Findings, Lines, Passed, Proof, Section
from diagnose.render.words import Words, shown

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


class Page:
    """Writes diagnoses to a console."""

    def __init__(self, console: Console, words: Words, verbose: bool) -> None:
        self.console, self.words, self.verbose = console, words, verbose
        self.width = max(20, min(console.width, WIDEST))

    def show(self, d: Diagnosis, checklist: bool) -> None:
        """The whole answer; with `checklist` the seven questions stand first."""
        self.draw(report.of(d, self.words, checklist=checklist, verbose=self.verbose, room=2 * self.width - 12))

    def draw(self, shown: report.Report) -> None:
        """A report."""
        self.line(shown.headline, "bold", hang=0)
        self.facts(shown.facts, "dim")
        for section in shown.sections:
            self.section(section)

    def section(self, section: Section) -> None:
        self.title(section.title)
        for block in section.blocks:
            self.block(block, 2 if section.key in ("otherwise", "deeper", "missing") else 4)

    def block(self, block: Block, hang: int) -> None:
        match block:
            case Facts():
                self.facts(block)
            case Checklist(answers):
                self.questions(answers)
            case Proof(pieces):
                for piece in pieces:
                    said = f"  {piece.said}" if piece.said else ""
                    self.line(f"  {', '.join(piece.sources)}  [{piece.witness}]{said}", hang=4)
            case Cure(remedy):
                self.remedy(remedy)
            case Chain(links):
                self.chain(links)
            case Findings():
                self.findings(block)
            case Lines(lines):
                for line in lines:
                    self.line(f"  {line}", hang=hang)

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
        mark, style = MARKS[report.sign(d)]
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

    # --- blocks

    def facts(self, facts: Facts, style: str = "") -> None:
        column = max((len(name) for name, _ in facts.rows), default=0) + 4
        for name, said in facts.rows:
            self.line(f"  {name:<{column - 2}}{said}", style, hang=column)

    def notes(self, notes: Sequence[str]) -> None:
        if notes:
            self.title(self.words("How it was read"))
            self.block(Lines(tuple(notes)), 4)

    def remedy(self, remedy: Remedy) -> None:
        warning = "" if remedy.safe else f" ({self.words('cannot simply be undone')})"
        self.line(f"  {remedy.title}{warning}", "bold")
        for number, step in enumerate(remedy.steps, 1):
            self.line(f"  {number}. {step}", hang=5)
        if remedy.command:
            self.line(f"     {remedy.command}", "cyan", whole=True)

    def questions(self, answers: Sequence[Answer]) -> None:
        column = max(len(answer.answer) for answer in answers)
        for status, answer, question, source in answers:
            mark, style = MARKS[status]
            where = f"  {source}" if source else ""
            self.line(f"  {mark} {answer:<{column}}  {question}{where}", style, hang=column + 6)

    def chain(self, links: Sequence[Passed]) -> None:
        """The chain as a drawing: the line is whole as far as the photo came."""
        first, second = max(len(link.name) for link in links), max(len(link.word) for link in links)
        for link in links:
            mark, style = MARKS[link.status]
            said = f"  {'│' if link.whole else '┊'} {mark} {link.name:<{first}}  {link.word:<{second}}  {link.seen}"
            self.line(said, style, hang=first + second + 10)

    def findings(self, findings: Findings) -> None:
        for told in findings.told:
            mark, style = MARKS[told.status]
            source = f"  ({told.source})" if told.source else ""
            self.line(f"  {mark} {told.name}: {told.text}{source}", "" if told.more else style, hang=4)
            if told.more:
                self.line(f"    {told.more}", "dim", hang=6)


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
