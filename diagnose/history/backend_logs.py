"""Reads every attempt of a backend's log of any size, at the speed of a search.

What a log tells of an attempt depends on the shape of its lines, and there are few shapes. So the lines of a stretch are
folded to shapes, and followed through a table of moves from state to state, as a regular expression would be: a state
stands for all that the reader of logs knows after these lines, its first one for "nothing is open". Where no move is
known, the reader itself (`backend_log`) reads these lines once, and its states become moves. A stretch in which a line
is read otherwise than by itself (another encoding, folded columns) goes through the reader as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, BinaryIO, NamedTuple

from diagnose.collect import attempts, backend_log, lines, long_log
from diagnose.collect.text import decode
from diagnose.history.log_shapes import NOISE, PASSING, ZEROED, Lines, Values, bare, key_of, undated
from diagnose.model import Evidence

MOST_STATES = 60_000
"""States that are kept; where there are more, the table begins anew."""
LONGEST = 4_000
"""Lines of an attempt whose shape is kept."""
MOST_COMMON = 20
"""Pieces of evidence of one kind that are kept of what is true of the whole log."""

_OPEN = 0
"""The state in which nothing is open."""
_GAP, _TWICE, _END = -2, -3, -4
"""Moves that are no line: lines were passed over; the line is the one before it again; the stretch ends."""
_HELD = 1 << 40
"""Added to a line behind which one stands that can belong to it: what it comes to is not known yet."""
_LINE_END = re.compile(rb"\r\n?|\n")
_ISO = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|UTC|[+-]\d\d:?\d\d))?")


class Attempt(NamedTuple):
    """One request for a picture."""

    key: bytes
    """Equal for attempts of which the log tells the same, in every process."""
    evidence: tuple[Evidence, ...]
    """What the log tells of it, or of the first attempt of its shape: ids, sizes, times and prompts are that one's."""
    time: str | None
    """As its first line says, with a `T` and a point; None where that has no date."""
    byte: int
    """Of its first line."""


class Read(NamedTuple):
    """A range of a log, being read."""

    attempts: Iterator[Attempt]
    """Oldest first."""
    common: list[Evidence]
    """What is true of the whole log, as it is met; complete when the attempts are at their end."""
    stopped: int | None
    """Where the next range has to begin; None: nothing is left."""


def read(file: BinaryIO, start: int = 0, end: int | None = None, *, each: bool = False) -> Read:
    """The attempts of a range of a log. Those of ranges that follow each other are the attempts of the whole.

    A range holds the stretches (`long_log.stretches`) whose first sign of a picture lies in it, and reads past its end
    to the end of the last. With `each`, every attempt has its own evidence: slower. Raises what the file raises.
    """
    common: list[Evidence] = []
    return Read(_attempts(file, start, end, each, common), common, end)


def _attempts(file: BinaryIO, start: int, end: int | None, each: bool, common: list[Evidence]) -> Iterator[Attempt]:
    table = _table()
    for stretch in long_log.stretches(file, start, end):
        found = None if each else table.read(stretch, common)
        yield from _exact(stretch, common, table.lines) if found is None else found


def _exact(stretch: long_log.Stretch, common: list[Evidence], shapes: Lines) -> list[Attempt]:
    """The attempts of a stretch as the reader reads it."""
    log = backend_log.read(decode(stretch.data).text, f"@{stretch.start}")
    _keep(common, log.common)
    ends = (match.end() for match in _LINE_END.finditer(stretch.data))
    places = list(accumulate((0, *ends), lambda _, end: end))
    return [
        Attempt(
            key_of(one.evidence, shapes),
            tuple(one.evidence),
            _time(one.time),
            stretch.start + places[min(max(one.first, 1), len(places)) - 1],
        )
        for one in log.attempts
    ]


def _keep(common: list[Evidence], more: Sequence[Evidence]) -> None:
    for one in more:
        if sum(known.kind == one.kind for known in common) < MOST_COMMON:
            common.append(one)


