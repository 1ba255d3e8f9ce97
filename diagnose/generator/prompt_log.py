"""Keeps the prompt log: one entry for each generation, written whole or not at all.

Any number of threads and processes may write the same log. What is promised:

- Every entry whose `append` returned stands in the file once, until `keep` newer ones have come. A process that is killed
  afterwards changes nothing about that; an entry that was on its way when it was killed is there whole or not at all.
- An array is replaced as a whole, so whoever reads it, and at whatever moment a writer is killed or the power fails, finds
  the old file or the new one.
- A line of JSON Lines is written by one call. Systems take that call page by page, so the one thing a kill can leave is a
  cut last line, where the line reaches over the end of a page (4096 bytes on most); a power cut can leave one too. The
  lines before it are whole, `latest` looks past it, and the next `append` or `check` moves it to a file of its own.
  Where `keep` makes lines go, the file is replaced as a whole, like an array.
- Where writing fails, the `OSError` reaches the caller, the old file stands as it was, and nothing else is left.

Entries of several threads that wait for the same log are written together, by the first of them whose turn it is.
`append` looks at a long file's beginning and end only. `check` reads all of it, and belongs at the start of a server.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

PATIENCE = 30.0
"""Seconds that an entry waits for the other writers before it is given up."""

_POLL = 0.005
"""Seconds between two attempts at the lock: a write takes less than one millisecond where the disk is fast."""
_SHORT = 16 * 1024
"""Bytes up to which an array is parsed again at every entry, and in which a longer file's first entry begins."""
_OLD = 3600.0
"""Seconds after which a temporary file belongs to nobody."""
_BLOCK = 1024 * 1024
_WINDOWS = os.name == "nt"
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True, eq=False)
class _Waiting:
    """An entry that is not written yet. Any thread of this process may write it."""

    entry: bytes
    saved: bool = False


_doors: dict[str, threading.Lock] = {}
"""For each file the lock among the threads of this process: one of them at a time asks for the lock among processes."""
_queues: dict[tuple[Path, PromptLog], deque[_Waiting]] = {}


def _forget() -> None:
    _doors.clear()
    _queues.clear()


if hasattr(os, "register_at_fork"):
    # a thread that is not copied cannot open the door that it closed
    os.register_at_fork(after_in_child=_forget)


@dataclass(frozen=True, slots=True)
class PromptLog:
    """A prompt log: JSON Lines where its name ends in `.jsonl` or `.ndjson`, else a JSON array; oldest entry first."""

    path: Path
    keep: int = 10
    """How many entries stay; 0 keeps all."""

    def append(self, new: Mapping[str, Any], now: datetime) -> Path | None:
        """Adds an entry. What was corrupt is set aside first; its new place is the answer.

        Without the package `filelock` it keeps apart the threads of this process only.
        """
        waiting = _Waiting(_line(new) if self._lines else _item(new))
        target = self._target()
        target.parent.mkdir(parents=True, exist_ok=True)
        _size(target)
        queue = _queues.setdefault((target, self), deque())
        queue.append(waiting)
        until = time.monotonic() + PATIENCE
        try:
            with _door(target):
                if waiting.saved:
                    return None
                with _locked(target, until):
                    return self._save(target, queue, now)
        except BaseException as error:
            if not _withdrawn(waiting, queue):
                # the thread whose turn it is writes it at this moment, and only then is it known what came of it
                with _door(target, patience=-1):
                    if waiting.saved and isinstance(error, OSError):
                        return None
                    _withdrawn(waiting, queue)
            raise

    def latest(self) -> dict[str, Any] | None:
        """The newest entry; None where there is none, or where the file is not a log of this form."""
        try:
            target = self._target()
            if not _size(target):
                return None
            if self._lines:
                with target.open("rb") as file:
                    return _last_entry(file)
            entries = _array(target.read_bytes())
        except OSError:
            return None
        newest = entries[-1] if entries else None
        return newest if isinstance(newest, dict) else None

    def check(self, now: datetime) -> Path | None:
        """Reads the whole log. What is corrupt is set aside, and its new place is the answer.

        Of JSON Lines whose last line is cut, that line is set aside alone; anything else goes as a whole file.
        Needs the package `filelock`.
        """
        # a server must not learn later, or never, that nothing keeps its processes apart
        import_module("filelock")
        target = self._target()
        if not _size(target):
            return None
        until = time.monotonic() + PATIENCE
        with _door(target), _locked(target, until):
            _sweep(target)
            sound = _sound(target) if self._lines else _size(target)
            if not self._lines and _array(_read(target)) is None:
                sound = 0
            if sound == _size(target):
                return None
            with _aside(target, sound, now) as place:
                if sound:
                    _replace(target, (0, sound), b"")
                else:
                    target.unlink()
            return place

    @property
    def _lines(self) -> bool:
        return self.path.suffix.lower() in (".jsonl", ".ndjson")

    def _target(self) -> Path:
        # a replaced symbolic link would leave the file it stands for as it was
        return Path(os.path.realpath(self.path))

    def _save(self, target: Path, queue: deque[_Waiting], now: datetime) -> Path | None:
        """Writes every entry that waits; where that fails they wait on, each to fail by itself."""
        taken: list[_Waiting] = []
        with suppress(IndexError):
            while True:
                taken.append(queue.popleft())
        try:
            new = [waiting.entry for waiting in taken]
            aside = self._add_lines(target, new, now) if self._lines else self._add_items(target, new, now)
        except BaseException:
            queue.extendleft(reversed(taken))
            raise
        for waiting in taken:
            waiting.saved = True
        return aside

    def _add_items(self, target: Path, new: list[bytes], now: datetime) -> Path | None:
        if self.keep <= 0 and _size(target) > _SHORT and (end := _closing(target)):
            _replace(target, (0, end), b"".join(b",\n  " + item for item in new) + b"\n]")
            return None
        old = _items(_read(target))
        if old is None:
            with _aside(target, 0, now) as place:
                _replace(target, (0, 0), self._written(new))
            return place
        _replace(target, (0, 0), self._written(old + new))
        return None

    def _written(self, items: list[bytes]) -> bytes:
        return b"[\n  " + b",\n  ".join(self._newest(items)) + b"\n]"

    def _newest(self, entries: list[bytes]) -> list[bytes]:
        return entries[-self.keep :] if self.keep > 0 else entries

    def _add_lines(self, target: Path, new: list[bytes], now: datetime) -> Path | None:
        size = _size(target)
        end = _whole(target, size)
        begin = self._surplus(target, end, len(new))
        lines = b"".join(self._newest(new))
        if end < size:
            with _aside(target, end, now) as place:
                _replace(target, (begin, end), lines)
            return place
        if begin < end and not _ended(target):
            lines = b"\n" + lines
        if begin or not size:
            _replace(target, (begin, end), lines)
        else:
            _add(target, lines)
        return None

    def _surplus(self, target: Path, end: int, new: int) -> int:
        """Where the lines begin that stay beside new ones."""
        if self.keep <= 0 or not end:
            return 0
        starts, at = [], 0
        with target.open("rb") as file:
            for line in file:
                if at < end and line.strip():
                    starts.append(at)
                at += len(line)
        surplus = len(starts) + new - self.keep
        return 0 if surplus <= 0 else [*starts, end][min(surplus, len(starts))]


