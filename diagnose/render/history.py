"""A history for a support engineer: how many, why, since when, where to look, and what was not counted."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console

from diagnose import mask
from diagnose.model import Message, Status
from diagnose.model.history import Attribute, Breakdown, Bucket, History, Onset, Share, Tally
from diagnose.render.history_document import ABSENT, under
from diagnose.render.text import Page
from diagnose.render.words import STATUSES, Words, shown

OUTCOMES = {
    "switched": Message("switched"),
    "not_switched": Message("not switched"),
    "wrong_model": Message("wrong model"),
    "refused": Message("refused"),
    "undetermined": Message("undetermined"),
}
PICTURES = {
    "succeeded": Message("picture made"),
    "failed": Message("no picture made"),
    "not_attempted": Message("fal not called"),
    "unknown": Message("picture not seen"),
}
UNITS = {
    "minute": Message("minute"),
    "10 minutes": Message("10 minutes"),
    "hour": Message("hour"),
    "day": Message("day"),
    "month": Message("month"),
    "year": Message("year"),
    "age": Message("thousand years"),
}
ANY = "any"
"""The cause of an onset that is about every bad generation."""

LINES = 40
"""Lines of a timeline; of more stretches, neighbours share one."""
LISTED = 8
"""Lines of a list, unless everything is asked for."""
WHOLE = 1000
"""Lines of a list where everything is asked for."""
BAR = 30
"""Columns of the longest bar."""
NAME = 44
"""Columns of a name in a table."""
LEAST_NAME = 14
LEAST_BAR = 5
LEAST_TAIL = 24
"""Columns without which a name, a bar or words are not put into a line."""
QUOTED = 120
"""Characters of a value or of a file's name in a sentence."""
_BLOCKS = "▏▎▍▌▋▊▉█▁▂▃▄▅▆▇█"
_PLAIN_HEIGHTS = ".:=*%#"
_NO_TITLES: Mapping[str, str] = MappingProxyType({})


_NO_FILE = re.compile(r"-|stdin|[a-z][a-z0-9+.-]*://.*", re.I | re.S)
"""Sources that no command opens again: standard input, and addresses."""


class Line(NamedTuple):
    """A line of a table."""

    name: str
    numbers: tuple[str, ...]
    tail: str = ""
    """Words behind the numbers."""
    style: str = ""


def show(
    history: History, console: Console, words: Words, verbose: bool, titles: Mapping[str, str] = _NO_TITLES
) -> None:
    """Writes the whole history to a console.

    `titles` says in a sentence what each check finds. With `verbose`, lists are whole, and every check is told.
    """
    _Screen(history, Page(console, words, verbose), titles).show()