def _time(written: str | None) -> str | None:
    match = _ISO.fullmatch(written) if written else None
    if match is None:
        return None
    year, month, day, clock, fraction, zone = match.groups()
    part = f".{fraction}" if fraction else ""
    return f"{year}-{month}-{day}T{clock}{part}{'Z' if zone == 'UTC' else zone or ''}"


@lru_cache(maxsize=1)
def _table() -> _Table:
    """One for each process: it remembers the shapes it has met."""
    return _Table()


# --- the table of moves -----------------------------------------------------------------------------------------------


class _One(NamedTuple):
    """An attempt as its shape tells of it."""

    key: bytes
    evidence: tuple[Evidence, ...]
    step: int
    """Which of the lines that were followed is its first; before it is kept, which line of the stretch."""
    dated: bool
    """Its time is its first line's."""


class _Closed(NamedTuple):
    """How an attempt ended: what shows whether another access line is of it."""

    path: str
    status: int
    step: int


class _Outcome(NamedTuple):
    """What is known once nothing is open."""

    attempts: tuple[_One, ...]
    common: tuple[Evidence, ...]
    closed: _Closed | None
    quiet: bool | None
    """Nothing was told since the last attempt ended; None: nothing was told at all."""


class _Point(NamedTuple):
    """What the reader knows after a line."""

    idle: int
    """Open attempts that a reading request's access line would end; -1: every line counts."""
    outcome: _Outcome | None
    """Where nothing is open."""
    silent: bool = False
    """Nothing open, and nothing told."""
    held: tuple[object, ...] | None = None
    """What is open; where it is the same after two lines, the reader is where it was. None: within what spans lines."""


_WITHIN = _Point(-1, None)


class _Stretch(NamedTuple):
    """A stretch, taken apart."""

    start: int
    lines: list[bytes]
    width: int
    """Bytes of a line end."""

    def places(self) -> list[int]:
        """Where each line begins."""
        return list(accumulate((len(line) + self.width for line in self.lines), initial=self.start))


class _Odd(Exception):
    """Of these lines no shape can be kept, or the reader ends an attempt elsewhere."""


class _Table:
    """The shapes that were met, and the moves from each to the next."""

    def __init__(self) -> None:
        self.lines = Lines()
        self.moves: dict[tuple[int, int], int] = {}
        self.idle = [0]
        self.outcomes: list[_Outcome | None] = [None]
        self.steps = [0]
        self.values = [0]

    def read(self, stretch: long_log.Stretch, common: list[Evidence]) -> list[Attempt] | None:
        """The attempts of a stretch; None where it has to be read as it stands."""
        if self.lines.full or len(self.idle) > MOST_STATES:
            self.__init__()  # type: ignore[misc]
        data, width = stretch.data, 1
        if b"\r" in data:
            if data.count(b"\r\n") != data.count(b"\r") or data.count(b"\n") != data.count(b"\r"):
                return None
            data, width = data.replace(b"\r\n", b"\n"), 2
        if b"\0" in data or data.startswith(b"\xef\xbb\xbf") or _may_be_a_document(data):
            return None
        taken = _Stretch(stretch.start, data.split(b"\n"), width)
        zeroed = data.translate(ZEROED).split(b"\n")
        if not taken.lines[-1]:
            del taken.lines[-1], zeroed[-1]
        told: list[Evidence] = []
        try:
            found = _Walk(self, taken, zeroed, told).attempts()
        except _Odd:
            return None
        if found is not None:
            _keep(common, told)
        return found

    def move(self, state: int, token: int) -> int | None:
        """The state that a move leads to; None where it was never made."""
        return self.moves.get((state, token))

    def add(self, state: int, token: int, point: _Point, steps: int, values: int) -> int:
        """A new state, to which a move leads. Before it there were so many steps and values."""
        new = len(self.idle)
        self.idle.append(point.idle)
        self.outcomes.append(point.outcome)
        self.steps.append(steps)
        self.values.append(values)
        self.moves[state, token] = new
        return new


