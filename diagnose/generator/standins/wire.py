"""What stands between the rules and HTTP: bodies that come in, within bounds, and answers that go out."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from diagnose.generator.standins.rules import BAD_RANGE, LIMIT, NO_CONTENT, Refused, Stored, Upload, malformed

JSON_LIMIT = 1024 * 1024
DRAINED = 4 * LIMIT
"""How much of a body is read, and thrown away, before the answer is given all the same."""
_AROUND = 64 * 1024
"""What a form may have around its file."""
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_NOT_JSON = "Body is not valid JSON but content-type is set to 'application/json'"


class Json(JSONResponse):
    """JSON that is always UTF-8, whatever a key or a name was made of."""

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


# In.


class _TooMuch(MultiPartException):
    """A body that goes beyond its bound."""


async def _bounded(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body's parts up to a limit; beyond it they are read and dropped. Raises _TooMuch at the end."""
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= limit:
            yield part
        elif size > DRAINED:
            break
    if size > limit:
        raise _TooMuch("the body is too large")


async def json_body(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings. Raises Refused."""
    try:
        raw = b"".join([part async for part in _bounded(request, JSON_LIMIT)])
        found = loads(raw.decode("utf-8"))
    except (_TooMuch, ValueError, RecursionError):
        raise Refused(malformed(_NOT_JSON)) from None
    if not isinstance(found, dict):
        raise Refused(malformed("body must be object"))
    return found


async def upload_body(request: Request) -> Upload:
    """The object that a request brings, as a form or bare. Raises Refused."""
    kind = request.headers.get("content-type", "")
    try:
        if kind.startswith("multipart/form-data"):
            return await _form(request)
        data = b"".join([part async for part in _bounded(request, LIMIT)])
    except _TooMuch:
        bare = "" if kind.startswith("multipart/form-data") else kind
        return Upload(b"", plain(bare), size=LIMIT + 1)
    except MultiPartException:
        raise Refused(NO_CONTENT) from None
    return Upload(
        data, plain(kind) or "application/octet-stream", plain(request.headers.get("cache-control", "no-cache"))
    )


async def _form(request: Request) -> Upload:
    parts = _bounded(request, LIMIT + _AROUND)
    form = await MultiPartParser(request.headers, parts, max_files=1, max_fields=10).parse()  # type: ignore[arg-type]
    try:
        files = [part for part in form.values() if isinstance(part, UploadFile)]
        if not files:
            raise Refused(NO_CONTENT)
        seconds, metadata = form.get("cacheControl"), form.get("metadata")
        return Upload(
            data=await files[0].read(),
            content_type=plain(str(form.get("contentType") or files[0].content_type or "application/octet-stream")),
            cache_control=f"max-age={plain(seconds)}" if isinstance(seconds, str) and seconds else "no-cache",
            metadata=_metadata(metadata),
        )
    finally:
        await form.close()


def _metadata(text: object) -> Any:
    try:
        return loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def loads(text: str) -> Any:
    """JSON, without the numbers that JSON does not have. Raises ValueError and RecursionError."""

    def refuse(name: str) -> Any:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def plain(text: str) -> str:
    """What of a text may stand in a header."""
    return "".join(c for c in text if " " <= c <= "~")


# Out.


def served(request: Request, kept: Stored) -> Response:
    """An object, or the part of it that is asked for."""
    data, status, size = kept.data, 200, len(kept.data)
    # what is a page would run as one, under the project's own name
    kind = "text/plain" if "text/html" in kept.content_type else kept.content_type
    headers = {
        "content-type": kind,
        "cache-control": kept.cache_control,
        "etag": kept.etag,
        "last-modified": format_datetime(kept.updated, usegmt=True),
        "accept-ranges": "bytes",
        "x-robots-tag": "none",
    }
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is not None:
        first, last = _ends(asked[1], asked[2], size)
        status, data = 206, data[first : last + 1]
        headers["content-range"] = f"bytes {first}-{last}/{size}"
    return Response(data, status, headers)


def _ends(first: str, last: str, size: int) -> tuple[int, int]:
    """The first and the last byte of a range. Raises Refused where it holds none."""
    if not first and not last:
        raise Refused(BAD_RANGE)
    start = int(first) if first else max(0, size - int(last))
    end = min(size - 1, int(last)) if first and last else size - 1
    if start > end:
        raise Refused(BAD_RANGE)
    return start, end
