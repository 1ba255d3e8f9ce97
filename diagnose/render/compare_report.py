"""A comparison in parts, said in one language: whether both came to the same, where they part, which differences matter.

What text, Markdown and HTML show of a comparison is decided here; nothing here knows of columns, colours or a console.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from diagnose import mask
from diagnose.model import Message, Status
from diagnose.model.comparison import (
    Change,
    Comparison,
    Difference,
    Expected,
    HistoryComparison,
    Shift,
    Side,
    Step,
    Told,
    Total,
    Trial,
    as_expected,
)
from diagnose.model.comparison import Row as Compared
from diagnose.model.history import Share
from diagnose.render import numbers, report
from diagnose.render.compare_document import under
from diagnose.render.report import SIGNS, Block, Facts, Lines, Report, Row, Section, Table
from diagnose.render.words import LINKS, STATUSES, Words, shown

KINDS = {
    "bad": Message("not sound"),
    "outcome": Message("outcome"),
    "root": Message("cause"),
    "symptom": Message("symptom"),
}
CHANGED = {
    "outcome": Message("outcome"),
    "root": Message("cause"),
    "generation": Message("generation"),
}
"""What of an answer can change, besides links and checks."""
RANK = (Status.FAIL, Status.WARN)
VALUE = 72
"""Characters of a value that are quoted in a table."""
FIELD = 120
"""Characters of a field's name."""
SIDE = 200
"""Characters of what a side was called."""
FEW = 8
"""Lines of a list, unless everything is asked for."""
MOST = 1000
"""Lines of a list where everything is asked for."""
CHANGES = 3
"""Changes of an answer that are named, unless everything is asked for."""
LEAST_P = 0.001
"""A smaller probability is not told in digits."""
ASIDE = Status.NOT_APPLICABLE
"""How rows are marked that are beside the point."""


def of(comparison: Comparison | HistoryComparison, words: Words, *, verbose: bool, room: int = 10_000) -> Report:
    """The report of a comparison of two generations, or of two histories.

    With `verbose` the fields that are the same are listed, differences that do not matter are listed up to `MOST`, and
    every change of an answer is named. The headline of each side is shortened to `room` characters.
    """
    teller = _Teller(words, verbose, room)
    return teller.generations(comparison) if isinstance(comparison, Comparison) else teller.histories(comparison)


