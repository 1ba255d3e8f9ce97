"""Counts one range of one file: the function that a process, a pool and a cluster run alike."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, cast

from diagnose import registry
from diagnose.collect import prompt_log
from diagnose.history import judge
from diagnose.history.blocks import Lines, Pieces
from diagnose.history.counts import CELLS, MOST_SHAPES, AttemptShape, Counts, Fault, Lost, Range, Spot, add, bounded
from diagnose.history.entries import Entries, Question, Tally
from diagnose.model import Profile
from diagnose.model.history import Verdict

BLOCK = 1 << 18
RANGE = 16 << 20
"""Bytes that are counted at once; no process holds more than one range's counts and one block."""
LONGEST = 32 << 20
"""The largest entry, as in `prompt_log`; what is larger is malformed."""
SEPARATOR = re.compile(rb"\}\s*,\s*\{")


class File(NamedTuple):
    """A file to be counted, as it was when the plan was made."""

    number: int
    path: str
    name: str
    kind: str
    """`prompt_log` or `backend_log`."""
    form: str
    """`lines`, `array` or `log`."""
    size: int | None
    """None for what is compressed or re-encoded: it is read once, from its start."""
    encoding: str = "utf-8"
    packed: bool = False
    separator: bytes = b""
    """Between two elements of an array: from one's closing brace to the next one's opening brace."""
    identity: tuple[int, int, int] | None = None
    """Device, inode and time of change; None where the system has none."""


class Task(NamedTuple):
    """A range of a file, and what is asked of it."""

    file: File
    start: int
    end: int | None
    question: Question
    begin: int | None = None
    """Where its first element is known to begin."""


class _Short(Exception):
    """The file ended before its planned size."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


@lru_cache(maxsize=1)
def _entries(asked: bytes) -> Entries:
    """One for each process: it remembers the shapes it has met."""
    import pickle

    return Entries(pickle.loads(asked))  # noqa: S301 - it was pickled by this module


def count(task: Task) -> Counts:
    """The counts of a range. Whatever cannot be read is told in `lost`; raises nothing for the state of a file.

    Raises UnknownName where the folder of checks that the question names is missing here.
    """
    import pickle

    if task.question.checks and task.question.checks != registry.folder():
        registry.use(Path(task.question.checks))
    entries = _entries(pickle.dumps(task.question))
    counts = task.question.nothing
    try:
        with _opened(task.file) as file:
            if task.file.form == "log":
                from diagnose.history import attempts  # the reader of logs costs more to start than all else

                told = attempts.count(
                    cast(BinaryIO, file), task.start, task.end, task.file.number, task.question, counts
                )
                counts.ranges.append(told)
            elif task.file.form == "array":
                _array(file, task, counts, entries)
            else:
                _lines(file, task, counts, entries)
    except _Short as short:
        counts.lost.append(Lost(task.file.number, short.at, task.end, "the file was cut while it was read"))
    except FileNotFoundError:
        return _nothing(task, "the file has vanished")
    except (EOFError, zlib.error, gzip.BadGzipFile):
        counts.lost.append(Lost(task.file.number, _read_to(counts, task), None, "the compressed file ends early or is damaged"))  # fmt: skip
    except OSError as error:
        return _nothing(task, error.strerror or str(error))
    return bounded(counts, CELLS)


def _nothing(task: Task, why: str) -> Counts:
    lost = Lost(task.file.number, task.start, task.end, why)
    return replace(task.question.nothing, lost=[lost])


def _read_to(counts: Counts, task: Task) -> int:
    return counts.ranges[-1].stopped if counts.ranges else task.start


@contextmanager
def _opened(planned: File) -> Iterator[IO[bytes]]:
    with opened(planned.path) as raw:
        if planned.identity is not None and identity(raw) != planned.identity[:2]:
            raise FileNotFoundError
        file: Any = gzip.GzipFile(fileobj=raw) if planned.packed else raw
        if planned.encoding != "utf-8":
            file = _Recoded(file, planned.encoding)
        yield file


def opened(path: str) -> IO[bytes]:
    """A local file, or one at an address that fsspec knows. Raises OSError."""
    if "://" not in path:
        return open(path, "rb", buffering=0)  # noqa: PTH123 - whoever asked closes it
    import fsspec

    try:
        file: IO[bytes] = fsspec.open(path, "rb").open()
    except (ValueError, ImportError, OSError) as error:
        raise OSError(str(error)) from None
    return file


def identity(file: Any) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None where there is no telling."""
    try:
        told = os.fstat(file.fileno())
    except (OSError, AttributeError, io.UnsupportedOperation):
        return None
    return told.st_dev, told.st_ino


