"""Follows a backend's log: makes attempts of its lines, and says when each has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from diagnose.collect import backend_log
from diagnose.model import Evidence
from diagnose.watch.tail import RECENT, SETTLE, Piece, Say, Tail

HANDOVER = 5.0
"""Seconds in which a request that stored the picture is followed by the one that uses it."""
PATIENCE = 120.0
"""Seconds after which a generation that never ended is told with what is known."""

AROUND = 200
"""Lines that stay in view behind the newest: what a line means can depend on those before it."""
MAX_LINES = 4000
"""Lines that one generation may span before it is told with what is known."""


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
