"""Reads a long backend log without reading all of it: its newest attempts from the end, or only the parts about pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from diagnose.collect import backend_log
from diagnose.collect.text import decode
from diagnose.model import Evidence

LONG = 512 * 1024
"""Bytes from which a log is long."""
WINDOW = 64 * 1024
MAX_WINDOW = 64 * 1024 * 1024
BLOCK = 16 * 1024 * 1024
AROUND = 12 * 1024
"""Bytes before and after an anchor that are read with it: an attempt's first lines stand before its first call."""
_ANCHORS = re.compile(rb"fal\.run|POST /[^ \"\n]{0,80}?(?:generat|image|img|photo|picture|edit|render|create)")
_ENDS = re.compile(rb"POST /[^ \"\n]{0,80}?(?:generat|image|img|photo|picture|edit|render|create)[^\n]*\n")
NEWEST = 3
"""Requests before the end that are read: the newest may still be open, and its neighbour may reach into it."""


class Part(NamedTuple):
    """A stretch of a log."""

    start: int
    """Byte at which it begins."""
    text: str


def newest(path: Path, name: str) -> tuple[backend_log.BackendLog, str]:
    """The newest attempts of a log, read from its end, and how the lines are counted."""
    size = path.stat().st_size
    window = WINDOW
    while True:
        part, whole = _tail(path, size, window)
        log = backend_log.read(part.text, _place(name, part.start))
        if whole or window >= MAX_WINDOW or log.attempts:
            return log, f"{name}: read from byte {part.start:,} of {size:,}; its lines are counted from there"
        window *= 4


def _tail(path: Path, size: int, window: int) -> tuple[Part, bool]:
    """The last stretch about pictures in the last `window` bytes; empty where it is cut by the window's beginning."""
    start = max(0, size - window)
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(size - start)
    ends = [match.end() for match in _ENDS.finditer(data)]
    if len(ends) > NEWEST:
        first, last = ends[-NEWEST - 1], len(data)
    else:
        first, last = next(reversed(list(_spans(data))), (0, 0 if start else len(data)))
        if first == 0 and start:
            last = 0
    return Part(start + first, decode(data[first:last]).text), start == 0


def parts(path: Path) -> Iterator[Part]:
    """The stretches of a log that tell of pictures, in order; what lies between is passed over unread."""
    with path.open("rb") as file:
        offset, rest = 0, b""
        while True:
            block = file.read(BLOCK)
            data = rest + block
            if not data:
                return
            spans = list(_spans(data))
            # the last stretch can go on in the next block
            keep = len(data) if not block else max(0, min(spans[-1][0] if spans else len(data), len(data) - 2 * AROUND))
            for start, end in spans:
                if end <= keep or not block:
                    yield Part(offset + start, decode(data[start:end]).text)
            held = next((start for start, end in spans if end > keep), keep) if block else len(data)
            if len(data) - held > 4 * BLOCK:  # one stretch without an end: read what there is
                yield Part(offset + held, decode(data[held:]).text)
                held = len(data)
            rest, offset = data[held:], offset + held
            if not block:
                return


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Stretches around the anchors, joined where they touch, cut at line ends."""
    start = end = -1
    for anchor in _ANCHORS.finditer(data):
        if end < 0:
            start, end = max(0, anchor.start() - AROUND), anchor.end() + AROUND
        elif anchor.start() - AROUND <= end:
            end = anchor.end() + AROUND
        else:
            yield _lines(data, start, end)
            start, end = max(end, anchor.start() - AROUND), anchor.end() + AROUND
    if end >= 0:
        yield _lines(data, start, end)


def _lines(data: bytes, start: int, end: int) -> tuple[int, int]:
    first = data.rfind(b"\n", 0, start) + 1 if start else 0
    last = data.find(b"\n", end)
    return first, len(data) if last < 0 else last + 1


def _place(name: str, start: int) -> str:
    return f"{name}@{start}" if start else name


def whole(path: Path, name: str) -> backend_log.BackendLog:
    """Every attempt of a long log, oldest first."""
    attempts: list[backend_log.Attempt] = []
    common: list[Evidence] = []
    recognised = 0
    for part in parts(path):
        log = backend_log.read(part.text, _place(name, part.start))
        attempts += log.attempts
        common += log.common
        recognised += log.recognised
    return backend_log.BackendLog(tuple(attempts), tuple(common), recognised)