class _Recoded(io.RawIOBase):
    """A file in another encoding, read as UTF-8 from its start to its end."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._text = io.TextIOWrapper(file, encoding, errors="replace", newline="")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._text.read(size).encode("utf-8", "replace")


# --- lines ------------------------------------------------------------------------------------------------------------


def _lines(file: IO[bytes], task: Task, counts: Counts, entries: Entries) -> None:
    """JSON Lines: a range counts the lines that begin in it."""
    position = began = _line_start(file, task)
    told = Tally(0, 0, 0)
    rest, too_long = b"", -1  # the beginning of a line, and where one began that is larger than any entry
    done = task.end is not None and position >= task.end
    while not done:
        try:
            block = _block(file, task.file, position + len(rest))
        except _Short:
            counts.ranges.append(Range(task.file.number, task.start, began, position, *told))
            raise _Short(position) from None
        data = rest + block
        if not block:
            done, whole = True, len(data)
        else:
            whole = data.rfind(b"\n") + 1
            if task.end is not None and position + len(data) >= task.end:
                last = data.find(b"\n", max(task.end - 1 - position, 0)) + 1
                done, whole = last > 0, last or whole
        if whole == 0 and (len(data) > LONGEST or too_long >= 0):
            too_long = position if too_long < 0 else too_long
            position, rest = position + len(data), b""
            continue
        begin = 0
        if too_long >= 0:
            begin = data.find(b"\n") + 1 or whole
            counts.fault(Fault(task.file.number, too_long, f"a line of more than {LONGEST:,} bytes"))
            told, too_long = told.plus(Tally(0, 1, 0)), -1
        spot = Spot(task.file.number, began, told.entries, position + begin)
        told = told.plus(entries.count(Lines(data[begin:whole], position + begin), counts, spot))
        settle(counts, entries.question.profile)
        position += whole
        rest = data[whole:]
    counts.ranges.append(Range(task.file.number, task.start, began, position, *told))


def settle(counts: Counts, profile: Profile) -> None:
    """Keep the counts of a range within their bounds; shapes that are too many are judged and become verdicts."""
    if len(counts.cells) > MOST_SHAPES:
        judged(counts, profile)
    bounded(counts, CELLS)


def judged(counts: Counts, profile: Profile) -> None:
    """Count the verdicts of shapes in the place of the shapes; of a log, by what is known of the whole of it so far."""
    for key in [key for key in counts.cells if not isinstance(key, Verdict)]:
        if isinstance(key, AttemptShape):
            verdict = judge.of_attempt(counts.samples.pop(key), counts.common.get(key.source, ()), profile)
        else:
            verdict = judge.of_shape(key, profile)
        times = counts.cells.pop(key)
        held = counts.cells.setdefault(verdict, {})
        for time, cell in times.items():
            if time in held:
                held[time].take(cell)
            else:
                held[time] = cell
        for kept in (counts.values or {}).values():
            if key in kept:
                kept[verdict] = kept.get(verdict, 0) + kept.pop(key)


def _line_start(file: IO[bytes], task: Task) -> int:
    """The first line that begins at or after the range's start."""
    if task.start == 0:
        _seek(file, task, 0)
        return 0
    position = task.start - 1
    _seek(file, task, position)
    while block := _block(file, task.file, position):
        end = block.find(b"\n")
        if end >= 0:
            _seek(file, task, position + end + 1)
            return position + end + 1
        position += len(block)
    return position


