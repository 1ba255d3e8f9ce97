"""A comparison for a support engineer: whether both came to the same, where they part, and which differences matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.console import Console

from diagnose import mask
from diagnose.model import Message, Status
from diagnose.model.comparison import (
    Change,
    Comparison,
    Difference,
    Expected,
    HistoryComparison,
    Row,
    Shift,
    Side,
    Step,
    Told,
    Total,
    Trial,
    as_expected,
)
from diagnose.model.history import Share
from diagnose.render.compare_document import under
from diagnose.render.text import MARKS, MAX_LINE, Page, wrapped
from diagnose.render.words import LINKS, STATUSES, Words, shown

KINDS = {
    "bad": Message("not sound"),
    "outcome": Message("outcome"),
    "root": Message("cause"),
    "symptom": Message("symptom"),
}
RANK = (Status.FAIL, Status.WARN)
VALUE = 72
"""Characters of a value that are quoted in a table."""
FIELD = 120
"""Characters of a field's name."""
NAME = 32
"""Columns of a table's first cell."""
WIDE = 72
"""Columns from which values stand side by side; on a narrower screen they stand under each other."""
FEW = 8
"""Lines of a list, unless everything is asked for."""
MOST = 1000
"""Lines of a list where everything is asked for."""
CHANGES = 3
"""Changes of an answer that are named, unless everything is asked for."""
SURELY = 0.001
"""A smaller probability is not told in digits."""


class Line(NamedTuple):
    """A line of a table, and what is said under it."""

    cells: tuple[str, ...]
    style: str = ""
    under: str = ""


def show(comparison: Comparison | HistoryComparison, console: Console, words: Words, verbose: bool) -> None:
    """Writes the whole comparison to a console; with `verbose` also what is the same, and lists are whole."""
    screen = _Screen(Page(console, words, verbose))
    if isinstance(comparison, Comparison):
        screen.generations(comparison)
    else:
        screen.histories(comparison)


