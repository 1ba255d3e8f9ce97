"""Lines that belong together: what a terminal, a mailer, a log's prefix or a person has spread over several."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from diagnose.mask.rules import UUID, random

_MOST = 64
"""Lines that are put together."""
_MOST_CHARACTERS = 1 << 16
_KEY_LINES = 200
"""Lines of the longest private key."""
_WIDTHS = frozenset({72, 76, 78, 79, 80, 100, 118, 119, 120, 131, 132, 159, 160, 200})
"""Columns at which terminals and tools wrap."""


class Spread(NamedTuple):
    """Parts of several lines that are one."""

    kind: str
    """Of a secret; empty where it is still to be seen whether one is in it."""
    pieces: tuple[tuple[int, int, int], ...]
    """Line, from, to."""
    between: str = ""
    """What stands between the parts."""
    blobs: bool = True
    """Whether long random text in it is a secret by itself: not where two lines are put together on suspicion alone."""


_PREFIX = re.compile(
    r"(?:[\w.-]{1,40}[ \t]{0,20}\|[ \t]?|\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?[.,\d]{0,12}(?:Z|[+-]\d\d:?\d\d)?\]?[ \t]{1,4}"
    r"|\[?\d\d:\d\d:\d\d[.,\d]{0,8}\]?[ \t]{1,4}|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [\w.-]{1,64} [\w./-]{1,64}(?:\[\d{1,9}\])?: "
    r"|std(?:out|err) [FP] |> ?){0,3}"
    r"(?P<level>\[?(?:INFO|ERROR|WARNING|WARN|DEBUG|CRITICAL|TRACE|FATAL)\b\]?[ \t]{0,8}:?(?:[\w.]{1,60}:)?[ \t]{0,8})?"
)
_RUN = re.compile(r"[ \t]*[\"'(]{0,2}(?P<run>[A-Za-z0-9+/_=.%~:-]{1,65536})")
_OPENS = re.compile(
    r"[ \t]*(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\[|\{|INFO|ERROR|WARN|DEBUG|CRITICAL|Traceback|https?:)|[A-Za-z_][\w.-]{0,60}(?::(?![A-Za-z0-9+/_-]{16})|=(?![A-Za-z0-9+/_-]{16}|[=;,\"'\s]|\Z))"
)
"""How a line begins that stands for itself."""
_NAMES = r"(?:key|secret|token|pass|password|passwd|pwd|credentials?|signature|authorization|cookie|bearer|basic|jwt|value|with)"
_DANGLING = re.compile(
    rf"(?i){_NAMES}[\"'\\]{{0,4}}(?P<op>[ \t]{{0,4}}(?::|=>?|,)?)(?P<tail>[ \t]{{0,4}}[|>]?[+-]?[\"'(\\]{{0,4}}[ \t]{{0,4}})\Z"
)
_ALONE = re.compile(
    r"[ \t]*-?[ \t]*[\"'(\[b]{0,3}(?:(?:bearer|basic|key)[ \t]{1,4})?[^\s\"']{4,}[\"'),\]};\\]{0,4}[ \t]*\Z", re.I
)
_OPEN_QUOTE = re.compile(r"[:=]\s{0,4}b?(?:\"[^\"\\]{1,4096}|'[^'\\]{1,4096})\Z")
_CLOSING = re.compile(r"(?P<run>[^\"'\s]{1,4096})[\"'][,;)\s]{0,4}\Z")
_ENCODED = re.compile(r"[ \t\"'>|]{0,8}(?P<run>[A-Za-z0-9+/_-]{4,}={0,2})[ \t\"'\\,+)]{0,6}\Z")
_BEGIN = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----")
_BODY = re.compile(r"[A-Za-z0-9+/=]{16,}")
_HALF_ADDRESS = re.compile(r"[\w.+%-]@[\w-]{0,63}[\"'\\,+ \t]{0,4}\Z")
_HOST = re.compile(r"[ \t]*[\"'(]{0,2}(?P<host>[\w-]{0,63}\.[A-Za-z.]{2,})")
_ADDRESS_REST = re.compile(r"[ \t]*[\"'(]{0,2}(?P<rest>[\w.+%-]{0,64}@[\w-]{1,63}\.)")
_LOCAL_PART = re.compile(r"(?<![\w.+%-])(?=\S*[\d._])[A-Za-z][\w.+%-]{2,64}[\"'\\,+ \t]{0,4}\Z")
_FULL_ID = re.compile(rf"(?i){UUID}\Z")


def near(lines: Collection[int], count: int) -> Iterable[int]:
    """The lines in which something can begin that reaches one of these."""
    wanted: set[int] = set()
    last = -1
    for line in sorted(lines):
        wanted.update(range(max(last + 1, line - _KEY_LINES, 0), min(line + 1, count)))
        last = line
    return sorted(wanted)


def spread(lines: Sequence[str], starts: Iterable[int]) -> Iterator[Spread]:
    """Everything that can be one of what begins in these lines."""
    done = encoded_to = -1
    """The last lines of what was put together: what begins inside it is in it."""
    for number in starts:
        line = lines[number]
        if len(line) < 4 or number + 1 >= len(lines):
            continue
        if "-----BEGIN" in line and (key := _private_key(lines, number)) is not None:
            yield key
            continue
        following = lines[number + 1]
        if not following:
            if _may_dangle(line):
                yield from _dangling(lines, number)
            continue
        if number > encoded_to:
            encoded = _encoded(lines, number)
            if encoded is not None:
                encoded_to = encoded.pieces[-1][0]
                yield encoded
        if len(following) >= 6 and _may_dangle(line):
            yield from _dangling(lines, number)
        if '"name"' in line and '"value"' in following:
            yield Spread("", ((number, max(0, len(line) - 400), len(line)), (number + 1, 0, len(following))), " ")
        if number >= done:
            chain = _chain(lines, number)
            if len(chain) > 1:
                done = chain[-1][0]
                yield Spread("", tuple(chain), blobs=_wrapped(lines, chain))
                for pair in pairwise(chain[1:]):  # a word before it can hide where a secret begins
                    yield Spread("", pair, blobs=False)


def _private_key(lines: Sequence[str], number: int) -> Spread | None:
    """The lines of a private key, whatever stands before them in each."""
    begin = _BEGIN.search(lines[number])
    if begin is None or "-----END" in lines[number][begin.end() :]:
        return None
    pieces = [(number, begin.start(), len(lines[number]))]
    for at in range(number + 1, min(number + _KEY_LINES, len(lines))):
        line = lines[at]
        end = line.find("-----END")
        if end >= 0:
            close = line.find("-----", end + 8)
            first = next((m.start() for m in _BODY.finditer(line, 0, end)), end)
            pieces.append((at, first, close + 5 if close >= 0 else len(line)))
            break
        tokens = [m.span() for m in _BODY.finditer(line)]
        if not tokens and (short := _ENCODED.match(line, _PREFIX.match(line).end())):  # type: ignore[union-attr]
            tokens = [short.span("run")]
        if not tokens and line.strip() and not re.search(r"(?:Proc-Type|DEK-Info):|\|\s*\Z", line):
            break
        pieces += [(at, *token) for token in tokens]
    return Spread("private-key", tuple(pieces)) if len(pieces) > 1 else None


def _encoded(lines: Sequence[str], number: int) -> Spread | None:
    """Lines of base64, all of one length but for the last."""
    first = _whole(lines[number])
    if first is None or not 56 <= first[1] - first[0] <= 1024 or not random(lines[number][first[0] : first[1]]):
        return None
    pieces = [(number, *first)]
    for at in range(number + 1, len(lines)):
        found = _whole(lines[at])
        length = found[1] - found[0] if found else 0
        if found is None or length > first[1] - first[0]:
            break
        last = lines[at][found[0] : found[1]]
        if length < 12 and not (last.endswith("=") or _mixed(last)):
            break
        pieces.append((at, *found))
        if length < first[1] - first[0]:
            break
    return Spread("data", tuple(pieces)) if len(pieces) > 1 else None


def _whole(line: str) -> tuple[int, int] | None:
    """Where base64 stands in a line in which nothing else does."""
    if len(line) > 2048:
        return None
    prefix = _PREFIX.match(line)
    if prefix is None or prefix["level"]:
        return None
    found = _ENCODED.match(line, prefix.end())
    return found.span("run") if found else None


_ENDINGS = ("key", "secret", "token", "pass", "password", "passwd", "pwd", "credential", "credentials", "signature",
            "authorization", "cookie", "bearer", "basic", "jwt", "value", "with")  # fmt: skip


def _may_dangle(line: str) -> bool:
    if line[-1].isalnum():
        return line[-16:].lower().endswith(_ENDINGS)
    if line[-1] not in ":=,>|+-\"'\\( \t":
        return False
    tail = line[-32:].lower()
    return any(name in tail for name in _ENDINGS)


def _dangling(lines: Sequence[str], number: int) -> Iterator[Spread]:
    """A secret's name at the end of a line, and what stands alone in the next."""
    line = lines[number]
    name = _DANGLING.search(line, max(0, len(line) - 48))
    if name is None:
        return
    at = next((n for n in range(number + 1, min(number + 4, len(lines))) if lines[n].strip()), None)
    if at is None:
        return
    here, there = _PREFIX.match(line), _PREFIX.match(lines[at])
    if here is None or there is None or (there["level"] and there["level"] != here["level"]):
        return
    if not _ALONE.match(lines[at], there.end()):
        return
    content = there.end() + len(lines[at][there.end() :]) - len(lines[at][there.end() :].lstrip(" \t"))
    begin = max(0, len(line) - 400)
    quoted = any(quote in name["tail"] for quote in "\"'")
    named = (number, begin, name.end() if quoted else name.end("op"))
    yield Spread("", (named, (at, content, len(lines[at]))), "" if quoted else " ")


