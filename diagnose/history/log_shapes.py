"""Folds the lines of a log to what decides: equal lines are one number, whatever their times, ids, sizes and prompts.

Nothing is folded of which is not known what it does: only the forms below, none of which the reader of logs reads a
status, a model, a count or a word of an error from. Values that can tie two lines together (ids, addresses of pictures)
are numbered in the order in which they appear, so that what is equal in a log stays equal in its shape.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from diagnose.collect import attempts, backend_log, lines
from diagnose.collect.text import decode
from diagnose.model import Evidence

NOISE = -1
"""Stands for an access line that is no attempt's (of a request that only reads, of a login): all it does is to end an
attempt that came to nothing."""
PASSING = -5
"""Stands for an access line of another request: it ends an attempt, whatever that was; where none is open, nothing."""
MOST = 30_000
"""Forms of lines that are kept."""
HEAD = 64
"""Bytes of a line in which its own time stands."""
LONGEST_KEPT = 600
"""Bytes of a line that is kept as it is."""

ZEROED = bytes.maketrans(b"123456789", b"000000000")
_TIME = re.compile(rb"0{4}[-/]00[-/]00[T ]00:00:00(?:[.,]0{1,9})?(?: ?(?:Z|UTC|[+-]00:?00))?")
_PROMPT = re.compile(
    rb"""(?:(?<="prompt": ")|(?<='prompt': ')|(?<=\\"prompt\\": \\")|(?<=Prompt: )|(?<=Prompt preview: ))[^"'\\]{12,2000}"""
)
_PICTURE = re.compile(rb"(?<=fal\.media/files/)[\w./-]{4,120}")
_FORMS = re.compile(
    # one first character for all, so that the search runs from one to the next
    rb"""[0-9a-f](?:(?P<value>[0-9a-f]{7}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"""  # uuids
    rb"""|(?<=\d)(?:\d{0,2}(?:\.\d{1,3}){3}:\d{2,5}(?= - ")"""  # who asked
    rb"""|(?<=["']seed["']: .)\d{0,19}|(?<![\w.:%-].)(?<!["']: .)(?<!Errno .)\d{4,19}(?![\w.])))"""
    rb"""|(?P<size>(?<=\d)(?:\d*(?:[.,]\d+)+(?= ?(?:bytes|MB|KB|kB|MP|s|ms|seconds)\b|%)|\d*x\d+(?:px)?\b"""
    rb"""|(?<![\w.,].)(?:\d?|\d{3,11})(?= ?(?:bytes|chars|pixels|ms|s|seconds)\b)|(?<=length: .)\d*(?= chars)"""
    rb"""|(?<=urrent coins: .)\d*|(?<=-[0-9a-f]{12}: .)\d*$|(?<=\0: .)\d*$|(?<=prompt_len=.)\d*)))"""
)
"""A size of three digits is not folded where it could be a status."""
_ALONE = re.compile(rb"(?<!0)000(?!0)")
_GET = re.compile(
    rb"""([^"'\\{}=\x1b]{0,160})"(?:GET|HEAD) /[^\s"\\{}]{0,400} HTTP/\d(?:\.\d)?" \d{3}"""
    rb"""(?: [A-Z][A-Za-z' -]{0,40}| (?:\d{1,12}|-)(?: "[^"\\{}]{0,400}"){0,3}(?: [\d.]{1,12})?)?"""
)
_LOGIN = re.compile(rb'"(?:POST|PUT|PATCH|DELETE) /[^ "]*(?:' + attempts.OTHER_PATH.pattern.encode() + rb")", re.I)
_MORE = re.compile(
    rb"fal|Task |POST|PUT|=[^=]*=[^=]*=|" + lines._OWN_ID.pattern.encode() + rb"|" + lines._WORTH_PAIRS.pattern.encode()
)
"""With one of these an access line can tell more, or is left to the reader."""