def _may_be_a_document(data: bytes) -> bool:
    head = data[:100].lstrip()[:1]
    return head in (b"{", b"[") and backend_log.is_document(decode(data).text)


class _Walk:
    """Follows the lines of one stretch."""

    def __init__(self, table: _Table, stretch: _Stretch, zeroed: list[bytes], common: list[Evidence]) -> None:
        self._table, self._stretch, self._zeroed, self._common = table, stretch, zeroed, common
        self._values = Values()
        self._ahead = -1, NOISE  # the line that was looked at last, and its number
        self._steps: list[int] = []  # the lines that were followed since nothing was open,
        self._states: list[int] = []  # and the states they led to
        self._learnt: dict[int, _Point] | None = None
        self._found: list[Attempt] = []
        self._places: list[int] | None = None
        self._closed: tuple[str, int, int] | None = None  # path, status and line of the last attempt's end
        self._quiet = True

    def attempts(self) -> list[Attempt] | None:
        """The attempts; None where a line is read otherwise than by itself, or none can end an attempt."""
        table, lines_, zeroed, facts = self._table, self._stretch.lines, self._zeroed, self._table.lines.facts
        if not self._has_ends():
            return None
        moves, idle, outcomes, depth = table.moves, table.idle, table.outcomes, table.steps
        steps, known = self._steps, table.lines.zeroed
        state, last, before = _OPEN, -1, NOISE
        for at, zero in enumerate(zeroed):
            token = known.get(zero)
            if token is None or token == PASSING:
                if token == PASSING and state == _OPEN and not self._leans(at + 1, False):
                    self._quiet = True
                    continue
                token = self._token(at)
                if token != NOISE and facts[token].odd:
                    return None
            if token == NOISE:
                if idle[state] == 0:
                    continue
            elif facts[token].inert and idle[state] >= 0 and not self._leans(at + 1, facts[token].bare):
                continue
            elif state == _OPEN:
                if self._again(facts[token].access, at):
                    self._back(_OPEN)
                    continue
            elif at - last > 1:
                if facts[token].leans or facts[token].bare or token == before:
                    state = self._aside(state, _GAP)
            elif token == before and undated(lines_[at], zero) == undated(lines_[last], zeroed[last]):
                state = self._aside(state, _TWICE)
            steps.append(at)
            new = moves.get((state, token))
            if new is None or outcomes[new] is not None or depth[new] < len(steps):
                new = self._turn(state, token, at, new)
                if depth[new] < len(steps):  # the reader is where it was
                    self._back(new)
                    state, last, before = new, at, token
                    continue
                outcome = outcomes[new]
                if outcome is not None:
                    self._take(outcome)
                    state, last, before = _OPEN, at, token
                    continue
            self._states.append(new)
            state, last, before = new, at, token
        if state != _OPEN:
            self._end(state)
        return self._found

    def _token(self, at: int) -> int:
        """The number of a line whose digits count."""
        if self._ahead[0] != at:
            self._ahead = at, self._table.lines.token(self._stretch.lines[at], self._zeroed[at], self._values)
        return self._ahead[1]

    def _turn(self, state: int, token: int, at: int, known: int | None) -> int:
        """The state after a line that is new here, or that ends something: unless the next line can belong to it."""
        values = len(self._values.known)
        if not self._leans(at + 1, token != NOISE and self._table.lines.facts[token].bare):
            return self._learn(state, token, at, values) if known is None else known
        held = self._table.move(state, token + _HELD)
        return self._learn(state, token + _HELD, at, values) if held is None else held

    def _aside(self, state: int, token: int) -> int:
        new = self._table.move(state, token)
        if new is not None:
            return new
        return self._table.add(state, token, _WITHIN, len(self._steps), len(self._values.known))

    def _back(self, state: int) -> None:
        """Forget what was followed since this state."""
        del self._steps[self._table.steps[state] :]
        del self._states[self._table.steps[state] :]
        del self._values.known[self._table.values[state] :]
        self._ahead = -1, NOISE
        if state == _OPEN:
            self._learnt = None

    def _leans(self, at: int, bare: bool) -> bool:
        """Whether what stands before this line, which is bare or not, can be read otherwise for it."""
        if at >= len(self._zeroed):
            return False
        token = self._table.lines.zeroed.get(self._zeroed[at])
        token = self._token(at) if token is None or token == PASSING else token
        if token == NOISE:
            return False
        fact = self._table.lines.facts[token]
        return fact.leans or (bare and fact.bare)

    def _has_ends(self) -> bool:
        """Whether an access line of a request that did something stands in the stretch."""
        values = Values()
        for line, zero in zip(reversed(self._stretch.lines), reversed(self._zeroed), strict=True):
            if b"POST" in line or b"PUT" in line or b"Task " in line:
                values.known.clear()
                token = self._table.lines.token(line, zero, values)
                if (b'"POST /' in line) if token == NOISE else self._table.lines.facts[token].ends:
                    return True
        return False

    def _again(self, access: tuple[str, int] | None, at: int) -> bool:
        """Whether an access line repeats the one that ended the last attempt."""
        if access is None or not self._quiet or self._closed is None or self._closed[:2] != access:
            return False
        one, other = (lines.record(1, self._stretch.lines[n].decode("utf-8", "replace")) for n in (at, self._closed[2]))
        return attempts.same_access(one.message, other.message)

    def _learn(self, state: int, token: int, at: int, values: int) -> int:
        """A move that is new: to a state the reader was in before, where it knows nothing more, or to a new one."""
        table = self._table
        if self._learnt is None:
            name = f"@{self._stretch.start}"
            self._learnt = _learnt(self._stretch.lines, name, self._steps[0], table.lines)
        if at > max(self._learnt):
            raise _Odd
        point = self._learnt.get(at, _WITHIN)
        if token >= _HELD:
            point = _WITHIN
        elif point.silent and state == _OPEN:
            table.moves[state, token] = _OPEN
            return _OPEN
        elif point.held is not None:
            for line, earlier in zip(self._steps, self._states, strict=False):
                known = self._learnt.get(line)
                if known is not None and known.held == point.held and table.outcomes[earlier] is None:
                    table.moves[state, token] = earlier
                    return earlier
        if point.outcome is not None:
            point = point._replace(outcome=self._in_steps(point.outcome))
        return table.add(state, token, point, len(self._steps), values)

    def _in_steps(self, outcome: _Outcome) -> _Outcome:
        """The lines an outcome names, as steps. Raises _Odd where one of them was passed over."""
        steps = {line: step for step, line in enumerate(self._steps)}
        try:
            found = tuple(one._replace(step=steps[one.step]) for one in outcome.attempts)
            closed = outcome.closed and outcome.closed._replace(step=steps[outcome.closed.step])
        except KeyError:
            raise _Odd from None
        return outcome._replace(attempts=found, closed=closed)

    def _end(self, state: int) -> None:
        new = self._table.move(state, _END)
        if new is None:
            new = self._learn(state, _END, len(self._stretch.lines), 0)
        outcome = self._table.outcomes[new]
        if outcome is not None:
            self._take(outcome)

    def _take(self, outcome: _Outcome) -> None:
        """Give out the attempts that are at their end."""
        self._common += outcome.common
        if outcome.attempts and self._places is None:
            self._places = self._stretch.places()
        for one in outcome.attempts:
            line = self._steps[one.step]
            text = self._stretch.lines[line].decode("utf-8", "replace")
            assert self._places is not None
            time = _time(lines.record(1, text).time) if one.dated else None
            self._found.append(Attempt(one.key, one.evidence, time, self._places[line]))
        if outcome.closed is not None:
            self._closed = (outcome.closed.path, outcome.closed.status, self._steps[outcome.closed.step])
        if outcome.quiet is not None:
            self._quiet = outcome.quiet
        self._back(_OPEN)


