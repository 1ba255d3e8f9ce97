"""Which values stand in the entries that went wrong, and which in the others: counted, for what separates them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from diagnose.history.shape import address_head
from diagnose.model.history import Verdict

ANY = "any"
"""Stands for every cause."""
ABSENT = "(absent)"
UNDATED = "?"
"""Stands for the time of what has no timestamp."""
MOST_VALUES = 200
"""Values of one attribute; what has more (a prompt, an id) separates nothing that could be told."""
MOST_NAMES = 300
LONGEST = 100
DEEPEST = 4


def is_bad(verdict: Verdict, cause: str) -> bool:
    """Whether a verdict counts as bad for a cause."""
    return verdict.code == 1 and cause in (ANY, verdict.cause)


class Sides(NamedTuple):
    """What is asked of each entry: which shapes are bad for which cause, and since when."""

    causes: tuple[str, ...]
    since: tuple[str, ...]
    """One for each cause; empty: throughout."""
    until: tuple[str, ...]


@dataclass(slots=True)
class Attributes:
    """How often each value stands in entries: for each cause before (bad, good) and after (bad, good)."""

    sides: int
    table: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    totals: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.totals = self.totals or [0] * self.sides

    def take(self, values: Mapping[str, str], places: Sequence[int], count: int = 1) -> None:
        """Count an entry's values in these columns."""
        for place in places:
            self.totals[place] += count
        for name, value in values.items():
            if name in self.dropped:
                continue
            column = self.table.setdefault(name, {})
            cells = column.get(value)
            if cells is None:
                if len(column) >= MOST_VALUES:
                    self.dropped.add(name)
                    del self.table[name]
                    continue
                cells = column[value] = [0] * self.sides
            for place in places:
                cells[place] += count

    def add(self, other: Attributes) -> None:
        """Add what was counted elsewhere."""
        self.totals = [one + two for one, two in zip(self.totals, other.totals, strict=True)]
        self.dropped |= other.dropped
        for name, column in other.table.items():
            mine = self.table.setdefault(name, {})
            for value, cells in column.items():
                held = mine.get(value, [0] * self.sides)
                mine[value] = [one + two for one, two in zip(held, cells, strict=True)]
            if len(mine) > MOST_VALUES:
                self.dropped.add(name)
        for name in self.dropped:
            self.table.pop(name, None)


def places(verdict: Verdict, time: str, sides: Sides) -> list[int]:
    """The columns in which an entry counts: four for each cause, before bad, before good, after bad, after good."""
    found = []
    for number, cause in enumerate(sides.causes):
        bad = is_bad(verdict, cause)
        if not bad and verdict.code != 0:
            continue
        since, until = sides.since[number], sides.until[number]
        if until and time >= until:
            continue
        after = not since or (time != UNDATED and time >= since)
        found.append(number * 4 + 2 * after + (not bad))
    return found


def flattened(entry: Mapping[str, Any]) -> dict[str, str]:
    """An entry's values by their dotted names, short and as JSON; addresses by their host and bucket."""
    found: dict[str, str] = {}
    for name, value in _leaves(entry, "", DEEPEST):
        if name != "timestamp" and len(found) < MOST_NAMES:
            found[name] = value
    return found


def _leaves(value: Any, name: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and depth:
        for key, inner in list(value.items())[:100]:
            yield from _leaves(inner, f"{name}.{key}"[:LONGEST].lstrip("."), depth - 1)
    elif isinstance(value, str):
        head = address_head(value) if value.startswith("http") else None
        told = head if head is not None else value
        yield name, json.dumps(told, ensure_ascii=False) if len(told) <= LONGEST else "(long text)"
    elif isinstance(value, (list, Mapping)):
        yield name, f"({len(value)} items)"
    else:
        yield name, json.dumps(value)
