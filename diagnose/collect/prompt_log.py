"""`prompt_log.json` in every form that people have, whole or from its end.

The file is an array, oldest entry first. The newest entry is wanted most, so a large file is read backwards:
take the `{` of the tail from the right and keep the first that decodes with exactly `]` left. A `{` inside a
string has an odd number of quotes between itself and the end: what begins there cannot decode up to the end.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from diagnose.collect import loose_json, text
from diagnose.model import Phrase

TAIL_THRESHOLD = 256 * 1024
"""Files up to this size are read whole."""
WINDOW = 64 * 1024
"""The first tail that is looked at; it grows by 8."""
LARGEST_WINDOW = 512 * WINDOW
"""The last one: an entry may be as large as this."""
WHOLE_LIMIT = 32 * 1024 * 1024
"""A file up to this size is read whole when its end does not decode; of a larger one the end is salvaged."""
SALVAGE_WINDOWS = (1024 * 1024, 64 * 1024 * 1024)
_ENOUGH = 16 * 1024 * 1024  # with one entry in hand, do not read more than this for the others
_PAUSE = 0.01  # what a writer needs to finish a file of ordinary size


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `index` is its zero-based place, or negative from the end (-1 is the newest)."""

    index: int
    value: dict[str, Any]
    offset: int | None = None
    """The byte at which it begins in the file."""
    line: int | None = None


class Fault(NamedTuple):
    """What is wrong with the file."""

    kind: Literal["empty", "truncated", "corrupt", "not_a_list", "not_entries"]
    message: str
    byte: int | None = None


class PromptLog(NamedTuple):
    """What was read, in file order; `whole` is false when only the end of the file was looked at."""

    entries: tuple[Entry, ...] = ()
    form: str = "none"
    """`array`, `object`, `flattened`, `json_lines`, `fragments` (entries in other text), `none`."""
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    whole: bool = True


# What an entry is


def looks_like_entry(value: object) -> bool:
    """Whether a JSON value is an entry of a prompt log, of any era, nested or flattened."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("fal_request"), dict):
        return True
    request = value.get("request")
    if isinstance(request, dict):
        beside = ("model", "payload", "generation_mode", "enhanced_prompt")
        return any(key in value for key in beside) or any(str(key).startswith("has_") for key in request)
    if isinstance(value.get("payload"), dict) and isinstance(value.get("model"), str):
        return True
    return _could_be_telemetry(value) and _telemetry(value) is not None


def normalise_entry(value: dict[str, Any]) -> dict[str, Any]:
    """The nested form of an entry: of a flattened one (`model` and `payload` beside `request`), of a span or log record
    with OpenTelemetry's names, and of one that follows the contract; others as they are."""
    if "fal_request" in value:
        return _of_contract(value) if "outcome" in value and "request_id" in value else value
    if not _is_flattened(value):
        return (_telemetry(value) if _could_be_telemetry(value) else None) or value
    payload = value.get("payload")
    sent = {"model": value["model"]} if "model" in value else {}
    sent |= payload if isinstance(payload, dict) else {}
    nested: dict[str, Any] = {}
    if "timestamp" in value:
        nested["timestamp"] = value["timestamp"]
    nested["request"] = value.get("request", {})
    nested["fal_request"] = sent
    taken = ("model", "payload") if isinstance(payload, dict) or payload is None else ("model",)
    return nested | {key: inner for key, inner in value.items() if key not in nested and key not in taken}


def _could_be_telemetry(value: dict[str, Any]) -> bool:
    return "attributes" in value or any(key.startswith("gen_ai") for key in value if isinstance(key, str))


def _telemetry(value: dict[str, Any]) -> dict[str, Any] | None:
    from diagnose.collect import telemetry  # most logs hold none of it

    return telemetry.entry(value)


