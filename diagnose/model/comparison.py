"""Two generations, or two histories, side by side. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from diagnose.model import Case, Diagnosis, Link, Status, Witness, same_number
from diagnose.model.history import Share


class Given(NamedTuple):
    """One of the two generations, before they are compared."""

    name: str
    """What it was called by whoever asked."""
    case: Case
    readable: bool = True
    """False: nothing in it tells of a generation."""
    notes: tuple[str, ...] = ()
    """How the evidence was read."""


class Side(NamedTuple):
    """One of the two generations, and what it came to."""

    name: str
    diagnosis: Diagnosis
    readable: bool
    with_photo: bool
    """False where the backend was seen to receive no image: the profile then expects something else."""
    cause: str | None
    """The root; where it cannot be told, the first failing check of the chain."""
    sound: bool


class Told(NamedTuple):
    """A value, and who told it."""

    value: Any
    source: str
    witness: Witness
    absent: bool = False
    """It was seen that there is none: the entry, or the whole payload, lacks the field."""
    several: bool = False
    """The value is a list of all that was told, the strongest witness's first."""


class Expected(NamedTuple):
    """What the profile expects of a field."""

    state: Literal["value", "present", "absent"]
    value: Any = None


def as_expected(expected: Expected | None, told: Told | None) -> bool | None:
    """Whether a value is what is expected; None where nothing is expected, or the value was not seen."""
    if expected is None or told is None:
        return None
    if expected.state == "value":
        return not told.absent and same_number(told.value, expected.value)
    there = not told.absent and bool(told.value)
    return there if expected.state == "present" else not there


class Change(NamedTuple):
    """Something of the answer that becomes another."""

    what: Literal["outcome", "generation", "root", "link", "check"]
    name: str
    """The link or the check; else the same as `what`."""
    before: str | None
    after: str | None


class Trial(NamedTuple):
    """What happens to one side's answer when the other side's value is put in its place."""

    into: Literal["a", "b"]
    changes: tuple[Change, ...]
    together: bool = False
    """Only with the other differences that say so."""

    @property
    def decides(self) -> bool:
        """Whether the answer itself changes, and not only a check beside it."""
        return any(change.what != "check" for change in self.changes)


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of the entries, or a fact of the evidence, that is not the same."""

    field: str
    """Dotted: `fal_request.model` of an entry, `storage.upload.status` of evidence."""
    link: Link
    """The link of the chain, or the part beside it, that it tells of."""
    a: Told | None
    """None: it was not seen in this evidence."""
    b: Told | None
    expected: tuple[Expected | None, Expected | None]
    """What the profile expects of A and of B; None where it says nothing."""
    matters: bool | None
    """None: one of the two was not seen, and nothing but that changes the answer; or it was not tried."""
    trial: Trial | None = None
    """Why it matters; None where nothing changes."""


class Same(NamedTuple):
    """A field that is the same in both."""

    field: str
    a: Told


class Step(NamedTuple):
    """A link of the chain in both."""

    link: Link
    a: Status
    b: Status
    faults_a: tuple[str, ...]
    faults_b: tuple[str, ...]


class Row(NamedTuple):
    """A field of the table of expected and actual values."""

    field: str
    expected: tuple[Expected | None, Expected | None]
    a: Told | None
    b: Told | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two generations side by side."""

    a: Side
    b: Side
    same: bool
    """Whether outcome, cause and generation are the same; a generation that is unknown contradicts none."""
    parted: Link | None
    """The first link of which both show what it came to, and not the same."""
    chain: tuple[Step, ...]
    table: tuple[Row, ...]
    differences: tuple[Difference, ...]
    """Those that matter first, in the order of the chain."""
    equal: tuple[Same, ...]
    untried: int = 0
    """Differences that were too many to try; they are listed, and whether they matter is not known."""
    left_out: int = 0
    """Fields that were too many to be compared at all."""

    @property
    def undetermined(self) -> bool:
        """Whether it cannot be told of one of them which model was used."""
        return "undetermined" in (self.a.diagnosis.outcome, self.b.diagnosis.outcome)


class Total(NamedTuple):
    """One of the two histories, in short."""

    name: str
    profile: str
    entries: int
    bad: int
    first: str | None
    last: str | None
    notes: tuple[str, ...] = ()


class Shift(NamedTuple):
    """How often something happens in one history, and in the other."""

    kind: Literal["bad", "outcome", "root", "symptom"]
    name: str
    a: Share
    b: Share
    p_value: float | None
    """How often chance alone would make a difference as large; None where it was not tested."""
    beyond_chance: bool | None
    """Whether that is rarer than once in twenty comparisons such as this one, all its rows counted."""

    @property
    def points(self) -> float:
        """Percentage points from A to B."""
        return 100 * (self.b.ratio - self.a.ratio)

    @property
    def ratio(self) -> float | None:
        """The share in B as a multiple of the share in A; None where A has none."""
        return self.b.ratio / self.a.ratio if self.a.count else None


@dataclass(frozen=True, slots=True)
class HistoryComparison:
    """Two histories side by side."""

    a: Total
    b: Total
    shifts: tuple[Shift, ...]
    """Those that are more than chance first, the largest first."""
    same: bool | None
    """Whether no shift is more than chance; None where that cannot be told, or one of them holds no generation."""
    tested: bool
    """Whether scipy was there to test against chance."""
