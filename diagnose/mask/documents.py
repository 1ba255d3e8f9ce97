"""Whole files: what is masked in them, line by line, through every dress, and what still stands in a finished one.

Both questions have one answer, a list of hits: a document is masked until there are none, and survivors are what is left.
A *view* of a line is what a reader sees who undoes its escapes; each place in a view leads back to its place in the line.
"""

from __future__ import annotations

import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from diagnose.mask import Masked, Masking, Survivor
from diagnose.mask.rules import RULES, Rule, worth_trying
from diagnose.mask.spread import Spread, near, spread
from diagnose.mask.strings import KNOWN, data_pseudonym, note, pseudonym, sure
from diagnose.mask.traces import Traces

_LINE_ENDS = re.compile("(\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])")
_DEEPEST = 4
"""Escapes in escapes that are undone."""
_ROUNDS = 6
"""Times that a line is masked anew because of what masking made of it; then the whole line goes."""
_HUGE = 1 << 20
"""Characters of a line that goes sooner."""
_MOST_HITS = 1 << 14
"""Secrets in a line with which it goes at once."""
_OFTEN = 512
"""Characters of a line that can come again."""
_MOST_KNOWN = 1 << 21
"""Characters of secrets of one text that are looked for elsewhere in it."""


class _Hit(NamedTuple):
    kind: str
    shown: str
    """What stands for it."""
    secret: str
    pieces: tuple[tuple[int, int], ...]
    """Where it stands: from, to."""


# --- by form, in one line ------------------------------------------------------------------------------------------------

_OPEN, _COLON = (
    r"(?:<|&lt;|&#0{0,4}60;|&#x0{0,4}3c;|\\{1,16}(?:u00|x)3c|%(?:25){0,4}3c)",
    r"(?::|&#58;|&colon;|%(?:25){0,4}3a)",
)
_CLOSE, _SPACE = r"(?:>|&gt;|&#0{0,4}62;|&#x0{0,4}3e;|\\{1,16}(?:u00|x)3e|%(?:25){0,4}3e)", r"(?: |\+|%(?:25){0,4}20)"
_KINDS = "|".join(sorted({rule.kind for rule in RULES}))
_PSEUDONYM = re.compile(
    rf"(?i){_OPEN}(?:(?:{_KINDS}|masked){_COLON}[0-9a-f]{{6}}"
    rf"|data(?:{_SPACE}[a-z]{{1,12}}(?:/|%2f)[a-z0-9.+-]{{1,12}})?(?:,|%2c){_SPACE}\d{{1,10}}{_SPACE}characters){_CLOSE}"
)
_IN_A_NAME = re.compile(rf"_(?:{_KINDS}|masked)_[0-9a-f]{{6}}_")
"""A pseudonym in a file's name, which can hold no `<`."""


@cache
def _pattern(number: int) -> re.Pattern[str]:
    return re.compile(RULES[number].pattern)


def _spans(line: str, *, blobs: bool = True) -> list[_Hit]:
    """The secrets in a line as it stands; what a former masking left is none."""
    if len(line) < 6:
        return []
    work = _without_pseudonyms(line)
    hits: list[_Hit] = []
    for number in worth_trying(work, blobs=blobs):
        rule = RULES[number]
        found = [hit for at in _pattern(number).finditer(work) if (hit := _hit(rule, at, line)) is not None]
        if found:
            work = _blanked(work, [hit.pieces[0] for hit in found])
            hits += found
    return hits


def _hit(rule: Rule, found: re.Match[str], line: str) -> _Hit | None:
    start, end = found.span("s" if "s" in found.re.groupindex else 0)
    secret = found.string[start:end]
    if not secret.strip("<") or not rule.holds(secret):
        return None
    secret = line[start:end]
    if rule.kind == "data":
        shown = data_pseudonym(found.groupdict().get("type"), len(secret))
        return _Hit("data", shown, secret, ((found.start() if "type" in found.re.groupindex else start, end),))
    return _Hit(rule.kind, pseudonym(rule.kind, secret), secret, ((start, end),))


def _without_pseudonyms(line: str) -> str:
    if "<" in line or "&" in line or "%" in line or "\\" in line:
        line = _PSEUDONYM.sub(lambda found: "<" * len(found[0]), line)
    if "_" in line and len(line) < _OFTEN:
        line = _IN_A_NAME.sub(lambda found: "<" * len(found[0]), line)
    return line


def _blanked(line: str, places: Iterable[tuple[int, int]]) -> str:
    made: list[str] = []
    at = 0
    for start, end in places:
        made += (line[at:start], "<" * (end - start))
        at = end
    return "".join((*made, line[at:]))


# --- views ---------------------------------------------------------------------------------------------------------------