# The two forms.


def _line(entry: object) -> bytes:
    return _bytes(json.dumps(_plain(entry), ensure_ascii=False) + "\n")


def _item(entry: object) -> bytes:
    return _bytes(json.dumps(_plain(entry), indent=2, ensure_ascii=False).replace("\n", "\n  "))


def _plain(entry: object) -> object:
    return dict(entry) if isinstance(entry, Mapping) else entry


def _bytes(text: str) -> bytes:
    # half a surrogate pair, which a browser can send, has no UTF-8, and this way becomes JSON's own escape for it
    return text.encode("utf-8", "backslashreplace")


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _array(raw: bytes) -> list[Any] | None:
    try:
        text = raw.decode("utf-8-sig")
        value = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _items(raw: bytes) -> list[bytes] | None:
    entries = _array(raw)
    try:
        return None if entries is None else [_item(entry) for entry in entries]
    except RecursionError:
        return None


def _closing(target: Path) -> int | None:
    """Where the end of a long array begins; None where it is not laid out as this module does it, or is broken there."""
    with target.open("rb") as file:
        head = file.read(5)
        begin = max(0, file.seek(0, os.SEEK_END) - _BLOCK)
        file.seek(begin)
        tail = file.read().rstrip()
    last = tail.rfind(b"\n  {")
    laid_out = head == b"[\n  {" and tail.endswith(b"\n]") and last >= 0
    if not laid_out or _object(tail[last:-2]) is None:
        return None
    return begin + len(tail) - 2


def _whole(target: Path, size: int) -> int:
    """Up to where a file is JSON Lines, judged by its beginning and end: 0 where it is something else."""
    if not size:
        return 0
    with target.open("rb") as file:
        head = file.read(_SHORT).removeprefix(_BOM).lstrip()
        if not head and size <= _SHORT:
            return size
        if not head.startswith(b"{"):
            return 0
        begin = _last_line(file, size)
        file.seek(begin)
        rest = file.read()
    if not rest.strip() or _object(rest) is not None:
        return size
    return begin


def _ended(target: Path) -> bool:
    with target.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _last_line(file: BinaryIO, size: int) -> int:
    """Where the line begins that no line feed ends; the file's size where there is none."""
    end = size
    while end > 0:
        begin = max(0, end - _SHORT)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _sound(target: Path) -> int:
    """Up to where a file is JSON Lines, judged by every line: 0 where it is something else."""
    at = 0
    with target.open("rb") as file:
        for line in file:
            if line.removeprefix(_BOM).strip() and _object(line) is None:
                return 0 if line.endswith(b"\n") else at
            at += len(line)
    return at


