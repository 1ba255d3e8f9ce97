"""How many generations there are of each shape, when, and where one stands. Counts of parts add up in any order."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from diagnose.history.attributes import UNDATED as UNDATED
from diagnose.history.attributes import Attributes
from diagnose.history.shape import Shape
from diagnose.model import Evidence
from diagnose.model.history import Verdict

WIDTHS = (16, 15, 13, 10, 7, 4, 1)
"""Characters of a timestamp that name a stretch of time: a minute, ten minutes, an hour, a day, a month, a year, an age."""
MOST_CELLS = 4096
"""Pairs of a shape and a stretch of time that a history keeps; where there are more, the stretches become longer."""
CELLS = 512
"""The same, for one range."""
MOST_SHAPES = 4096
"""Shapes that are kept; where there are more, each is judged at once, and their verdicts are counted."""
MOST_VALUES = 50_000
"""Pairs of a field's value and a shape."""
MOST_PLACES = 20
"""Malformed entries whose place is told, of each file."""


class AttemptShape(NamedTuple):
    """What stands for attempts of a backend's log; what else its log tells counts too, so the log belongs to it."""

    source: int
    key: Hashable


Key = Shape | Verdict | AttemptShape
"""What is counted. A verdict stands for shapes that were too many to keep."""


class Spot(NamedTuple):
    """Where an entry stands: the range's start and the place in it, since how many stand before is known last."""

    source: int
    start: int
    nth: int
    byte: int


class Cell:
    """Generations of one shape in one stretch of time."""

    __slots__ = ("count", "first", "last", "spot")

    def __init__(self, count: int, first: str, last: str, spot: Spot) -> None:
        self.count = count
        self.first = first
        self.last = last
        self.spot = spot

    def take(self, other: Cell) -> None:
        """Add another cell's generations."""
        if (other.first, other.spot) < (self.first, self.spot):
            self.first, self.spot = other.first, other.spot
        self.last = max(self.last, other.last)
        self.count += other.count

    def __reduce__(self) -> tuple[object, ...]:
        return Cell, (self.count, self.first, self.last, self.spot)


class Range(NamedTuple):
    """A part of a file that was read."""

    source: int
    start: int
    began: int
    """The byte of its first entry."""
    stopped: int
    """Where the next range's first entry has to begin."""
    entries: int
    malformed: int
    skipped: int = 0
    """Entries outside the time that was asked for."""


class Fault(NamedTuple):
    """Something that is no entry."""

    source: int
    byte: int
    message: str


class Lost(NamedTuple):
    """A part of a file that was not counted."""

    source: int
    start: int
    end: int | None
    why: str


@dataclass(slots=True)
class Counts:
    """The counts of one or many ranges."""

    width: int = WIDTHS[0]
    cells: dict[Key, dict[str, Cell]] = field(default_factory=dict)
    values: dict[str, dict[Key, int]] | None = None
    """Of the field that was asked for: value, shape, count. None: not asked for, or too many."""
    too_many: bool = False
    """The field's values were too many to count one by one."""
    attributes: Attributes | None = None
    """None: not asked for."""
    samples: dict[AttemptShape, tuple[Evidence, ...]] = field(default_factory=dict)
    common: dict[int, tuple[Evidence, ...]] = field(default_factory=dict)
    """What is true of a whole log, by source."""
    ranges: list[Range] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)

    def fault(self, found: Fault) -> None:
        """Keep the place of something malformed; a range tells them in order, and only the first are told."""
        if len(self.faults) < MOST_PLACES:
            self.faults.append(found)


def add(total: Counts, part: Counts, most: int = MOST_CELLS) -> Counts:
    """The counts of both, in `total`, which is changed and given back."""
    width = min(total.width, part.width)
    coarsen(total, width)
    for key, times in part.cells.items():
        held = total.cells.setdefault(key, {})
        for time, cell in times.items():
            _put(held, time[:width], cell)
    if total.values is not None and part.values is not None:
        for value, counted in part.values.items():
            kept = total.values.setdefault(value, {})
            for key, count in counted.items():
                kept[key] = kept.get(key, 0) + count
    if total.attributes is not None and part.attributes is not None:
        total.attributes.add(part.attributes)
    total.too_many = total.too_many or part.too_many
    total.samples |= part.samples
    for source, evidence in part.common.items():
        total.common[source] = some_of_each((*total.common.get(source, ()), *evidence))
    total.ranges += part.ranges
    total.faults = _first(total.faults + part.faults)
    total.lost += part.lost
    return bounded(total, most)


def some_of_each(evidence: tuple[Evidence, ...], most: int = 3) -> tuple[Evidence, ...]:
    """What a whole log tells, a few of each kind: a backend that was started a thousand times was restarted."""
    seen: Counter[str] = Counter()
    kept = []
    for each in evidence:
        seen[each.kind] += 1
        if seen[each.kind] <= most:
            kept.append(each)
    return tuple(kept)


def bounded(counts: Counts, most: int = MOST_CELLS) -> Counts:
    """The counts with stretches of time as long as it takes to keep no more cells than `most`."""
    while sum(map(len, counts.cells.values())) > max(most, len(counts.cells)) and counts.width > WIDTHS[-1]:
        coarsen(counts, next(width for width in WIDTHS if width < counts.width))
    if counts.values is not None and sum(map(len, counts.values.values())) > MOST_VALUES:
        counts.too_many = True
    if counts.too_many:
        counts.values = None
    return counts


def coarsen(counts: Counts, width: int) -> None:
    """Let stretches of time be as long as `width` says."""
    if width >= counts.width:
        return
    counts.width = width
    for key, times in counts.cells.items():
        held: dict[str, Cell] = {}
        for time, cell in times.items():
            _put(held, time[:width], cell)
        counts.cells[key] = held


def _put(held: dict[str, Cell], time: str, cell: Cell) -> None:
    present = held.get(time)
    if present is None:
        held[time] = Cell(cell.count, cell.first, cell.last, cell.spot)
    else:
        present.take(cell)


def _first(faults: list[Fault]) -> list[Fault]:
    """The first of each file."""
    by_source: dict[int, list[Fault]] = {}
    for fault in faults:
        by_source.setdefault(fault.source, []).append(fault)
    return [fault for found in by_source.values() for fault in heapq.nsmallest(MOST_PLACES, found)]