_ESCAPE = re.compile(
    r"\\+(?:u00(?P<u>[0-7][0-9A-Fa-f])|x(?P<x>[0-7][0-9A-Fa-f])|(?P<short>[\"'/nrt]))|(?P<slashes>\\\\+)"
    r"|%(?:25)*(?P<percent>[0-7][0-9A-Fa-f])|(?P<colour>\x1b\[[0-9;]{0,24}m)"
    r"|&(?:amp;)*(?:#0{0,4}(?P<decimal>\d{2,3})|#[xX]0{0,4}(?P<hex>[0-7][0-9A-Fa-f])|(?P<name>quot|apos|amp|lt|gt|colon|equals|sol|period|lowbar|num|nbsp));"
)
_SHORT = {"n": "\n", "r": "\n", "t": "\t"}
_NAMES = {"quot": '"', "apos": "'", "amp": "&", "lt": "<", "gt": ">", "colon": ":", "equals": "=", "sol": "/",
          "period": ".", "lowbar": "_", "num": "#", "nbsp": " "}  # fmt: skip


def _character(found: re.Match[str]) -> str:
    code = found["u"] or found["x"] or found["percent"] or found["hex"]
    if code:
        return chr(int(code, 16))
    if found["short"]:
        return _SHORT.get(found["short"], found["short"])
    if found["slashes"]:
        return "\\"
    if found["colour"]:
        return " "
    return chr(int(found["decimal"])) if found["decimal"] else _NAMES[found["name"]]


def undone(line: str) -> str:
    """The line with its escapes undone once, runs of escaped escapes included."""
    dressed = "\\" in line or "%" in line or "&" in line or "\x1b" in line
    return _ESCAPE.sub(_character, line) if dressed else line


def _back(line: str) -> Callable[[int, int], tuple[int, int]]:
    """From places in a view to places in the line."""
    view, origin = [0], [0]
    at = last = 0
    for found in _ESCAPE.finditer(line):
        at += found.start() - last
        view += (at, at + 1)
        origin += (found.start(), found.end())
        at, last = at + 1, found.end()

    def place(start: int, end: int) -> tuple[int, int]:
        first, final = bisect_right(view, start) - 1, bisect_right(view, end - 1) - 1
        begin = origin[first] + (0 if first % 2 else start - view[first])
        stop = origin[final + 1] if final % 2 else origin[final] + end - view[final]
        return begin, stop

    return place


def _deep(line: str, blobs: bool = True) -> Sequence[_Hit]:
    """The secrets in a line and in its views, where they stand in the line."""
    if len(line) < 6:
        return ()
    return _often(line, blobs) if len(line) < _OFTEN else _looked_through(line, blobs)


def _looked_through(line: str, blobs: bool) -> Sequence[_Hit]:
    hits = [*_spans(line, blobs=blobs), *_in_base64(line)]
    below, levels = line, [line]
    for _ in range(_DEEPEST):
        view = undone(below)
        if view == below:
            break
        found = [*_in_view(view), *_in_base64(view)]
        if found:
            hits += _led_back(found, levels)
        levels.append(view)
        below = view
    return hits


_often = lru_cache(maxsize=8192)(_looked_through)  # logs say the same again and again


def _in_view(view: str) -> list[_Hit]:
    if not _LINE_ENDS.search(view):
        return _spans(view)
    lines = re.split(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", view)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    hits = [
        _Hit(hit.kind, hit.shown, hit.secret, tuple((starts[n] + s, starts[n] + e) for n, s, e in hit.pieces))
        for hit in _across(lines, range(len(lines)))
    ]
    for number, line in enumerate(lines):
        start = starts[number]
        hits += [h._replace(pieces=tuple((start + s, start + e) for s, e in h.pieces)) for h in _spans(line)]
    return hits


def _led_back(hits: list[_Hit], levels: Sequence[str]) -> list[_Hit]:
    for level in reversed(levels):
        place = _back(level)
        hits = [hit._replace(pieces=tuple(place(*piece) for piece in hit.pieces)) for hit in hits]
    return hits


_TOKEN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}")
_PRINTED = bytes(range(32, 127)) + b"\r\n\t"


def _in_base64(line: str) -> Iterator[_Hit]:
    """Tokens that hide a secret in base64."""
    for found in _TOKEN.finditer(line):
        token = found[0]
        if not _plain(token[:16]):
            continue
        inside = _plain(token)
        if inside and any(_spans(one) for one in inside.splitlines()):
            yield _Hit("key", pseudonym("key", token), token, (found.span(),))


def _plain(token: str) -> str | None:
    """What base64 hides, if it is plain text."""
    token = token.rstrip("=").replace("-", "+").replace("_", "/")
    token = token[:-1] if len(token) % 4 == 1 else token
    try:
        data = binascii.a2b_base64(token + "=" * (-len(token) % 4))
    except binascii.Error:
        return None
    return None if data.translate(None, _PRINTED) else data.decode("ascii")


