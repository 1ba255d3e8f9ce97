"""Follows a prompt log and a backend's log while they are written, and says each generation once, when it has ended.

Three steps, each of which knows only what stands below it: a `Tail` gives the new lines of a file that grows, is rotated
or is cut; a `LogFollower` makes attempts of them and an `EntryFollower` finds the new entries of a prompt log that is
rewritten at every save; a `Watch` puts both together. Nobody here looks at a clock: every poll is told the time.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from diagnose import normalise
from diagnose.collect import Bundle, backend_log, prompt_log, text
from diagnose.errors import NothingReadable
from diagnose.model import Case, Evidence, Profile

SETTLE = 1.0
"""Seconds of quiet after which what is written belongs together."""
HANDOVER = 5.0
"""Seconds in which a request that stored the picture is followed by the one that uses it."""
PATIENCE = 120.0
"""Seconds after which a generation that never ended is told with what is known."""
CHUNK = 1 << 20
"""Bytes that are read at once."""
CONTEXT = 128 * 1024
"""Bytes before the end that are read at the start: a generation can be under way."""
COUNTED = 64 << 20
"""Bytes of a log whose lines are counted, so that their true numbers can be told."""
LONGEST = 64 * 1024
"""Bytes that are kept of a line; no reader looks at more."""
AROUND = 200
"""Lines that stay in view behind the newest: what a line means can depend on those before it."""
MAX_LINES = 4000
"""Lines that one generation may span before it is told with what is known."""
REMEMBERED = 20_000
"""Entries of a prompt log that are recognised when they are seen again."""
NEWEST = 1000
"""Entries that are shown of a long prompt log with `--from-start`."""
RECENT = 200
"""Generations that were told and can still be recognised in the other file."""
HEAD, BEFORE = 256, 2048
"""Bytes by which a file is known again: its first ones, and those before the place that was reached."""

Say = Callable[[str], None]
"""Tells the user what happened to a file."""


# --- text that grows ----------------------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """Whole lines that are new."""

    text: str
    begins: bool = False
    """Whether they are the first of a file that took the place of the one before."""
    more: bool = False
    """Whether there is more to read at once."""


_AWAITED = ("still watching", "waiting for it", "waiting for it to come back")


class _State:
    """What was last said of a file: each trouble is said once."""

    def __init__(self, path: Path, say: Say) -> None:
        self.path, self._say, self._said = path, say, ""
        self.seen = False

    def trouble(self, error: OSError) -> None:
        gone = isinstance(error, (FileNotFoundError, NotADirectoryError))
        if gone:
            said = "is gone; waiting for it to come back" if self.seen else "does not exist yet; waiting for it"
        else:
            said = f"cannot be read: {(error.strerror or str(error)).lower()}; still watching"
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
        self.state = _State(path, say)
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


# --- the backend's log --------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """From which running number on lines stand in a file, and what their numbers there are."""

    first: int
    name: str
    number: int


class LogFollower:
    """The attempts of a log that grows, each once, when it has ended.

    Only the lines of attempts that are under way are kept, with some before them. They are read again with what is new,
    by the reader that reads whole logs; lines are numbered through, across files, so that an attempt is known again.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self.tail = Tail(path, say)
        self.name = path.name
        self.open: list[backend_log.Attempt] = []
        """Attempts that have not ended, oldest first."""
        self.common: deque[Evidence] = deque(maxlen=RECENT)
        self.grew = 0.0
        self._lines: list[str] = []
        self._first = 1
        self._places = [_Place(1, self.name, 1)]
        self._since: dict[int, tuple[tuple[object, ...], float]] = {}
        """What was last known of each attempt, and since when."""
        self._before: dict[int, tuple[object, ...]] = {}
        """Attempts that were there when the watch began, as they were then."""
        self._told: set[tuple[str, int]] = set()
        """The first lines of attempts that were given out, and the lines of their answers."""
        self._answers: bool | None = None
        """Whether this log tells when requests are answered; None while that is not known."""
        self._read = backend_log.BackendLog((), (), 0)
        self._reread = False
        """Whether there are lines that were not read."""
        self._last_line = ""
        """The line without an end that was read with the others."""

    def skip(self, now: float) -> None:
        """Begin at the end: what has ended is not told, and what is under way is, when it ends."""
        context, number, name = self.tail.skip()
        self._places = [_Place(1, name, number)]
        self._add(Piece(context), now)
        for attempt in self._parse(now):
            answered = attempt.path is not None and not _bare(attempt) and not attempt.only_an_upload
            if answered or (_final(attempt) and not self._answers):
                self._answers = bool(self._answers)
                self.take(attempt)
            else:
                self._before[attempt.first] = _stamp(attempt)
        self._trim()

    def poll(self, now: float) -> Iterator[tuple[list[backend_log.Attempt], bool]]:
        """The attempts that ended, after each piece of text, and whether there is more to read at once."""
        for piece in self.tail.poll():
            self._add(piece, now)
            self._parse(now)
            yield self._ended(now), piece.more
            self._trim()
        if self.quiet(now) and self.tail.unfinished != self._last_line:
            self._last_line, self._reread = self.tail.unfinished, True
        if self.open or self._reread:
            self._parse(now)
            yield self._ended(now), False
            self._trim()

    def take(self, attempt: backend_log.Attempt) -> backend_log.Attempt:
        """Give an attempt out, ended or not, with the places where its evidence really stands."""
        self._told |= _names(attempt)
        self.open = [a for a in self.open if a.first != attempt.first]
        return replace(attempt, evidence=[self._placed(e) for e in attempt.evidence])

    def quiet(self, now: float) -> bool:
        """Whether nothing was written for a moment."""
        return now - self.grew >= SETTLE

    def under_way(self, attempt: backend_log.Attempt) -> bool:
        """Whether an attempt is neither answered nor left over from before the watch."""
        return attempt.path is None and self._before.get(attempt.first) != _stamp(attempt)

    def answered_bare(self) -> backend_log.Attempt | None:
        """The oldest request that was answered and of which nothing else was told."""
        return next((a for a in self.open if _bare(a)), None)

    def ends_unsaid(self, attempt: backend_log.Attempt) -> bool:
        """Whether all that is awaited of an attempt was told, in a log that tells of no answers."""
        return _final(attempt) and self._answers is False

    def _add(self, piece: Piece, now: float) -> None:
        if piece.begins:
            self._places.append(_Place(self._first + len(self._lines), self.name, 1))
        self._lines += piece.text.split("\n")[:-1]
        self._last_line, self._reread, self.grew = "", True, now

    def _parse(self, now: float) -> Sequence[backend_log.Attempt]:
        """Read the lines in view, with one whose end was not written for a while."""
        if not self._reread:
            return self._read.attempts
        lines = [*self._lines, self._last_line] if self._last_line else self._lines
        # the reader asks whether any request is answered: those in view need not be, and the first one is still to come
        assumed = [] if self._answers is False else [_ANSWER]
        self._read = read = backend_log.read("\n".join([*lines, *assumed]), self.name, self._first)
        self._reread = False
        for event in read.common:
            placed = self._placed(event)
            if placed not in self.common:
                self.common.append(placed)
        if any(a.path is not None for a in read.attempts):
            self._answers = True
        self.open = [a for a in read.attempts if not _names(a) & self._told]
        since: dict[int, tuple[tuple[object, ...], float]] = {}
        for attempt in self.open:
            stamp = _stamp(attempt)
            last = self._since.get(attempt.first)
            since[attempt.first] = last if last is not None and last[0] == stamp else (stamp, now)
        self._since = since
        return read.attempts

    def _ended(self, now: float) -> list[backend_log.Attempt]:
        for attempt in [a for a in self.open if self._given_up(a, now)]:
            self.take(attempt)
        if self._answers is None and self._answers_nothing(now):
            self._answers, self._reread = False, True
            self._parse(now)
        newest = max((a.first for a in self.open), default=0)
        ended = [a for a in self.open if self._has_ended(a, newest > a.last, now)]
        return [self.take(a) for a in ended]

    def _answers_nothing(self, now: float) -> bool:
        """Whether a picture was made and its request not answered: no answer is told in this log."""
        made = [a for a in self.open if _final(a)]
        waited = any(now - self._since[a.first][1] >= HANDOVER for a in made)
        return waited or len(made) > 2 or (bool(made) and len(self._lines) > MAX_LINES // 8)

    def _given_up(self, attempt: backend_log.Attempt, now: float) -> bool:
        """Whether nothing will come of an attempt: one from before the watch, or a picture that nobody used."""
        stamp, since = self._since[attempt.first]
        if self._before.get(attempt.first) == stamp:
            return now - since >= PATIENCE
        good = attempt.only_an_upload and attempt.status is not None and attempt.status < 400
        return good and (now - since >= 5 * PATIENCE or self._is_long(attempt))

    def _is_long(self, attempt: backend_log.Attempt) -> bool:
        return self._first + len(self._lines) - attempt.first > MAX_LINES

    def _has_ended(self, attempt: backend_log.Attempt, later: bool, now: float) -> bool:
        stamp, since = self._since[attempt.first]
        age = now - since
        if self._before.get(attempt.first) == stamp:
            return False
        refused = attempt.status is not None and attempt.status >= 400
        if attempt.only_an_upload:
            return refused and age >= HANDOVER  # else it belongs to the request that will use the picture
        if age >= PATIENCE or self._is_long(attempt):
            return True
        if attempt.path is not None:
            if attempt.status == 500:
                return later or age >= SETTLE  # some servers print the exception after the answer
            return not _bare(attempt)
        if self._answers is not False:
            return False
        failed = attempt.has("error", "fal.error", "storage.error", "deployment.exception")
        return age >= SETTLE or later if _final(attempt) else failed and later and age >= HANDOVER

    def _trim(self) -> None:
        """Forget the lines of what was told; a cut goes through no attempt, unless they overlap without end."""
        end = self._first + len(self._lines)
        waiting = [a.first for a in self.open]
        keep = min([end - AROUND, *waiting])
        while crossing := [a.first for a in self._read.attempts if a.first < keep <= a.last]:
            keep = min(crossing)
        keep = max(self._first, keep)
        if end - keep > 2 * MAX_LINES:
            keep = max(keep, end - MAX_LINES)
        if keep > self._first:
            del self._lines[: keep - self._first]
            self._first = keep
            self._told = {(what, number) for what, number in self._told if number >= keep}
            self._before = {first: stamp for first, stamp in self._before.items() if first >= keep}
            self._places = [
                p for p, after in zip(self._places, self._places[1:], strict=False) if after.first > keep
            ] + [self._places[-1]]

    def _placed(self, e: Evidence) -> Evidence:
        """Evidence with the line at which it stands in its file."""
        name, _, number = e.source.rpartition(":")
        if name != self.name or not number.isdigit():
            return e
        place = next((p for p in reversed(self._places) if p.first <= int(number)), self._places[0])
        shown = place.name if place is self._places[-1] else f"{place.name} (rotated)"
        return Evidence(e.kind, f"{shown}:{int(number) - place.first + place.number}", e.witness, e.fields)


_ANSWER = 'INFO:     127.0.0.1:0 - "POST /login HTTP/1.1" 200 OK'
"""An answer to a request that is no generation."""


def _names(attempt: backend_log.Attempt) -> set[tuple[str, int]]:
    """What an attempt is known again by, when the log is read again with what is new."""
    first = ("first", attempt.first)
    return {first} if attempt.path is None else {first, ("answer", attempt.last)}


def _stamp(attempt: backend_log.Attempt) -> tuple[object, ...]:
    return len(attempt.evidence), attempt.status, attempt.path


def _bare(attempt: backend_log.Attempt) -> bool:
    """Whether a request was answered well and nothing else was told: the work can follow the answer."""
    only = ("request.access", "request.received", "prompt")
    good = attempt.status is not None and attempt.status < 300
    return good and all(e.kind in only for e in attempt.evidence)


def _final(attempt: backend_log.Attempt) -> bool:
    """Whether the picture, or fal's last word on it, was told."""
    made = any(e.kind == "fal.call" and e["final"] and (e["status"] or 500) < 300 for e in attempt.evidence)
    return attempt.done or made or attempt.has("fal.result", "fal.empty")


# --- the prompt log -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """An entry that is new, and when it was seen."""

    entry: prompt_log.Entry
    log: prompt_log.PromptLog
    """The file it was read from, without its other entries."""
    at: float

    @property
    def after_the_fact(self) -> bool:
        """Whether it was written when the generation had ended, and not before the call."""
        return prompt_log.era(self.entry.value) == "own"


class EntryFollower:
    """The new entries of a prompt log, whatever is done to the file: appended to, rewritten, moved into place, cut.

    A list that slides is laid over the one before: what follows the longest part they share is new. Where they share
    nothing, what was never seen is new. A file that is found half written is looked at again.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self.path, self.name = path, path.name
        self.state = _State(path, say)
        self.unsettled = False
        """Whether the file was found half written."""
        self._known: tuple[int, ...] = ()
        self._gone = 0
        """The number of the file that stood here before."""
        self._since = 0.0
        self._list: list[bytes] = []
        """The newest entries as they stood in the file."""
        self._whole = True
        self._seen: dict[bytes, None] = {}
        self._skipping = False

    def skip(self, now: float) -> None:
        """Begin at the end: the entries that are there are not told."""
        self._skipping = True
        self.poll(now)
        # the first look at a whole file is the beginning; an empty one is the beginning too
        self._skipping = self.unsettled and self._known[2:3] != (0,)

    def poll(self, now: float) -> list[Saved]:
        """The entries that are new, oldest first."""
        try:
            there = self.path.stat()
            known = (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns)
            if known == self._known and not self.unsettled:
                return []
            if known != self._known:
                self._gone = self._known[1] if self._known and self._known[1] != known[1] else self._gone
                self._known, self._since = known, now
            self.state.fine()
            return self._look(now)
        except OSError as error:
            self._known = ()
            self.state.trouble(error)
            return []

    def _look(self, now: float) -> list[Saved]:
        count = NEWEST if not self._list else 50
        while True:
            log = prompt_log.read_newest(self.path, count)
            if log.whole or len(log.entries) < count or count >= REMEMBERED or self._shared(log) or not self._list:
                break
            count *= 8
        # a list can be empty, and the last of JSON Lines can be under way, and all is well
        kinds = ("truncated", "corrupt") if log.form != "none" else ("empty", "truncated", "corrupt")
        fault = next((f for f in log.faults if f.kind in kinds and log.form != "json_lines"), None)
        self.unsettled = fault is not None and now - self._since < SETTLE
        if self.unsettled:
            return []
        if fault is not None and fault.kind != "empty":
            self.state.once(fault.message)
        if not log.whole and not self._list and not self._skipping:
            self.state.once(f"only its newest {len(log.entries):,} entries are shown")
        new = self._from_renamed(log, now) + self._new(log, now)
        skipped, self._skipping = self._skipping, False
        return [] if skipped else new

    def _from_renamed(self, log: prompt_log.PromptLog, now: float) -> list[Saved]:
        """The last entries of a file that was renamed; one that was rewritten goes on in the file that took its place."""
        gone, self._gone = self._gone, 0
        if not gone or self._shared(log):
            return []
        with os.scandir(self.path.parent) as beside:
            renamed = next((e.path for e in beside if e.inode() == gone and e.name != self.name), None)
        old = prompt_log.read_newest(renamed, NEWEST) if renamed is not None else prompt_log.PromptLog()
        return self._new(old, now) if self._shared(old) else []

    def _new(self, log: prompt_log.PromptLog, now: float) -> list[Saved]:
        entries = [e for e in log.entries if prompt_log.looks_like_entry(e.value)]
        marks = [_mark(e.value) for e in entries]
        shared = self._overlap(marks, log.whole)
        if shared:
            fresh = list(zip(entries, marks, strict=True))[shared:]
            self._list, self._whole = marks[-REMEMBERED:], log.whole and len(marks) <= REMEMBERED
        else:
            fresh = [(e, mark) for e, mark in zip(entries, marks, strict=True) if mark not in self._seen]
            self._list = (self._list + [mark for _, mark in fresh])[-REMEMBERED:]
            self._whole = self._whole and log.whole
        self._seen |= dict.fromkeys(marks)
        while len(self._seen) > 2 * REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return [Saved(e, log._replace(entries=(e,)), now) for e, _ in fresh]

    def _shared(self, log: prompt_log.PromptLog) -> int:
        return self._overlap([_mark(e.value) for e in log.entries if prompt_log.looks_like_entry(e.value)], log.whole)

    def _overlap(self, marks: Sequence[bytes], whole: bool) -> int:
        """How many entries of a list stood at the end of the one before."""
        known = self._list
        whole = whole and self._whole
        for end in range(min(len(marks), len(known)) if whole else len(marks), 0, -1):
            length = min(end, len(known))
            if known and marks[end - 1] == known[-1] and list(marks[end - length : end]) == known[-length:]:
                return end
        return 0


def _mark(value: object) -> bytes:
    """What an entry is known again by."""
    try:
        told = json.dumps(value, sort_keys=True, default=str)
    except (ValueError, TypeError, RecursionError):
        told = str([(key, str(inner)[:200]) for key, inner in value.items()]) if isinstance(value, dict) else ""
    return hashlib.blake2b(told.encode(), digest_size=16).digest()


# --- both together ------------------------------------------------------------------------------------------------------

Row = tuple[backend_log.Attempt | None, Saved | None]


@dataclass
class _Waiting:
    """What is not yet told, or was told and can still turn up in the other file."""

    attempts: list[tuple[backend_log.Attempt, float]] = field(default_factory=list)
    entries: list[Saved] = field(default_factory=list)
    told_alone: deque[tuple[backend_log.Attempt, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Attempts that were told without an entry: one that comes late is of the same generation."""
    told_entries: deque[tuple[Saved, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Entries that were told without an attempt: a log can be written late."""


class Watch:
    """The generations that end while somebody watches, each once."""

    def __init__(self, profile: Profile, prompts: Path | None, log: Path | None, say: Say) -> None:
        self.profile = profile
        self.prompts = EntryFollower(prompts, say) if prompts is not None else None
        self.log = LogFollower(log, say) if log is not None else None
        self._waiting = _Waiting()
        self._began: float | None = None
        """When what was there already was read; it waits for nothing."""
        self._skipped = False

    def skip(self, now: float) -> None:
        """Leave out what has ended before now."""
        self._skipped = True
        if self.prompts is not None:
            self.prompts.skip(now)
        if self.log is not None:
            self.log.skip(now)

    def close(self) -> None:
        """Stop following."""
        if self.log is not None:
            self.log.tail.close()

    def poll(self, now: float) -> Iterator[Case]:
        """The cases of the generations that ended since the last time, oldest first."""
        waiting = self._waiting
        if self._began is None:
            self._began = -1.0 if self._skipped else now
        # before the log, to know how many of its newest attempts have an entry; after it, since an entry is saved
        # before its request is answered
        waiting.entries += self.prompts.poll(now) if self.prompts else []
        for ended, more in self.log.poll(now) if self.log else ():
            waiting.attempts += ((attempt, now) for attempt in ended)
            hold = 2 * len(waiting.entries) + 20 if self.prompts else 0
            while more and len(waiting.attempts) > hold:
                yield self._alone(waiting.attempts.pop(0)[0], now)
            if not self.prompts:
                yield from self._settled(now)
        waiting.entries += self.prompts.poll(now) if self.prompts else []
        yield from self._settled(now)

    def _settled(self, now: float) -> Iterator[Case]:
        """What can be told: nothing that is still to come would change it."""
        waiting = self._waiting
        if not waiting.attempts and not waiting.entries:
            return
        for told in (waiting.told_alone, waiting.told_entries):
            while told and now - told[0][1] > PATIENCE:
                told.popleft()
        ended = {id(attempt): at for attempt, at in waiting.attempts}
        late = {id(attempt) for attempt, _ in waiting.told_alone}
        before = {id(saved) for saved, _ in waiting.told_entries}
        rows = self._rows()
        joined = max(
            (n for n, (attempt, saved) in enumerate(rows) if attempt is not None and saved is not None), default=-1
        )
        holds = False
        for number, (attempt, saved) in enumerate(rows):
            pending = saved is not None and id(saved) not in before
            if attempt is not None and id(attempt) in ended:
                if holds:
                    continue
                if saved is not None:
                    self._drop(attempt, saved)
                    if pending:  # else the log tells late of what the entry told
                        yield self._case(attempt, saved)
                elif number < joined or self._needs_no_entry(attempt, ended[id(attempt)], now):
                    self._drop(attempt, None)
                    yield self._alone(attempt, now)
                else:
                    holds = True  # for a moment, so that they are told in their order
            elif saved is None or not pending:
                if attempt is not None and saved is not None and id(attempt) not in late and self.log is not None:
                    self._drop(None, saved)
                    self.log.take(attempt)
            elif attempt is not None and id(attempt) in late:
                self._drop(attempt, saved)
            elif self._stands_alone(attempt, saved, now):
                self._drop(None, saved)
                if attempt is not None and self.log is not None:
                    yield self._case(self.log.take(attempt), saved)
                    continue
                bare = self.log.answered_bare() if self.log is not None else None
                if bare is not None and self.log is not None:
                    self.log.take(bare)
                waiting.told_entries.append((saved, now))
                yield self._case(None, saved)

    def _rows(self) -> list[Row]:
        """Attempts beside their entries, oldest first, as the reader of whole files joins them."""
        waiting = self._waiting
        attempts = [attempt for attempt, _ in (*waiting.told_alone, *waiting.attempts)]
        attempts += self.log.open if self.log is not None else []
        saved = [*(saved for saved, _ in waiting.told_entries), *waiting.entries]
        if not attempts:
            return [(None, one) for one in saved]
        if not saved:
            return [(attempt, None) for attempt in attempts]
        owner = {id(e): attempt for attempt in attempts for e in attempt.evidence}
        newest_first = list(enumerate(saved))[::-1]
        bundle = Bundle(
            prompt_logs=[(str(number), one.log._replace(faults=())) for number, one in newest_first],
            logs=[backend_log.BackendLog(tuple(a for a in attempts if a.evidence), (), 0)],
        )
        rows: list[Row] = [(attempt, None) for attempt in attempts if not attempt.evidence]
        for case in normalise.cases(bundle, self.profile, every=True):
            entry = next((e for e in case.evidence if e.kind == "record.entry"), None)
            attempt = next((owner[id(e)] for e in case.evidence if id(e) in owner), None)
            rows.append((attempt, saved[int(entry.source.partition("#")[0])] if entry is not None else None))
        return rows

    def _needs_no_entry(self, attempt: backend_log.Attempt, since: float, now: float) -> bool:
        """Whether no entry is to be awaited for an attempt that has ended."""
        age = now - since
        if self.prompts is None or (since == self._began and not self.prompts.unsettled):
            return True
        chosen = attempt.saved or attempt.has("model", "fal.call", "payload")
        return (not chosen and not self.prompts.unsettled) or age >= SETTLE * (3 if self.prompts.unsettled else 1)

    def _stands_alone(self, attempt: backend_log.Attempt | None, saved: Saved, now: float) -> bool:
        """Whether nothing more is to be awaited from the log for an entry."""
        age = now - saved.at
        if self.log is None:
            return True
        if attempt is not None:  # the log tells of its end, or never will
            return self.log.quiet(now) and age >= SETTLE and (saved.after_the_fact or self.log.ends_unsaid(attempt))
        if not saved.after_the_fact and any(self.log.under_way(a) for a in self.log.open):
            return age >= PATIENCE
        if saved.at == self._began:
            return True
        return age >= SETTLE and (self.log.quiet(now) or age >= HANDOVER)

    def _drop(self, attempt: backend_log.Attempt | None, saved: Saved | None) -> None:
        waiting = self._waiting
        waiting.attempts = [(a, at) for a, at in waiting.attempts if a is not attempt]
        waiting.entries = [one for one in waiting.entries if one is not saved]
        for told in (waiting.told_alone, waiting.told_entries):  # each is recognised once
            for pair in [p for p in told if p[0] is attempt or p[0] is saved]:
                told.remove(pair)  # type: ignore[arg-type]

    def _alone(self, attempt: backend_log.Attempt, now: float) -> Case:
        self._waiting.told_alone.append((attempt, now))
        return self._case(attempt, None)

    def _case(self, attempt: backend_log.Attempt | None, saved: Saved | None) -> Case:
        bundle = Bundle()
        if attempt is not None and self.log is not None:
            bundle.logs.append(backend_log.BackendLog((attempt,), tuple(self.log.common), len(attempt.evidence)))
            bundle.given.add("backend_log")
        if saved is not None and self.prompts is not None:
            bundle.prompt_logs.append((self.prompts.name, saved.log))
            bundle.given.add("prompt_log")
        return normalise.cases(bundle, self.profile)[0]


def followable(path: Path) -> Path:
    """A path that can be followed: a file, or one that does not exist yet. Raises NothingReadable."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except FileNotFoundError:
        return path
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else None
        raise NothingReadable(f"'{str(path)[:200]}': {said or error}") from None
    if stat.S_ISDIR(mode):
        raise NothingReadable(f"'{path}': is a folder where a file was expected")
    if not stat.S_ISREG(mode):
        raise NothingReadable(f"'{path}': is not a file that grows; pipe it into a file, and watch that")
    return path