class _Teller:
    def __init__(self, words: Words, verbose: bool, room: int) -> None:
        self.words, self.verbose, self.room = words, verbose, room
        self.most = MOST if verbose else FEW

    def answer(self, same: bool | None) -> tuple[Status, str]:
        """The mark of the whole, and the answer in two words."""
        if same is None:
            return Status.UNKNOWN, self.words.message(report.VERDICTS["unknown"])
        return (Status.PASS, self.words("The same")) if same else (Status.WARN, self.words("Different"))

    # --- generations

    def generations(self, c: Comparison) -> Report:
        told = c.a.readable and c.b.readable and not c.undetermined
        status, verdict = self.answer(c.same if told else None)
        sides = tuple(row for letter, side in (("A", c.a), ("B", c.b)) for row in self.side(letter, side))
        return Report(self.headline(c), status, verdict, Facts(sides), tuple(self.sections(c)))

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

    def side(self, letter: str, side: Side) -> Iterator[tuple[str, str]]:
        """What it was called, its answer, and where and when it was."""
        d = side.diagnosis
        yield letter, shown(side.name, SIDE)
        yield "", self.words.headline(d, self.room)
        about = [shown(part, FIELD) for part in (d.subject.source, d.subject.timestamp) if part]
        yield "", ", ".join([*about, self.words("generation {generation}", generation=d.generation)])

    def sections(self, c: Comparison) -> Iterator[Section]:
        """What makes the difference, where they part, then what does not matter."""
        words = self.words
        decisive = [d for d in c.differences if d.matters and _decides(d)]
        beside = [d for d in c.differences if d.matters and not _decides(d)]
        dark = [d for d in c.differences if d.matters is None and d.trial is not None]
        untried = [d for d in c.differences if d.matters is None and d.trial is None]
        nothing = [d for d in c.differences if d.matters is False]
        yield from self.differences("decisive", words("What makes the difference"), decisive)
        steps = tuple(self.step(step, step.link is c.parted) for step in c.chain)
        yield from _section("chain", words("Chain"), Table(("", "A", "B"), steps))
        heads = ("", words("expected"), "A", "B")
        yield from _section("expected", words("Expected and actual"), Table(heads, tuple(map(self.row, c.table))))
        yield from self.differences("beside", words("What changes a check, and not the answer"), beside)
        yield from self.differences("one_sided", words("Seen on one side only"), dark, bare=True)
        yield from self.differences("untried", words("Not tried out"), untried, bare=True)
        yield from self.differences("indifferent", words("What makes no difference"), nothing, bare=True)
        if self.verbose:
            same = (Row((shown(one.field, FIELD), self.told(one.field, one.a)), ASIDE) for one in c.equal[:MOST])
            title = f"{words('The same in both')} ({numbers.number(len(c.equal), words)})"
            yield from _section("same", title, Table(("", ""), tuple(same)))
        yield from _section("fields", words("Fields"), *self.fields(c))
        for letter, side in (("A", c.a), ("B", c.b)):
            notes = tuple(mask.cut(words.say(note), mask.LONGEST) for note in side.diagnosis.notes)
            yield from _section(f"read_{letter.lower()}", words("How {side} was read", side=letter), Lines(notes))

    def step(self, step: Step, parted: bool) -> Row:
        cells = (
            self.words(LINKS[step.link]),
            self.state(step.a, step.faults_a),
            self.state(step.b, step.faults_b),
        )
        if not parted:
            return Row(cells)
        return Row(cells, max(step.a, step.b, key=_gravity), (self.words("here they part"),))

    def state(self, status: Status, faults: Sequence[str]) -> str:
        return " ".join((SIGNS[status], self.words(STATUSES[status]), ", ".join(faults[:CHANGES]))).rstrip()

    def row(self, row: Compared) -> Row:
        """A line of the seed document's table: what the profile expects, and what was there."""
        cells = [self.actual(row.field, e, t) for e, t in zip(row.expected, (row.a, row.b), strict=True)]
        wrong = False in (as_expected(row.expected[0], row.a), as_expected(row.expected[1], row.b))
        return Row((shown(row.field, FIELD), self.expected(row.expected), *cells), None if wrong else ASIDE)

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
        return SIGNS[Status.PASS] if right else f"{SIGNS[Status.FAIL]} {self.told(field, told)}"

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

    def differences(self, key: str, title: str, found: Sequence[Difference], bare: bool = False) -> Iterator[Section]:
        """Values side by side, and unless they are `bare`, what they change."""
        most = self.most if bare else MOST
        rows = []
        for d in found[:most]:
            said = () if bare or d.trial is None else (self.trial(d.trial),)
            cells = (shown(d.field, FIELD), self.placed(d, d.a), self.placed(d, d.b))
            rows.append(Row(cells, ASIDE if bare else None, said))
        more: list[Block] = []
        if len(found) > most:
            n = numbers.number(len(found) - most, self.words)
            more = [Lines((self.words("and {n} more; -v lists them", n=n),), ASIDE)]
        title = f"{title} ({numbers.number(len(found), self.words)})"
        yield from _section(key, title, Table(("", "A", "B"), tuple(rows)), *more)

    def placed(self, d: Difference, told: Told | None) -> str:
        """A value with its place; that of an entry's field is the field itself."""
        said = self.told(d.field, told)
        ours = told is None or told.source.replace("/", ".").endswith(f".{d.field}")
        return said if told is None or ours else f"{said} ({shown(told.source, VALUE)})"

    def trial(self, trial: Trial) -> str:
        """What happens to one side with the other's value."""
        told = trial.changes
        if not self.verbose:  # what follows from a change of the answer says nothing new
            answer = [change for change in told if change.what in CHANGED]
            told = (*(answer or told),)[:CHANGES]
        changes = "; ".join(map(self.change, told))
        if trial.together:
            return self.words("all of these together, put into A: {changes}", changes=changes)
        if trial.into == "a":
            return self.words("with B's value, A changes: {changes}", changes=changes)
        return self.words("with A's value, B changes: {changes}", changes=changes)

    def change(self, change: Change) -> str:
        name = change.name
        if change.what == "link":
            name = f"'{next((self.words(said) for link, said in LINKS.items() if link == name), name)}'"
        elif change.what in CHANGED:
            name = self.words.message(CHANGED[change.what])
        before, after = (self.status(change, value) for value in (change.before, change.after))
        return f"{name} {before} -> {after}"

    def status(self, change: Change, value: str | None) -> str:
        if value is None:
            return self.words("none")
        return self.words(STATUSES[Status(value)]) if change.what in ("link", "check") else value

    def fields(self, c: Comparison) -> Iterator[Block]:
        """How many fields are not shown."""
        if not c.differences:
            yield Lines((self.words("No field differs."),))
        if c.equal and not self.verbose:
            n = numbers.number(len(c.equal), self.words)
            yield Lines((self.words("{n} fields are the same; -v lists them.", n=n),), ASIDE)
        if c.untried:
            n = numbers.number(c.untried, self.words)
            said = self.words("{n} differences were too many to try out; whether they matter is not known.", n=n)
            yield Lines((said,), Status.WARN)
        if c.left_out:
            n = numbers.number(c.left_out, self.words)
            yield Lines((self.words("{n} fields were too many to be compared.", n=n),), Status.WARN)

    # --- histories

    def histories(self, c: HistoryComparison) -> Report:
        there = c.a.entries and c.b.entries
        status, verdict = self.answer(c.same if there else None)
        sides = tuple(row for letter, total in (("A", c.a), ("B", c.b)) for row in self.total(letter, total))
        return Report(self.history_headline(c), status, verdict, Facts(sides), tuple(self.history_sections(c)))

    def history_headline(self, c: HistoryComparison) -> str:
        if not (c.a.entries and c.b.entries):
            return self.words("They cannot be compared: in one of them no generation was found")
        bad = next((shift for shift in c.shifts if shift.kind == "bad"), None)
        said = (
            ""
            if bad is None
            else self.words(
                "not sound {a} in A, {b} in B ({points} points)",
                a=self.percent(bad.a),
                b=self.percent(bad.b),
                points=self.points(bad),
            )
        )
        if c.same:
            return self.words("No shift is more than chance: {said}", said=said)
        first = next(
            (s for s in c.shifts if s.beyond_chance is not False and s.kind in ("root", "symptom") and s.points), None
        )
        if first is None:
            return self.words("They differ: {said}", said=said)
        return self.words(
            "They differ: {said}; most of all {name}: {a} in A, {b} in B",
            said=said,
            name=shown(first.name, FIELD),
            a=self.percent(first.a),
            b=self.percent(first.b),
        )

    def total(self, letter: str, total: Total) -> Iterator[tuple[str, str]]:
        """What it was called, how many there are in it, and how it was read."""
        words = self.words
        yield letter, shown(total.name, SIDE)
        said = words(
            "{n} generations, {bad} not sound",
            n=numbers.number(total.entries, words),
            bad=numbers.number(total.bad, words),
        )
        if total.first and total.last:
            said += words(", {first} to {last}", first=shown(total.first, 40), last=shown(total.last, 40))
        yield "", f"{said} ({words('profile')} {shown(total.profile, 80)})"
        for note in total.notes:
            yield "", mask.cut(words.say(note), mask.LONGEST)

    def history_sections(self, c: HistoryComparison) -> Iterator[Section]:
        sure = [shift for shift in c.shifts if shift.beyond_chance]
        rest = [shift for shift in c.shifts if shift.beyond_chance is False]
        untested = [shift for shift in c.shifts if shift.beyond_chance is None]
        yield from self.shifts("beyond_chance", self.words("What shifted, more than chance"), sure)
        yield from self.shifts("by_chance", self.words("What chance explains"), rest)
        yield from self.shifts("shifted", self.words("What shifted"), untested)
        if not c.tested:
            said = self.words(
                "Whether chance explains a shift was not tested: scipy is not installed; pip install 'diagnose-generation[onset]'"
            )
            yield from _section("untested", self.words("Chance"), Lines((said,), Status.WARN))

    def shifts(self, key: str, title: str, found: Sequence[Shift]) -> Iterator[Section]:
        words = self.words
        heads = ("", "A", "B", words("points"), words("times"), words("chance"))
        rows = (
            Row(
                (
                    self.shifting(shift),
                    f"{numbers.number(shift.a.count, words)} ({self.percent(shift.a)})",
                    f"{numbers.number(shift.b.count, words)} ({self.percent(shift.b)})",
                    self.points(shift),
                    self.times(shift),
                    self.chance(shift),
                ),
                ASIDE if shift.beyond_chance is False else Status.FAIL if _worse(shift) else None,
            )
            for shift in found
        )
        yield from _section(key, title, Table(heads, tuple(rows), 5))

    def shifting(self, shift: Shift) -> str:
        kind = self.words.message(KINDS[shift.kind])
        return kind if shift.kind == "bad" else f"{kind} {shown(shift.name, VALUE)}"

    def percent(self, share: Share) -> str:
        return f"{numbers.spoken(f'{share.ratio * 100:.1f}', self.words)}%"

    def points(self, shift: Shift) -> str:
        return numbers.spoken(f"{shift.points:+.1f}", self.words)

    def times(self, shift: Shift) -> str:
        if shift.ratio is None:
            return self.words("new")
        if not shift.b.count:
            return self.words("gone")
        many = f"{shift.ratio:.1f}" if shift.ratio < 100 else f"{shift.ratio:,.0f}"
        return self.words("x{n}", n=numbers.spoken(many, self.words))

    def chance(self, shift: Shift) -> str:
        if shift.p_value is None:
            return self.words("not tested")
        return numbers.chance(shift.p_value, LEAST_P, ".3f", self.words)


def _section(key: str, title: str, *blocks: Block) -> Iterator[Section]:
    """A section, unless nothing stands in it."""
    kept = report.filled(blocks)
    if kept:
        yield Section(key, title, kept)


def _decides(difference: Difference) -> bool:
    return difference.trial is not None and difference.trial.decides


def _gravity(status: Status) -> int:
    return RANK[::-1].index(status) + 1 if status in RANK else 0


def _worse(shift: Shift) -> bool:
    return shift.points > 0 and shift.kind in ("bad", "root", "symptom")