# --- over lines ----------------------------------------------------------------------------------------------------------


class _Across(NamedTuple):
    kind: str
    shown: str
    secret: str
    pieces: tuple[tuple[int, int, int], ...]
    """Line, from, to."""


def _across(lines: Sequence[str], starts: Iterable[int]) -> list[_Across]:
    """The secrets that stand in several of the lines and begin in one of `starts`."""
    hits: list[_Across] = []
    for one in spread(lines, starts):
        if one.kind:
            joined = "".join(lines[n][s:e] for n, s, e in one.pieces)
            shown = data_pseudonym(None, len(joined)) if one.kind == "data" else pseudonym(one.kind, joined)
            hits.append(_Across(one.kind, shown, joined, one.pieces))
        else:
            hits += _over_joints(one, lines)
    return hits


def _over_joints(one: Spread, lines: Sequence[str]) -> Iterator[_Across]:
    """Of the secrets in lines put together those that do not stand in the first alone."""
    at, begins, texts = 0, [], []
    for number, start, end in one.pieces:
        begins.append(at)
        texts.append(lines[number][start:end])
        at += end - start + len(one.between)
    joined = one.between.join(texts)
    for hit in _deep(joined, one.blobs):
        pieces = tuple(_in_pieces(hit.pieces, begins, one))
        if hit.kind == "email" and _after_a_word(hit, begins, joined):
            pieces = tuple(piece for piece in pieces if piece[0] != one.pieces[0][0])
        if any(number != one.pieces[0][0] for number, _, _ in pieces):
            yield _Across(hit.kind, hit.shown, hit.secret, pieces)


def _after_a_word(hit: _Hit, begins: list[int], joined: str) -> bool:
    """Whether an address is whole without the word at the end of the line before."""
    start = hit.pieces[0][0]
    if start >= begins[1] or not joined[start : begins[1]].isalpha():
        return False
    return any(one.kind == "email" and one.pieces[0][0] == 0 for one in _spans(joined[begins[1] :]))


def _in_pieces(places: Iterable[tuple[int, int]], begins: list[int], one: Spread) -> Iterator[tuple[int, int, int]]:
    for start, end in places:
        k = bisect_right(begins, start) - 1
        while k < len(begins) and begins[k] < end:
            number, first, last = one.pieces[k]
            low, high = max(start - begins[k], 0) + first, min(first + end - begins[k], last)
            if low < high:
                yield number, low, high
            k += 1


# --- masking -------------------------------------------------------------------------------------------------------------


class _Text:
    """The lines of a text while they are masked."""

    def __init__(self, text: str) -> None:
        parts = _LINE_ENDS.split(text)
        self.lines: list[str] = parts[0::2]
        self.ends: list[str] = parts[1::2]
        self.maskings: list[tuple[int, int, str, str]] = []
        """Line, place, kind, pseudonym."""
        self.secrets: set[str] = set()
        self._room = _MOST_KNOWN

    def whole(self) -> str:
        """The text as it is now."""
        made = [part for pair in zip(self.lines, [*self.ends, ""], strict=True) for part in pair]
        return "".join(made)

    def numbers(self) -> list[int]:
        """The number of each line, as `\\n` counts them."""
        made, number = [], 1
        for end in [*self.ends, ""]:
            made.append(number)
            number += end.endswith("\n")
        return made

    def worth(self) -> list[int]:
        """The lines that are long enough to hold a part of a secret."""
        return [number for number, line in enumerate(self.lines) if len(line) >= 4]

    def put(self, number: int, places: Iterable[tuple[int, int, str]]) -> None:
        """Replace places of a line, each by its pseudonym; those that overlap become one."""
        line = self.lines[number]
        made: list[str] = []
        at = 0
        for start, end, shown in _merged(places):
            made += (line[at:start], shown)
            at = end
        self.lines[number] = "".join((*made, line[at:]))

    def tell(self, number: int, place: int, kind: str, shown: str, secret: str) -> None:
        """Keep what was masked."""
        self.maskings.append((number, place, kind, shown))
        note(kind, secret)
        for one in sure(kind, secret):
            if one not in self.secrets and len(one) <= self._room:
                self._room -= len(one)
                self.secrets.add(one)

    def line(self, number: int) -> bool:
        """Mask one line; whether it changed."""
        before = self.lines[number]
        for _ in range(_ROUNDS if len(before) < _HUGE else 3):
            hits = _deep(self.lines[number])
            if not hits:
                return self.lines[number] != before
            if len(hits) > _MOST_HITS:
                break
            self._replace(number, hits)
        if len(hits) > _MOST_HITS or _deep(self.lines[number]):
            self.drop(number, "masked", before)
        return True

    def _replace(self, number: int, hits: Sequence[_Hit]) -> None:
        places = []
        for hit in sorted(hits, key=lambda hit: (hit.pieces[0][0], -hit.pieces[-1][1])):
            places += [(s, e, hit.shown if n == 0 else "") for n, (s, e) in enumerate(hit.pieces)]
        shown = {place[2] for place in _merged(places)}
        for hit in hits:
            if hit.shown in shown:
                self.tell(number, hit.pieces[0][0], hit.kind, hit.shown, hit.secret)
        self.put(number, places)

    def drop(self, number: int, kind: str, secret: str) -> None:
        """Replace a whole line."""
        shown = pseudonym("masked", secret)
        self.tell(number, 0, kind, shown, "")
        self.lines[number] = shown


