"""Reads a long backend log without reading all of it: its newest attempts from the end, or only the parts about pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from diagnose.collect import backend_log
from diagnose.collect.text import decode
from diagnose.model import Evidence, Phrase

LONG = 512 * 1024
"""Bytes from which a log is long."""
WINDOW = 64 * 1024
MAX_WINDOW = 64 * 1024 * 1024
BLOCK = 1024 * 1024
GLANCE = 32 * 1024
"""Bytes that are asked at once whether anything in them tells of a picture."""
LARGEST = 4 * 1024 * 1024
"""Bytes of a stretch that are read at once."""
REACH = 128
"""Bytes that an anchor can have, rounded up."""
AROUND = 12 * 1024
"""Bytes before and after an anchor that are read with it: an attempt's first lines stand before its first call."""
_ANCHORS = re.compile(rb"fal\.run|POST /[^ \"\n]{0,80}?(?:generat|image|img|photo|picture|edit|render|create)")
_ENDS = re.compile(rb"POST /[^ \"\n]{0,80}?(?:generat|image|img|photo|picture|edit|render|create)[^\n]*\n")
NEWEST = 3
"""Requests before the end that are read: the newest may still be open, and its neighbour may reach into it."""


class Stretch(NamedTuple):
    """Lines of a log that stand one after another, as bytes."""

    start: int
    """Byte at which they begin."""
    data: bytes


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
            return log, Phrase(
                "{name}: read from byte {start} of {size}; its lines are counted from there",
                name=name,
                start=f"{part.start:,}",
                size=f"{size:,}",
            )
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


def stretches(file: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[Stretch]:
    """The stretches of a log that tell of pictures, in order; what lies between is passed over unread.

    With `start` and `end`, those whose first anchor lies between them: the stretches of ranges that follow each other
    are those of the whole. A stretch without an end is given in pieces of LARGEST bytes, each cut behind a line that
    ends a request, where there is one.
    """
    from_byte = max(0, start - 2 * AROUND - REACH)
    if from_byte:
        file.seek(from_byte)
    data, base = b"", from_byte  # what is held of the file, and where it begins
    looked = from_byte  # anchors before this byte are known
    foreign = -AROUND - 1  # where the stretch of the range before ends, as far as it is known
    first = last = -1  # the stretch under way, without its lines' ends; none: -1
    while True:
        block = file.read(BLOCK)
        data += block
        limit = base + len(data) - (REACH if block else 0)
        for at, to in _signs(data, looked - base, limit - base):
            at, to = base + at, base + to
            if at < start or (first < 0 and at - AROUND <= foreign):
                foreign = to + AROUND
            elif first >= 0 and at - AROUND <= last:
                last = to + AROUND
            else:
                if first >= 0:
                    yield from _pieces(data, base, first, last)
                if end is not None and at >= end:
                    return
                first, last = max(at - AROUND, 0, foreign), to + AROUND
        looked = max(limit, looked)
        while first >= 0 and last - first > LARGEST and base + len(data) - first > LARGEST:
            piece = _piece(data, base, first)
            yield piece
            first = piece.start + len(piece.data)
        if not block:
            if first >= 0:
                yield from _pieces(data, base, first, min(last, base + len(data)))
            return
        if first >= 0 and last + AROUND < limit:
            yield from _pieces(data, base, first, last)
            first, foreign = -1, last
        if first < 0 and end is not None and limit >= end + AROUND:
            return
        keep = max(first, 0) if first >= 0 else looked - AROUND - REACH
        keep = data.rfind(b"\n", 0, max(keep - base, 0)) + 1 if keep > base else 0
        data, base = data[keep:], base + keep


def _signs(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The anchors between two bytes: nothing is searched where a glance shows that there are none."""
    tells = _glance()
    for begin in range(start, end, GLANCE):
        stop = min(begin + GLANCE, end)
        if tells(data[begin : stop + REACH].decode("latin-1")):
            yield from _anchors(data, begin, stop)


@lru_cache(maxsize=1)
def _glance() -> Callable[[str], bool]:
    """Whether an anchor stands in a text: asked of the validator of schemas, whose patterns are searched for as fast as
    by a tool made for it, several times as fast as by `bytes.find`."""
    import jsonschema_rs

    return jsonschema_rs.validator_for({"pattern": _ANCHORS.pattern.decode()}).is_valid


def _anchors(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where something tells of a picture, in order; plain searches, which are many times faster than one pattern."""
    last = end + REACH
    fal, post = data.find(b"fal.run", start, last), data.find(b"POST /", start, last)
    while True:
        at = min((found for found in (fal, post) if found >= 0), default=-1)
        if at < 0 or at >= end:
            return
        match = _ANCHORS.match(data, at)
        if match is not None:
            yield match.span()
        if at == fal:
            fal = data.find(b"fal.run", at + 7, last)
        else:
            post = data.find(b"POST /", at + 6, last)


def _pieces(data: bytes, base: int, first: int, last: int) -> Iterator[Stretch]:
    while last - first > LARGEST:
        piece = _piece(data, base, first)
        yield piece
        first = piece.start + len(piece.data)
    yield _cut(data, base, first, last)


def _cut(data: bytes, base: int, first: int, last: int) -> Stretch:
    begin = data.rfind(b"\n", 0, first - base) + 1 if first > base else 0
    end = data.find(b"\n", last - base)
    end = len(data) if end < 0 else end + 1
    return Stretch(base + begin, data[begin:end])


def _piece(data: bytes, base: int, first: int) -> Stretch:
    begin = data.rfind(b"\n", 0, first - base) + 1 if first > base else 0
    window = data[begin : begin + LARGEST]
    ends = [match.end() for match in _ENDS.finditer(window, len(window) // 2)]
    end = ends[-1] if ends else window.rfind(b"\n") + 1 or len(window)
    return Stretch(base + begin, window[:end])


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Stretches around the anchors, joined where they touch, cut at line ends."""
    start = end = -1
    for at, to in _anchors(data, 0, len(data)):
        if end < 0:
            start, end = max(0, at - AROUND), to + AROUND
        elif at - AROUND <= end:
            end = to + AROUND
        else:
            yield _lines(data, start, end)
            start, end = max(end, at - AROUND), to + AROUND
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
    with path.open("rb") as file:
        for part in stretches(file):
            log = backend_log.read(decode(part.data).text, _place(name, part.start))
            attempts += log.attempts
            common += log.common
            recognised += log.recognised
    return backend_log.BackendLog(tuple(attempts), tuple(common), recognised)