# --- learning ---------------------------------------------------------------------------------------------------------


class _Records(Sequence[lines.Line]):
    """The records of a stretch from a line on, made when they are asked for."""

    def __init__(self, stretch: list[bytes], begun: int) -> None:
        self._lines, self._begun = stretch, begun
        self._made: dict[int, lines.Line] = {}

    def __len__(self) -> int:
        return len(self._lines) - self._begun

    def __getitem__(self, index: Any) -> Any:
        at = self._begun + index
        made = self._made.get(at)
        if made is None:
            if len(self._made) > LONGEST:
                self._made.clear()
            made = self._made[at] = lines.record(at + 1, self._lines[at].decode("utf-8", "replace"))
        return made


def _learnt(stretch: list[bytes], name: str, begun: int, shapes: Lines) -> dict[int, _Point]:
    """What the reader knows after each line, from where nothing is open until nothing is open again. Raises _Odd."""
    records = _Records(stretch, begun)
    grouping = attempts.Grouping(has_access=True)
    points: dict[int, _Point] = {}
    told = recognised = 0
    last = begun

    def watched() -> Iterator[backend_log.Told]:
        nonlocal last
        for one in backend_log.told(records, name):
            last = one.last
            yield one

    met: list[attempts.Attempt] = []  # kept, so that no other takes the place of one that is gone
    for told in backend_log.grouped(watched(), grouping):
        recognised += told
        met += [one for one in grouping.open if not any(one is known for known in met)]
        newest = grouping.closed[-1] if grouping.closed else None
        raising = newest is not None and newest.status == 500 and grouping.idle and last - newest.last < 2
        ended = not grouping.open and not raising and (newest is None or attempts.settled(newest))
        if ended and not _more(records, last - begun):
            points[last - 1] = _Point(0, _outcome(grouping, records, begun, shapes), recognised == 0)
            return points
        idle = -1 if raising else sum(not one.about_a_picture for one in grouping.open)
        points[last - 1] = _Point(idle, None, held=None if raising else _held(grouping))
        if last - begun > LONGEST:
            raise _Odd
    points[len(stretch)] = _Point(0, _outcome(grouping, records, begun, shapes))
    return points


