"""Reports on a terminal, for a stressed reader: what fits stands side by side, what does not stands under each other."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from diagnose import mask
from diagnose.model import Diagnosis, Remedy, Status
from diagnose.render import report
from diagnose.render.history_report import LINES, merged
from diagnose.render.report import (
    SIGNS,
    Answer,
    Bar,
    Bars,
    Block,
    Chain,
    Checklist,
    Cure,
    Facts,
    Findings,
    Item,
    Lines,
    Outline,
    Passed,
    Proof,
    Row,
    Section,
    Stretch,
    Table,
    Timeline,
)
from diagnose.render.words import Words, shown

STYLES = {
    Status.PASS: "green",
    Status.FAIL: "bold red",
    Status.WARN: "yellow",
    Status.NOTE: "cyan",
    Status.UNKNOWN: "magenta",
    Status.NOT_APPLICABLE: "dim",
    Status.NOT_REACHED: "dim",
    Status.CRASH: "bold red",
}
MARKS = {status: (sign, STYLES[status]) for status, sign in SIGNS.items()}
PLAIN = {"✓": "+", "✗": "x", "·": ".", "│": "|", "┊": ":", "─": "-", "…": "..."}
WIDEST = 120
"""Columns that are used of a wider terminal: longer lines are hard to read."""
NARROWEST = 20
"""Columns that a line always has for its text."""
MAX_LINE = 3000
"""Characters of one line of the answer, before it is wrapped."""
LEVEL = ("otherwise", "deeper", "missing", "stopped", "timeline")
"""Sections whose sentences hang where they begin."""

BAR = 30
"""Columns of the longest bar."""
NAME = 44
"""Columns of a name before numbers."""
FIRST = 32
"""Columns of the first cell of a row with heads."""
WIDE = 72
"""Columns from which cells with heads stand side by side; on a narrower screen they stand under each other."""
LEAST_NAME = 14
LEAST_BAR = 5
LEAST_TAIL = 24
"""Columns without which a name, a bar or words are not put into a line."""
_BLOCKS = "▏▎▍▌▋▊▉█▁▂▃▄▅▆▇█"
_PLAIN_HEIGHTS = ".:=*%#"
_SHELL_WORD = re.compile(r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"])+")


class Page:
    """Writes reports to a console, no wider than it is and in the characters it has."""

    def __init__(self, console: Console, words: Words, verbose: bool) -> None:
        self.console, self.words, self.verbose = console, words, verbose
        self.width = max(20, min(console.width, WIDEST))
        self.fine = _can_show(_BLOCKS, console.encoding)

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
        self.inside(section)

    def inside(self, section: Section) -> None:
        for block in section.blocks:
            self.block(block, 2 if section.key in LEVEL else 4)

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
            case Lines(lines, status):
                for line in lines:
                    self.line(f"  {line}", _style(status), hang=hang)
            case Table():
                self.table(block)
            case Bars(bars):
                self.bars(bars)
            case Timeline(stretches):
                self.timeline(stretches)
            case Outline(items):
                self.outline(items)

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

    # --- lists with numbers

    def table(self, table: Table) -> None:
        """Cells in columns: under their heads, or as names with numbers, and words behind them."""
        if len(table.heads) == 1:
            for row in table.rows:
                self.line(f"  {row.cells[0]}", _style(row.status), hang=4)
                self.below(row)
        elif table.numbers and not any(table.heads):
            self.listing(table)
        else:
            self.grid(table)

    def listing(self, table: Table) -> None:
        """Names, numbers in columns, and words behind them; in a narrow window, below them."""
        count = 1 + table.numbers
        left, column = self.columns([(row.cells[0], row.cells[1:count]) for row in table.rows])
        for said, row in zip(left, table.rows, strict=True):
            told = self.printable("  ".join(cell for cell in row.cells[count:] if cell))
            beside = column > 0 and self.width - column - 2 >= min(LEAST_TAIL, cell_len(told))
            self.rows(f"{said}  {told}" if told and beside else said, _style(row.status), column + 2)
            if told and not beside:
                self.line(f"    {told}", "dim", hang=4)
            self.below(row)

    def bars(self, bars: Sequence[Bar]) -> None:
        """Names, numbers in columns, and bars and words behind them as far as there is room."""
        left, column = self.columns([(bar.name, bar.numbers) for bar in bars])
        told = [self.printable(bar.tail) for bar in bars]
        behind = self.width - column - 2 if column else 0
        words = max(map(cell_len, told), default=0) + 2
        worded = words > 2 and behind - words >= LEAST_BAR
        room = min(BAR, behind - words if worded else behind)
        for said, bar, tail in zip(left, bars, told, strict=True):
            drawn = f"{said}  {_padded(self.bar(bar.length, room), room)}" if room >= LEAST_BAR else said
            self.rows(f"{drawn}  {tail}" if worded else drawn, "", column)

    def timeline(self, stretches: Sequence[Stretch]) -> None:
        """A line for each stretch, or for neighbours where there are many: how many, and how high the part not sound is."""
        lines = merged(stretches, LINES, self.words)
        highest = max(map(ratio, lines))
        top = max(stretch.entries for stretch in lines)
        width = max(cell_len(stretch.numbers[-1]) for stretch in lines)
        self.bars(
            [
                Bar(
                    stretch.name,
                    (
                        *stretch.numbers[:-1],
                        f"{self.height(ratio(stretch), highest)} {_aligned(stretch.numbers[-1], width)}",
                    ),
                    stretch.entries / top if top else 0.0,
                    self.cause(stretch.cause),
                )
                for stretch in lines
            ]
        )

    def cause(self, said: str) -> str:
        """A check with its number, the check shortened."""
        name, _, count = said.rpartition(" ")
        return f"{_cut(self.printable(name), LEAST_TAIL)} {count}" if said else ""

    def columns(self, lines: Sequence[tuple[str, Sequence[str]]]) -> tuple[list[str], int]:
        """Name and numbers of each line, and how many columns they take; 0 where the numbers stand below the names."""
        numbers = [max(map(cell_len, column)) for column in zip(*(said for _, said in lines), strict=True)]
        written = [
            "".join(f"  {_aligned(each, n)}" for each, n in zip(said, numbers, strict=True)) for _, said in lines
        ]
        names = [self.printable(name) for name, _ in lines]
        room = self.width - 2 - sum(numbers) - 2 * len(numbers)
        widest = min(NAME, max(map(cell_len, names), default=0))
        if room < min(widest, LEAST_NAME):
            return [f"  {name}\n  {said}" for name, said in zip(names, written, strict=True)], 0
        first = min(widest, room)
        lefts = [f"  {_padded(_cut(name, first), first)}{said}" for name, said in zip(names, written, strict=True)]
        return lefts, self.width - room + first

    def rows(self, said: str, style: str, hang: int) -> None:
        """A line of a list, or the two into which a narrow window parts it."""
        for part in said.split("\n"):
            self.line(part, style, hang=max(4, hang))

    def bar(self, length: float, room: int) -> str:
        """A line as long as its part of the longest; what is there at all is seen."""
        if length <= 0:
            return ""
        if not self.fine:
            return "#" * max(1, min(room, _rounded(length * room)))
        eighths = max(1, min(room * 8, _rounded(length * room * 8)))
        return "█" * (eighths // 8) + (_BLOCKS[eighths % 8 - 1] if eighths % 8 else "")

    def height(self, part: float, highest: float) -> str:
        """A character as high as its part of the highest; only nothing is as low as the lowest."""
        heights = _BLOCKS[8:] if self.fine else _PLAIN_HEIGHTS
        if part <= 0 or highest <= 0:
            return heights[0]
        return heights[max(1, min(len(heights) - 1, math.ceil(part / highest * (len(heights) - 1))))]

    def below(self, row: Row) -> None:
        """What stands under a line of a list; the command beside its last line where there is room."""
        pieces = _pieces(row.command) if row.command else []
        if pieces and not (self.printable(" ".join(pieces)) == row.command and self.holds(pieces)):
            pieces = []
            row = row._replace(under=(*row.under[:-1], row.instead or row.under[-1]))
        last = len(row.under) - 1
        for index, said in enumerate(row.under):
            both = f"    {said}  {row.command}"
            if pieces and index == last and cell_len(both) <= self.width:
                self.line(both, "cyan")
                return
            self.line(f"    {said}", "" if index == last else "dim", hang=6)
        if pieces:
            self.copyable(pieces)

    def holds(self, pieces: Sequence[str]) -> bool:
        """Whether each piece of a command stands whole in a line."""
        return max(map(cell_len, pieces)) <= self.width - 8

    def copyable(self, pieces: Sequence[str]) -> None:
        """A command in lines that a shell joins again."""
        room = self.width - 6
        lines = [""]
        for piece in pieces:
            joined = f"{lines[-1]} {piece}" if lines[-1] else piece
            if cell_len(joined) <= room - 2:
                lines[-1] = joined
            else:
                lines.append(piece)
        for index, line in enumerate(lines):
            end = " \\" if index < len(lines) - 1 else ""
            self.line(f"    {'  ' if index else ''}{line}{end}", "cyan")

    def outline(self, items: Sequence[Item], indent: int = 2, level: bool = False) -> None:
        """Sentences under sentences; what stands under a strong one is told on, and hangs where it begins."""
        for item in items:
            style = "bold" if item.strong else _style(item.status)
            self.line(f"{' ' * indent}{item.text}", style, hang=indent if level else indent + 2)
            self.outline(item.under, indent + 2, item.strong)

    # --- cells under heads

    def grid(self, table: Table) -> None:
        """Columns side by side, each cell wrapped in its own; on a narrow screen the cells under each other."""
        rows = [row._replace(cells=tuple(map(self.cell, row.cells))) for row in table.rows]
        if self.width < WIDE:
            self.stacked(table.heads, rows)
            return
        widths = _widths([table.heads, *(row.cells for row in rows)], self.width - 2)
        if any(table.heads):
            self.put(table.heads, widths, "bold")
        for row in rows:
            self.put(row.cells, widths, _style(row.status))
            self.remark(row)

    def put(self, cells: Sequence[str], widths: Sequence[int], style: str) -> None:
        parts = [
            [line for part in cell.split("\n") for line in wrapped(part, width, width)]
            for cell, width in zip(cells, widths, strict=True)
        ]
        for number in range(max(map(len, parts))):
            row = [part[number] if number < len(part) else "" for part in parts]
            padded = "  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True))
            self.line(f"  {padded}".rstrip(), style, whole=True)

    def stacked(self, heads: Sequence[str], rows: Iterable[Row]) -> None:
        for row in rows:
            style = _style(row.status)
            self.line(f"  {row.cells[0]}", style or "bold", hang=4)
            for head, cell in zip(heads[1:], row.cells[1:], strict=True):
                said = "; ".join(cell.split("\n"))
                self.line(f"    {head}: {said}" if head else f"    {said}", style, hang=6)
            self.remark(row)

    def remark(self, row: Row) -> None:
        for said in row.under:
            self.line(f"    > {said}", _style(row.status) or "cyan", hang=6)

    def cell(self, said: str) -> str:
        """What the console can show of a cell's lines, before they are measured."""
        return "\n".join(self.printable(part) for part in mask.cut(said, MAX_LINE).split("\n"))