def _chain(lines: Sequence[str], number: int) -> list[tuple[int, int, int]]:
    """The parts of the lines that go on from this one."""
    begin = max(0, len(lines[number]) - _MOST_CHARACTERS)
    pieces = [(number, begin, len(lines[number]))]
    room = 2 * _MOST_CHARACTERS
    for at in range(number + 1, min(number + _MOST, len(lines))):
        before, line = lines[at - 1], lines[at]
        start = _goes_on(before, line) if line else None
        if start is None or room <= 0:
            break
        cut = _cut(before)
        last, first, _ = pieces[-1]
        pieces[-1] = (last, first, max(first, cut))
        pieces.append((at, start, min(len(line), start + _MOST_CHARACTERS)))
        room -= len(line) - start
    return pieces


def _cut(line: str) -> int:
    """Where a line ends that goes on, without the backslash or quotes that say so."""
    if line[-1] == "=" and 72 <= len(line) <= 76 and line[-2].isalnum():
        return len(line) - 1  # quoted-printable
    return len(line.rstrip("\"'\\,+ \t")) if line[-1] in "\"'\\,+ \t" else len(line)


def _wrapped(lines: Sequence[str], chain: list[tuple[int, int, int]]) -> bool:
    return all(len(lines[number]) in _WIDTHS or lines[number].endswith("\\") for number, _, _ in chain[:-1])


