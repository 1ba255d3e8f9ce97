"""A comparison as the JSON document of `schemas/compare.schema.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from diagnose import mask
from diagnose.model.comparison import (
    Comparison,
    Difference,
    Expected,
    HistoryComparison,
    Row,
    Shift,
    Side,
    Told,
    Total,
    Trial,
    as_expected,
)
from diagnose.model.history import Share
from diagnose.render.words import Words

ENGLISH = Words("en")
DEEPEST = 8
MOST = 100
"""Keys of an object, and items of a list, that are shown."""


def dumps(comparison: Comparison | HistoryComparison) -> str:
    """The document as text: ASCII, without an end of line after it."""
    made = document(comparison) if isinstance(comparison, Comparison) else history_document(comparison)
    return json.dumps(made, ensure_ascii=True, indent=2, allow_nan=False)


def document(comparison: Comparison) -> dict[str, Any]:
    """The document of two generations, masked and bounded."""
    made = {
        "schema_version": 1,
        "compared": "generations",
        "same": comparison.same,
        "parted": None if comparison.parted is None else str(comparison.parted),
        "a": _side(comparison.a),
        "b": _side(comparison.b),
        "chain": [
            {
                "link": str(step.link),
                "a": {"status": str(step.a), "findings": list(step.faults_a)},
                "b": {"status": str(step.b), "findings": list(step.faults_b)},
            }
            for step in comparison.chain
        ],
        "expected": [_row(row) for row in comparison.table],
        "differences": [_difference(difference) for difference in comparison.differences],
        "equal": [{"field": plain(same.field), "value": under(same.field, same.a.value)} for same in comparison.equal],
        "untried": comparison.untried,
        "left_out": comparison.left_out,
    }
    masked: dict[str, Any] = mask.value(made)
    return masked


def _side(side: Side) -> dict[str, Any]:
    d = side.diagnosis
    return {
        "name": plain(side.name),
        "readable": side.readable,
        "profile": plain(d.profile),
        "subject": {
            "entry": d.subject.entry,
            "timestamp": plain(d.subject.timestamp),
            "source": plain(d.subject.source),
        },
        "outcome": d.outcome,
        "generation": d.generation,
        "intended": d.intended,
        "sound": side.sound,
        "root": None if d.root is None else d.root.check,
        "cause": side.cause,
        "suspects": list(d.suspects),
        "model": plain(d.decision.model),
        "headline": plain(ENGLISH.headline(d)),
        "notes": [plain(note) for note in d.notes],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "field": plain(row.field),
        "a": {
            "expected": _expected(row.expected[0]),
            "told": _told(row.field, row.a),
            "as_expected": as_expected(row.expected[0], row.a),
        },
        "b": {
            "expected": _expected(row.expected[1]),
            "told": _told(row.field, row.b),
            "as_expected": as_expected(row.expected[1], row.b),
        },
    }


def _expected(expected: Expected | None) -> dict[str, Any] | None:
    return None if expected is None else {"state": expected.state, "value": plain(expected.value)}


def _told(field: str, told: Told | None) -> dict[str, Any] | None:
    if told is None:
        return None
    return {
        "value": under(field, told.value),
        "absent": told.absent,
        "source": plain(told.source),
        "witness": str(told.witness),
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "field": plain(difference.field),
        "link": str(difference.link),
        "a": _told(difference.field, difference.a),
        "b": _told(difference.field, difference.b),
        "expected": {"a": _expected(difference.expected[0]), "b": _expected(difference.expected[1])},
        "matters": difference.matters,
        "trial": _trial(difference.trial),
    }


def _trial(trial: Trial | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    return {
        "into": trial.into,
        "together": trial.together,
        "changes": [change._asdict() for change in trial.changes],
    }


def history_document(comparison: HistoryComparison) -> dict[str, Any]:
    """The document of two histories, masked and bounded."""
    made = {
        "schema_version": 1,
        "compared": "histories",
        "same": comparison.same,
        "tested": comparison.tested,
        "a": _total(comparison.a),
        "b": _total(comparison.b),
        "shifts": [_shift(shift) for shift in comparison.shifts],
    }
    masked: dict[str, Any] = mask.value(made)
    return masked


def _total(total: Total) -> dict[str, Any]:
    return {
        "name": plain(total.name),
        "profile": plain(total.profile),
        "entries": total.entries,
        "bad": total.bad,
        "first": plain(total.first),
        "last": plain(total.last),
        "notes": [plain(note) for note in total.notes],
    }


def _shift(shift: Shift) -> dict[str, Any]:
    chance = shift.p_value
    return {
        "kind": shift.kind,
        "name": plain(shift.name),
        "a": _share(shift.a),
        "b": _share(shift.b),
        "points": shift.points,
        "ratio": shift.ratio,
        "p_value": chance if chance is not None and math.isfinite(chance) else None,
        "beyond_chance": shift.beyond_chance,
    }


def _share(share: Share) -> dict[str, Any]:
    return {"count": share.count, "of": share.of, "share": share.ratio}


def under(field: str, value: Any) -> Any:
    """A value, bounded, and masked as what stands under its field's name: a `token` is a secret of any form."""
    masked: dict[str, Any] = mask.value({field.rpartition(".")[2]: plain(value)})
    return next(iter(masked.values()))


def plain(value: Any, depth: int = 0) -> Any:
    """A JSON value of bounded size and depth, masked before it is cut."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return mask.cut(value.encode("utf-8", "replace").decode(), mask.LONGEST)
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else "(a number too large to show)"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth >= DEEPEST:
        return "(nested too deeply)"
    if isinstance(value, Mapping):
        pairs = [(mask.cut(str(key), 200), inner) for key, inner in list(value.items())[:MOST]]
        return {plain(key): plain(inner, depth + 1) for key, inner in pairs}
    if isinstance(value, (list, tuple)):
        return [plain(inner, depth + 1) for inner in value[:MOST]]
    return mask.cut(str(value), mask.LONGEST)