class _Screen:
    def __init__(self, page: Page) -> None:
        self.page, self.words = page, page.words
        self.most = MOST if page.verbose else FEW

    # --- generations

    def generations(self, c: Comparison) -> None:
        self.page.line(self.headline(c), "bold", hang=0)
        for letter, side in (("A", c.a), ("B", c.b)):
            self.side(letter, side)
        decisive = [d for d in c.differences if d.matters and d.trial is not None and d.trial.decides]
        beside = [d for d in c.differences if d.matters and d not in decisive]
        self.differences(self.words("What makes the difference"), decisive)
        self.chain(c)
        self.table(c.table)
        self.differences(self.words("What changes a check, and not the answer"), beside)
        dark = [d for d in c.differences if d.matters is None and d.trial is not None]
        self.differences(self.words("Seen on one side only"), dark, bare=True)
        untried = [d for d in c.differences if d.matters is None and d.trial is None]
        self.differences(self.words("Not tried out"), untried, bare=True)
        nothing = [d for d in c.differences if d.matters is False]
        self.differences(self.words("What makes no difference"), nothing, bare=True)
        self.counted(c)
        for letter, side in (("A", c.a), ("B", c.b)):
            if side.diagnosis.notes:
                self.page.title(self.words("How {side} was read", side=letter))
                for note in side.diagnosis.notes:
                    self.page.line(f"  {note}", hang=4)

    def headline(self, c: Comparison) -> str:
        """The answer in one line."""
        a, b = self.verdict(c.a), self.verdict(c.b)
        if not (c.a.readable and c.b.readable):
            return self.words("They cannot be compared: one of them cannot be read")
        if c.undetermined:
            return self.words("Whether they are the same cannot be told: A {a}, B {b}", a=a, b=b)
        if c.same:
            return self.words("Both came to the same: {a}", a=a)
        if c.parted is None:
            return self.words("They differ: A {a}, B {b}", a=a, b=b)
        link = self.words(LINKS[c.parted])
        return self.words("They differ: A {a}, B {b}; they part at '{link}'", a=a, b=b, link=link)

    def verdict(self, side: Side) -> str:
        """What one side came to, in the words of the JSON document."""
        said = side.diagnosis.outcome
        if side.diagnosis.generation == "failed" and side.diagnosis.outcome != "refused":
            said = self.words("{outcome}, generation {generation}", outcome=said, generation="failed")
        return f"{said} ({side.cause})" if side.cause else said

    def side(self, letter: str, side: Side) -> None:
        d = side.diagnosis
        self.page.line(f"  {letter}  {shown(side.name, 200)}", hang=5)
        said = self.words.headline(d, 2 * self.page.width - 12)
        self.page.line(f"     {said}", _style(side), hang=5)
        about = ", ".join(shown(part, 120) for part in (d.subject.source, d.subject.timestamp) if part)
        generation = self.words("generation {generation}", generation=d.generation)
        self.page.line(f"     {', '.join(part for part in (about, generation) if part)}", "dim", hang=5)

    def chain(self, c: Comparison) -> None:
        self.page.title("Chain")
        self.grid(("", "A", "B"), [self.step(step, step.link is c.parted) for step in c.chain])

    def step(self, step: Step, parted: bool) -> Line:
        cells = (self.words(LINKS[step.link]), *(self.state(status, faults) for status, faults in (
            (step.a, step.faults_a), (step.b, step.faults_b))))  # fmt: skip
        style = MARKS[max(step.a, step.b, key=_gravity)][1] if parted else ""
        return Line(cells, style, self.words("here they part") if parted else "")

    def state(self, status: Status, faults: Sequence[str]) -> str:
        mark, _ = MARKS[status]
        return " ".join((mark, self.words(STATUSES[status]), ", ".join(faults[:CHANGES]))).rstrip()

    def table(self, rows: Sequence[Row]) -> None:
        """The seed document's table: what the profile expects, and what was there."""
        self.page.title("Expected and actual")
        lines = []
        for row in rows:
            cells = [self.actual(row.field, e, t) for e, t in zip(row.expected, (row.a, row.b), strict=True)]
            wrong = False in (as_expected(row.expected[0], row.a), as_expected(row.expected[1], row.b))
            lines.append(Line((shown(row.field, FIELD), self.expected(row.expected), *cells), "" if wrong else "dim"))
        self.grid(("", self.words("expected"), "A", "B"), lines)

    def expected(self, expected: tuple[Expected | None, Expected | None]) -> str:
        a, b = (self.wanted(one) for one in expected)
        return a if a == b else f"A: {a}\nB: {b}"

    def wanted(self, expected: Expected | None) -> str:
        if expected is None:
            return "-"
        if expected.state == "value":
            return self.value("", expected.value)
        return self.words("an address") if expected.state == "present" else self.words("absent")

    def actual(self, field: str, expected: Expected | None, told: Told | None) -> str:
        right = as_expected(expected, told)
        if right is None:
            return self.told(field, told)
        # what is as expected stands beside it
        return MARKS[Status.PASS][0] if right else f"{MARKS[Status.FAIL][0]} {self.told(field, told)}"

    def told(self, field: str, told: Told | None) -> str:
        if told is None:
            return self.words("not seen")
        return self.words("absent") if told.absent else self.value(field, told.value)

    def value(self, field: str, value: Any) -> str:
        """A value of the evidence, written as JSON writes it where that is short."""
        kept = under(field, value)
        if isinstance(kept, bool) or kept is None:
            return {True: "true", False: "false", None: "null"}[kept]
        if isinstance(kept, list):
            return shown(" | ".join(self.value(field, item) for item in kept[:FEW]), VALUE)
        if isinstance(kept, dict):
            return shown(kept, VALUE) if kept else self.words("seen")
        return shown(kept, VALUE) or '""'

    def differences(self, title: str, found: Sequence[Difference], bare: bool = False) -> None:
        if not found:
            return
        self.page.title(f"{title} ({len(found)})")
        most = self.most if bare else MOST
        lines = []
        for d in found[:most]:
            said = "" if bare or d.trial is None else self.trial(d.trial)
            lines.append(
                Line((shown(d.field, FIELD), self.placed(d, d.a), self.placed(d, d.b)), "dim" if bare else "", said)
            )
        self.grid(("", "A", "B"), lines)
        if len(found) > most:
            self.page.line("  " + self.words("and {n} more; -v lists them", n=len(found) - most), "dim")

    def placed(self, d: Difference, told: Told | None) -> str:
        """A value with its place; that of an entry's field is the field itself."""
        said = self.told(d.field, told)
        ours = told is None or told.source.replace("/", ".").endswith(f".{d.field}")
        return said if told is None or ours else f"{said} ({shown(told.source, VALUE)})"

    def trial(self, trial: Trial) -> str:
        """What happens to one side with the other's value."""
        told = trial.changes
        if not self.page.verbose:  # what follows from a change of the answer says nothing new
            answer = [change for change in told if change.what in ("outcome", "generation", "root")]
            told = (*(answer or told),)[:CHANGES]
        changes = "; ".join(map(self.change, told))
        if trial.together:
            return self.words("all of these together, put into A: {changes}", changes=changes)
        if trial.into == "a":
            return self.words("with B's value, A changes: {changes}", changes=changes)
        return self.words("with A's value, B changes: {changes}", changes=changes)

    def change(self, change: Change) -> str:
        name = {"outcome": self.words("outcome"), "root": self.words("cause")}.get(change.what, change.name)
        if change.what == "link":
            name = f"'{next((self.words(said) for link, said in LINKS.items() if link == change.name), name)}'"
        before, after = (self.status(change, value) for value in (change.before, change.after))
        return f"{name} {before} -> {after}"

    def status(self, change: Change, value: str | None) -> str:
        if value is None:
            return self.words("none")
        return self.words(STATUSES[Status(value)]) if change.what in ("link", "check") else value

    def counted(self, c: Comparison) -> None:
        """What was not shown."""
        if c.equal and self.page.verbose:
            self.page.title(f"{self.words('The same in both')} ({len(c.equal)})")
            lines = [Line((shown(same.field, FIELD), self.told(same.field, same.a)), "dim") for same in c.equal[:MOST]]
            self.grid(("", ""), lines)
        self.page.console.print()
        if not c.differences:
            self.page.line(self.words("No field differs."))
        if c.equal and not self.page.verbose:
            self.page.line(self.words("{n} fields are the same; -v lists them.", n=len(c.equal)), "dim")
        if c.untried:
            said = self.words(
                "{n} differences were too many to try out; whether they matter is not known.", n=c.untried
            )
            self.page.line(said, "yellow")
        if c.left_out:
            self.page.line(self.words("{n} fields were too many to be compared.", n=c.left_out), "yellow")

    # --- histories

    def histories(self, c: HistoryComparison) -> None:
        self.page.line(self.history_headline(c), "bold", hang=0)
        for letter, total in (("A", c.a), ("B", c.b)):
            self.total(letter, total)
        sure = [shift for shift in c.shifts if shift.beyond_chance]
        self.shifts(self.words("What shifted, more than chance"), sure, "")
        rest = [shift for shift in c.shifts if shift.beyond_chance is False]
        self.shifts(self.words("What chance explains"), rest, "dim")
        self.shifts(self.words("What shifted"), [shift for shift in c.shifts if shift.beyond_chance is None], "")
        if not c.tested:
            said = self.words(
                "Whether chance explains a shift was not tested: scipy is not installed; pip install 'diagnose-generation[onset]'"
            )
            self.page.console.print()
            self.page.line(said, "yellow", hang=0)

    def history_headline(self, c: HistoryComparison) -> str:
        if not (c.a.entries and c.b.entries):
            return self.words("They cannot be compared: in one of them no generation was found")
        bad = next((shift for shift in c.shifts if shift.kind == "bad"), None)
        said = "" if bad is None else self.words(
            "not sound {a} in A, {b} in B ({points} points)",
            a=_percent(bad.a), b=_percent(bad.b), points=_points(bad))  # fmt: skip
        if c.same:
            return self.words("No shift is more than chance: {said}", said=said)
        first = next(
            (s for s in c.shifts if s.beyond_chance is not False and s.kind in ("root", "symptom") and s.points), None
        )
        if first is None:
            return self.words("They differ: {said}", said=said)
        return self.words(
            "They differ: {said}; most of all {name}: {a} in A, {b} in B",
            said=said, name=first.name, a=_percent(first.a), b=_percent(first.b))  # fmt: skip

    def total(self, letter: str, total: Total) -> None:
        self.page.line(f"  {letter}  {shown(total.name, 200)}", hang=5)
        said = self.words("{n} generations, {bad} not sound", n=f"{total.entries:,}", bad=f"{total.bad:,}")
        if total.first and total.last:
            said += self.words(", {first} to {last}", first=shown(total.first, 40), last=shown(total.last, 40))
        self.page.line(f"     {said} ({self.words('profile')} {shown(total.profile, 80)})", "dim", hang=5)
        for note in total.notes:
            self.page.line(f"     {note}", "dim", hang=5)

    def shifts(self, title: str, found: Sequence[Shift], style: str) -> None:
        if not found:
            return
        self.page.title(title)
        heads = ("", "A", "B", self.words("points"), self.words("times"), self.words("chance"))
        lines = [
            Line(
                (
                    self.shifting(shift),
                    f"{shift.a.count:,} ({_percent(shift.a)})",
                    f"{shift.b.count:,} ({_percent(shift.b)})",
                    _points(shift),
                    self.times(shift),
                    self.chance(shift),
                ),
                style or ("red" if _worse(shift) else ""),
            )
            for shift in found
        ]
        self.grid(heads, lines)

    def shifting(self, shift: Shift) -> str:
        kind = self.words.message(KINDS[shift.kind])
        return kind if shift.kind == "bad" else f"{kind} {shown(shift.name, VALUE)}"

    def times(self, shift: Shift) -> str:
        if shift.ratio is None:
            return self.words("new")
        if not shift.b.count:
            return self.words("gone")
        return f"x{shift.ratio:.1f}" if shift.ratio < 100 else f"x{shift.ratio:,.0f}"

    def chance(self, shift: Shift) -> str:
        if shift.p_value is None:
            return self.words("not tested")
        return f"p < {SURELY}" if shift.p_value < SURELY else f"p = {shift.p_value:.3f}"

    # --- tables

    def grid(self, heads: Sequence[str], lines: Sequence[Line]) -> None:
        """Columns side by side, each cell wrapped in its own; on a narrow screen the cells under each other."""
        rows = [Line(tuple(map(self.safe, line.cells)), line.style, line.under) for line in lines]
        if self.page.width < WIDE:
            self.stacked(heads, rows)
            return
        widths = _widths([heads, *(row.cells for row in rows)], self.page.width - 2)
        if any(heads):
            self.put(tuple(heads), widths, "bold")
        for row in rows:
            self.put(row.cells, widths, row.style)
            if row.under:
                self.page.line(f"    > {row.under}", row.style or "cyan", hang=6)

    def put(self, cells: Sequence[str], widths: Sequence[int], style: str) -> None:
        parts = [
            [line for part in cell.split("\n") for line in wrapped(part, width, width)]
            for cell, width in zip(cells, widths, strict=True)
        ]
        for number in range(max(map(len, parts))):
            row = [part[number] if number < len(part) else "" for part in parts]
            padded = "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
            self.page.line(f"  {padded}".rstrip(), style, whole=True)

    def stacked(self, heads: Sequence[str], rows: Iterable[Line]) -> None:
        for row in rows:
            self.page.line(f"  {row.cells[0]}", row.style or "bold", hang=4)
            for head, cell in zip(heads[1:], row.cells[1:], strict=True):
                said = "; ".join(cell.split("\n"))
                self.page.line(f"    {head}: {said}" if head else f"    {said}", row.style, hang=6)
            if row.under:
                self.page.line(f"    > {row.under}", row.style or "cyan", hang=6)

    def safe(self, cell: str) -> str:
        """What the console can show of a cell's lines, before they are measured."""
        return "\n".join(self.page.printable(part) for part in mask.cut(cell, MAX_LINE).split("\n"))


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """The columns of each cell: as wide as its longest, and where that is too wide, the longest share what is left."""
    wanted = [
        max(1, *(cell_len(line) for row in rows for line in row[index].split("\n"))) for index in range(len(rows[0]))
    ]
    wanted[0] = min(wanted[0], NAME)
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


def _style(side: Side) -> str:
    if side.diagnosis.outcome == "undetermined":
        return "magenta"
    return "green" if side.sound else "red"


def _gravity(status: Status) -> int:
    return RANK[::-1].index(status) + 1 if status in RANK else 0


def _percent(share: Share) -> str:
    return f"{share.ratio * 100:.1f}%"


def _points(shift: Shift) -> str:
    return f"{shift.points:+.1f}"


def _worse(shift: Shift) -> bool:
    return shift.points > 0 and shift.kind in ("bad", "root", "symptom")
