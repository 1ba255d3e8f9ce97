"""Both services behind one address of the loopback, told apart by the host that a request names.

A backend keeps the names it has in the field, `https://….supabase.co` and `https://fal.run`; only its transport knows that
these are served on this machine. So its log lines, its records and its payloads are those of a real run.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from diagnose.generator.serving import LOOPBACK, running
from diagnose.generator.standins.fal import Fal, FalAccount
from diagnose.generator.standins.storage import Project, Supabase

_PUBLIC = "/storage/v1/object/public/"
FAL_HOSTS = frozenset({"fal.run", "v3.fal.media"})


class Services:
    """Supabase and fal. How they stand may be changed while they run: `supabase.project`, `fal.account`, `cut`."""

    def __init__(
        self, project: Project, account: FalAccount, clock: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self.supabase = Supabase(project, clock)
        self.fal = Fal(account, self._fetch, new_id)
        self.storage_host = f"{project.ref}.supabase.co"
        """Where the backend believes that Storage is."""
        self.cut = False
        """Whether nothing listens at Storage's address."""

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI app of both."""
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0]
        inner = self.fal.app if host in FAL_HOSTS else self.supabase.app
        await inner(scope, receive, send)

    @contextlib.contextmanager
    def serve(self) -> Iterator[httpx.BaseTransport]:
        """Serves both for as long as the block lasts; the transport that leads a client to them."""
        with running(self.app) as origin, socket.socket() as deaf:
            deaf.bind((LOOPBACK, 0))  # bound, and never listening: whoever connects is refused
            transport = _Routed(self, httpx.URL(origin), deaf.getsockname()[1])
            try:
                yield transport
            finally:
                transport.close()

    def picture(self, url: str) -> tuple[bytes, str] | None:
        """What stands at an address of one of the services for everybody to see, with its media type."""
        if url.startswith("https://v3.fal.media/"):
            data = self.fal.pictures.get(url.rpartition("/")[2])
            return (data, "image/png") if data is not None else None
        bucket, _, path = url.partition(_PUBLIC)[2].partition("/")
        stored = self.supabase.objects.get((bucket, path))  # whatever is broken just now
        return (stored.data, "image/jpeg") if stored is not None else None

    def _fetch(self, url: str) -> bytes | None:
        """What fal gets at an address; it goes to no private one, whatever listens there."""
        if url.startswith("data:"):
            with contextlib.suppress(ValueError):
                return b64decode(url.partition(",")[2], validate=True)
            return None
        return self._public(url) if reachable(url) else None

    def _public(self, url: str) -> bytes | None:
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        if parts.hostname != self.storage_host or not parts.path.startswith(_PUBLIC) or self.cut:
            return None
        bucket, _, path = parts.path.removeprefix(_PUBLIC).partition("/")
        return self.supabase.public(bucket, path)


class _Routed(httpx.HTTPTransport):
    """Carries a request to the stand-ins, under the name that it was sent to; anything else is nowhere."""

    def __init__(self, services: Services, origin: httpx.URL, deaf: int) -> None:
        super().__init__(limits=httpx.Limits(max_connections=200, max_keepalive_connections=40))
        self._services = services
        self._origin = origin
        self._deaf = deaf

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the stand-in; the request itself is left as it was."""
        host = request.url.host
        if host == self._services.storage_host:
            cut = self._services.cut and request.url.path.startswith("/storage/")
            port = self._deaf if cut else self._origin.port
        elif host in FAL_HOSTS:
            port = self._origin.port
        else:
            raise httpx.ConnectError("[Errno -2] Name or service not known", request=request)
        url = request.url.copy_with(scheme="http", host=self._origin.host, port=port)
        return super().handle_request(
            httpx.Request(
                request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
            )
        )


def reachable(url: str) -> bool:
    """Whether a host somewhere on the internet can reach this address."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".internal", ".localhost"))
