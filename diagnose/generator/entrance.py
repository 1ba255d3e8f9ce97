"""What stands around every request: its id, the limits of its body, and who is not let in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diagnose.generator import events
from diagnose.generator.journal import Journal

MAX_BODY = 48 * 1024 * 1024
"""Bytes of a request: four pictures of the largest size, as base64."""
MAX_SMALL = 64 * 1024
"""Bytes of a request that carries no picture."""
SMALL = ("/api/browser-errors", "/break")
BODY_SECONDS = 60.0
"""How long a body may take to arrive."""
LOCAL = ("127.0.0.1", "localhost", "::1")

_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob: https:; style-src 'self'; script-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # without any, a form would be sent as if by a stranger
}


class Named:
    """Gives every request its id, in the log and in the answer."""

    def __init__(self, app: ASGIApp, journal: Journal, new_id: Any) -> None:
        self._app = app
        self._journal = journal
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        extra = {**_HEADERS, "x-request-id": request_id}

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                pairs = [(name.encode(), value.encode("latin-1")) for name, value in extra.items()]
                message = {**message, "headers": [*message["headers"], *pairs]}
            await send(message)

        with self._journal.serving(request_id):
            await self._app(scope, receive, named)


class Guarded:
    """Bounds what a request may bring, keeps strangers' pages from acting, and answers whatever else went wrong."""

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_SMALL if scope["path"] in SMALL else MAX_BODY
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        async def answer(status: int, detail: str) -> None:
            body = {"detail": detail, "request_id": scope["state"]["request_id"]}
            if not begun:
                await JSONResponse(body, status)(scope, receive, watched)

        refusal = unwelcome(scope, limit)
        if refusal is not None:
            await answer(*refusal)
            return
        try:
            await self._app(scope, _bounded(receive, limit), watched)
        except asyncio.CancelledError:
            # the server stops, and this was not done within its grace
            self._journal(events.Interrupted())
            await answer(503, "the backend is stopping; no picture was waited for")
            raise
        except Exception as error:
            logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=error)
            await answer(500, "Internal Server Error")


def _bounded(receive: Receive, limit: int) -> Receive:
    """A body of this many bytes at most, which does not take for ever."""
    size, more = 0, True
    until = asyncio.get_running_loop().time() + BODY_SECONDS

    async def bounded() -> Message:
        nonlocal size, more
        if not more:  # whoever waits now waits for the client to leave
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"the request was not complete within {BODY_SECONDS:.0f} seconds") from None
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
        if size > limit:
            raise HTTPException(413, too_large(limit))
        return message

    return bounded


def too_large(limit: int) -> str:
    """Why a body is not taken."""
    return (
        f"the request is larger than {limit // 2**20} MiB"
        if limit >= 2**20
        else f"the request is larger than {limit // 2**10} KiB"
    )


def unwelcome(scope: Mapping[str, Any], limit: int) -> tuple[int, str] | None:
    """The status and the reason of a request that is not even read."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limit and scope["path"] != "/":  # the page says it on the page
        return 413, too_large(limit)
    here, host = scope.get("server") or ("", 0), headers.get("host", "")
    if here[0] in LOCAL and hostname(f"//{host}") not in LOCAL:
        # a stranger's name that was made to lead here
        return 421, "this backend answers to the name of this machine only; serve it on another --host for others"
    if scope["method"] == "POST" and not friendly(headers):
        return 403, "requests from another site's page are not taken"
    return None


def friendly(headers: Mapping[str, str]) -> bool:
    """Whether a request came from a page of this machine or of this very address, or from no page at all."""
    origin = headers.get("origin")
    return origin is None or hostname(origin) in LOCAL or origin.partition("://")[2] == headers.get("host")


def hostname(url: str) -> str | None:
    """The host of an address; None where it is none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