def _merged(places: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Places in order; of those that overlap the longest gives the pseudonym."""
    made: list[tuple[int, int, str]] = []
    length = 0
    for start, end, shown in sorted(places, key=lambda place: (place[0], -place[1])):
        if made and start < made[-1][1]:
            first, last, other = made[-1]
            made[-1] = (first, max(last, end), shown if shown and (not other or end - start > length) else other)
            length = max(length, end - start)
        else:
            made.append((start, end, shown))
            length = end - start
    return made


def masked(text: str, known: Collection[str]) -> Masked:
    """See `mask.document`."""
    made = _Text(text)
    _settle(made, made.worth(), frozenset())
    wanted = {*known, *KNOWN, *made.secrets}
    if wanted:
        _settle(made, (), frozenset(wanted))
    numbers = made.numbers()
    found = sorted(dict.fromkeys(made.maskings))
    kept = [(kind, number, shown) for number, _, kind, shown in found if shown in made.lines[number]]
    return Masked(made.whole(), tuple(Masking(kind, numbers[number], shown) for kind, number, shown in kept))


def _settle(made: _Text, todo: Collection[int], known: frozenset[str]) -> None:
    """Mask until nothing is left to mask."""
    traces = Traces(known)
    searched = not known
    for turn in range(3 * _ROUNDS):
        touched = _join(made, near(todo, len(made.lines)) if turn else todo, drop=turn >= _ROUNDS)
        touched |= {number for number in sorted({*todo, *touched} if touched else todo) if made.line(number)}
        if not touched and searched:
            return
        if known and (not searched or touched):
            touched |= _known(made, traces, drop=turn >= _ROUNDS)
            searched = not touched
            if not touched:
                return
        todo = touched
    for number in {number for hit in _across(made.lines, made.worth()) for number, _, _ in hit.pieces}:
        made.drop(number, "masked", made.lines[number])


def _join(made: _Text, starts: Iterable[int], *, drop: bool) -> set[int]:
    """Mask what stands in several lines; the lines that changed."""
    places: dict[int, list[tuple[int, int, str]]] = {}
    for hit in _across(made.lines, starts):
        made.tell(hit.pieces[0][0], hit.pieces[0][1], hit.kind, hit.shown, hit.secret)
        for n, (number, start, end) in enumerate(hit.pieces):
            places.setdefault(number, []).append((start, end, hit.shown if n == 0 else ""))
    for number, given in places.items():
        if drop:
            made.drop(number, "masked", made.lines[number])
        else:
            made.put(number, given)
    return set(places)


def _known(made: _Text, traces: Traces, *, drop: bool) -> set[int]:
    touched: set[int] = set()
    places: dict[int, list[tuple[int, int, str]]] = {}
    for trace in traces.among(made.lines):
        touched.update(trace.lines)
        if trace.place is not None and not drop:
            shown = pseudonym("key", trace.secret)
            places.setdefault(trace.lines[0], []).append((*trace.place, shown))
            made.tell(trace.lines[0], trace.place[0], "key", shown, trace.secret)
        else:
            for number in trace.lines:
                if not made.lines[number].startswith("<masked:"):
                    made.drop(number, "masked", made.lines[number])
                    places.pop(number, None)
    for number, given in places.items():
        made.put(number, given)
    return touched


def survivors(text: str, known: Collection[str]) -> tuple[Survivor, ...]:
    """See `mask.survivors`."""
    given = _Text(text)
    numbers, worth = given.numbers(), given.worth()
    found = {(numbers[hit.pieces[0][0]], hit.kind) for hit in _across(given.lines, worth)}
    for at in worth:
        if hits := _deep(given.lines[at]):
            found.update((numbers[at], hit.kind) for hit in hits)
    found.update((numbers[trace.lines[0]], "known") for trace in Traces({*known, *KNOWN}).among(given.lines))
    return tuple(Survivor(kind, line) for line, kind in sorted(found))
