"""Since when something goes wrong, and what separates the generations that do from those that do not.

The change point is found by binary segmentation (ruptures) of the share of bad generations over time, with the
binomial likelihood as its cost, and is told only where Fisher's exact test (scipy), corrected for the number of places
at which it can lie, says that chance does not explain it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from diagnose.errors import ExtraMissing
from diagnose.history.attributes import ABSENT, ANY, LONGEST, Attributes, Sides, is_bad, places
from diagnose.history.counts import UNDATED, AttemptShape, Counts, Key
from diagnose.model.history import Attribute, Onset, Share, Tally, Verdict

MOST_CAUSES = 5
"""Causes whose onset is looked for, the most frequent first."""
FEWEST = 5
"""Bad generations below which nothing is said about their beginning."""
CHANCE = 0.001
MOST_STEPS = 600
SHOWN = 8
RARE, FREQUENT = 0.2, 0.5
"""Shares of a value before and after, from which on a field is said to have changed to it."""
LEAST = 0.1
"""The smallest difference between two shares that is told."""


class Step(NamedTuple):
    """A stretch of time."""

    start: str
    bad: int
    all: int
    first: str
    """The earliest bad generation in it; empty where there is none."""


class Change(NamedTuple):
    """A stretch in which the share of bad generations is higher than before it."""

    start: int
    end: int
    p_value: float
    before: Share
    after: Share


Telling = Callable[[str, str], int | None]
"""Whether a field can say why, for a cause: 0 yes, 1 it can, but it is what the fault consists in; None no."""


def needed() -> None:
    """Raises ExtraMissing where the packages of the extra are not installed."""
    try:
        import ruptures  # noqa: F401
        import scipy.stats  # noqa: F401
    except ImportError:
        raise ExtraMissing("--onset needs the extra 'onset': pip install 'diagnose-generation[onset]'") from None


def causes(verdicts: Mapping[Key, Verdict], counts: Counts) -> list[str]:
    """The causes of bad generations, the most frequent first; `any` stands for all of them and comes first."""
    found: Counter[str] = Counter()
    for key, verdict in verdicts.items():
        if verdict.code == 1:
            number = sum(cell.count for cell in counts.cells.get(key, {}).values())
            found[ANY] += number
            if verdict.cause:
                found[verdict.cause] += number
    ordered = sorted(found.items(), key=lambda item: (item[0] != ANY, -item[1], item[0]))
    if len(ordered) == 2 and ordered[0][1] == ordered[1][1]:
        ordered = ordered[1:]  # all that is bad has one cause
    return [cause for cause, _ in ordered[: MOST_CAUSES + 1]]


def steps(counts: Counts, verdicts: Mapping[Key, Verdict], cause: str) -> list[Step]:
    """Bad and all generations in each stretch of time, in order; neighbours are joined where there are too many."""
    bad: Counter[str] = Counter()
    total: Counter[str] = Counter()
    first: dict[str, str] = {}
    for key, verdict in verdicts.items():
        for time, cell in counts.cells.get(key, {}).items():
            if time == UNDATED[: counts.width]:
                continue
            total[time] += cell.count
            if is_bad(verdict, cause):
                bad[time] += cell.count
                first[time] = min(first.get(time, cell.first), cell.first)
    found = [Step(time, bad[time], total[time], first.get(time, "")) for time in sorted(total)]
    joined = math.ceil(len(found) / MOST_STEPS) or 1
    return [_join(found[at : at + joined]) for at in range(0, len(found), joined)]


def _join(several: Sequence[Step]) -> Step:
    first = min((step.first for step in several if step.first), default="")
    return Step(several[0].start, sum(s.bad for s in several), sum(s.all for s in several), first)


def change(series: Sequence[Step]) -> Change | None:
    """The sharpest rise of the share of bad generations; None where no rise stands out from chance."""
    if len(series) < 2 or sum(step.bad for step in series) < FEWEST:
        return None
    bounds = [0, *_segments(series)]
    found: list[Change] = []
    for at in range(1, len(bounds) - 1):
        before = _share(series[bounds[at - 1] : bounds[at]])
        after = _share(series[bounds[at] : bounds[at + 1]])
        if after.ratio > before.ratio:
            chance = min(1.0, p_value(before, after) * (len(series) - 1))
            found.append(Change(bounds[at], bounds[at + 1], chance, before, after))
    told = [each for each in found if each.p_value < CHANCE]
    return min(told, key=lambda each: (each.p_value, each.before.ratio - each.after.ratio), default=None)


def _segments(series: Sequence[Step]) -> list[int]:
    """Ends of the stretches in which the share is the same as far as can be told."""
    import numpy
    import ruptures
    from ruptures.base import BaseCost

    class Binomial(BaseCost):  # type: ignore[misc]
        """Minus the logarithm of the likelihood of so many bad ones of so many, with one share throughout."""

        model = "binomial"
        min_size = 1

        def fit(self, signal: Any) -> Binomial:
            self.signal = signal
            self._sums = numpy.vstack([[0, 0], numpy.cumsum(signal, axis=0)])
            return self

        def error(self, start: int, end: int) -> float:
            bad, total = (float(each) for each in self._sums[end] - self._sums[start])
            good = total - bad
            return -sum(each * math.log(each / total) for each in (bad, good) if each)

    signal = numpy.array([[step.bad, step.all] for step in series], dtype=float)
    search = ruptures.Binseg(custom_cost=Binomial(), min_size=1, jump=1).fit(signal)
    total = sum(step.all for step in series)
    return [int(end) for end in search.predict(pen=2 * math.log(max(total, 2)))]


def p_value(one: Share, other: Share) -> float:
    """How likely chance alone makes two shares differ as much."""
    from scipy import stats

    table = [[one.count, one.of - one.count], [other.count, other.of - other.count]]
    if min(min(row) for row in table) > 1000:
        return float(stats.chi2_contingency(table).pvalue)
    return float(stats.fisher_exact(table).pvalue)


def _share(several: Sequence[Step]) -> Share:
    return Share(sum(step.bad for step in several), sum(step.all for step in several))


# --- attributes -------------------------------------------------------------------------------------------------------


def of_attempts(counts: Counts, verdicts: Mapping[Key, Verdict], sides: Sides) -> Attributes:
    """What the shapes of a backend log's attempts tell: models, buckets, statuses, and what was said."""
    found = Attributes(4 * len(sides.causes))
    for key, verdict in verdicts.items():
        if isinstance(key, AttemptShape):
            values = {
                f"{e.kind}.{name}": json.dumps(value, ensure_ascii=False)[:LONGEST]
                for e in counts.samples[key]
                for name, value in e.fields.items()
                if name in ("model", "bucket", "host", "status", "mode", "service", "code", "error", "format")
                and isinstance(value, (str, int))
            }
            for time, cell in counts.cells.get(key, {}).items():
                found.take(values, places(verdict, time, sides), cell.count)
    return found