def _seek(file: IO[bytes], task: Task, position: int) -> None:
    if task.file.size is not None:
        file.seek(position)


def _block(file: IO[bytes], planned: File, position: int) -> bytes:
    """The next block; empty at the size that the file had when the plan was made. Raises _Short."""
    if planned.size is None:
        return file.read(BLOCK)
    wanted = min(BLOCK, planned.size - position)
    if wanted <= 0:
        return b""
    block = file.read(wanted)
    if not block:
        raise _Short(position)
    return block


# --- arrays -----------------------------------------------------------------------------------------------------------


def _array(file: IO[bytes], task: Task, counts: Counts, entries: Entries) -> None:
    """A list of objects, or objects one after another: a range counts those that begin in it.

    Where one element ends and the next begins is first guessed by the text between them, the same in the whole of a
    file that one writer wrote. A guess inside an element leaves pieces that do not decode: such a block is taken
    apart again, value by value.
    """
    window = _Window(file, task)
    began = window.first()
    told = Tally(0, 0, 0)
    while window.more():
        spot = Spot(task.file.number, began, told.entries, window.position)
        guess = window.guess()
        if guess is not None:
            trial = replace(entries.question.nothing, width=counts.width)
            found = entries.count(Pieces(guess.places, guess.pieces), trial, spot)
            if not found.malformed:
                add(counts, trial, CELLS)
                told = told.plus(found)
                window.passed(guess.end)
                settle(counts, entries.question.profile)
                continue
        pieces, faults, end = window.values()
        found = entries.count(Pieces([byte for byte, _ in pieces], [piece for _, piece in pieces]), counts, spot)
        for fault in faults:
            counts.fault(fault)
        told = told.plus(found).plus(Tally(len(faults), len(faults), 0))
        window.passed(end)
        settle(counts, entries.question.profile)
    counts.ranges.append(Range(task.file.number, task.start, began, window.next(), *told))


class _Guess(NamedTuple):
    """Pieces of a block that are elements if the guess is right."""

    places: list[int]
    pieces: list[bytes]
    end: int
    """Where the element after them begins."""