def _of_contract(value: dict[str, Any]) -> dict[str, Any]:
    """An entry written after the fact, with the flags that its counts of pictures say, an error's stage said in its words
    (that of decoding stands where the upload's does), and the answer of fal known by its time where it has no id."""
    request = value.get("request")
    changed: dict[str, Any] = {}
    images = request.get("images") if isinstance(request, dict) else None
    if isinstance(request, dict) and isinstance(images, dict) and not any(str(k).startswith("has_") for k in request):
        names = [str(name) for name, number in list(images.items())[:_MOST_FIELDS] if number]
        product = any("product" in name for name in names)
        background = any("background" in name for name in names)
        other = any("product" not in name and "background" not in name for name in names)
        flags = {"has_product_images": product, "has_face_image": other, "has_background_image": background}
        changed["request"] = {**flags, **request}
    if not isinstance(value.get("decision"), dict):
        return {**value, **changed} if changed else value
    upload, decode = value.get("upload"), value.get("decode")
    if isinstance(upload, dict) and isinstance(upload.get("error"), str):
        said = _placed(upload["error"], "Supabase upload")
        if said != upload["error"]:
            changed["upload"] = {**upload, "error": said}
    elif isinstance(decode, dict) and isinstance(decode.get("error"), str) and not upload:
        error = _placed(decode["error"], "could not decode the image")
        changed["upload"] = {"status": None, "bucket": None, "path": None, "error": error}
    status = value.get("status")
    if isinstance(status, int) and not value.get("fal_request_id"):  # fal's clients do not show it
        changed["fal_request_id"] = f"the call at {value.get('timestamp')}"
    return {**value, **changed} if changed else value


def _placed(error: str, stage: str) -> str:
    """An error that does not say what failed, behind what its field says: 'timed out' is told of every service."""
    from diagnose.collect import wording

    return error if not error or wording.place(error[: wording.MAX_TEXT])[0] else f"{stage}: {error}"


_MOST_FIELDS = 100


def _is_flattened(value: dict[str, Any]) -> bool:
    return isinstance(value.get("payload"), dict) or ("model" in value and "request" in value)


def era(entry: dict[str, Any]) -> str:
    """Which state of the pipeline wrote a (nested) entry, told from its keys.

    V4 stands for V5 too, which wrote the same; what no era wrote is "unknown".
    """
    if "request_id" in entry and "outcome" in entry:
        return "own"
    sent = entry.get("fal_request")
    if not isinstance(sent, dict):
        sent = {}
    sized = isinstance(sent.get("image_size"), dict)
    if "ip_adapters" in sent or ("strength" in sent and sized):
        return "V8"
    if "image_urls" in sent:
        if "image_strength" in sent:
            return "V7" if "request_format" in _request(entry) else "V6"
        return "V3" if "strength" in sent else "unknown"
    if "image_url" in sent:
        if "image_strength" in sent:
            return "V4"
        return "V2" if "strength" in sent else "unknown"
    if "image" in sent:
        return "V1" if "strength" in sent else "unknown"
    if entry.get("generation_mode") == "text-to-image":
        return "V4"  # from V5 on there was no text-to-image
    if isinstance(sent.get("image_size"), str):
        return "V4" if "generation_mode" in entry else "V0b"
    return "unknown"


_FLAGS_MEAN_SOMETHING = ("V0b", "V1", "V2", "V3", "V4", "V5")


def absence_is_proved(entry: dict[str, Any]) -> bool:
    """Whether this entry's false `has_*` flags prove that no image arrived.

    They are computed from fields that multipart requests, and the code from V6 on, never pass. An entry that was written
    after the fact says what arrived, whatever the format.
    """
    request = _request(entry)
    if not any(str(key).startswith("has_") for key in request) or request.get("image_url"):
        return False
    if era(entry) == "own":
        return True
    form = request.get("request_format")
    stated = isinstance(form, str) and form not in ("", "unknown")
    if stated and "json" not in str(form).lower():
        return False
    return era(entry) in _FLAGS_MEAN_SOMETHING


def _request(entry: dict[str, Any]) -> dict[str, Any]:
    request = entry.get("request")
    return request if isinstance(request, dict) else {}


# The whole file


def read(data: bytes) -> PromptLog:
    """Everything that can be read from the bytes of a prompt log. Never raises."""
    notes: tuple[str, ...] = ()
    if data.startswith(text.GZIP_MAGIC):
        unpacked = text.inflate(data)
        data, notes = unpacked.data, unpacked.notes
    source = text.characters(data)
    notes += source.notes
    # A blank keeps every position what it is in the file.
    body = source.text.replace("\0", " ") if "\0" in source.text else source.text
    if body is not source.text:
        notes += ("NUL bytes dropped",)
    source = source._replace(text=body)
    log = _read_text(source, len(data))
    return _finished(log, notes, body)