class _Screen:
    def __init__(self, history: History, page: Page, titles: Mapping[str, str]) -> None:
        self.history, self.page, self.words, self.titles = history, page, page.words, titles
        self.most = WHOLE if page.verbose else LISTED
        self.blocks = _can_show(_BLOCKS, page.console.encoding)

    def show(self) -> None:
        self.page.line(self.headline(), "bold", hang=0)
        self.facts()
        if self.history.entries:
            self.outcomes()
            self.why()
            if self.history.onsets is not None:
                self.onsets(self.history.onsets)
            self.beside()
            timeline, by = self.history.timeline, self.history.by
            if by is not None and by.field in UNITS:  # the timeline that was asked for
                timeline, by = by, None
            if timeline is not None:
                self.timeline(timeline)
            if by is not None:
                self.by(by)
        self.left_out()
        self.read()

    # --- the parts, in the order in which they stand

    def headline(self) -> str:
        """The answer in one line."""
        h, words = self.history, self.words
        if not h.entries:
            return words("No generation was found")
        who = words("1 generation") if h.entries == 1 else words("{n} generations", n=self.number(h.entries))
        if h.first is None or h.last is None:
            who = words("{who} without a timestamp", who=who)
        elif (first := moment(h.first)) == (last := moment(h.last)):
            who = words("{who} at {first}", who=who, first=first)
        else:
            who = words("{who} from {first} to {last}", who=who, first=first, last=last)
        said = ", ".join(
            f"{self.share(tally.count, h.entries)} {self.outcome(name)}"
            for name, tally in sorted(h.outcomes.items(), key=lambda item: -item[1].count)
            if tally.count
        )
        undetermined = h.outcomes.get("undetermined")
        if h.bad.count:
            bad = words(
                "{count} ({share}) not sound",
                count=self.number(h.bad.count),
                share=self.share(h.bad.count, h.entries),
            )
        elif undetermined is not None and undetermined.count:
            bad = words("none known to be wrong")
        else:
            bad = words("all sound or by design")
        return f"{who}: {said}; {bad}" if said else f"{who}: {bad}"

    def facts(self) -> None:
        """What was read, and what it was judged by."""
        sources = self.history.sources
        size = self.size(sum(source.bytes for source in sources))
        if len(sources) == 1:
            read = f"{shown(sources[0].name, QUOTED)} ({size})"
        else:
            read = self.words("{n} files ({size})", n=self.number(len(sources)), size=size)
        profile = f"{self.words('profile')} {shown(self.history.profile, QUOTED)}"
        self.page.line(f"  {f'{read}, ' if sources else ''}{profile}", "dim")

    def outcomes(self) -> None:
        self.page.title("Outcomes")
        h = self.history
        rows = [(self.outcome(name), tally.count) for name, tally in h.outcomes.items()]
        rows += [(self.picture(name), count) for name, count in h.generations.items()]
        top = max((count for _, count in rows), default=0)
        self.bars(
            [Line(name, (self.number(count), self.share(count, h.entries))) for name, count in rows],
            [Share(count, top) for _, count in rows],
        )

    def why(self) -> None:
        """The roots of the bad generations, where they can be told; those of what is meant so stand beside the chain."""
        roots = {check: tally for check, tally in self.history.roots.items() if not self.by_design(check)}
        symptoms = self.history.symptoms
        unnamed = self.history.bad.count - sum(tally.count for tally in (*roots.values(), *symptoms.values()))
        if roots:
            self.page.title("Why they are not sound")
            self.tallies(roots, "bold red")
        if symptoms:
            self.page.title("The root cannot be told from these records")
            if any(source.kind == "prompt_log" for source in self.history.sources):
                said = self.words("They stop at these checks; the backend's log of the same times would tell more.")
                self.page.line(f"  {said}", "dim", hang=2)
            self.tallies(symptoms, "magenta")
        if unnamed > 0:
            if not (roots or symptoms):
                self.page.title("Why they are not sound")
            said = self.words("no check names a cause of {n}", n=self.counted(Share(unnamed, self.history.entries)))
            self.page.line(f"  {said}", "magenta")
            if not (roots or symptoms):
                self.example(self.history.bad)

    def beside(self) -> None:
        """Warnings and notes of all checks; faults as well where everything is asked for."""
        told = [*((Status.FAIL, Status.CRASH) if self.page.verbose else (Status.CRASH,)), Status.WARN, Status.NOTE]
        lines = [
            Line(
                check,
                (self.number(tally.count), self.share(tally.count, self.history.entries)),
                ": ".join(part for part in (self.words(STATUSES[status]), self.title(check)) if part),
                style={"warn": "yellow", "note": "cyan"}.get(status, "red"),
            )
            for status in told
            for check, statuses in self.history.checks.items()
            if (tally := statuses.get(str(status))) is not None
        ]
        if not lines:
            return
        self.page.title("Also seen")
        self.table(lines[: self.most])
        self.more(len(lines) - self.most)

    def timeline(self, timeline: Breakdown) -> None:
        """How many there were at each time, and how many of them were bad."""
        buckets = [bucket for bucket in timeline.buckets if bucket.name != ABSENT]
        if not buckets:
            return
        unit = UNITS.get(timeline.field)
        said = self.words.message(unit) if unit is not None else shown(timeline.field, QUOTED)
        self.page.title(self.words("Timeline, by {unit}", unit=said))
        if len(buckets) >= 3 and any(bucket.bad for bucket in buckets):
            self.sparkline(buckets)
        self.page.line(
            "  " + self.words("Generations, and how many of them are not sound; times without any are left out"),
            "dim",
            hang=2,
        )
        merged = _merged(buckets, LINES)
        names = [_stretch(group) for group in merged]
        sums = [_sum(group) for group in merged]
        highest = max(_ratio(bucket) for bucket in sums)
        top = max(bucket.entries for bucket in sums)
        width = max(cell_len(self.share(bucket.bad, bucket.entries)) for bucket in sums)
        self.bars(
            [
                Line(
                    name,
                    (
                        self.number(bucket.entries),
                        f"{self.height(_ratio(bucket), highest)} {self.share(bucket.bad, bucket.entries):>{width}}",
                    ),
                    self.cause(bucket),
                )
                for name, bucket in zip(names, sums, strict=True)
            ],
            [Share(bucket.entries, top) for bucket in sums],
        )
        self.others(timeline.left_out)

    def sparkline(self, buckets: Sequence[Bucket]) -> None:
        """The share of bad ones, a character for each stretch of time, or for neighbours where there are many."""
        sums = [_sum(group) for group in _merged(buckets, self.page.width - 4)]
        low, high = min(sums, key=_ratio), max(sums, key=_ratio)
        drawn = "".join(self.height(_ratio(bucket), _ratio(high)) for bucket in sums)
        self.page.line(f"  {drawn}", "red")
        self.page.line(
            "  "
            + self.words(
                "not sound: {low} at the lowest, {high} at the highest",
                low=self.share(low.bad, low.entries),
                high=self.share(high.bad, high.entries),
            ),
            "dim",
        )

    def by(self, by: Breakdown) -> None:
        """The values of a field, the most frequent first."""
        self.page.title(self.words("By {field}", field=shown(by.field, QUOTED)))
        entries = self.history.entries
        most = max(self.most, LINES)
        self.table(
            [
                Line(
                    self.value(by.field, bucket.name),
                    (
                        self.number(bucket.entries),
                        self.share(bucket.entries, entries),
                        self.words(
                            "{count} ({share}) not sound",
                            count=self.number(bucket.bad),
                            share=self.share(bucket.bad, bucket.entries),
                        ),
                    ),
                    self.cause(bucket),
                )
                for bucket in by.buckets[:most]
            ]
        )
        self.others(by.left_out + sum(bucket.entries for bucket in by.buckets[most:]))

    def others(self, count: int) -> None:
        if count:
            said = self.words("and {n} with other values", n=self.counted(Share(count, self.history.entries)))
            self.page.line(f"  {said}", "dim")

    def onsets(self, onsets: Sequence[Onset]) -> None:
        """Since when, in sentences that can be said to a customer."""
        self.page.title("Since when")
        if not onsets:
            self.page.line("  " + self.words("Nothing is not sound, so nothing began"))
        for onset in onsets[: self.most]:
            cause = (
                self.words("all that are not sound")
                if onset.cause == ANY
                else ": ".join(part for part in (shown(onset.cause, QUOTED), self.title(onset.cause)) if part)
            )
            self.page.line(f"  {self.counted(Share(onset.first.count, self.history.entries))}  {cause}", "bold")
            self.page.line(f"    {self.onset(onset)}", hang=4)
            self.attributes(
                self.words("Also new since then:"),
                Message("{bad} of those since then, {good} of those before"),
                onset.changed[1:] if onset.at is not None else (),
            )
            self.attributes(
                self.words("What sets them apart:"),
                Message("{bad} of these, {good} of the sound ones"),
                onset.separating,
            )
        self.more(len(onsets) - self.most)

    def onset(self, onset: Onset) -> str:
        """When it began, what changed with it, and how much of it there is since then."""
        words = self.words
        if onset.at is None:
            throughout = Share(onset.before.count + onset.after.count, onset.before.of + onset.after.of)
            if not throughout.of:
                return words("No time stands out at which it began")
            return words("No time stands out at which it began: it was {share} throughout", share=self.of(throughout))
        at = moment(onset.at)
        if not onset.changed:
            when = words("Since {at}", at=at)
        else:
            field, value = shown(onset.changed[0].field, QUOTED), onset.changed[0].value
            when = (
                words("Since {at}, when `{field}` was no longer there", at=at, field=field)
                if value == ABSENT
                else words(
                    "Since {at}, after `{field}` changed to {value}",
                    at=at,
                    field=field,
                    value=self.value(onset.changed[0].field, value),
                )
            )
        shares = {"after": self.of(onset.after), "before": self.of(onset.before)}
        if onset.cause == ANY:
            said = words("{when}, {after} are not sound; before that {before} were", when=when, **shares)
        else:
            said = words("{when}, {after} come to this; before that {before} did", when=when, **shares)
        if onset.until is not None:
            said = words("{said}; it ended at {until}", said=said, until=moment(onset.until))
        chance = self.chance(onset.p_value)
        return f"{said} ({chance})" if chance else said

    def attributes(self, lead: str, shares: Message, attributes: Sequence[Attribute]) -> None:
        """Values with their shares among two kinds of generations."""
        if not attributes:
            return
        self.page.line(f"    {lead}", "dim")
        for attribute in attributes[: self.most]:
            told = self.words(shares.template, bad=self.of(attribute.in_bad), good=self.of(attribute.in_good))
            value = self.value(attribute.field, attribute.value)
            self.page.line(f"      `{shown(attribute.field, QUOTED)}` = {value}: {told}", hang=8)
        self.more(len(attributes) - self.most, "      ")

    def left_out(self) -> None:
        """What is not in the numbers; none of it is hidden."""
        h = self.history
        if not (h.malformed or h.malformed_at or h.not_counted):
            return
        self.page.title("What was not counted")
        if h.malformed or h.malformed_at:
            # the places of each file are only its first
            count = self.number(max(h.malformed, len(h.malformed_at)))
            self.page.line("  " + self.words("Malformed entries: {n}", n=count), "yellow")
            for place in h.malformed_at[: self.most]:
                said = self.words(
                    "{source}, byte {byte}: {message}",
                    source=shown(place.source, QUOTED),
                    byte=place.byte,
                    message=shown(place.message),
                )
                self.page.line(f"    {said}", hang=6)
            if h.malformed_at:
                self.more(h.malformed - min(len(h.malformed_at), self.most), "    ")
        for missed in h.not_counted[: self.most]:
            values = {
                "source": shown(missed.source, QUOTED),
                "start": missed.start,
                "why": shown(self.words(missed.why)),
            }
            said = (
                self.words("{source}, from byte {start} to the end: {why}", **values)
                if missed.end is None
                else self.words(
                    "{source}, bytes {start} to {end} ({size}): {why}",
                    end=missed.end,
                    size=self.size(missed.end - missed.start),
                    **values,
                )
            )
            self.page.line(f"  {said}", "yellow", hang=4)
        self.more(len(h.not_counted) - self.most)

    def read(self) -> None:
        """How it was counted, and which files."""
        h = self.history
        said = []
        if h.invalid:
            said.append(
                self.words(
                    "Entries that do not fit the schema: {n}; they are counted like any other, and `diagnose validate` says why",
                    n=self.counted(Share(h.invalid, h.entries)),
                )
            )
        if h.undated:
            said.append(
                self.words(
                    "Entries without a timestamp: {n}; they are in no timeline",
                    n=self.counted(Share(h.undated, h.entries)),
                )
            )
        self.page.notes([*said, *h.notes])
        if self.page.verbose and h.sources:
            self.page.title("Files")
            self.table(
                [
                    Line(
                        source.name,
                        (
                            self.size(source.bytes),
                            self.words("entries: {n}", n=self.number(source.entries)),
                            self.words("malformed: {n}", n=self.number(source.malformed)),
                        ),
                        source.kind,
                    )
                    for source in h.sources[: self.most]
                ]
            )
            self.more(len(h.sources) - self.most)

    # --- pieces

    def tallies(self, tallies: Mapping[str, Tally], style: str) -> None:
        """Each check with what it finds, when it was seen, and one example to open."""
        entries = self.history.entries
        listed = list(tallies.items())[: self.most]
        lines = [
            Line(check, (self.number(tally.count), self.share(tally.count, entries)), self.title(check), style=style)
            for check, tally in listed
        ]
        self.table(lines, below=[tally for _, tally in listed])
        self.more(len(tallies) - self.most)

    def example(self, tally: Tally) -> None:
        """When it was seen first and last, and the command that opens the first of them."""
        if tally.first is not None and tally.last is not None:
            first, last = moment(tally.first), moment(tally.last)
            when = (
                self.words("at {first}", first=first)
                if first == last
                else self.words("from {first} to {last}", first=first, last=last)
            )
            self.page.line(f"    {when}", "dim")
        if tally.example is None:
            return
        place, words = tally.example, self.command(tally)
        where = shown(str(place), QUOTED)
        if words is None:
            where += "" if place.index is None else f" ({self.words('byte {n}', n=place.byte)})"
            self.page.line(f"    {where}", hang=6)
            return
        room, command = self.page.width - 4, " ".join(words)
        if cell_len(f"{where}  {command}") <= room:
            self.page.line(f"    {where}  {command}", "cyan")
            return
        self.page.line(f"    {where}", hang=6)
        self.copyable(words)

    def copyable(self, words: Sequence[str]) -> None:
        """A command in lines that a shell joins again."""
        room = self.page.width - 6
        lines = [""]
        for word in words:
            joined = f"{lines[-1]} {word}" if lines[-1] else word
            if cell_len(joined) <= room - 2:
                lines[-1] = joined
            else:
                lines.append(word)
        for index, line in enumerate(lines):
            end = " \\" if index < len(lines) - 1 else ""
            self.page.line(f"    {'  ' if index else ''}{line}{end}", "cyan")

    def command(self, tally: Tally) -> tuple[str, ...] | None:
        """What opens the example, in pieces that stay whole; None where no line of this screen can hold them."""
        place = tally.example
        if place is None or _NO_FILE.fullmatch(place.source):
            return None
        # a file whose name begins with a dash would be an option
        file = shlex.quote(f"./{place.source}" if place.source.startswith("-") else place.source)
        words = ("diagnose", "latest-log", file, f"--at-offset {place.byte}")
        kept = all(self.page.printable(word) == word == mask.text(word) for word in words)
        fits = max(map(cell_len, words)) <= self.page.width - 8
        return words if kept and fits else None

    def table(self, lines: Sequence[Line], below: Sequence[Tally] = ()) -> None:
        """Names, numbers in columns, and words behind them; in a narrow window, below them."""
        left, column = self.columns(lines)
        for index, line in enumerate(lines):
            told = self.page.printable(line.tail)
            beside = column > 0 and self.page.width - column - 2 >= min(LEAST_TAIL, cell_len(told))
            self.rows(f"{left[index]}  {told}" if told and beside else left[index], line.style, column + 2)
            if told and not beside:
                self.page.line(f"    {told}", "dim", hang=4)
            if below:
                self.example(below[index])

    def bars(self, lines: Sequence[Line], lengths: Sequence[Share]) -> None:
        """Names, numbers in columns, and bars and words behind them as far as there is room."""
        left, column = self.columns(lines)
        told = [self.page.printable(line.tail) for line in lines]
        behind = self.page.width - column - 2 if column else 0
        words = max(map(cell_len, told), default=0) + 2
        worded = words > 2 and behind - words >= LEAST_BAR
        room = min(BAR, behind - words if worded else behind)
        for index, line in enumerate(lines):
            said = left[index]
            if room >= LEAST_BAR:
                said += f"  {_padded(self.bar(lengths[index], room), room)}"
            self.rows(f"{said}  {told[index]}" if worded else said, line.style, column)

    def columns(self, lines: Sequence[Line]) -> tuple[list[str], int]:
        """Names and numbers of each line, and how many columns they take; 0 where the numbers stand below the names."""
        numbers = [max(map(cell_len, column)) for column in zip(*(line.numbers for line in lines), strict=True)]
        written = [
            "".join(f"  {_aligned(number, n)}" for number, n in zip(line.numbers, numbers, strict=True))
            for line in lines
        ]
        names = [self.page.printable(shown(line.name, 2 * NAME)) for line in lines]
        room = self.page.width - 2 - sum(numbers) - 2 * len(numbers)
        widest = min(NAME, max(map(cell_len, names), default=0))
        if room < min(widest, LEAST_NAME):
            return [f"  {name}\n  {said}" for name, said in zip(names, written, strict=True)], 0
        first = min(widest, room)
        lefts = [f"  {_padded(_cut(name, first), first)}{said}" for name, said in zip(names, written, strict=True)]
        return lefts, self.page.width - room + first

    def rows(self, said: str, style: str, hang: int) -> None:
        """A line of a table, or the two into which a narrow window parts it."""
        for part in said.split("\n"):
            self.page.line(part, style, hang=max(4, hang))

    def bar(self, share: Share, room: int) -> str:
        """A line as long as its part of the longest; what is there at all is seen."""
        if share.count <= 0 or share.of <= 0:
            return ""
        if not self.blocks:
            return "#" * max(1, min(room, (share.count * room + share.of // 2) // share.of))
        eighths = max(1, min(room * 8, (share.count * room * 8 + share.of // 2) // share.of))
        return "█" * (eighths // 8) + (_BLOCKS[eighths % 8 - 1] if eighths % 8 else "")

    def height(self, ratio: float, highest: float) -> str:
        """A character as high as its part of the highest; only nothing is as low as the lowest."""
        heights = _BLOCKS[8:] if self.blocks else _PLAIN_HEIGHTS
        if ratio <= 0 or highest <= 0:
            return heights[0]
        return heights[max(1, min(len(heights) - 1, math.ceil(ratio / highest * (len(heights) - 1))))]

    def more(self, count: int, indent: str = "  ") -> None:
        if count > 0:
            self.page.line(f"{indent}{self.words('and {n} more', n=self.number(count))}", "dim")

    def cause(self, bucket: Bucket) -> str:
        """What most of its bad ones are counted under."""
        found = [(count, check) for check, count in bucket.causes.items() if count and not self.by_design(check)]
        if not found or not bucket.bad:
            return ""
        count, check = max(found, key=lambda one: one[0])
        return f"{_cut(self.page.printable(shown(check, NAME)), LEAST_TAIL)} {self.number(count)}"

    def by_design(self, check: str) -> bool:
        """Whether a root explains outcomes that are meant so: the check only ever notes it."""
        return self.history.checks.get(check, {}).keys() == {str(Status.NOTE)}

    def value(self, field: str, value: str) -> str:
        return self.words("(absent)") if value == ABSENT else shown(under(field, value), QUOTED)

    def title(self, check: str) -> str:
        return shown(self.words(self.titles[check])) if check in self.titles else ""

    def outcome(self, name: str) -> str:
        return self.words.message(OUTCOMES[name]) if name in OUTCOMES else shown(name, NAME)

    def picture(self, name: str) -> str:
        return self.words.message(PICTURES[name]) if name in PICTURES else shown(name, NAME)

    # --- numbers

    def number(self, n: int) -> str:
        """With the separators of the language."""
        return self.spoken(f"{n:,}")

    def spoken(self, number: str) -> str:
        swapped = str.maketrans(",.", ".,")
        return number.translate(swapped) if self.words.language == "id" else number

    def share(self, count: int, of: int) -> str:
        """In percent, with one decimal; a few are never none, and nearly all are never all."""
        if count <= 0 or of <= 0:
            return "0%"
        if count >= of:
            return "100%"
        if count * 1000 < of:
            return f"<{self.spoken('0.1')}%"
        if (of - count) * 1000 < of:
            return f">{self.spoken('99.9')}%"
        return f"{self.spoken(f'{100 * count / of:.1f}')}%"

    def counted(self, share: Share) -> str:
        """`1,234 (12.3%)`."""
        return f"{self.number(share.count)} ({self.share(share.count, share.of)})"

    def of(self, share: Share) -> str:
        """`97.0% (1,234 of 1,272)`."""
        said = self.words("{count} of {of}", count=self.number(share.count), of=self.number(share.of))
        return f"{self.share(share.count, share.of)} ({said})"

    def chance(self, p_value: float | None) -> str:
        """How likely chance alone makes such a change; nothing where it was not computed."""
        if p_value is None or not math.isfinite(p_value):
            return ""
        return self.spoken("p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}")

    def size(self, n: int) -> str:
        """Bytes, in the unit in which they are said."""
        for unit, least in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
            if n >= least:
                return f"{self.spoken(f'{n / least:,.1f}')} {unit}"
        return f"{self.number(n)} B"


_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::\d\d(?:[.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?")


def moment(timestamp: str) -> str:
    """A timestamp to the minute, with its zone where it has one; what is none, as it is written."""
    found = _ISO.fullmatch(timestamp.strip())
    return f"{found[1]} {found[2]}{found[3] or ''}" if found else shown(timestamp, 40)


def _clock(name: str) -> str:
    """The name of a stretch of time with a whole clock time: `2026-01-11T06:3` is 06:30."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d)(?::(\d{1,2}))?", name)
    return f"{found[1]} {found[2]}:{(found[3] or '').ljust(2, '0')}" if found else name


def _stretch(group: Sequence[Bucket]) -> str:
    """The name of one bucket; of several, from which to which, without saying the same day twice."""
    first, last = _clock(group[0].name), _clock(group[-1].name)
    if len(group) == 1:
        return first
    same_day = " " in last and first.split(" ")[0] == last.split(" ")[0]
    return f"{first}..{last.split(' ')[1]}" if same_day else f"{first}..{last}"


def _merged(buckets: Sequence[Bucket], most: int) -> list[Sequence[Bucket]]:
    """Neighbours together, so that there are at most so many."""
    size = -(-len(buckets) // most)
    return [buckets[start : start + size] for start in range(0, len(buckets), size)]


def _sum(group: Sequence[Bucket]) -> Bucket:
    if len(group) == 1:
        return group[0]
    causes: Counter[str] = Counter()
    for bucket in group:
        causes.update(bucket.causes)
    return Bucket("", sum(b.entries for b in group), sum(b.bad for b in group), {}, causes)


def _ratio(bucket: Bucket) -> float:
    return Share(bucket.bad, bucket.entries).ratio


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
    head, tail = _fitting(text, room - 3 - room // 3), _fitting(text[::-1], room // 3)[::-1]
    return f"{head}...{tail}"


def _fitting(text: Iterable[str], room: int) -> str:
    said = "".join(text)[:room]
    while cell_len(said) > room:
        said = said[:-1]
    return said
