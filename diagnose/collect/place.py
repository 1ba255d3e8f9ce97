"""Reads one generation at the place by which an answer named it.

prompt_log.json#/3      the entry at this index, negative from the end; what follows it (`/request`) is passed over
prompt_log.json@1234    the entry that begins at this byte, or the first after it
backend.log@1234        the attempt whose lines begin at this byte, or the first after it
backend.log@1234:56     in what begins at this byte, the attempt to which line 56 belongs
backend.log:214         the attempt to which this line belongs, or the first after it
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from diagnose.collect import Bundle, backend_log, gather, loose_json, prompt_log
from diagnose.collect.text import GZIP_MAGIC, decode, encoding_of
from diagnose.errors import NothingReadable
from diagnose.model import Phrase

STDIN = "-"
WINDOW = 1 << 20
"""Bytes that are read at first where a byte is named."""
LONGEST = 32 << 20
"""The largest entry, as in `prompt_log`."""
MAX_WINDOW = 64 << 20
_FORMS = (
    r"(?P<file>.+)@(?P<byte>\d{1,18})#/?(?P<entry>-?\d{1,12})(?:/.*)?",
    r"(?P<file>.+?)#/?(?P<entry>-?\d{1,12})(?:/.*)?",
    r"(?P<file>.+)#/?(?P<entry>-?\d{1,12})(?:/.*)?",
    r"(?P<file>.+)@(?P<byte>\d{1,18}):(?P<line>\d{1,9})",
    r"(?P<file>.+)@(?P<byte>\d{1,18})",
    r"(?P<file>.+):(?P<line>\d{1,9})",
)


class Spot(NamedTuple):
    """Where a generation stands: a file or `-`, and in it an entry, a byte or a line; none of them: the newest."""

    file: str
    entry: int | None = None
    byte: int | None = None
    line: int | None = None

    @property
    def whole(self) -> bool:
        """Whether no one generation of the file is named."""
        return self.entry is None and self.byte is None and self.line is None


def spot(text: str) -> Spot:
    """The place that a text names; a file of exactly this name goes before a place in another."""
    if text == STDIN or _there(text):
        return Spot(text)
    for form in _FORMS:
        found = re.fullmatch(form, text, re.S)
        if found and _there(found["file"]):
            numbers = {name: int(value) for name, value in found.groupdict().items() if name != "file" and value}
            return Spot(found["file"], **numbers)
    return Spot(text)


def _there(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # a name too long for the system, or with a NUL in it
        return False


def read(at: Spot, stdin: bytes | None = None) -> Bundle:
    """What stands there. Of a file in which an entry is named, every entry that could be it.

    Raises NothingReadable where there is no such file, byte or line.
    """
    path, data = Path(at.file), stdin if at.file == STDIN else None
    if at.byte is None and at.line is None:
        large = None if data is not None or at.entry is None else _of_a_large_file(path, at.entry)
        if large is not None:
            return large
        return gather(
            [] if data is not None else [path], stdin=data, otherwise="prompt_log", every=at.entry is not None
        )
    name = "stdin" if data is not None else path.name
    start = at.byte or 0
    try:
        head = (data if data is not None else _bytes(path, 0, 4096))[:4096]
        if at.line is None and decode(head).text.lstrip()[:1] in ("[", "{"):
            found = _entry_at(head, data, path, start)
            if found is not None:
                return _of_entry(f"{name}@{start}", 0, found)
        log = _attempt_at(head, data, path, name, at)
    except OSError as error:
        raise NothingReadable(Phrase("'{file}': {why}", file=at.file, why=error.strerror or error)) from None
    if log is None:
        raise NothingReadable(Phrase("'{file}': no generation stands at or after {said}", file=at.file, said=_said(at)))
    return Bundle(logs=[log], given={"backend_log"}, read=[name])


def _said(at: Spot) -> str:
    parts = [f"byte {at.byte}"] if at.byte is not None else []
    return ", ".join([*parts, f"line {at.line}"] if at.line is not None else parts)


def _bytes(path: Path, start: int, size: int) -> bytes:
    """A part of a file; of a compressed one, of what is unpacked."""
    with path.open("rb") as raw:
        packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        raw.seek(0)
        file = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            file.seek(start)
            return file.read(size)
        except (EOFError, zlib.error) as error:
            raise OSError(str(error)) from None


def _windows(head: bytes, data: bytes | None, path: Path, start: int, most: int) -> Iterator[tuple[str, bool]]:
    """The text from a byte on, each time more of it, and whether it is all there is."""
    mark = head[:2] if start and (encoding_of(head) or "").startswith("utf-16") else b""
    size = WINDOW
    while True:
        part = _bytes(path, start, size) if data is None else data[start : start + size]
        ended = len(part) < size
        yield decode(mark + part).text, ended or size >= most
        if ended or size >= most:
            return
        size *= 4


def _entry_at(head: bytes, data: bytes | None, path: Path, start: int) -> dict[str, Any] | None:
    """The first entry that begins at or after a byte."""
    for text, _ in _windows(head, data, path, start, LONGEST):
        patience = 64 * len(text) + (1 << 24)
        for candidate in re.finditer(r"\{(?=\s*+\")", text):
            element = loose_json.strict_at(text, candidate.start())
            # what failed has cost as much as the text before it, for the line number in json's message
            patience -= candidate.start() if element is None else element[1] - candidate.start()
            if element is not None and isinstance(element[0], dict):
                named = candidate.start() == 0  # an entry of which nothing is right was named all the same
                if named or prompt_log.looks_like_entry(element[0]):
                    return element[0]
            if patience < 0:
                break
    return None


def _attempt_at(head: bytes, data: bytes | None, path: Path, name: str, at: Spot) -> backend_log.BackendLog | None:
    """The log with the one attempt that is meant; None where there is none."""
    named = name if at.byte is None else f"{name}@{at.byte}"
    for text, last in _windows(head, data, path, at.byte or 0, MAX_WINDOW):
        log = backend_log.read(text, named)
        attempts = log.attempts
        if at.line is not None:
            attempts = tuple(a for a in attempts if a.last >= at.line)
        # the last one of a part can go on behind it
        if attempts and (len(attempts) > 1 or last):
            return replace(log, attempts=attempts[:1])
    return None


# --- an entry by its index in a large file ----------------------------------------------------------------------------


def _of_a_large_file(path: Path, index: int) -> Bundle | None:
    """The entry of a prompt log that is too large to be read whole; None where it is not, or is none."""
    try:
        if not path.is_file() or path.suffix == ".gz" or path.stat().st_size <= prompt_log.TAIL_THRESHOLD:
            return None
        head = decode(_bytes(path, 0, 65536)).text.lstrip()
        if head[:1] not in ("[", "{") or '"fal_request"' not in head:
            return None
        if index < 0:
            log = prompt_log.read_newest(path, count=-index)
            return Bundle(prompt_logs=[(path.name, log)], given={"prompt_log"}, read=[path.name])
        elements = _elements(path) if head[:1] == "[" else _lines(path)
        value = next((value for number, value in enumerate(elements) if number == index), None)
    except OSError as error:
        raise NothingReadable(Phrase("'{path}': {why}", path=path, why=error.strerror or error)) from None
    if not isinstance(value, dict):
        raise NothingReadable(Phrase("'{path}#/{index}': there is no such entry", path=path, index=index))
    return _of_entry(path.name, index, value)


def _of_entry(name: str, index: int, value: dict[str, Any]) -> Bundle:
    log = prompt_log.read(json.dumps(value).encode())
    log = log._replace(entries=tuple(replace(entry, index=index, offset=None, line=None) for entry in log.entries))
    return Bundle(prompt_logs=[(name, log)], given={"prompt_log"}, read=[name])


def _lines(path: Path) -> Iterator[object]:
    """The values of JSON Lines; None for a line that is none. Blank lines are not counted."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for line in iter(lambda: file.readline(LONGEST), ""):
            if line.strip():
                yield prompt_log.line_value(line)


def _elements(path: Path) -> Iterator[object]:
    """The elements of an array, without holding more than one and what was read with it."""
    decoder = json.JSONDecoder(strict=False)
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        body, position, step, ended = file.read(WINDOW), 0, WINDOW, False
        position = body.find("[") + 1
        while True:
            blank = re.compile(r"[\s,]*+").match(body, position)
            position = blank.end() if blank else position
            try:
                value, end = decoder.raw_decode(body, position)
            except (ValueError, RecursionError):
                if ended or body.startswith("]", position) or len(body) - position > LONGEST:
                    return
                more = file.read(step)
                body, position, step, ended = body[position:] + more, 0, min(2 * step, LONGEST), not more
                continue
            yield value
            position = end
            step = WINDOW