def _goes_on(before: str, line: str) -> int | None:
    """Where in a line that goes on which stood at the end of the one before."""
    if before[-1:] == "\\":
        return len(line) - len(line.lstrip(" \t"))
    prefix = _PREFIX.match(line)
    start = prefix.end() if prefix else 0
    if len(before) in _WIDTHS and not start and line[0] not in " \t" and not _OPENS.match(line):
        return 0
    if "@" in before[-80:] and _HALF_ADDRESS.search(before[-80:]) and (host := _HOST.match(line, start)):
        return host.start("host")
    if (
        "@" in line[start : start + 80]
        and (rest := _ADDRESS_REST.match(line, start))
        and _LOCAL_PART.search(before[-80:])
    ):
        return rest.start("rest")
    end = before.rstrip("\"'\\,+ \t")[-1:] if before[-1] in "\"'\\,+ \t" else before[-1]
    if not (end.isalnum() or end in "+/_=.%~:-"):
        return None
    found = _RUN.match(line, start)
    if found is None:
        return None
    run = found["run"]
    if prefix and prefix["level"]:
        own = _PREFIX.match(before)
        if own is None or own["level"] != prefix["level"]:
            return None
    closing = _CLOSING.match(line, found.start("run"))
    if closing and _OPEN_QUOTE.search(before[-4200:]):
        return found.start("run")
    if before.rstrip()[-1] in "\"'" and line[found.start("run") - 1] in "\"'":
        return found.start("run")
    if len(run) < 6 or _OPENS.match(line, start) or _FULL_ID.match(run) or _path(run) or not _mixed(run):
        return None
    return found.start("run")


def _path(run: str) -> bool:
    slashes = run.count("/")
    return slashes > 2 and (slashes * 8 > len(run) or any(c in run for c in "-._:"))


def _mixed(run: str) -> bool:
    """Whether it looks drawn by lot: digits among letters, or capitals inside."""
    head = run[:64].strip(".:=")
    digits = sum(c.isdigit() for c in head)
    letters = sum(c.isalpha() for c in head)
    if digits and letters:
        return digits + letters >= 6 and not re.fullmatch(r"[\w.-]{1,32}\.[a-z][a-z0-9]{0,4}(?::\d+)*", head)
    if len(head) < 8 or head.isdigit():
        return len(head) >= 8
    plain = letters + sum(c in "_+/-=" for c in head) == len(head)
    return plain and any(c.isupper() for c in head[1:]) and not head.isupper()


def content(line: str) -> str:
    """A line without its prefix and without what says that it goes on."""
    found = _PREFIX.match(line)
    start = found.start("level") if found and found["level"] else found.end() if found else 0
    return line[start:].strip().strip("\"'\\ \t")
