"""Counts prompt-log entries by shape: the usual ones at the speed of their decoder, everything else exactly.

An entry that msgspec accepts is valid, and its key (the values that decide, as they were decoded) is looked up: entries
with equal keys have equal shapes, so a shape is made once for each key. What msgspec refuses, and what our own
generator writes, is decoded by `json` and judged by the exact validator.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from diagnose import schema
from diagnose.collect import prompt_log
from diagnose.collect.text import characters, has_mojibake
from diagnose.history import judge
from diagnose.history.attributes import ABSENT, Attributes, Sides, flattened, places
from diagnose.history.blocks import Block
from diagnose.history.counts import UNDATED, Cell, Counts, Fault, Spot
from diagnose.history.decoder import entry_type
from diagnose.history.shape import MAX_ITEMS, PROJECT, Folding, Shape, address_head, content_type, text, word
from diagnose.model import IMAGE_KEYS, Profile
from diagnose.model.history import Verdict

MOST_KEYS = 20_000
"""Keys whose shape is remembered."""
MOST_LEARNED = 60
"""Keys of a payload, or of a request, that the decoder is taught as it meets them."""
_BASE: Mapping[str, tuple[str, ...]] = {
    "": (),
    "request": ("image_url", "request_format"),
    "fal_request": ("model", "image_url"),
}
"""The keys that the loop itself looks at."""
_FIELDS = {"model": "fal_request.model", "request_format": "request.request_format"}
_TIME = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
)
_ANY_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]([01]\d:[0-5]\d|2[0-3]:[0-5]\d)(?::([0-5]\d|60)(?:[.,](\d+))?)?(?:[Zz]|([+-])(\d\d):?(\d\d))?",
    re.A,
)
"""No time that the schema refuses."""
_PLACE = re.compile(r"/storage/v1/object/(?:public|sign|authenticated)/([^/?#]+)/([^/?#]*)")


@dataclass(frozen=True)
class Question:
    """What is asked of the entries."""

    profile: Profile
    by: str | None = None
    """A field, dotted; or hour, day, model, bucket, user-prefix, request_format."""
    since: str = ""
    until: str = ""
    """Both as the beginning of a timestamp, and both included; empty: no bound."""
    sides: Sides | None = None
    """Asks which values the entries hold that went wrong, and which the others."""
    verdicts: Mapping[Shape, Verdict] = field(default_factory=dict)
    """Those that are known already."""
    checks: str = ""
    """The folder of somebody else's checks; whoever counts needs it as well."""

    @property
    def nothing(self) -> Counts:
        """The counts of no entry."""
        return Counts(
            values={} if self.by else None,
            attributes=Attributes(4 * len(self.sides.causes)) if self.sides is not None else None,
        )

    def asks_for(self, time: str) -> bool:
        """Whether a time is in the span; what has none is in no span."""
        if not self.since and not self.until:
            return True
        return time != UNDATED and self.since <= time and (not self.until or time[: len(self.until)] <= self.until)


