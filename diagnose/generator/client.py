"""The HTTP client of the hands: what is asked is answered in time and in a sane size, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx

MAX_ANSWER = 8 * 1024 * 1024
SECONDS = 20.0


def client(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """A client whose timeouts hold for the whole of an answer; with a transport it goes nowhere else.

    Raises ValueError where the environment names a proxy that is none.
    """
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=40)
    hooks: dict[str, list[Callable[..., None]]] = {"request": [_begin], "response": [_bound]}
    alone = transport is not None
    return httpx.Client(transport=transport, trust_env=not alone, timeout=SECONDS, limits=limits, event_hooks=hooks)


def _begin(request: httpx.Request) -> None:
    request.extensions["until"] = time.monotonic() + request.extensions["timeout"]["read"]


def _bound(response: httpx.Response) -> None:
    assert isinstance(response.stream, httpx.SyncByteStream)
    response.stream = _Bounded(response.stream, response.request)


class _Bounded(httpx.SyncByteStream):
    """httpx bounds each read alone: a server that sends a byte a second would hold a request for ever."""

    def __init__(self, inner: httpx.SyncByteStream, request: httpx.Request) -> None:
        self._inner = inner
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for part in self._inner:
            size += len(part)
            if size > MAX_ANSWER:
                raise httpx.ReadError(f"the answer is larger than {MAX_ANSWER:,} bytes", request=self._request)
            if time.monotonic() > self._request.extensions["until"]:
                raise httpx.ReadTimeout("the answer was not complete in time", request=self._request)
            yield part

    def close(self) -> None:
        self._inner.close()