_CAN_TELL = re.compile(
    r"://|(?:GET|POST|PUT|PATCH|OPTIONS|HEAD|DELETE)\b|Task |errno|address|usage|started|running|listening|booting|celery|unhandled|uncaught"
    r"|fail|error|exception|critical|fatal|warn|refused|denied|invalid|missing|found|tim(?:e|ed)|reject|can|could|unable|unsupported|gagal|ignor"
    r"|stored|gave|empty|\bno\b|without|request|total|success|fal\b|[\[{=\\←⇐]$|<--|â†|="
    r"|" + "|".join(map(re.escape, backend_log.TELLING)),
    re.I,
)
"""Without any of these the reader looks no further at a line, whatever its digits are."""
_WORD = re.compile(r"[a-z]+")
_SAFE = re.compile(rb"(?:[A-Za-z0-9 ,.;!()-]|(?<=[0-9]):(?=[0-9]))+")
_ROOTS = re.compile(
    r"fail|error|except|refus|denied|invalid|missing|reject|unable|unsupport|gagal|ignor|receiv|request|upload|storage|decod|extract|generat"
    r"|success|traceback|handled|caught|preprocess|validat|timeout|cannot|couldn|corrupt|incorrect|errno"
)
_WHOLE = frozenset(
    ["no", "not", "none", "yes", "true", "false", "time", "timed", "gave", "empty", "without", "tanpa", "stored", "saved", "listening", "started", "running", "booting", "task", "img", "txt", "address", "already", "usage", "normalized", "final", "heif", "heic"]
)  # fmt: skip
"""What the words of a prompt must not hold, or be, so that no line tells anything else for them."""
_TROUBLED = re.compile(rb"error|warn|critical|fatal|fail|could|timed|reject|except", re.I)


class Fact(NamedTuple):
    """What is known of a line by itself."""

    leans: bool
    """What stands before it can be read otherwise for it."""
    bare: bool
    """So can it where that is bare too."""
    odd: bool
    """It is read otherwise in its file than by itself: another encoding, folded columns."""
    inert: bool
    """It tells nothing, whatever its digits, and nothing hangs on it."""
    access: tuple[str, int] | None
    """Path and status, where it is an access line of a request that did more than read."""
    ends: bool
    """A request for a picture can end with it."""
    passing: bool = False
    """It is an access line, and of no attempt."""


class Values:
    """The values that were numbered since an attempt began."""

    def __init__(self) -> None:
        self.known: list[tuple[bytes, bytes]] = []

    def mark(self, value: bytes) -> bytes:
        """What stands for a value; the same for the same value."""
        for known, mark in self.known:
            if known == value:
                return mark
        mark = b"\0%d\0" % len(self.known)
        self.known.append((value, mark))
        return mark


class Lines:
    """Gives each line the number of its shape."""

    def __init__(self) -> None:
        self.zeroed: dict[bytes, int] = {}
        """Lines in which no digit decides, their digits made zero: most of a log."""
        self._tokens: dict[bytes, int] = {}
        self.facts: list[Fact] = []
        self._heads: dict[bytes, bool] = {}
        self._harmless: dict[str, bool] = {}

    @property
    def full(self) -> bool:
        """Whether there are more shapes than are kept: begin anew."""
        return len(self._tokens) > MOST or len(self.zeroed) > MOST or len(self._heads) > MOST

    def token(self, line: bytes, zeroed: bytes, values: Values) -> int:
        """The number of a line's shape, for a line that `zeroed` does not know."""
        asked = b'"GET /' in line or b'"HEAD /' in line or (b'" ' in line and _LOGIN.search(line) is not None)
        if asked and self._only_reads(line):
            if len(self.zeroed) < MOST:
                self.zeroed[zeroed] = NOISE
            return NOISE
        rest = undated(line, zeroed)
        for value, mark in values.known:
            if value in rest:
                rest = rest.replace(value, mark)
        token = self._tokens.get(rest)
        token = self._new(rest, line, zeroed, values) if token is None else token
        if self.facts[token].passing and len(self.zeroed) < MOST:
            self.zeroed[zeroed] = PASSING
        return token

    def _new(self, rest: bytes, line: bytes, zeroed: bytes, values: Values) -> int:
        before = len(values.known)
        shape = self.folded(rest, values)
        token = self._tokens.get(shape)
        if token is None:
            token = len(self.facts)
            self.facts.append(_fact(line))
            self._tokens[shape] = token
        if self.facts[token].inert:
            settled = True
        elif rest is not shape and len(values.known) == before and b"\0" not in rest.replace(b"\0T", b""):
            settled = not any(48 <= byte <= 57 for byte in shape) and _ALONE.search(zeroed) is None
        else:
            settled = (
                rest == shape
                and not any(48 <= byte <= 57 for byte in shape)
                and b"\0" not in shape.replace(b"\0T", b"")
            )
        if settled and len(line) <= LONGEST_KEPT and len(self.zeroed) < MOST:
            self.zeroed[zeroed] = token
        return token

    def folded(self, rest: bytes, values: Values) -> bytes:
        """A line without what does not decide; ids are marked by the order of their first appearance."""

        def prompt(match: re.Match[bytes]) -> bytes:
            told = _TROUBLED.search(rest, 0, match.start()) or not self.harmless(match[0])
            return match[0] if told else values.mark(match[0])

        def form(match: re.Match[bytes]) -> bytes:
            return b"\0#\0" if match.lastgroup == "size" else values.mark(match[0])

        if b"rompt" in rest:
            rest = _PROMPT.sub(prompt, rest)
        if b"fal.media/" in rest:
            rest = _PICTURE.sub(lambda match: values.mark(match[0]), rest)
        return _FORMS.sub(form, rest)

    def harmless(self, prompt: bytes) -> bool:
        """Whether the words of a prompt tell nothing to the reader of logs."""
        if _SAFE.fullmatch(prompt) is None or b"-to-" in prompt.lower():
            return False
        known = self._harmless
        for word in _WORD.findall(prompt.decode("ascii").lower()):
            safe = known.get(word)
            if safe is None:
                if len(known) > MOST:
                    known.clear()
                safe = known[word] = word not in _WHOLE and _ROOTS.search(word) is None
            if not safe:
                return False
        return True

    def _only_reads(self, line: bytes) -> bool:
        match = _GET.fullmatch(line)
        if match is None or b"://" in line or _MORE.search(line) is not None:
            return _reads(line)
        head = match[1].translate(ZEROED)
        known = self._heads.get(head)
        if known is None:
            known = self._heads[head] = _reads(match[1] + b'"GET /x HTTP/1.1" 200 OK')
        return known