class Entries:
    """Counts entries for one question. Made once in a process: it remembers the shapes it has met."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._folding = Folding(question.profile)
        self._shapes: dict[Any, Shape] = {}
        self._learned = {part: frozenset(keys) for part, keys in _BASE.items()}
        for path in (*self._folding.kept, *([_FIELDS.get(question.by, question.by)] if question.by else [])):
            outer, _, last = path.rpartition(".")
            if outer in self._learned and last.isidentifier():
                self._learned[outer] |= {last}
        self._deep = any(path.rpartition(".")[0] not in self._learned for path in self._folding.kept)
        self._label = Label(question.by) if question.by else None
        self._verdicts = dict(question.verdicts)
        self._build()

    def _build(self) -> None:
        kind = entry_type(self._learned)
        self._unusual = bool({"image", "image_urls"} & self._learned["fal_request"])
        self._decoder = msgspec.json.Decoder(None if self._deep else kind)
        self._keys_of = tuple(attrgetter(*paths) for paths in self._paths(kind))
        self._shapes = {}  # of these keys, and not of those that a block under way makes

    def _paths(self, kind: Any) -> tuple[list[str], list[str], list[str]]:
        """Which values decide an entry's shape: its own, its request's and its payload's.

        Of words that no check reads it is only their type. An address and a request's format are not among them: they
        are folded one by one.
        """
        folding, learned = self._folding, self._learned
        inner = {f.name: f.type for f in msgspec.structs.fields(kind)}
        own = ["generation_mode"]
        for name in sorted(folding.kept & learned[""]):
            own += [name, f"{name}.__class__"]
        asked, sent = [], []
        for told in msgspec.structs.fields(inner["request"]):
            name, path = told.name, f"request.{told.name}"
            if path in folding.kept:
                asked += [name, f"{name}.__class__"]
            elif path in folding.decides and name not in ("image_url", "request_format"):
                asked.append(name)
            elif name.startswith("has_"):
                asked.append(f"{name}.__class__")
        for told in msgspec.structs.fields(inner["fal_request"]):
            name, path = told.name, f"fal_request.{told.name}"
            if name in IMAGE_KEYS:
                continue
            raw = name == "model" or name in folding.limited | folding.decisive or path in folding.kept
            sent += [name] if raw else []
            sent += [f"{name}.__class__"] if name in learned["fal_request"] or not raw else []
        # attrgetter gives a single name no tuple; a second look at it does no harm
        return own * 2 if len(own) == 1 else own, asked or ["__class__"] * 2, sent * 2 if len(sent) == 1 else sent

    def count(self, block: Block, counts: Counts, spot: Spot) -> Tally:
        """Add a block's entries to the counts; `spot` is where its first would stand."""
        source, start, index, _ = spot
        shapes, width, unusual = self._shapes, counts.width, self._unusual
        own_of, asked_of, sent_of = self._keys_of
        cells, usual, question = counts.cells, _TIME.fullmatch, self.question
        bound = bool(question.since or question.until)
        asks = question.by is not None or question.sides is not None
        memo = "\0"
        malformed = skipped = 0
        for number, entry in enumerate(block.decoded(self._decoder)):
            try:
                request, sent, time = entry.request, entry.fal_request, entry.timestamp
                if entry.outcome is not UNSET:
                    raise TypeError("an entry of our own generator tells more than this decoder knows")
                if unusual:
                    pictures: Any = _pictures(request, sent)
                else:
                    url, given = request.image_url, sent.image_url
                    if url.__class__ is str:
                        if url == given:
                            given = True
                        if url.startswith(memo):
                            url = memo
                        else:
                            url, memo = _head(url, memo)
                    if given.__class__ is str:
                        if given.startswith(memo):
                            given = memo
                        else:
                            given, memo = _head(given, memo)
                    pictures = (url, given)
                form = request.request_format
                if form.__class__ is str and ";" in form:
                    form = content_type(form)
                if usual(time) is None:
                    time = _told_time(time)
                key = (pictures, form, own_of(entry), asked_of(request), sent_of(sent))
                shape = shapes.get(key)
                if shape is None:
                    shape = self._new(shapes, key, block.piece(number))
            except (
                AttributeError,
                TypeError,
            ):  # None was refused; a value that cannot be looked up is none of the usual
                found = self._exactly(block.piece(number))
                if isinstance(found, str):
                    if found:
                        malformed += 1
                        counts.fault(Fault(source, block.byte(number), found))
                    continue
                shape, time, entry = found
            index += 1
            if bound and not question.asks_for(time):
                skipped += 1
                continue
            times = cells.get(shape)
            if times is None:
                times = cells[shape] = {}
            cell = times.get(time[:width])
            if cell is None:
                times[time[:width]] = Cell(1, time, time, Spot(source, start, index - 1, block.byte(number)))
            else:
                cell.count += 1
                if time > cell.last:
                    cell.last = time
                elif time < cell.first:
                    cell.first, cell.spot = time, Spot(source, start, index - 1, block.byte(number))
            if asks:
                self._note(counts, entry, block.piece(number), shape, time)
        return Tally(index - spot.nth, malformed, skipped)

    def _note(self, counts: Counts, entry: Any, line: bytes, shape: Shape, time: str) -> None:
        """Count what is asked of an entry beside its shape."""
        if self._label is not None and counts.values is not None:
            values = counts.values.setdefault(self._label(entry, time), {})
            values[shape] = values.get(shape, 0) + 1
        if self.question.sides is not None:
            verdict = self._verdicts.get(shape)
            if verdict is None:
                verdict = self._verdicts[shape] = judge.of_shape(shape, self.question.profile)
            columns = places(verdict, time, self.question.sides)
            if columns and counts.attributes is not None:
                value = entry if isinstance(entry, dict) else msgspec.json.decode(line)
                counts.attributes.take(flattened(value), columns)

    def _new(self, shapes: dict[Any, Shape], key: Any, line: bytes) -> Shape:
        """The shape of a key that was not met before."""
        if len(shapes) >= MOST_KEYS:
            shapes.clear()
        value = parsed(line)
        if not isinstance(value, dict):
            raise TypeError("json reads it otherwise")
        shapes[key] = shape = self._folding.shape(value, True)
        return shape

    def _exactly(self, line: bytes) -> tuple[Shape, str, Any] | str:
        """Shape, time and value of what msgspec refuses; else why it is no entry, empty for a blank line."""
        try:
            value = parsed(line)
        except ValueError as error:
            return str(error)
        if value is None and not line.strip(b" \t\r\n,"):
            return ""
        if not isinstance(value, dict):
            return "it is not an object"
        value = prompt_log.normalise_entry(value)
        valid = schema.entry_fault(value) is None
        if valid:
            self._learn(value)
        time = value.get("timestamp")
        return self._folding.shape(value, valid), usual_time(time) if isinstance(time, str) else UNDATED, value

    def _learn(self, value: Mapping[str, Any]) -> None:
        """Teach the decoder the unknown keys of a valid entry, so that the next of its kind is a usual one."""
        new = False
        for name in ("request", "fal_request"):
            strange = {key for key in value[name] if key.isidentifier() and not keyword.iskeyword(key)}
            strange -= self._learned[name]
            if strange and len(self._learned[name]) + len(strange) <= MOST_LEARNED:
                self._learned[name] |= strange
                new = True
        if new:
            self._build()


