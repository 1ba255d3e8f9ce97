"""A living system on the loopback for tests to look at: a backend, a Supabase project, fal's platform; and holes in it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from diagnose.generator.serving import running
from diagnose.generator.standins import keys
from diagnose.generator.standins.storage import Bucket, Project, Supabase

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
REQUEST_ID = "764cabcf-b745-4b3e-ae38-1200304cf45b"
IMAGE_MODEL = "fal-ai/flux-general/image-to-image"
TEXT_MODEL = "fal-ai/flux/schnell"


@dataclass
class Counted:
    """An ASGI app, and every request that came to it."""

    app: Any
    seen: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.seen.append((scope["method"], scope["path"]))
        await self.app(scope, receive, send)


@dataclass
class FalPlatform:
    """fal's platform API, as far as it is asked: models, the history of requests, and the schemas for everybody."""

    key: str = field(default_factory=keys.fal_key)
    known: frozenset[str] = frozenset({IMAGE_MODEL, TEXT_MODEL})
    history: dict[str, dict[str, Any]] = field(default_factory=dict)
    schemas: dict[str, Any] = field(default_factory=dict)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models/requests/by-endpoint", self._history),
                Route("/v1/models", self._models),
                Route("/schemas", self._schema),
            ]
        )

    def _refused(self, request: Request) -> Response | None:
        given = request.headers.get("authorization")
        if given is not None and given != f"Key {self.key}":
            return JSONResponse({"error": {"type": "authorization_error", "message": "Invalid API key"}}, 401)
        return None

    async def _models(self, request: Request) -> Response:
        model = request.query_params["endpoint_id"]
        metadata = {"display_name": "A model", **({"status": "active"} if model in self.known else {})}
        return self._refused(request) or JSONResponse({"models": [{"endpoint_id": model, "metadata": metadata}]})

    async def _history(self, request: Request) -> Response:
        kept = self.history.get(request.query_params["request_id"])
        return self._refused(request) or JSONResponse({"items": [kept] if kept else [], "has_more": False})

    async def _schema(self, request: Request) -> Response:
        return JSONResponse(self.schemas.get(request.query_params["endpoint_id"]))


async def healthy(request: Request) -> Response:
    """A backend that tells no more than that it runs."""
    if request.url.path == "/health":
        return JSONResponse({"status": "ok"})
    return JSONResponse({"detail": "Not Found"}, 404)


@dataclass
class Living:
    """The system; each part may be changed while it runs."""

    supabase: Supabase
    fal: FalPlatform
    storage_url: str
    backend_url: str
    fal_url: str
    requests: dict[str, list[tuple[str, str]]]

    def environment(self, **changed: str | None) -> dict[str, str]:
        """The variables of whoever looks; None takes one away."""
        given: dict[str, str | None] = {
            "SUPABASE_URL": self.storage_url,
            "SUPABASE_SERVICE_KEY": keys.supabase_key("service_role", None),
            "FAL_KEY": self.fal.key,
            "DIAGNOSE_FAL_API": self.fal_url,
            "DIAGNOSE_FAL_SCHEMAS": f"{self.fal_url}/schemas",
            **changed,
        }
        return {name: value for name, value in given.items() if value is not None}


def project(**changed: Any) -> Project:
    """A project with one bucket, public, as the seed has it."""
    return Project(**{"buckets": {"public": Bucket()}, **changed})


@contextlib.contextmanager
def living(backend: Any = None) -> Iterator[Living]:
    """The whole system, sound, for as long as the block lasts."""
    supabase = Supabase(project(), lambda: datetime.now(UTC))
    fal = FalPlatform()
    apps = {
        "storage": Counted(supabase.app),
        "backend": Counted(backend or Starlette(routes=[Route("/{path:path}", healthy)])),
        "fal": Counted(fal.app),
    }
    with contextlib.ExitStack() as held:
        urls = {name: held.enter_context(running(app)) for name, app in apps.items()}
        seen = {name: app.seen for name, app in apps.items()}
        yield Living(supabase, fal, urls["storage"], urls["backend"], urls["fal"], seen)


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """An address that takes every connection and never says a word."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(128)
        yield f"http://127.0.0.1:{hole.getsockname()[1]}"


def closed() -> str:
    """An address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@contextlib.contextmanager
def talking(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """An address at which every connection is given to `answer`, for servers that no framework makes."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(64)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    one, _ = bound.accept()
                    threading.Thread(target=_given, args=(answer, one), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def _given(answer: Callable[[socket.socket], None], one: socket.socket) -> None:
    with contextlib.suppress(OSError), one:
        answer(one)


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process that has none of this machine's settings, and these."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SUPABASE_", "FAL_", "DIAGNOSE_"))}
    return {**kept, **environment}


def document(text: str) -> dict[str, Any]:
    """The answer as JSON."""
    found: dict[str, Any] = json.loads(text)
    return found


def statuses(answer: Mapping[str, Any], *wanted: str) -> dict[str, str]:
    """Checks by the status they came to, of these statuses only."""
    return {f["check"]: f["status"] for f in answer["findings"] if not wanted or f["status"] in wanted}
