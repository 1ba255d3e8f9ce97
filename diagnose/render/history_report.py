"""A history in parts, said in one language: how many, why, since when, where to look, and what was not counted.

What text, Markdown and HTML show of a history is decided here; nothing here knows of columns, colours or a console.
"""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from diagnose import mask
from diagnose.model import Message, Status
from diagnose.model.history import Attribute, Breakdown, Bucket, History, Onset, Place, Share, Source, Tally
from diagnose.render import numbers, report
from diagnose.render.history_document import ABSENT, under
from diagnose.render.report import (
    Bar,
    Bars,
    Block,
    Facts,
    Item,
    Lines,
    Outline,
    Report,
    Row,
    Section,
    Stretch,
    Table,
    Timeline,
)
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
TITLES = {
    "outcomes": Message("Outcomes"),
    "why": Message("Why they are not sound"),
    "stopped": Message("The root cannot be told from these records"),
    "since": Message("Since when"),
    "beside": Message(report.TITLES["beside"]),
    "not_counted": Message("What was not counted"),
    "read": Message(report.TITLES["read"]),
    "files": Message("Files"),
}
"""The title of each section that is the same for every history, by its key."""
ANY = "any"
"""The cause of an onset that is about every bad generation."""

LISTED = 8
"""Lines of a list, unless everything is asked for."""
WHOLE = 1000
"""Lines of a list where everything is asked for."""
VALUES = 40
"""Values of a field that are listed at least."""
STRETCHES = 400
"""Stretches of a timeline; of more, neighbours share one."""
LINES = 40
"""Lines of a timeline on a screen; of more stretches, neighbours share one."""
NAME = 88
"""Characters of a name in a table."""
CAUSE = 44
"""Characters of a cause in a timeline."""
QUOTED = 120
"""Characters of a value or of a file's name in a sentence."""
LEAST_P = 0.0001
"""A smaller probability is not told in digits."""