def _read_text(source: text.Characters, size: int) -> PromptLog:
    body = source.text
    first = _first_character(body)
    if first is None:
        return PromptLog(faults=(Fault("empty", "the file is empty", 0),))
    if body[first] == "[":
        strict = _strict_array(source, first)
        if strict is not None:
            return strict
    try:
        parsed = loose_json.parse(body)
    except loose_json.NotJson as error:
        return _json_lines(source, size) or _salvage(source, size, error)
    log = _from_value(parsed.value, _Places(source).at(first))
    return log._replace(notes=(*parsed.notes, *log.notes))


def _first_character(body: str) -> int | None:
    found = re.compile(r"[^\s\ufeff]").search(body)
    return found.start() if found else None


class _Places:
    """Characters to bytes and lines; asked in ascending order, so that the file is counted once."""

    def __init__(self, source: text.Characters, start: int = 0) -> None:
        self._text = source.text
        self._encoding = source.encoding
        self._one_to_one = source.text.isascii() and not source.encoding.startswith("utf-16")
        self._char, self._byte, self._line = 0, start + source.bom, 1

    def at(self, char: int) -> tuple[int, int]:
        """Byte and line of a character."""
        if char < self._char:
            raise ValueError("places are asked in ascending order")
        self._line += self._text.count("\n", self._char, char)
        if self._one_to_one:
            self._byte += char - self._char
        else:
            self._byte += len(self._text[self._char : char].encode(self._encoding, "replace"))
        self._char = char
        return self._byte, self._line

    def entry(self, index: int, value: dict[str, Any], char: int) -> Entry:
        """An entry that begins at a character."""
        return Entry(index, value, *self.at(char))


def _past_space(body: str, pos: int) -> int:
    found = re.compile(r"\s*+").match(body, pos)
    return found.end() if found else pos


def _strict_array(source: text.Characters, first: int) -> PromptLog | None:
    """An array in strict JSON, with the place of each entry; None when it is anything else."""
    body, places = source.text, _Places(source)
    entries: list[Entry] = []
    others = 0
    pos = _past_space(body, first + 1)
    if body.startswith("]", pos):
        return None if body[pos + 1 :].strip() else _listed((), 0)
    while True:
        element = loose_json.strict_at(body, pos)
        if element is None:
            return None
        value, end = element
        if isinstance(value, dict):
            entries.append(places.entry(len(entries) + others, value, pos))
        else:
            others += 1
        end = _past_space(body, end)
        if body.startswith(",", end):
            pos = _past_space(body, end + 1)
        elif body.startswith("]", end):
            return None if _past_space(body, end + 1) < len(body) else _listed(entries, others)
        else:
            return None


def _listed(entries: list[Entry] | tuple[()], others: int) -> PromptLog:
    faults: tuple[Fault, ...] = ()
    if not entries and not others:
        faults = (Fault("empty", "the array holds no entry"),)
    elif others:
        count = len(entries) + others
        faults = (
            Fault("not_entries", Phrase("{others} of {count} elements are not objects", others=others, count=count)),
        )
    elif not any(looks_like_entry(entry.value) for entry in entries):
        faults = (
            Fault("not_entries", Phrase("none of the {entries} objects is a prompt-log entry", entries=len(entries))),
        )
    return PromptLog(tuple(entries), "array", faults)


def _from_value(value: object, place: tuple[int | None, int | None] = (None, None)) -> PromptLog:
    """A document that was read as a whole: not an array, or one that is not strict JSON."""
    if isinstance(value, list):
        value = [inner for inner in value if inner != "..."] if len(value) > 1 else value
        entries = [Entry(index, inner) for index, inner in enumerate(value) if isinstance(inner, dict)]
        return _listed(entries, len(value) - len(entries))
    if not isinstance(value, dict):
        kind = "null" if value is None else f"one {_KINDS.get(type(value), 'value')}"
        return PromptLog(
            faults=(Fault("not_a_list", Phrase("the file holds {kind}, not a list of entries", kind=kind)),)
        )
    if not value:
        return PromptLog(form="object", faults=(Fault("empty", "the file holds an empty object"),))
    if looks_like_entry(value):
        form: str = "object" if "fal_request" in value or not _is_flattened(value) else "flattened"
        return PromptLog((Entry(0, value, *place),), form)
    for name, inner in value.items():
        wrapped = inner if isinstance(inner, list) else [inner]
        if wrapped and all(looks_like_entry(each) for each in wrapped):
            log = _from_value(inner)
            return log._replace(notes=(*log.notes, Phrase("the entries stand under {name}", name=repr(name[:80]))))
    return PromptLog(form="object", faults=(Fault("not_entries", "the object is not a prompt-log entry"),))