def _reads(line: bytes) -> bool:
    """Whether a line is an access line of a request that only reads, and nothing else."""
    try:
        record = lines.record(1, line.decode("ascii"))
    except UnicodeDecodeError:
        return False
    events = [event for told in backend_log.told([record], "") for event in told.events]
    return (
        record.request_id is None
        and not backend_log.goes_on(record.message)
        and len(events) == 1
        and events[0].kind == "request.access"
        and (events[0]["method"] in ("GET", "HEAD") or bool(attempts.OTHER_PATH.search(events[0]["path"])))
        and events[0]["method"] != "OPTIONS"
    )


def undated(line: bytes, zeroed: bytes) -> bytes:
    """A line without its own time."""
    own = _TIME.search(zeroed, 0, HEAD) if zeroed.find(b"00:00:00", 0, HEAD) >= 0 else None
    return line if own is None else b"%b\0T%b" % (line[: own.start()], line[own.end() :])


def bare(record: lines.Line) -> bool:
    """Whether a record says neither when it was written nor how grave it is: it can go on with an exception's text."""
    return not (record.level or record.time or backend_log.is_access(record.message))


def _fact(line: bytes) -> Fact:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return Fact(False, False, True, False, None, False)
    odd = decode(line).text != text or lines._RICH.search(text) is not None
    record = lines.record(1, text)
    events = [event for told in backend_log.told([record], "") for event in told.events]
    ends = any(backend_log.ends_a_request(event) for event in events)
    access = next((e for e in events if e.kind == "request.access"), None)
    told = None
    if access is not None and access["method"] not in ("GET", "HEAD", "OPTIONS"):
        told = str(access["path"]), int(access["status"])
    inert = not (
        events
        or odd
        or record.request_id
        or record.extras
        or backend_log.goes_on(record.message)
        or _CAN_TELL.search(text)
    )
    passing = told is not None and len(events) == 1 and not _of_pictures(told[0])
    return Fact(backend_log.goes_on(record.message), bare(record), odd, inert, told, ends, passing)


def _of_pictures(path: str) -> bool:
    return any(form.search(path) for form in (attempts.GENERATING_PATH, attempts.UPLOAD_PATH, attempts.OTHER_PATH))


def key_of(evidence: Sequence[Evidence], shapes: Lines) -> bytes:
    """What stands for all attempts of which a log tells the same. No check reads the words of a prompt."""
    sources: dict[str, int] = {}
    told = [
        repr(
            (
                e.kind,
                sources.setdefault(e.source, len(sources)),
                str(e.witness),
                _told({"prompt": e["text"]} if e.kind == "prompt" else e.fields),
            )
        )
        for e in evidence
    ]
    text = "\n".join(told).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(shapes.folded(text, Values()), digest_size=16).digest()


def _told(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [
            (key, bool(value[key]) if key == "prompt" and isinstance(value[key], str) else _told(value[key]))
            for key in sorted(value, key=str)
        ]
    return [_told(item) for item in value] if isinstance(value, (list, tuple)) else value