def _last_entry(file: BinaryIO) -> dict[str, Any] | None:
    end = size = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = _last_line(file, end)
        file.seek(begin)
        line = file.read(end - begin)
        if line.strip():
            found = _object(line)
            # only a line that is still being written, or whose writer was killed, has a newer one's place
            if found is not None or end < size:
                return found
        end = begin - 1
    return None


# The file.


def _withdrawn(waiting: _Waiting, queue: deque[_Waiting]) -> bool:
    try:
        queue.remove(waiting)
    except ValueError:
        return False
    return True


@contextmanager
def _door(target: Path, patience: float | None = None) -> Iterator[None]:
    """Keeps every other thread of this process out."""
    door = _doors.setdefault(os.path.normcase(target), threading.Lock())
    if not door.acquire(timeout=PATIENCE if patience is None else patience):
        raise _busy(target)
    try:
        yield
    finally:
        door.release()


@contextmanager
def _locked(target: Path, until: float) -> Iterator[None]:
    """Keeps every other process out."""
    try:
        from filelock import FileLock, Timeout
    except ImportError:
        yield
        return
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=max(0.0, until - time.monotonic()), poll_interval=_POLL)
    except Timeout:
        raise _busy(target) from None
    try:
        yield
    finally:
        lock.release()


def _busy(target: Path) -> OSError:
    return TimeoutError(f"other writers kept '{target}' locked for {PATIENCE:g} s; nothing was saved")


def _size(target: Path) -> int:
    try:
        found = target.stat()
    except FileNotFoundError:
        return 0
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(found.st_mode):
        # a pipe would be waited for, and a device replaced by a file
        raise OSError(errno.EINVAL, "not a regular file", str(target))
    return found.st_size


def _read(target: Path) -> bytes:
    try:
        return target.read_bytes()
    except FileNotFoundError:
        return b""


def _add(target: Path, lines: bytes) -> None:
    """Adds to JSON Lines, or leaves them as they were."""
    with target.open("rb+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                file.truncate(size)
            raise


def _replace(target: Path, kept: tuple[int, int], new: bytes) -> None:
    """Puts a new file in the old one's place: what is kept of the old one, and what is new."""
    _sweep(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with _created(temporary, target) as file:
            _copy(target, kept, file)
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        _move(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _created(place: Path, like: Path) -> BinaryIO:
    """A new file that nobody may read who may not read the other one."""
    try:
        mode = stat.S_IMODE(like.stat().st_mode)
    except FileNotFoundError:
        mode = None
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(place, flags, 0o666 if mode is None else mode)
    file = os.fdopen(descriptor, "wb")
    try:
        if mode is not None and stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            place.chmod(mode)
    except BaseException:
        file.close()
        place.unlink()
        raise
    return file


def _copy(source: Path, part: tuple[int, int], file: BinaryIO) -> None:
    begin, end = part
    if begin >= end:
        return
    with source.open("rb") as old:
        old.seek(begin)
        while begin < end and (block := old.read(min(_BLOCK, end - begin))):
            file.write(block)
            begin += len(block)


def _move(temporary: Path, target: Path) -> None:
    deadline = time.monotonic() + 2
    while True:
        try:
            temporary.replace(target)
        except PermissionError:
            # Windows refuses while anybody has the old file open, and readers are soon done
            if not _WINDOWS or time.monotonic() > deadline:
                raise
            time.sleep(_POLL)
        else:
            return


@contextmanager
def _aside(target: Path, begin: int, now: datetime) -> Iterator[Path]:
    """A copy of a log from a place on, under a name that was free; taken back where the log could not be put right."""
    place, file = _named(target, now)
    try:
        with file:
            _copy(target, (begin, _size(target)), file)
            file.flush()
            os.fsync(file.fileno())
        yield place
    except BaseException:
        place.unlink(missing_ok=True)
        raise


def _named(target: Path, now: datetime) -> tuple[Path, BinaryIO]:
    stamp = now.strftime("%Y%m%dT%H%M%S")
    for attempt in range(1000):
        place = target.with_name(f"{target.name}.corrupt-{stamp}{f'-{attempt}' if attempt else ''}")
        with suppress(FileExistsError):
            return place, _created(place, target)
    raise FileExistsError(errno.EEXIST, "no free name to set the prompt log aside", str(target))


def _sweep(target: Path) -> None:
    """Removes the temporary files of killed writers.

    Nobody who keeps to the lock uses one now; the hour is for those who do not share it, on another machine say.
    """
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{12}}\.tmp")
    with suppress(OSError), os.scandir(target.parent) as found:
        for file in found:
            if name.fullmatch(file.name) and time.time() - file.stat(follow_symlinks=False).st_mtime > _OLD:
                Path(file.path).unlink(missing_ok=True)