_KINDS = {str: "string", int: "number", float: "number", bool: "truth value"}


def _lines(body: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, and where they begin."""
    pos = 0
    while pos < len(body):
        end = body.find("\n", pos)
        end = len(body) if end < 0 else end
        line = body[pos:end]
        if line.strip():
            yield pos, line
        pos = end + 1


def _json_lines(source: text.Characters, size: int) -> PromptLog | None:
    """JSON Lines; None when the first line is not an object by itself."""
    places = _Places(source)
    entries: list[Entry] = []
    faults: list[Fault] = []
    lines = list(_lines(source.text))
    if not lines or not isinstance(line_value(lines[0][1]), dict):
        return None
    for number, (start, line) in enumerate(lines):
        value = line_value(line)
        byte, row = places.at(start)
        if isinstance(value, dict):
            entries.append(Entry(len(entries), value, byte, row))
        elif number + 1 == len(lines):
            faults.append(_cut_off(byte, size))
        else:
            faults.append(Fault("corrupt", Phrase("line {row} is not an entry", row=row), byte))
    if not any(looks_like_entry(entry.value) for entry in entries):
        faults.append(
            Fault("not_entries", Phrase("none of the {entries} objects is a prompt-log entry", entries=len(entries)))
        )
    return PromptLog(tuple(entries), "json_lines", tuple(faults))


def _cut_off(byte: int, size: int) -> Fault:
    return Fault("truncated", Phrase("the file ends inside an entry, which begins at byte {byte}", byte=byte), size)


def line_value(line: str) -> object:
    found = loose_json.strict_at(line, _past_space(line, 0))
    return found[0] if found is not None and not line[found[1] :].strip().strip(",") else None


def _salvage(source: text.Characters, size: int, error: loose_json.NotJson | None, start: int = 0) -> PromptLog:
    """The whole entries of a text that is not JSON as a whole."""
    body = source.text
    places = _Places(source, start)
    found: list[tuple[dict[str, Any], int]] = []
    between, end = "", 0
    for block in loose_json.blocks(body):
        between += body[end : block.start].strip()[:16]
        end = block.end
        if isinstance(block.value, dict) and looks_like_entry(block.value):
            found.append((block.value, block.start))
        elif isinstance(block.value, list):
            found += [(each, block.start) for each in block.value if looks_like_entry(each)]
    found = _of_one_hand(found, body)
    entries = tuple(places.entry(index, value, char) for index, (value, char) in enumerate(found))
    if not (between + body[end:]).strip(", \t\r\n"):
        if not entries:
            return PromptLog((), "fragments", (Fault("not_entries", "nothing in it is a prompt-log entry"),))
        return PromptLog(entries, "fragments", notes=("entries one after another, not in a list",))
    return PromptLog(entries, _form_of(body), _broken(source, size, error, len(entries)))


def _of_one_hand(found: list[tuple[dict[str, Any], int]], body: str) -> list[tuple[dict[str, Any], int]]:
    """Without what stands in Python's quotes inside the strings of a JSON file: a prompt can say anything."""
    quoted = re.compile(r"[\[{\s]*+\"")
    json_ones = [each for each in found if quoted.match(body, each[1])]
    return json_ones or found


def _form_of(body: str) -> str:
    first = _first_character(body)
    return "array" if first is not None and body[first] == "[" else "fragments"


def _broken(source: text.Characters, size: int, error: loose_json.NotJson | None, count: int) -> tuple[Fault, ...]:
    if error is None:
        return ()
    if not count and source.text.lstrip("\ufeff \t\r\n")[:1] not in ("[", "{"):
        return (Fault("not_a_list", "the file is not JSON", 0),)
    byte, line = _Places(source).at(min(error.offset, len(source.text)))
    whole = Phrase("{count} whole entry saved" if count == 1 else "{count} whole entries saved", count=count)
    if error.at_end:
        return (
            Fault(
                "truncated",
                Phrase("the file ends at byte {size} inside an entry; {whole}", size=size, whole=whole),
                size,
            ),
        )
    return (
        Fault(
            "corrupt",
            Phrase(
                "{message} at byte {byte}, line {line}; {whole}",
                message=error.message,
                byte=byte,
                line=line,
                whole=whole,
            ),
            byte,
        ),
    )


def _finished(log: PromptLog, notes: tuple[str, ...], body: str) -> PromptLog:
    """Entries in nested form with their mojibake repaired, and every note."""
    notes += log.notes
    values = [entry.value for entry in log.entries]
    nested = [normalise_entry(value) for value in values]
    if any("fal_request" not in old and new is not old for new, old in zip(nested, values, strict=True)):
        notes += ("flattened entries read as nested",)
    if log.form == "json_lines":
        notes += ("JSON Lines read",)
    if text.has_mojibake(body):
        mended = [repaired(value) for value in nested]
        if mended != nested:
            nested = mended
            notes += ("mojibake repaired",)
    entries = tuple(replace(entry, value=value) for entry, value in zip(log.entries, nested, strict=True))
    return log._replace(entries=entries, notes=tuple(dict.fromkeys(notes)))


def repaired(value: Any) -> Any:
    if isinstance(value, str):
        return text.repair(value)[0]
    if isinstance(value, list):
        return [repaired(inner) for inner in value]
    if isinstance(value, dict):
        return {key: repaired(inner) for key, inner in value.items()}
    return value


# From the end


class _Tail:
    """The end of a file as characters; `start` is the byte at which it begins."""

    __slots__ = ("body", "source", "start")

    def __init__(self, source: text.Characters, start: int) -> None:
        self.source = source
        self.start = start
        self.body = source.text


_Found = list[tuple[dict[str, Any], int]]
"""Values and the characters at which they begin, newest first."""


def read_newest(path: str | os.PathLike[str], count: int = 10, threshold: int = TAIL_THRESHOLD) -> PromptLog:
    """The newest entries. A file above the threshold is read from its end, at the cost of a small file.

    Raises OSError where the file cannot be opened, and nothing else.
    """
    count = max(count, 1)
    before = _state(path)
    log = _attempt(path, count, threshold)
    if log is None or any(fault.kind in _PASSING for fault in log.faults):
        # A writer that rewrites the file in place leaves it empty or cut for a moment.
        time.sleep(_PAUSE)
        if _state(path) != before:
            log = _attempt(path, count, threshold)
    return log or _without_tail(path, count)


def _state(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    now = os.stat(path)  # noqa: PTH116 - pathlib costs more to import than the whole reading does
    return now.st_ino, now.st_size, now.st_mtime_ns


_PASSING = ("empty", "truncated", "corrupt")


def _attempt(path: str | os.PathLike[str], count: int, threshold: int) -> PromptLog | None:
    """One look; None when the end of the file does not decode."""
    with _Window(path) as window:
        if window.size > threshold and not window.head.startswith(text.GZIP_MAGIC):
            return _from_end(window, count)
    return _whole(path)


def _whole(path: str | os.PathLike[str]) -> PromptLog:
    snapshot = text.snapshot(path)
    log = read(snapshot.data)
    return log._replace(notes=(*snapshot.notes, *log.notes)) if snapshot.notes else log


class _Window:
    """Reads the end of a file, as long as the file was when it was opened."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = io.FileIO(path)
        self.size = os.fstat(self._file.fileno()).st_size
        self.head = self._file.read(64) or b"" if self.size else b""
        self._encoding = text.encoding_of(self.head)

    def __enter__(self) -> _Window:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def is_array(self) -> bool:
        """The file begins like an array."""
        return text.characters(self.head, self._encoding).text.lstrip("\ufeff \t\r\n").startswith("[")

    def read(self, start: int) -> bytes:
        """From a byte to the end."""
        self._file.seek(start)
        parts, left = [], self.size - start
        while left > 0 and (part := self._file.read(min(left, 1 << 26))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def tail(self, length: int) -> _Tail:
        """The last `length` bytes, or the whole file when it is shorter."""
        start = max(0, self.size - length)
        start -= start % 2  # a unit of UTF-16 stays whole
        data = self.read(start)
        if start == 0:
            return _Tail(text.characters(data), 0)
        if self._encoding in (None, "utf-8"):
            while data and data[0] & 0xC0 == 0x80:  # the rest of a character
                data, start = data[1:], start + 1
        return _Tail(text.characters(data, self._encoding), start)


def _from_end(window: _Window, count: int) -> PromptLog | None:
    length = WINDOW
    while True:
        tail = window.tail(length)
        if tail.start == 0:
            return read(window.read(0))
        array = tail.body.rstrip()[-1:] == "]"
        faults: list[Fault] = []
        found = _last_elements(tail.body, count) if array else _last_lines(tail, count, window.size, faults)
        if found is None or (found and not looks_like_entry(found[0][0])):
            return None  # a list inside an entry at which the file was cut, or another kind of file
        if len(found) >= count or (found and length >= _ENOUGH):
            return _from_tail(tail, found, "array" if window.is_array else "json_lines", faults)
        if length >= LARGEST_WINDOW:
            return None
        length *= 8


_CANDIDATE = r"\{(?=\s*+\")"


def _last_elements(body: str, count: int) -> _Found | None:
    """The last elements of an array that ends the text, newest first."""
    end = _before_space(body, _before_space(body, len(body)) - 1)
    candidates = [found.start() for found in re.compile(_CANDIDATE).finditer(body, 0, end)]
    found: _Found = []
    patience = 64 * len(body) + (1 << 24)
    while len(found) < count and end > 0 and body[end - 1] == "}":
        element = _empty_object(body, end)
        while element is None and candidates and patience > 0:
            start = candidates.pop()
            if start >= end:
                continue
            value = loose_json.strict_at(body, start)
            # What failed has cost as much as the text before it, for the line number in json's message.
            patience -= value[1] - start if value else start
            if value and value[1] == end and isinstance(value[0], dict):
                element = value[0], start
        if element is None:
            break
        found.append(element)
        end = _before_space(body, element[1])
        if end == 0 or body[end - 1] != ",":
            break
        end = _before_space(body, end - 1)
    return found


def _empty_object(body: str, end: int) -> tuple[dict[str, Any], int] | None:
    start = body.rfind("{", 0, end)
    return ({}, start) if start >= 0 and not body[start + 1 : end - 1].strip() else None


def _before_space(body: str, end: int) -> int:
    while end > 0 and body[end - 1] in " \t\r\n":
        end -= 1
    return max(end, 0)


def _last_lines(tail: _Tail, count: int, size: int, faults: list[Fault]) -> _Found | None:
    """The last lines of JSON Lines, newest first; None when the text is not that."""
    body = tail.body
    found: _Found = []
    failed: list[int] = []
    end = _before_space(body, len(body))
    while len(found) < count and end > 0:
        start = body.rfind("\n", 0, end) + 1
        if start == 0 and tail.start:
            break  # begins before the window
        value = line_value(body[start:end])
        if isinstance(value, dict):
            found.append((value, start))
        elif not found and failed:
            return None
        else:
            failed.append(start)
        end = _before_space(body, start)
    for start in failed:
        byte = tail.start + len(body[:start].encode(tail.source.encoding, "replace")) + tail.source.bom
        if found and start > found[0][1]:
            faults.append(_cut_off(byte, size))
        else:
            faults.append(Fault("corrupt", Phrase("the line at byte {byte} is not an entry", byte=byte), byte))
    return found


def _from_tail(tail: _Tail, found: _Found, form: str, faults: list[Fault]) -> PromptLog:
    places = _Places(tail.source, tail.start)
    entries = [
        Entry(back - len(found), value, places.at(start)[0]) for back, (value, start) in enumerate(reversed(found))
    ]
    log = PromptLog(tuple(entries), form, tuple(faults), whole=False)
    return _finished(log, tail.source.notes, tail.body[found[-1][1] :])


def _without_tail(path: str | os.PathLike[str], count: int) -> PromptLog:
    """What can be had of a file whose end does not decode."""
    with _Window(path) as window:
        if window.size > WHOLE_LIMIT:
            for length in SALVAGE_WINDOWS:
                tail = window.tail(length)
                log = _salvage(tail.source, window.size, None, tail.start)
                if log.entries:
                    break
            return _salvaged_end(log, tail, window, count)
    return _whole(path)


def _salvaged_end(log: PromptLog, tail: _Tail, window: _Window, count: int) -> PromptLog:
    kept = log.entries[-count:]
    entries = tuple(replace(entry, index=i - len(kept), line=None) for i, entry in enumerate(kept))
    looked = window.size - tail.start
    message = (
        f"the file of {window.size} bytes does not end like a list of entries; only its last {looked} bytes"
        f" were looked at, {len(entries)} whole {'entry' if len(entries) == 1 else 'entries'} found"
    )
    ends = tail.body.rstrip()[-1:] in ("]", "}")
    fault = Fault("corrupt", message) if ends else Fault("truncated", message, window.size)
    form: str = "array" if window.is_array else "fragments"
    log = PromptLog(entries, form, (fault,), whole=False)
    return _finished(log, tail.source.notes, tail.body)
