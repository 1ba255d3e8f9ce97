"""Makes a history of counts: judges each shape once, and adds up what generations have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from diagnose.history.counts import UNDATED, WIDTHS, Cell, Counts, Key, Spot
from diagnose.history.ranges import File
from diagnose.model.history import Breakdown, Bucket, History, Malformed, Missed, Place, Source, Tally, Verdict

UNITS = dict(zip(WIDTHS, ("minute", "10 minutes", "hour", "day", "month", "year", "age"), strict=True))
LISTED = 200
"""Values of a field that are listed."""
MOST_BUCKETS = 400
"""Stretches of time that are shown, where longer ones exist."""
TOLD = ("fail", "warn", "note")


@dataclass(slots=True)
class _Sum:
    """Tallies under way."""

    count: int = 0
    first: str = ""
    last: str = ""
    spot: Spot | None = None

    def take(self, cell: Cell, dated: bool) -> None:
        self.count += cell.count
        if not dated:
            self.spot = self.spot or cell.spot
        elif not self.first or (cell.first, cell.spot) < (self.first, self.spot or cell.spot):
            self.first, self.spot = cell.first, cell.spot
        if dated:
            self.last = max(self.last, cell.last)


@dataclass(slots=True)
class _Bucket:
    entries: int = 0
    bad: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)

    def take(self, verdict: Verdict, count: int) -> None:
        self.entries += count
        self.outcomes[verdict.outcome] += count
        if verdict.code == 1:
            self.bad += count
        if verdict.cause:
            self.causes[verdict.cause] += count

    def done(self, name: str) -> Bucket:
        return Bucket(name, self.entries, self.bad, dict(self.outcomes.most_common()), dict(self.causes.most_common()))


class Places:
    """Where spots stand in their files."""

    def __init__(self, counts: Counts, files: Sequence[File]) -> None:
        self._files = files
        self._before: dict[tuple[int, int], int] = {}
        total: Counter[int] = Counter()
        for each in sorted(counts.ranges):
            self._before[each.source, each.began] = total[each.source]
            total[each.source] += each.entries

    def place(self, spot: Spot) -> Place:
        """The place of a spot; its index counts the entries of the ranges before it."""
        file = self._files[spot.source]
        before = self._before.get((spot.source, spot.start))
        index = None if file.form == "log" or before is None else before + spot.nth
        return Place(file.name, index, spot.byte)


def history(
    profile: str,
    counts: Counts,
    verdicts: Mapping[Key, Verdict],
    files: Sequence[File],
    by: str | None = None,
    only: str | None = None,
) -> History:
    """The history that counts come to. `only` leaves out every generation in which that check found nothing."""
    places = Places(counts, files)
    kept = {key: v for key, v in verdicts.items() if only is None or _concerns(v, only)}
    sums: dict[tuple[str, ...], _Sum] = {}
    buckets: dict[str, _Bucket] = {}
    undated = invalid = 0
    generations: Counter[str] = Counter()
    for key, verdict in kept.items():
        told = dict(verdict.statuses)
        groups = list(_groups(verdict))
        for time, cell in counts.cells.get(key, {}).items():
            dated = time != UNDATED[: counts.width]
            for group in groups:
                sums.setdefault(group, _Sum()).take(cell, dated)
            generations[verdict.generation] += cell.count
            invalid += cell.count if told.get("prompt_log_invalid") == "warn" else 0
            if dated:
                buckets.setdefault(time, _Bucket()).take(verdict, cell.count)
            else:
                undated += cell.count

    def tally(sum_: _Sum) -> Tally:
        return Tally(sum_.count, sum_.first or None, sum_.last or None, places.place(sum_.spot) if sum_.spot else None)

    def family(name: str) -> dict[str, Tally]:
        found = {group[1]: tally(s) for group, s in sums.items() if group[0] == name and len(group) == 2}
        return dict(sorted(found.items(), key=lambda item: (-item[1].count, item[0])))

    checks: dict[str, dict[str, Tally]] = {}
    for group, total in sorted(sums.items()):
        if group[0] == "check":
            checks.setdefault(group[1], {})[group[2]] = tally(total)
    ranges = counts.ranges
    return History(
        profile=profile,
        entries=sum(generations.values()),
        malformed=sum(each.malformed for each in ranges),
        invalid=invalid,
        undated=undated,
        bad=tally(sums.get(("bad",), _Sum())),
        outcomes=family("outcome"),
        generations=dict(generations.most_common()),
        roots=family("root"),
        symptoms=family("symptom"),
        checks=checks,
        timeline=timeline(buckets, counts.width),
        by=_by(by, counts, kept) if by else None,
        sources=tuple(_source(file, counts) for file in files),
        malformed_at=tuple(Malformed(files[f.source].name, f.byte, f.message) for f in sorted(counts.faults)),
        not_counted=tuple(Missed(files[lost.source].name, *lost[1:]) for lost in sorted(counts.lost, key=str)),
    )


def _groups(verdict: Verdict) -> Iterable[tuple[str, ...]]:
    """What a generation is counted under."""
    yield "outcome", verdict.outcome
    if verdict.code == 1:
        yield ("bad",)
    if verdict.root:
        yield "root", verdict.root
    if verdict.symptom:
        yield "symptom", verdict.symptom
    for check, status in verdict.statuses:
        if status in TOLD:
            yield "check", check, status


def _concerns(verdict: Verdict, check: str) -> bool:
    return verdict.root == check or dict(verdict.statuses).get(check) in TOLD


def timeline(buckets: Mapping[str, _Bucket], width: int) -> Breakdown | None:
    """The stretches of time, as long as it takes to show no more than some dozens."""
    if not buckets:
        return None
    named = buckets
    for shorter in (w for w in WIDTHS if w < width):
        if len(named) <= MOST_BUCKETS:
            break
        merged: dict[str, _Bucket] = {}
        for name, bucket in named.items():
            into = merged.setdefault(name[:shorter], _Bucket())
            into.entries += bucket.entries
            into.bad += bucket.bad
            into.outcomes += bucket.outcomes
            into.causes += bucket.causes
        named, width = merged, shorter
    return Breakdown(UNITS[width], tuple(bucket.done(name) for name, bucket in sorted(named.items())))


def _by(by: str, counts: Counts, verdicts: Mapping[Key, Verdict]) -> Breakdown | None:
    if counts.values is None:
        return None
    buckets: dict[str, _Bucket] = {}
    for value, kept in counts.values.items():
        for key, count in kept.items():
            if key in verdicts:
                buckets.setdefault(value, _Bucket()).take(verdicts[key], count)
    in_order = by in ("hour", "day")
    ordered = sorted(buckets.items(), key=lambda item: item[0] if in_order else (-item[1].entries, item[0]))
    listed = ordered[-LISTED:] if in_order else ordered[:LISTED]
    left_out = sum(bucket.entries for _, bucket in ordered) - sum(bucket.entries for _, bucket in listed)
    return Breakdown(by, tuple(bucket.done(value) for value, bucket in listed), left_out)


def _source(file: File, counts: Counts) -> Source:
    own = [each for each in counts.ranges if each.source == file.number]
    read = file.size if file.size is not None else max((each.stopped for each in own), default=0)
    return Source(file.name, file.kind, read, sum(e.entries for e in own), sum(e.malformed for e in own))