_NO_FILE = re.compile(r"-|stdin|[a-z][a-z0-9+.-]*://.*", re.I | re.S)
"""Sources that no command opens again: standard input, and addresses."""
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::\d\d(?:[.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?")


def of(history: History, words: Words, *, verbose: bool, titles: Mapping[str, str]) -> Report:
    """The report of a history.

    `titles` says in a sentence what each check finds. Without `verbose` each list ends after some lines and says how many
    more there are; with it lists go on to `WHOLE` lines, faults stand among what was also seen, and files are listed.
    """
    teller = _Teller(history, words, verbose, titles)
    status, verdict = teller.answer()
    return Report(teller.headline(), status, verdict, teller.facts(), tuple(teller.sections()))


class _Teller:
    def __init__(self, history: History, words: Words, verbose: bool, titles: Mapping[str, str]) -> None:
        self.history, self.words, self.verbose, self.titles = history, words, verbose, titles
        self.most = WHOLE if verbose else LISTED

    # --- the parts, in the order in which they stand

    def answer(self) -> tuple[Status, str]:
        """The mark of the whole, and the answer in two words."""
        h, words = self.history, self.words
        if h.entries and h.bad.count:
            return Status.FAIL, words("{share} not sound", share=self.share(h.bad.count, h.entries))
        if not h.entries or self.undetermined():
            return Status.UNKNOWN, words.message(report.VERDICTS["unknown"])
        return Status.PASS, words("All sound")

    def undetermined(self) -> bool:
        tally = self.history.outcomes.get("undetermined")
        return tally is not None and tally.count > 0

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
        if h.bad.count:
            bad = self.bad(h.bad.count, h.entries)
        else:
            bad = words("none known to be wrong") if self.undetermined() else words("all sound or by design")
        return f"{who}: {said}; {bad}" if said else f"{who}: {bad}"

    def facts(self) -> Facts:
        """What was read, and what it was judged by."""
        sources, words = self.history.sources, self.words
        judged = (words("profile"), shown(self.history.profile, QUOTED))
        if not sources:
            return Facts((judged,))
        size = numbers.size(sum(source.bytes for source in sources), words)
        if len(sources) == 1:
            read = f"{shown(sources[0].name, QUOTED)} ({size})"
        else:
            read = words("{n} files ({size})", n=self.number(len(sources)), size=size)
        return Facts(((words("about"), read), judged))

    def sections(self) -> Iterator[Section]:
        """What the history comes to, then what is not in it."""
        h = self.history
        if h.entries:
            yield from self.section("outcomes", self.outcomes())
            yield from self.why()
            if h.onsets is not None:
                yield from self.section("since", *self.onsets(h.onsets))
            yield from self.section("beside", *self.beside())
            timeline, by = h.timeline, h.by
            if by is not None and by.field in UNITS:  # the timeline that was asked for
                timeline, by = by, None
            if timeline is not None:
                yield from self.timeline(timeline)
            if by is not None:
                title = self.words("By {field}", field=shown(by.field, QUOTED))
                yield from self.section("by", *self.by(by), title=title)
        yield from self.section("not_counted", *self.not_counted())
        yield from self.section("read", Lines(tuple(self.read())))
        if self.verbose:
            yield from self.section("files", *self.files(h.sources))

    def section(self, key: str, *blocks: Block, title: str = "") -> Iterator[Section]:
        """A section, unless nothing stands in it."""
        kept = report.filled(blocks)
        if kept:
            yield Section(key, title or self.words.message(TITLES[key]), kept)

    def outcomes(self) -> Bars:
        h = self.history
        rows = [(self.outcome(name), tally.count) for name, tally in h.outcomes.items()]
        rows += [(self.picture(name), count) for name, count in h.generations.items()]
        top = max((count for _, count in rows), default=0)
        return Bars(
            tuple(
                Bar(name, (self.number(count), self.share(count, h.entries)), Share(count, top).ratio)
                for name, count in rows
            )
        )

    def why(self) -> Iterator[Section]:
        """The roots of the bad generations, where they can be told; those of what is meant so stand beside the chain."""
        h, words = self.history, self.words
        roots = {check: tally for check, tally in h.roots.items() if not self.by_design(check)}
        unnamed = h.bad.count - sum(tally.count for tally in (*roots.values(), *h.symptoms.values()))
        rest: list[Block] = []
        if unnamed > 0:
            said = words("no check names a cause of {n}", n=self.counted(unnamed))
            bare = Row((said,), Status.UNKNOWN)
            rest = [Table(("",), (bare if roots or h.symptoms else self.opened(bare, h.bad),))]
        yield from self.section("why", *self.tallies(roots, Status.FAIL), *(() if h.symptoms else rest))
        if not h.symptoms:
            return
        hint: list[Block] = []
        if any(source.kind == "prompt_log" for source in h.sources):
            said = words("They stop at these checks; the backend's log of the same times would tell more.")
            hint = [Lines((said,), Status.NOT_APPLICABLE)]
        yield from self.section("stopped", *hint, *self.tallies(h.symptoms, Status.UNKNOWN), *rest)

    def tallies(self, tallies: Mapping[str, Tally], status: Status) -> Iterator[Block]:
        """Each check with what it finds, when it was seen, and one example to open."""
        listed = list(tallies.items())[: self.most]
        rows = (self.opened(self.row(check, tally, self.title(check), status), tally) for check, tally in listed)
        yield Table(("",) * 4, tuple(rows), 2)
        yield from self.more(len(tallies) - self.most)

    def row(self, check: str, tally: Tally, said: str, status: Status) -> Row:
        count, share = self.number(tally.count), self.share(tally.count, self.history.entries)
        return Row((shown(check, NAME), count, share, said), status)

    def opened(self, row: Row, tally: Tally) -> Row:
        """With when it was seen first and last, where the first of them stands, and the command that opens it."""
        below = []
        if tally.first is not None and tally.last is not None:
            first, last = moment(tally.first), moment(tally.last)
            below.append(
                self.words("at {first}", first=first)
                if first == last
                else self.words("from {first} to {last}", first=first, last=last)
            )
        place = tally.example
        if place is None:
            return row._replace(under=tuple(below))
        where, opens = shown(str(place), QUOTED), command(place)
        found = where if place.index is None else f"{where} ({self.words('byte {n}', n=place.byte)})"
        below.append(found if opens is None else where)
        return row._replace(under=tuple(below), command=opens, instead="" if opens is None else found)

    def onsets(self, onsets: Sequence[Onset]) -> Iterator[Block]:
        """Since when, in sentences that can be said to a customer."""
        if not onsets:
            yield Lines((self.words("Nothing is not sound, so nothing began"),))
            return
        yield Outline(tuple(self.onset(onset) for onset in onsets[: self.most]))
        yield from self.more(len(onsets) - self.most)

    def onset(self, onset: Onset) -> Item:
        words = self.words
        cause = (
            words("all that are not sound")
            if onset.cause == ANY
            else ": ".join(part for part in (shown(onset.cause, QUOTED), self.title(onset.cause)) if part)
        )
        new = self.attributes(
            words("Also new since then:"),
            Message("{bad} of those since then, {good} of those before"),
            onset.changed[1:] if onset.at is not None else (),
        )
        apart = self.attributes(
            words("What sets them apart:"), Message("{bad} of these, {good} of the sound ones"), onset.separating
        )
        return Item(f"{self.counted(onset.first.count)}  {cause}", True, (Item(self.began(onset)), *new, *apart))

    def began(self, onset: Onset) -> str:
        """When it began, what changed with it, and how much of it there is since then."""
        words = self.words
        if onset.at is None:
            throughout = Share(onset.before.count + onset.after.count, onset.before.of + onset.after.of)
            if not throughout.of:
                return words("No time stands out at which it began")
            said = numbers.parted(throughout, words)
            return words("No time stands out at which it began: it was {share} throughout", share=said)
        at = moment(onset.at)
        if not onset.changed:
            when = words("Since {at}", at=at)
        else:
            field, value = onset.changed[0].field, onset.changed[0].value
            when = (
                words("Since {at}, when `{field}` was no longer there", at=at, field=shown(field, QUOTED))
                if value == ABSENT
                else words(
                    "Since {at}, after `{field}` changed to {value}",
                    at=at,
                    field=shown(field, QUOTED),
                    value=self.value(field, value),
                )
            )
        shares = {"after": numbers.parted(onset.after, words), "before": numbers.parted(onset.before, words)}
        if onset.cause == ANY:
            said = words("{when}, {after} are not sound; before that {before} were", when=when, **shares)
        else:
            said = words("{when}, {after} come to this; before that {before} did", when=when, **shares)
        if onset.until is not None:
            said = words("{said}; it ended at {until}", said=said, until=moment(onset.until))
        if onset.p_value is None or not math.isfinite(onset.p_value):
            return said
        return f"{said} ({numbers.chance(onset.p_value, LEAST_P, '.2g', words)})"

    def attributes(self, lead: str, shares: Message, attributes: Sequence[Attribute]) -> Iterator[Item]:
        """Values with their shares among two kinds of generations."""
        if not attributes:
            return
        told = []
        for attribute in attributes[: self.most]:
            said = self.words(
                shares.template,
                bad=numbers.parted(attribute.in_bad, self.words),
                good=numbers.parted(attribute.in_good, self.words),
            )
            value = self.value(attribute.field, attribute.value)
            told.append(Item(f"`{shown(attribute.field, QUOTED)}` = {value}: {said}"))
        yield Item(lead, False, (*told, *self.more_items(len(attributes) - self.most)), Status.NOT_APPLICABLE)

    def beside(self) -> Iterator[Block]:
        """Warnings and notes of all checks; faults as well where everything is asked for."""
        told = [*((Status.FAIL, Status.CRASH) if self.verbose else (Status.CRASH,)), Status.WARN, Status.NOTE]
        rows = []
        for status in told:
            for check, statuses in self.history.checks.items():
                tally = statuses.get(str(status))
                if tally is not None:
                    said = ": ".join(part for part in (self.words(STATUSES[status]), self.title(check)) if part)
                    rows.append(self.row(check, tally, said, status))
        yield Table(("",) * 4, tuple(rows[: self.most]), 2)
        yield from self.more(len(rows) - self.most)

    def timeline(self, timeline: Breakdown) -> Iterator[Section]:
        """How many there were at each time, and how many of them were bad."""
        stretches = [self.stretch(bucket) for bucket in timeline.buckets if bucket.name != ABSENT]
        if not stretches:
            return
        unit = UNITS.get(timeline.field)
        said = self.words.message(unit) if unit is not None else shown(timeline.field, QUOTED)
        explained = self.words("Generations, and how many of them are not sound; times without any are left out")
        yield from self.section(
            "timeline",
            Lines((explained,), Status.NOT_APPLICABLE),
            Timeline(bounded(stretches, self.words)),
            *self.others(timeline.left_out),
            title=self.words("Timeline, by {unit}", unit=said),
        )

    def stretch(self, bucket: Bucket) -> Stretch:
        name = shown(_clock(bucket.name), NAME)
        return _stretch((name, name), bucket.entries, bucket.bad, self.causes(bucket), self.words)

    def by(self, by: Breakdown) -> Iterator[Block]:
        """The values of a field, the most frequent first."""
        most = max(self.most, VALUES)
        rows = (
            Row(
                (
                    shown(self.value(by.field, bucket.name), NAME),
                    self.number(bucket.entries),
                    self.share(bucket.entries, self.history.entries),
                    self.bad(bucket.bad, bucket.entries),
                    _cause(bucket.bad, self.causes(bucket), self.words),
                )
            )
            for bucket in by.buckets[:most]
        )
        yield Table(("",) * 5, tuple(rows), 3)
        yield from self.others(by.left_out + sum(bucket.entries for bucket in by.buckets[most:]))

    def not_counted(self) -> Iterator[Block]:
        """What is not in the numbers; none of it is hidden."""
        h, items = self.history, []
        if h.malformed or h.malformed_at:
            # the places of each file are only its first
            count = self.number(max(h.malformed, len(h.malformed_at)))
            places = [
                Item(
                    self.words(
                        "{source}, byte {byte}: {message}",
                        source=shown(place.source, QUOTED),
                        byte=place.byte,
                        message=shown(self.words.say(place.message)),
                    )
                )
                for place in h.malformed_at[: self.most]
            ]
            left = h.malformed - min(len(h.malformed_at), self.most) if h.malformed_at else 0
            said = self.words("Malformed entries: {n}", n=count)
            items.append(Item(said, False, (*places, *self.more_items(left)), Status.WARN))
        for missed in h.not_counted[: self.most]:
            values = {
                "source": shown(missed.source, QUOTED),
                "start": missed.start,
                "why": shown(self.words.say(missed.why)),
            }
            said = (
                self.words("{source}, from byte {start} to the end: {why}", **values)
                if missed.end is None
                else self.words(
                    "{source}, bytes {start} to {end} ({size}): {why}",
                    end=missed.end,
                    size=numbers.size(missed.end - missed.start, self.words),
                    **values,
                )
            )
            items.append(Item(said, status=Status.WARN))
        yield Outline(tuple(items))
        yield from self.more(len(h.not_counted) - self.most)

    def read(self) -> Iterator[str]:
        """How it was counted."""
        h = self.history
        if h.invalid:
            yield self.words(
                "Entries that do not fit the schema: {n}; they are counted like any other, and `diagnose validate` says why",
                n=self.counted(h.invalid),
            )
        if h.undated:
            yield self.words(
                "Entries without a timestamp: {n}; they are in no timeline",
                n=self.counted(h.undated),
            )
        for note in h.notes:
            yield mask.cut(self.words.say(note), mask.LONGEST)

    def files(self, sources: Sequence[Source]) -> Iterator[Block]:
        rows = (
            Row(
                (
                    shown(source.name, NAME),
                    numbers.size(source.bytes, self.words),
                    self.words("entries: {n}", n=self.number(source.entries)),
                    self.words("malformed: {n}", n=self.number(source.malformed)),
                    source.kind,
                )
            )
            for source in sources[: self.most]
        )
        yield Table(("",) * 5, tuple(rows), 3)
        yield from self.more(len(sources) - self.most)

    # --- pieces

    def others(self, count: int) -> Iterator[Block]:
        if count:
            said = self.words("and {n} with other values", n=self.counted(count))
            yield Lines((said,), Status.NOT_APPLICABLE)

    def more(self, count: int) -> Iterator[Block]:
        if count > 0:
            yield Lines((self.words("and {n} more", n=self.number(count)),), Status.NOT_APPLICABLE)

    def more_items(self, count: int) -> Iterator[Item]:
        if count > 0:
            yield Item(self.words("and {n} more", n=self.number(count)), status=Status.NOT_APPLICABLE)

    def causes(self, bucket: Bucket) -> tuple[tuple[str, int], ...]:
        """What its bad ones are counted under, without what is meant so."""
        return tuple(
            (shown(check, CAUSE), count)
            for check, count in bucket.causes.items()
            if count and not self.by_design(check)
        )

    def by_design(self, check: str) -> bool:
        """Whether a root explains outcomes that are meant so: the check only ever notes it."""
        return self.history.checks.get(check, {}).keys() == {str(Status.NOTE)}

    def value(self, field: str, value: str) -> str:
        return self.words("(absent)") if value == ABSENT else shown(under(field, value), QUOTED)

    def title(self, check: str) -> str:
        return shown(self.words(self.titles[check])) if check in self.titles else ""

    def outcome(self, name: str) -> str:
        return self.words.message(OUTCOMES[name]) if name in OUTCOMES else shown(name, CAUSE)

    def picture(self, name: str) -> str:
        return self.words.message(PICTURES[name]) if name in PICTURES else shown(name, CAUSE)

    def bad(self, count: int, of: int) -> str:
        return self.words("{count} ({share}) not sound", count=self.number(count), share=self.share(count, of))

    def number(self, n: int) -> str:
        return numbers.number(n, self.words)

    def share(self, count: int, of: int) -> str:
        return numbers.share(count, of, self.words)

    def counted(self, count: int) -> str:
        """With its share in all generations."""
        return numbers.counted(count, self.history.entries, self.words)


def command(place: Place) -> str | None:
    """What opens a generation again, to copy; None where copying it would not: addresses, and names that are not shown whole."""
    if _NO_FILE.fullmatch(place.source):
        return None
    # a file whose name begins with a dash would be an option
    file = shlex.quote(f"./{place.source}" if place.source.startswith("-") else place.source)
    if len(file) > mask.LONGEST or not file.isprintable() or mask.text(file) != file:
        return None
    return f"diagnose latest-log {file} --at-offset {place.byte}"


def moment(timestamp: str) -> str:
    """A timestamp to the minute, with its zone where it has one; what is none, as it is written."""
    found = _ISO.fullmatch(timestamp.strip())
    return f"{found[1]} {found[2]}{found[3] or ''}" if found else shown(timestamp, 40)


# --- stretches of time


def merged(stretches: Sequence[Stretch], most: int, words: Words) -> tuple[Stretch, ...]:
    """Neighbours together, each stretch of as many, so that there are at most so many."""
    return _grouped(stretches, -(-len(stretches) // most), words)


def bounded(stretches: Sequence[Stretch], words: Words) -> tuple[Stretch, ...]:
    """Neighbours together where there are more than `STRETCHES`. The lines that `merged` makes for a screen stay the same."""
    if len(stretches) <= STRETCHES:
        return tuple(stretches)
    line = -(-len(stretches) // LINES)
    size = next(n for n in range(1, line + 1) if line % n == 0 and len(stretches) <= n * STRETCHES)
    return _grouped(stretches, size, words)


def _grouped(stretches: Sequence[Stretch], size: int, words: Words) -> tuple[Stretch, ...]:
    if size <= 1:
        return tuple(stretches)
    return tuple(_joined(stretches[start : start + size], words) for start in range(0, len(stretches), size))


def _joined(group: Sequence[Stretch], words: Words) -> Stretch:
    """Neighbours as one, with all that they have."""
    if len(group) == 1:
        return group[0]
    causes: Counter[str] = Counter()
    for stretch in group:
        for check, count in stretch.causes:
            causes[check] += count
    entries, bad = sum(stretch.entries for stretch in group), sum(stretch.bad for stretch in group)
    ends = (group[0].ends[0] or group[0].name, group[-1].ends[1] or group[-1].name)
    return _stretch(ends, entries, bad, tuple(causes.items()), words)


def _stretch(
    ends: tuple[str, str], entries: int, bad: int, causes: tuple[tuple[str, int], ...], words: Words
) -> Stretch:
    said = (numbers.number(entries, words), numbers.share(bad, entries, words))
    return Stretch(_between(*ends), entries, bad, said, _cause(bad, causes, words), causes, ends)


def _cause(bad: int, causes: Sequence[tuple[str, int]], words: Words) -> str:
    """What most of the bad ones are counted under."""
    if not causes or not bad:
        return ""
    check, count = max(causes, key=lambda one: one[1])
    return f"{check} {numbers.number(count, words)}"


def _between(first: str, last: str) -> str:
    """From which time to which, without saying the same day twice."""
    if first == last:
        return first
    same_day = " " in last and first.split(" ")[0] == last.split(" ")[0]
    return f"{first}..{last.split(' ')[1]}" if same_day else f"{first}..{last}"


def _clock(name: str) -> str:
    """The name of a stretch of time with a whole clock time: `2026-01-11T06:3` is 06:30."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d)(?::(\d{1,2}))?", name)
    return f"{found[1]} {found[2]}:{(found[3] or '').ljust(2, '0')}" if found else name