def ratio(stretch: Stretch) -> float:
    """The part of a stretch that is not sound."""
    return stretch.bad / stretch.entries if stretch.entries else 0.0


def _style(status: Status | None) -> str:
    return "" if status is None else STYLES[status]


def _rounded(length: float) -> int:
    """Halves go up, also those that a float misses by little."""
    return int(length + 0.5 + 1e-9)


def _pieces(command: str) -> list[str]:
    """The words of a command, each option with its value: no line ends between these."""
    pieces: list[str] = []
    for word in _SHELL_WORD.findall(command):
        if pieces and pieces[-1].startswith("--") and " " not in pieces[-1]:
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    return pieces


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """The columns of each cell: as wide as its longest, and where that is too wide, the longest share what is left."""
    wanted = [
        max(1, *(cell_len(line) for row in rows for line in row[index].split("\n"))) for index in range(len(rows[0]))
    ]
    wanted[0] = min(wanted[0], FIRST)
    room -= 2 * (len(wanted) - 1)
    given = list(wanted)
    while sum(given) > room and (longest := max(given[1:])) > 1:
        narrower = max((width for width in given[1:] if width < longest), default=0)
        many = [index for index in range(1, len(given)) if given[index] == longest]
        over = sum(given) - room
        step = max(1, min(longest - narrower, -(-over // len(many))))
        for index in many:
            given[index] = max(1, longest - step)
    return given


def _can_show(characters: str, encoding: str) -> bool:
    try:
        characters.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _padded(text: str, room: int) -> str:
    return text + " " * (room - cell_len(text))


def _aligned(number: str, room: int) -> str:
    return " " * (room - cell_len(number)) + number


def _cut(text: str, room: int) -> str:
    """A text in so many columns, its middle left out: names that begin alike are told apart by how they end."""
    if cell_len(text) <= room:
        return text
    head, tail = _within(text, room - 3 - room // 3), _within(text[::-1], room // 3)[::-1]
    return f"{head}...{tail}"


def _within(text: str, room: int) -> str:
    said = text[:room]
    while cell_len(said) > room:
        said = said[:-1]
    return said


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
