"""Counts the attempts of a backend's log by what the log tells of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, BinaryIO

from diagnose.collect import backend_log, long_log
from diagnose.collect.text import decode
from diagnose.history.attributes import ABSENT, UNDATED
from diagnose.history.counts import CELLS, AttemptShape, Cell, Counts, Range, Spot, bounded, some_of_each
from diagnose.history.entries import Question, usual_time
from diagnose.history.shape import Folding, address_head, word
from diagnose.model import Evidence

_VARYING = re.compile(
    r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|\b[0-9a-f]{12,}\b|\d{5,}|\d+(?:[.,]\d+)? ?(?:s|ms|MB|KB|bytes)\b",
    re.I,
)
"""What differs in every line: ids, digests, sizes, durations."""
_ADDRESS = re.compile(r"https?://[^\s\"'<>)\]]+")
_GROUPED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "model": (("fal.call", "model"), "model"),
    "bucket": (("storage.upload", "upload.started"), "bucket"),
    "user-prefix": (("storage.upload", "upload.started"), "path"),
    "request_format": (("request.received",), "format"),
}
_SPOKEN = ("prompt", "joined")
"""Kinds of evidence that no check reads."""
_COUNTED = ("size", "pid", "started", "modified", "request_id", "path")
"""Fields of which only their presence counts."""


def key_of(evidence: tuple[Evidence, ...], folding: Folding) -> str:
    """What stands for every attempt of which a log tells the same, whatever its ids, sizes, times and prompts."""
    told = [
        [e.kind, str(e.witness), {name: _folded(name, value, folding) for name, value in sorted(e.fields.items())}]
        for e in evidence
        if e.kind not in _SPOKEN
    ]
    return json.dumps(told, sort_keys=True, separators=(",", ":"), default=str)


def _folded(name: str, value: Any, folding: Folding) -> Any:
    if name in _COUNTED and value:
        return "x"
    if name == "body" and isinstance(value, Mapping):
        return folding.body(value)
    if isinstance(value, str):
        return word(_VARYING.sub("0", _ADDRESS.sub(_head, value)))
    if isinstance(value, (list, tuple)):
        return [_folded("", item, folding) for item in value[:20]]
    if isinstance(value, Mapping):
        return {str(key): _folded(str(key), inner, folding) for key, inner in list(value.items())[:50]}
    return value


def _head(match: re.Match[str]) -> str:
    return address_head(match[0]) or match[0]


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
    folding = Folding(question.profile)
    found = skipped = 0
    for stretch in long_log.stretches(file, start, end):
        log = backend_log.read(decode(stretch.data).text, f"@{stretch.start}")
        counts.common[source] = some_of_each((*counts.common.get(source, ()), *log.common))
        places = list(accumulate((len(line) + 1 for line in stretch.data.split(b"\n")), initial=stretch.start))
        for attempt in log.attempts:
            time = usual_time(attempt.time) if attempt.time else UNDATED
            evidence = tuple(attempt.evidence)
            found += 1
            if not question.asks_for(time):
                skipped += 1
                continue
            key = AttemptShape(source, key_of(evidence, folding))
            counts.samples.setdefault(key, evidence)
            spot = Spot(source, start, found - 1, places[min(attempt.first, len(places)) - 1])
            times = counts.cells.setdefault(key, {})
            cell = Cell(1, time, time, spot)
            held = times.get(time[: counts.width])
            if held is None:
                times[time[: counts.width]] = cell
            else:
                held.take(cell)
            if question.by is not None and counts.values is not None:
                values = counts.values.setdefault(label(question.by, evidence, time), {})
                values[key] = values.get(key, 0) + 1
        bounded(counts, CELLS)
    return Range(source, start, start, start if end is None else end, found, 0, skipped)
