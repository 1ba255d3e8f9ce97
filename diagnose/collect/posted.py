"""Reads the body of a recorded request: a form, JSON or a bare picture, whole or as much of it as was kept.

Browsers leave out the bytes of files, or cut a long body in the middle. What was not kept is told apart from what was
not sent: by the recorded lengths, and by a body that does not end.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from diagnose.collect import loose_json
from diagnose.collect.documents import carrier, is_image
from diagnose.collect.text import decode

MAX_BODY = 16 * 1024 * 1024
"""Characters of one body that are read; of a longer one only its beginning."""
HEAD = 256 * 1024
MAX_PARTS = 200


@dataclass(frozen=True)
class Posted:
    """A body: its fields by name, and its files."""

    kind: str
    """The content type as it was sent."""
    form: str | None = None
    """What the content type does not tell: `binary`, or `unknown` where nothing was recorded."""
    values: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Mapping[str, Any], ...] = ()
    whole: bool = True
    """Nothing of it was left out of the recording that could hide a field."""
    size: int | None = None
    """Bytes that were sent, where that is known."""

    @property
    def has_picture(self) -> bool:
        """Whether a file or a picture's own bytes are in it, whatever the fields are called."""
        kinds = (carrier(name, value) for name, value in self.values.items() if is_image(name, value))
        return bool(self.files) or any(kind in ("data_uri", "base64", "blob") for kind in kinds)


@dataclass(frozen=True)
class _Part:
    name: str
    file: str | None
    kind: str
    text: str | None
    """None: not recorded."""
    size: int | None


def body_of(request: Mapping[str, Any], headers: Mapping[str, str]) -> Posted:
    """The body of a HAR's request."""
    given = request.get("postData")
    posted: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    kind = str(posted.get("mimeType") or headers.get("content-type") or "")[:300]
    declared = _count(headers.get("content-length"))
    # Chrome's bodySize counts what it kept, which is less than was sent
    size = declared if declared is not None else _count(request.get("bodySize")) or None
    text = posted.get("text")
    text = text if isinstance(text, str) else ""
    exact = posted.get("encoding") == "base64"
    if exact:
        text = _bytes(text).decode("latin-1")
    params = [_param(p) for p in posted["params"][:MAX_PARTS] if isinstance(p, Mapping)] if _has_params(posted) else []
    lower = kind.lower()
    if lower.startswith("image/"):
        picture = {"field": "(file)", "type": lower.partition(";")[0], **({} if size is None else {"bytes": size})}
        return Posted(kind, "binary", files=(picture,), size=size)
    if not text and not params:
        return Posted(kind, None if kind else "unknown", whole=declared == 0, size=declared)
    files = any(param.file for param in params) or (text.startswith("--") and "form-data" in text[:4000])
    if files or "multipart" in lower:
        return _form(kind or "multipart/form-data", text, params, declared, exact)
    if "urlencoded" in lower:
        pairs = _pairs(text) if text else {p.name: p.text for p in params}
        return Posted(kind, values=pairs, whole=_complete(text, size), size=size)
    return _json(kind, text, size) if text else Posted(kind, values={p.name: p.text for p in params}, size=size)


def _has_params(posted: Mapping[str, Any]) -> bool:
    return isinstance(posted.get("params"), list) and bool(posted["params"])