def _more(records: _Records, index: int) -> bool:
    """Whether a record can belong to what stands before it."""
    if index >= len(records):
        return False
    return backend_log.goes_on(records[index].message) or (bare(records[index - 1]) and bare(records[index]))


def _held(grouping: attempts.Grouping) -> tuple[object, ...]:
    """All that decides what the reader makes of the next line; what it left out as ambiguous does not."""
    newest = grouping.closed[-1] if grouping.closed else None
    current = id(grouping.current) if len(grouping.open) > 1 and grouping.current in grouping.open else None
    open_ = tuple((id(one), len(one.evidence)) for one in grouping.open)
    ended = (len(grouping.closed), len(newest.evidence) if newest is not None else 0, len(grouping.common))
    return open_, current, ended, grouping.idle


def _outcome(grouping: attempts.Grouping, records: _Records, begun: int, shapes: Lines) -> _Outcome:
    newest = grouping.closed[-1] if grouping.closed else None
    closed = None
    if newest is not None:  # one that no access line ended is like none
        closed = (
            _Closed("", 0, begun)
            if newest.status is None
            else _Closed(newest.path or "", newest.status, newest.last - 1)
        )
    found = []
    for one in grouping.finish():
        if one.time != records[one.first - 1 - begun].time:
            raise _Odd
        evidence = tuple(one.evidence)
        found.append(_One(key_of(evidence, shapes), evidence, one.first - 1, one.time is not None))
    return _Outcome(tuple(found), tuple(grouping.common), closed, grouping.idle)