class Tally(NamedTuple):
    """What one call has counted."""

    entries: int
    malformed: int
    skipped: int
    """Entries outside the time that was asked for; they are among `entries`."""

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(*(one + two for one, two in zip(self, other, strict=True)))


class Label:
    """The value of the field that entries are grouped by."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._path = _FIELDS.get(field, field).split(".")

    def __call__(self, entry: Any, time: str) -> str:
        """The value of an entry, decoded or as a mapping, as a short text."""
        if self._field in ("hour", "day"):
            return ABSENT if time == UNDATED else time[: 13 if self._field == "hour" else 10]
        if self._field in ("bucket", "user-prefix"):
            url = _get(entry, ["request", "image_url"]) or _get(entry, ["fal_request", "image_url"])
            match = _PLACE.search(url) if isinstance(url, str) else None
            return ABSENT if match is None else word(match[1 if self._field == "bucket" else 2])
        value = _get(entry, self._path)
        if value is UNSET:
            return ABSENT
        told = value if isinstance(value, str) else json.dumps(value, default=str)
        if self._field == "request_format":
            told = content_type(told)
        return word(told)


def _get(entry: Any, path: Iterable[str]) -> Any:
    for name in path:
        entry = entry.get(name, UNSET) if isinstance(entry, dict) else getattr(entry, name, UNSET)
    return entry


def _head(url: str, memo: str) -> tuple[str, str]:
    """What of an address decides, and the beginning that says the same of the next one."""
    if not url or not url.startswith(("http", "blob:")):
        return (text(url) if url else ""), memo
    head = address_head(url)
    if head is None:
        return word(url), memo
    if "/object/" in head and PROJECT.search(head):
        return f"{head}/", f"{head}/"
    return head, memo


def _pictures(request: Any, sent: Any) -> Any:
    """What decides of every picture's address, for entries that hold them in another way than the usual one."""
    ranks: dict[str, int] = {}

    def folded(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        head = _head(value, "")[0]
        return (head, ranks.setdefault(value, len(ranks))) if value.startswith(("http", "blob:")) else head

    first, picture, address = folded(request.image_url), folded(getattr(sent, "image", UNSET)), folded(sent.image_url)
    urls = getattr(sent, "image_urls", UNSET)
    return first, picture, address, tuple(folded(url) for url in urls[:MAX_ITEMS]) if isinstance(urls, list) else urls


def parsed(line: bytes) -> Any:
    """The value of one line or element; None for a blank one. Raises ValueError that says why it is no JSON."""
    read = characters(line).text.replace("\0", " ")
    value = prompt_log.line_value(read)
    if value is None and read.strip(" \t\r\n,\ufeff"):
        raise ValueError(_why(read))
    return prompt_log.repaired(value) if has_mojibake(read) else value


def _why(read: str) -> str:
    try:
        json.loads(read)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
    except (RecursionError, ValueError):
        pass
    return "it cannot be read"


def _told_time(time: str) -> str:
    told = usual_time(time)
    if told == UNDATED:
        raise TypeError("whether this is a timestamp is for the validator to say")
    return told


def usual_time(time: str) -> str:
    """A timestamp as they are compared: `T` between date and time, in UTC where it names a zone; UNDATED for none."""
    match = _ANY_TIME.fullmatch(time)
    if match is None:
        return UNDATED
    day, clock, seconds, fraction, sign, hours, minutes = match.groups()
    written = f"{day}T{clock}:{seconds or '00'}"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}")
        if sign:
            shift = timedelta(hours=int(hours), minutes=int(minutes))
            moment = moment - shift if sign == "+" else moment + shift
            written = f"{moment.isoformat(timespec='minutes')}:{seconds or '00'}"
    except (ValueError, OverflowError):
        return UNDATED
    return f"{written}.{fraction}" if fraction else written