class _Window:
    """The part of a list that is looked at; `position` is where its next element begins."""

    def __init__(self, file: IO[bytes], task: Task) -> None:
        self._file, self._task = file, task
        self._data = b""
        self._ended = False
        self.position = 0

    def first(self) -> int:
        """Go to the first element that begins in the range, or after it; returns its byte."""
        start, begin = self._task.start, self._task.begin
        self.position = begin or (max(start - len(self._task.file.separator) + 1, 0) if start else 0)
        _seek(self._file, self._task, self.position)
        if begin is not None or start == 0:
            self._read()
            self._drop(3 if start == 0 and self._data.startswith(b"\xef\xbb\xbf") else 0)
            return self.next()
        while True:
            self._read()
            found = self._data.find(self._task.file.separator)
            if found >= 0:
                self._drop(found + len(self._task.file.separator) - 1)
                return self.position
            if self._ended:
                self._drop(len(self._data))
                return self.position
            self._drop(max(len(self._data) - len(self._task.file.separator), 0))

    def more(self) -> bool:
        """Whether an element begins in what is left of the range."""
        if self._task.end is not None and self.position >= self._task.end:
            return False
        self.next()
        inside = self._task.end is None or self.position < self._task.end
        return inside and bool(self._data)

    def next(self) -> int:
        """Go on to the next element, or to the end of the file."""
        while True:
            self._drop(len(self._data) - len(self._data.lstrip(b" \t\r\n,[]")))
            if self._data or self._ended:
                return self.position
            self._read()

    def guess(self) -> _Guess | None:
        """The elements that end in the block, if they stand as the file's first two do."""
        separator = self._task.file.separator
        if not separator:
            return None
        while len(self._data) < BLOCK and not self._ended:
            self._read()
        data = self._data
        if self._task.end is not None and self.position + len(data) > self._task.end:
            last = data.find(separator, max(self._task.end - self.position - len(separator) + 1, 0))
            last = data.rfind(separator) if last < 0 else last
        else:
            last = data.rfind(separator)
        if last < 0:
            return None
        pieces = data[: last + 1].split(separator)
        inner = [b"{%b}" % piece for piece in pieces[1:-1]]
        whole = [pieces[0] + b"}", *inner, b"{" + pieces[-1]] if len(pieces) > 1 else pieces
        steps = (len(piece) + len(separator) for piece in pieces)
        places = list(accumulate(steps, initial=self.position))[:-1]
        places = [places[0], *(place - 1 for place in places[1:])]
        return _Guess(places, whole, self.position + last + len(separator) - 1)

    def values(self) -> tuple[list[tuple[int, bytes]], list[Fault], int]:
        """The next values one by one, what is none, and where the next begins."""
        index = self._task.file.number
        while True:
            body = self._data.decode("utf-8", "surrogateescape")
            pieces: list[tuple[int, bytes]] = []
            faults: list[Fault] = []
            char = byte = 0
            while not self._task.end or self.position + byte < self._task.end:
                begin = _past(body, char)
                byte += _length(body, char, begin)
                char = begin
                if char == len(body):
                    break
                try:
                    value, end = _DECODER.raw_decode(body, char)
                except (ValueError, RecursionError):
                    if not self._ended and len(self._data) - byte <= LONGEST:
                        break  # it can go on in the next block
                    faults.append(Fault(index, self.position + byte, _broken(self._ended)))
                    end = _next_entry(body, char + 1)
                else:
                    if not self._ended and end == len(body):
                        break
                    if isinstance(value, dict):
                        pieces.append((self.position + byte, body[char:end].encode("utf-8", "surrogateescape")))
                    else:
                        faults.append(Fault(index, self.position + byte, "it is not an object"))
                byte += _length(body, char, end)
                char = end
            if pieces or faults or self._ended or char == len(body):
                return pieces, faults, self.position + byte
            self._read()

    def passed(self, position: int) -> None:
        """Everything before this byte is done with."""
        self._drop(position - self.position)

    def _drop(self, length: int) -> None:
        self._data = self._data[length:]
        self.position += length

    def _read(self) -> None:
        block = _block(self._file, self._task.file, self.position + len(self._data))
        self._ended = not block
        self._data += block


_DECODER = json.JSONDecoder(strict=False)
_BLANK = re.compile(r"[\s,\[\]]*+")
"""What stands between elements; lists that were written one after another are one."""
_OBJECT = re.compile(r"\{(?=\s*+\")")


def _past(body: str, char: int) -> int:
    found = _BLANK.match(body, char)
    return found.end() if found else char


def _length(body: str, start: int, end: int) -> int:
    part = body[start:end]
    return len(part) if part.isascii() else len(part.encode("utf-8", "surrogateescape"))


def _broken(ended: bool) -> str:
    return "the file ends inside an entry" if ended else f"it is not JSON, or larger than {LONGEST:,} bytes"


def _next_entry(body: str, char: int) -> int:
    """Where the next whole entry begins behind something broken; the end where there is none."""
    patience = 4 * len(body) + (1 << 22)
    for found in _OBJECT.finditer(body, char):
        try:
            value, end = _DECODER.raw_decode(body, found.start())
        except (ValueError, RecursionError):
            patience -= len(body) - found.start()
        else:
            if prompt_log.looks_like_entry(value):
                return found.start()
            patience -= end - found.start()
        if patience < 0:
            break
    return len(body)
