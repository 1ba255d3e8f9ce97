"""A file that grows, is rotated, cut or rewritten, as the lines that are new in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from diagnose.collect import text
from diagnose.model import Phrase

RECENT = 200
"""Files, attempts and generations that are kept in view."""
SETTLE = 1.0
"""Seconds of quiet after which what is written belongs together."""
Say = Callable[[str], None]
"""Tells the user what happened to a file."""

CHUNK = 1 << 20
"""Bytes that are read at once."""
CONTEXT = 128 * 1024
"""Bytes before the end that are read at the start: a generation can be under way."""
COUNTED = 64 << 20
"""Bytes of a log whose lines are counted, so that their true numbers can be told."""
LONGEST = 64 * 1024
"""Bytes that are kept of a line; no reader looks at more."""
HEAD, BEFORE = 256, 2048
"""Bytes by which a file is known again: its first ones, and those before the place that was reached."""


class Piece(NamedTuple):
    """Whole lines that are new."""

    text: str
    begins: bool = False
    """Whether they are the first of a file that took the place of the one before."""
    more: bool = False
    """Whether there is more to read at once."""


_AWAITED = ("still watching", "waiting for it", "waiting for it to come back")


class State:
    """What was last said of a file: each trouble is said once."""

    def __init__(self, path: Path, say: Say) -> None:
        self.path, self._say, self._said = path, say, ""
        self.seen = False

    def trouble(self, error: OSError) -> None:
        gone = isinstance(error, (FileNotFoundError, NotADirectoryError))
        if gone:
            said = "is gone; waiting for it to come back" if self.seen else "does not exist yet; waiting for it"
        else:
            said = Phrase("cannot be read: {lower}; still watching", lower=(error.strerror or str(error)).lower())
        self.once(said)

    def fine(self) -> None:
        self.seen = True
        if self._said.startswith("cannot"):
            self._say(f"{self.path}: can be read again")
        if self._said.endswith(_AWAITED):
            self._said = ""

    def once(self, said: str) -> None:
        if said != self._said:
            self._say(f"{self.path}: {said}")
        self._said = said


class Tail:
    """A file that grows, read on from the byte that was reached; every line comes out once.

    A file is known again by its first bytes and by those before the place that was reached, not by its name or number:
    a log that is copied and cut keeps both, and one that is rewritten whole and moved into place keeps neither.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self.path = path
        self.state = State(path, say)
        self.offset = 0
        self._rest = b""
        """The beginning of a line whose end is not yet written."""
        self._head = self._before = b""
        self._wide = ""
        self._known: tuple[int, ...] = ()
        self._file: BinaryIO | None = None
        self._held: tuple[int, int] | None = None

    def skip(self) -> tuple[str, int, str]:
        """Go to the end. Gives the lines shortly before it, the number of the first, and how the file is then named."""
        name = self.path.name
        try:
            size = self.path.stat().st_size
            start = max(0, size - CONTEXT)
            with self.path.open("rb") as file:
                self._head = file.read(HEAD)
                self._look_at(self._head)
                if start:
                    start = self._line_after(file, start)
                number = _lines_before(file, start) + 1 if start <= COUNTED else 1
        except OSError:
            return "", 1, name  # the first poll says so
        self.offset, self._before = start, _at(self.path, start - BEFORE, min(BEFORE, start))
        context = "".join(piece.text for piece in self.poll())
        return context, number, name if start <= COUNTED else f"{name}@{start}"

    def poll(self) -> Iterator[Piece]:
        """What is new since the last time."""
        try:
            now = self.path.stat()
            known = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
            if known == self._known:
                return
            file = self.path.open("rb", buffering=0)
        except OSError as error:
            yield from self._from(self._file)  # a file without a name can still be written to
            self._known = ()
            self.state.trouble(error)
            return
        try:
            self.state.fine()
            yield from self._follow(file)
            self._known = known
        except OSError as error:
            self.state.trouble(error)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _follow(self, file: BinaryIO) -> Iterator[Piece]:
        there = os.fstat(file.fileno())
        identity = (there.st_dev, there.st_ino)
        begins = False
        if not self._goes_on(file, there.st_size) or (self._held not in (None, identity) and not self.offset):
            renamed = self._held not in (None, identity)
            old = self._file if renamed and self._file else self._sibling()
            if old is not None:
                with old:
                    yield from self._from(old)
            yield from self._flush()
            self.offset, self._head, self._before, self._wide, begins = 0, b"", b"", "", True
        self.close()
        self._file, self._held = file, identity
        yield from self._from(file, begins)
        if os.name == "nt":  # an open file could not be renamed by those who write it
            self.close()

    def _flush(self) -> Iterator[Piece]:
        """The last line of a file that got no end."""
        if self._rest:
            yield Piece(self._decoded(self._rest).rstrip("\n") + "\n")
            self._rest = b""

    @property
    def unfinished(self) -> str:
        """The line whose end is not yet written."""
        return self._decoded(self._rest)

    def _from(self, file: BinaryIO | None, begins: bool = False) -> Iterator[Piece]:
        """Whole lines from the place that was reached to the end."""
        data = b""
        while file is not None:
            file.seek(self.offset)
            if not (data := file.read(CHUNK)):
                break
            if self.offset < HEAD:
                self._head = (self._head[: self.offset] + data)[:HEAD]
                self._look_at(self._head)
            self.offset += len(data)
            self._before = (self._before + data)[-BEFORE:]
            line_end = self._line_end()
            whole = self._rest + data
            cut = _last(whole, line_end)
            self._rest = whole[cut:][:LONGEST]
            if not self._wide and not self._rest.strip(b"\0"):
                self._rest = b""  # the hole that is left where a log was cut under a writer who knows its old length
            if cut or begins:
                yield Piece(self._decoded(whole[:cut]), begins, len(data) == CHUNK)
                begins = False
        if begins:
            yield Piece("", True)

    def _goes_on(self, file: BinaryIO, size: int) -> bool:
        """Whether a file is the one that was read so far, or the same rewritten."""
        if size < self.offset:
            return False
        file.seek(0)
        if file.read(len(self._head)) != self._head:
            return False
        file.seek(self.offset - len(self._before))
        return file.read(len(self._before)) == self._before

    def _sibling(self) -> BinaryIO | None:
        """The file beside this one to which what was read so far was renamed or copied."""
        if not self._before:
            return None
        try:
            stem = self.path.name.partition(".")[0]
            beside = [p for p in self.path.parent.iterdir() if p.name.startswith(stem) and p.name != self.path.name]
            for path in sorted(beside[:RECENT], key=lambda p: p.stat().st_mtime_ns, reverse=True):
                if stat.S_ISREG((there := path.stat()).st_mode):
                    file = path.open("rb", buffering=0)
                    if self._goes_on(file, there.st_size):
                        return file
                    file.close()
        except OSError:
            return None  # its rest is lost with it
        return None

    def _look_at(self, head: bytes) -> None:
        encoding = text.characters(head[: len(head) & ~1]).encoding
        self._wide = encoding if encoding.startswith("utf-16") else ""

    def _line_end(self) -> bytes:
        return "\n".encode(self._wide) if self._wide else b"\n"

    def _line_after(self, file: BinaryIO, start: int) -> int:
        file.seek(start - start % 2)
        data, end = file.read(CONTEXT), self._line_end()
        found = next((i for i in _places(data, end)), -1)
        return start - start % 2 + found + len(end) if found >= 0 else start

    def _decoded(self, data: bytes) -> str:
        mark = "\ufeff".encode(self._wide) if self._wide and not data.startswith((b"\xff\xfe", b"\xfe\xff")) else b""
        return text.decode(mark + data).text


def _places(data: bytes, end: bytes) -> Iterator[int]:
    """Where lines end; a unit of UTF-16 begins at an even byte."""
    found = data.find(end)
    while found >= 0:
        if found % len(end) == 0:
            yield found
        found = data.find(end, found + 1)


def _last(data: bytes, end: bytes) -> int:
    """The byte after the last line that is whole."""
    found = data.rfind(end)
    while found >= 0 and found % len(end):
        found = data.rfind(end, 0, found + len(end) - 1)
    return found + len(end) if found >= 0 else 0


def _at(path: Path, start: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, start))
        return file.read(length)


def _lines_before(file: BinaryIO, start: int) -> int:
    file.seek(0)
    count = 0
    while (left := start - file.tell()) > 0 and (data := file.read(min(CHUNK, left))):
        count += data.count(b"\n")
    return count