def _count(value: object) -> int | None:
    """A length; negative ones stand for unknown."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value.strip()):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text[:MAX_BODY])
    except (binascii.Error, ValueError):
        return text[:MAX_BODY].encode("utf-8", "replace")


def _complete(text: str, size: int | None) -> bool:
    """Whether a text is all that was sent, by its length."""
    return len(text) <= MAX_BODY and (size is None or not text.isascii() or len(text) >= size)


# --- forms ------------------------------------------------------------------------------------------------------------


def _pairs(text: str) -> dict[str, Any]:
    try:
        return dict(parse_qsl(text[:MAX_BODY], keep_blank_values=True, max_num_fields=1000))
    except ValueError:
        return {}


def _param(given: Mapping[str, Any]) -> _Part:
    file, value = given.get("fileName"), given.get("value")
    return _Part(
        name=str(given.get("name") or "")[:200],
        file=file if isinstance(file, str) and file else None,
        kind=str(given.get("contentType") or "")[:200],
        text=value if isinstance(value, str) else None,
        size=None,
    )


def _form(kind: str, text: str, params: list[_Part], size: int | None, exact: bool) -> Posted:
    """A multipart form, by its own text; what that lacks, by the list of its fields."""
    parts, closed = _parts(kind, text[:MAX_BODY], exact)
    known = {part.name for part in parts}
    parts += [param for param in params if param.name not in known]
    parts = _sized(parts, len(text) if exact or text.isascii() else None, size, closed)
    values: dict[str, Any] = {}
    files: list[Mapping[str, Any]] = []
    for part in parts:
        if part.file == "":
            continue  # a browser sends a file input in which nothing was chosen
        if part.file is None and part.text is not None:
            values[part.name] = part.text
        elif part.file is not None and re.match(r"application/json|text/plain", part.kind) and part.text:
            inner = _json("", part.text, None).values  # JSON that a page wrapped in a Blob
            values |= {f"{part.name}.{name}": value for name, value in inner.items()} or {part.name: part.text}
        else:
            length = {} if part.size is None else {"bytes": part.size}
            files.append({"field": part.name, "type": part.kind, **length})
    return Posted(kind, values=values, files=tuple(files), whole=closed or bool(params), size=size)


def _sized(parts: list[_Part], length: int | None, size: int | None, closed: bool) -> list[_Part]:
    """The parts with the size of a file whose bytes were left out, which the length of the whole body tells."""
    empty = [part for part in parts if part.file is not None and not part.size]
    if not empty:
        return parts
    left = size - length if size is not None and length is not None and closed else None
    if left is not None and len(empty) == 1:
        told = max(left, 0)
    elif left is not None and left <= 0:
        told = 0
    else:
        told = None  # several were left out, or nothing tells how much
    return [_Part(p.name, p.file, p.kind, p.text, told) if p in empty else p for p in parts]


def _parts(kind: str, text: str, exact: bool) -> tuple[list[_Part], bool]:
    """The parts of a multipart body, and whether it ends as it should."""
    named = re.search(r'boundary="?([^";,\s]{1,200})', kind, re.I)
    mark = "--" + named[1] if named else text[:202].partition("\n")[0].strip()
    if len(mark) < 3 or mark not in text:
        return [], False
    pieces = text.split(mark, MAX_PARTS + 1)
    closed = pieces[-1].startswith("--")
    parts = []
    for index, piece in enumerate(pieces[1:], 1):
        if piece.startswith("--"):
            break
        cut = index == len(pieces) - 1
        part = _part(piece, cut, exact)
        if part is not None:
            parts.append(part)
    return parts, closed


def _part(piece: str, cut: bool, exact: bool) -> _Part | None:
    gap = re.search(r"\r?\n\r?\n", piece)
    head, content = (piece[: gap.start()], piece[gap.end() :]) if gap else (piece, "")
    name = re.search(r'\bname="([^"]{0,200})"', head, re.I)
    if name is None:
        return None
    file = re.search(r'filename\*?="?([^"\r\n]{0,300})', head, re.I)
    kind = re.search(r"content-type:\s*([^\r\n;]{1,200})", head, re.I)
    content = content if cut else re.sub(r"\r?\n$", "", content)
    if cut:
        content += "..."  # what is missing after it was not judged
    size = None if cut or not (exact or max(content, default="") <= "\xff") else len(content)
    return _Part(name[1], file[1] if file else None, kind[1].strip().lower() if kind else "", content, size)


# --- JSON -------------------------------------------------------------------------------------------------------------

_FIELD = re.compile(
    r'"((?:[^"\\]|\\.){1,200})"\s*+:\s*+(?:"((?:[^"\\]|\\.)*+)("|\\?$)|(-?\d[\d.eE+-]{0,30}|true|false)\b)', re.S
)


def _json(kind: str, text: str, size: int | None) -> Posted:
    """A JSON body; of one that was cut, the fields up to there."""
    if len(text) <= MAX_BODY:
        value, notes = _read(text)
        if isinstance(value, list):
            value = {str(index): item for index, item in enumerate(value[:MAX_PARTS])}
        if isinstance(value, dict):
            return Posted(kind or "application/json", values=value, whole=not notes, size=size)
    fields = dict(_fields(text[:HEAD]))
    looks = "json" in kind.lower() or bool(fields)
    return Posted((kind or "application/json") if looks else kind, values=fields, whole=False, size=size)


def _read(text: str) -> tuple[object, tuple[str, ...]]:
    """A value, and what was unusual: dots stand for what somebody left out."""
    try:
        parsed = loose_json.parse(text)
    except loose_json.NotJson:
        return None, ()
    return parsed.value, parsed.notes


def _fields(text: str) -> Iterator[tuple[str, Any]]:
    for name, words, end, plain in _FIELD.findall(text):
        yield name, plain or (words if end == '"' else words + "...")


# --- the answer's body ------------------------------------------------------------------------------------------------


def text_of(content: Mapping[str, Any], kind: str) -> str | None:
    """The text of a HAR's `content`; None where it was not recorded, or is too long to be read."""
    text = content.get("text")
    if not isinstance(text, str) or len(text) > MAX_BODY:
        return None
    if not text and _count(content.get("size")):
        return None
    if content.get("encoding") != "base64":
        return text
    raw = _bytes(text)
    charset = re.search(r"charset=\"?([\w.-]{1,40})", kind)
    if charset:
        try:
            return raw.decode(charset[1], "replace")
        except (LookupError, ValueError):
            pass
    return decode(raw).text
