"""Counts the attempts of a backend's log by what the log tells of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import BinaryIO

from diagnose.history import backend_logs, ranges
from diagnose.history.attributes import ABSENT, UNDATED
from diagnose.history.counts import CELLS, AttemptShape, Cell, Counts, Range, Spot, bounded, some_of_each
from diagnose.history.entries import Question, usual_time
from diagnose.history.shape import word
from diagnose.model import Evidence

_GROUPED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "model": (("fal.call", "model"), "model"),
    "bucket": (("storage.upload", "upload.started"), "bucket"),
    "user-prefix": (("storage.upload", "upload.started"), "path"),
    "request_format": (("request.received",), "format"),
}
_KEPT = (None, "hour", "day", "model", "bucket")
"""What attempts of one shape have in common, and what is counted beside it."""


def label(field: str, evidence: tuple[Evidence, ...], time: str) -> str:
    """The value of the field by which attempts are grouped; any field of evidence can be named, as `fal.call.status`."""
    if field in ("hour", "day"):
        return ABSENT if time == UNDATED else time[: 13 if field == "hour" else 10]
    kinds, name = _GROUPED.get(field, ((field.rpartition(".")[0],), field.rpartition(".")[2]))
    found = [e[name] for e in evidence if e.kind in kinds and e[name] is not None]
    if not found:
        return ABSENT
    value = found[-1]
    if field == "user-prefix":
        value = str(value).partition("/")[0]
    return word(value if isinstance(value, str) else json.dumps(value, default=str))


def count(file: BinaryIO, start: int, end: int | None, source: int, question: Question, counts: Counts) -> Range:
    """Add the attempts that begin in a range of a log to the counts."""
    found = skipped = 0
    # the evidence of a shape is its first attempt's: of what a shape does not keep, each attempt has to tell itself
    reading = backend_logs.read(file, start, end, each=question.by not in _KEPT)
    for attempt in reading.attempts:
        time = usual_time(attempt.time) if attempt.time else UNDATED
        found += 1
        if not question.asks_for(time):
            skipped += 1
            continue
        key = AttemptShape(source, attempt.key)
        counts.samples.setdefault(key, attempt.evidence)
        times = counts.cells.setdefault(key, {})
        cell = Cell(1, time, time, Spot(source, start, found - 1, attempt.byte))
        held = times.get(time[: counts.width])
        if held is None:
            times[time[: counts.width]] = cell
        else:
            held.take(cell)
        if question.by is not None and counts.values is not None:
            values = counts.values.setdefault(label(question.by, attempt.evidence, time), {})
            values[key] = values.get(key, 0) + 1
        if found % 1000 == 0:
            counts.common[source] = some_of_each(tuple(reading.common))
            ranges.settle(counts, question.profile)
    bounded(counts, CELLS)
    counts.common[source] = some_of_each(tuple(reading.common))
    return Range(source, start, start, start if end is None else end, found, 0, skipped)
