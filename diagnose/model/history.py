"""What many generations come to: how many, since when, where to look. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Verdict(NamedTuple):
    """What one generation comes to, without its texts: all generations of one shape share it."""

    outcome: str
    generation: str
    code: int
    """The exit code of its answer: 0 sound or by design, 1 not sound, 3 undetermined."""
    root: str | None
    symptom: str | None
    """Where the root cannot be told: the first failing check of the chain; None where there is a root or no failure."""
    statuses: tuple[tuple[str, str], ...]
    """(check, status) of every check, in the registry's order."""

    @property
    def cause(self) -> str | None:
        """What it is counted under: the root, else the symptom."""
        return self.root or self.symptom


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader finds one generation again."""

    source: str
    """The file as it was named."""
    index: int | None
    """Zero-based place among the file's entries; None in a backend's log."""
    byte: int
    """Where it begins; in a compressed file, in what is unpacked."""

    def __str__(self) -> str:
        return f"{self.source}#/{self.index}" if self.index is not None else f"{self.source}@{self.byte}"


@dataclass(frozen=True, slots=True)
class Tally:
    """Generations that have something in common."""

    count: int
    first: str | None = None
    """The earliest timestamp, as written; None where none has one."""
    last: str | None = None
    example: Place | None = None
    """The earliest of them; without timestamps, the first that stands in the file."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stretch of time, or the generations that share a value."""

    name: str
    """How its timestamps begin, such as `2026-01-11T06`; or the value."""
    entries: int
    bad: int
    """Those whose outcome is not sound, or whose generation failed."""
    outcomes: Mapping[str, int]
    causes: Mapping[str, int]
    """By root, or by symptom where the root cannot be told."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """All generations, by time or by a field."""

    field: str
    """`minute`, `10 minutes`, `hour`, `day`, `month` or `year`; or the field's name."""
    buckets: tuple[Bucket, ...]
    """By time: in order, empty stretches left out. By a field: the most frequent first."""
    left_out: int = 0
    """Generations of values that were too many to list."""


class Malformed(NamedTuple):
    """Something in a file that is no entry."""

    source: str
    byte: int
    message: str


class Missed(NamedTuple):
    """Bytes of a file that were not counted."""

    source: str
    start: int
    end: int | None
    """None: to the end, wherever that is now."""
    why: str


class Source(NamedTuple):
    """A file that was counted."""

    name: str
    kind: str
    """`prompt_log` or `backend_log`."""
    bytes: int
    entries: int
    malformed: int


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def ratio(self) -> float:
        """0.0 to 1.0; of nothing it is 0."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Attribute:
    """A field's value that the bad generations have more often, or less often, than the good ones."""

    field: str
    """Dotted, as in `fal_request.model`."""
    value: str
    """As JSON; `(absent)` where the field is missing."""
    in_bad: Share
    in_good: Share


@dataclass(frozen=True, slots=True)
class Onset:
    """Since when something goes wrong, and what came with it."""

    cause: str
    """A root, a symptom where the root cannot be told, or `any` for every bad generation."""
    first: Tally
    """The bad generations of this cause."""
    at: str | None
    """The change point: the earliest of them behind it; None where no change stands out from chance."""
    p_value: float | None
    before: Share
    after: Share
    until: str | None = None
    """When it ended again; None where it goes on to the end."""
    changed: tuple[Attribute, ...] = ()
    """What is frequent after the change and was rare before: `in_bad` is after, `in_good` is before."""
    separating: tuple[Attribute, ...] = ()
    """What separates bad from good after the change (or throughout, where there is none), the sharpest first."""


@dataclass(frozen=True, slots=True)
class History:
    """What many generations come to."""

    profile: str
    entries: int = 0
    malformed: int = 0
    invalid: int = 0
    """Entries that do not fit the schema; they are counted like any other."""
    undated: int = 0
    """Entries without a timestamp: they are in no stretch of time."""
    bad: Tally = field(default_factory=lambda: Tally(0))
    outcomes: Mapping[str, Tally] = field(default_factory=dict)
    generations: Mapping[str, int] = field(default_factory=dict)
    roots: Mapping[str, Tally] = field(default_factory=dict)
    """The most frequent first."""
    symptoms: Mapping[str, Tally] = field(default_factory=dict)
    """Bad generations whose root cannot be told, by the first failing check of the chain."""
    checks: Mapping[str, Mapping[str, Tally]] = field(default_factory=dict)
    """Check to status to tally, of fail, warn and note."""
    timeline: Breakdown | None = None
    by: Breakdown | None = None
    onsets: tuple[Onset, ...] | None = None
    """None: not asked for."""
    sources: tuple[Source, ...] = ()
    malformed_at: tuple[Malformed, ...] = ()
    """The first of each file."""
    not_counted: tuple[Missed, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> str | None:
        """The earliest timestamp of all."""
        return min((t.first for t in self.outcomes.values() if t.first), default=None)

    @property
    def last(self) -> str | None:
        """The latest timestamp of all."""
        return max((t.last for t in self.outcomes.values() if t.last), default=None)