def onsets(
    sides: Sides,
    changes: Sequence[Change | None],
    firsts: Sequence[Tally],
    found: Attributes,
    telling: Telling,
) -> tuple[Onset, ...]:
    """What is told of each cause.

    What all causes together begin with is left out where one of them begins then.
    """
    told = []
    for number, cause in enumerate(sides.causes):
        step, at, base = changes[number], sides.since[number], number * 4
        if cause == ANY and step is not None and any(c is not None and c.start == step.start for c in changes[1:]):
            continue
        changed = _ranked(found, (base + 2, base + 3), (base, base + 1), cause, telling) if step is not None else ()
        changed = tuple(each for each in changed if each.in_good.ratio <= RARE <= FREQUENT <= each.in_bad.ratio)
        apart = _ranked(found, (base + 2,), (base + 3,), cause, telling)
        p, before, after = step[2:] if step is not None else (None, Share(0, 0), Share(0, 0))
        told.append(Onset(cause, firsts[number], at or None, p, before, after, sides.until[number] or None, changed, apart))  # fmt: skip
    return tuple(told)


def _ranked(
    found: Attributes, one: Sequence[int], other: Sequence[int], cause: str, telling: Telling
) -> tuple[Attribute, ...]:
    """The values that one group of entries has more often than the other, the greatest difference first."""
    of_one, of_other = (sum(found.totals[place] for place in group) for group in (one, other))
    if not of_one or not of_other:
        return ()
    ranked = []
    for name, column in found.table.items():
        rank = telling(cause, name)
        if rank is None:
            continue
        present = [sum(cells[place] for cells in column.values()) for place in range(found.sides)]
        missing = [total - held for total, held in zip(found.totals, present, strict=True)]
        for value, cells in (*column.items(), (ABSENT, missing)):
            ours, theirs = Share(sum(cells[p] for p in one), of_one), Share(sum(cells[p] for p in other), of_other)
            if ours.ratio - theirs.ratio >= LEAST and ours.count >= FEWEST:
                ranked.append((rank, theirs.ratio - ours.ratio, name, value, Attribute(name, value, ours, theirs)))
    return tuple(each[-1] for each in sorted(ranked, key=lambda each: each[:4])[:SHOWN])
