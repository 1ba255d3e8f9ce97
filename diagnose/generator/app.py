"""The backend: takes requests over HTTP, runs the pipeline for each in a thread, and keeps its records.

What it shows of a request, its page and the diagnosis beside a batch, is a hand like the others, given to it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from fastapi import Depends, FastAPI, HTTPException
from fastapi import Path as InPath
from fastapi import Request as HttpRequest
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHttpException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diagnose import __version__
from diagnose.generator import events
from diagnose.generator.hands import Settings
from diagnose.generator.journal import Journal
from diagnose.generator.openapi import GENERATE, ROUTES
from diagnose.generator.pipeline import Code, File, Hands, Outcome, Request, generate
from diagnose.generator.prompt_log import PromptLog
from diagnose.generator.records import entry

MAX_BODY = 48 * 1024 * 1024
"""Bytes of a request: four pictures of the largest size, as base64."""
MAX_FILES = 12
MAX_SMALL = 64 * 1024
MAX_IN_FLIGHT = 200
THREADS = 100
KEPT = 50
"""Batches that can be looked at again."""
MAX_ERRORS = 20

LOCAL = ("127.0.0.1", "localhost", "::1")
_LOCAL_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob: https:; style-src 'self'; script-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # without any, a form would be sent as if by a stranger
}


# What it is given.


@dataclass(frozen=True, slots=True)
class Batch:
    """One request, its outcome, and what the browser had to say."""

    request: Request
    outcome: Outcome
    settings: Settings
    """What the backend was given when it ran."""
    errors: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """Who looks at the page, and what they did last."""

    language: str
    batch: Batch | None = None
    prompt: str = ""
    error: str | None = None


class Site(Protocol):
    """Shows the page."""

    def home(self, visit: Visit) -> str:
        """The whole page."""

    def fragment(self, visit: Visit) -> str:
        """The part of the page that tells of one batch."""

    def asset(self, name: str) -> tuple[bytes, str] | None:
        """A file of the page, and its media type."""

    def picture(self, url: str) -> tuple[bytes, str] | None:
        """A picture that only this machine has, and its media type."""


class Switch(Protocol):
    """Breaks one link, or mends it."""

    def apply(self, name: str | None) -> None:
        """Breaks this one; None mends. Raises KeyError."""


@dataclass
class Backend:
    """A backend as it stands; its code, its hands and their settings may be replaced while it runs."""

    code: Code
    hands: Hands
    prompt_log: PromptLog
    journal: Journal
    settings: Settings
    embedded: bool = False
    site: Site | None = None
    switch: Switch | None = None
    token: str | None = field(default=None, repr=False)
    """Lets others than this machine look at the newest prompt."""
    batches: OrderedDict[str, Batch] = field(default_factory=OrderedDict)
    stray: list[Mapping[str, Any]] = field(default_factory=list)
    """Errors of the browser that came before any batch."""

    def run(self, request: Request) -> Outcome:
        """One request, from its fields to its answer and its record."""
        outcome = generate(request, self.code, self.hands)
        new = entry(outcome)
        if new is not None:
            self._save(new)
        return outcome

    def _save(self, new: Mapping[str, Any]) -> None:
        log, file = self.hands.log, self.prompt_log.path.name
        try:
            aside = self.prompt_log.append(new, self.hands.clock())
        except OSError as error:
            log(events.SaveFailed(error.strerror or str(error)))
            return
        if aside is not None:
            log(events.LogSetAside(file, aside.name))
        log(events.Saved(file))

    def keep(self, batch: Batch) -> None:
        """Keeps a batch to be looked at, without the bytes of its pictures."""
        request = replace(batch.request, body={key: _short(value) for key, value in batch.request.body.items()})
        received = tuple(replace(image, value=None) for image in batch.outcome.received)
        outcome = replace(batch.outcome, request=request, received=received)
        self.batches[request.id] = Batch(request, outcome, batch.settings, tuple(self.stray))
        self.stray.clear()
        while len(self.batches) > KEPT:
            self.batches.popitem(last=False)

    def browser_error(self, error: Mapping[str, Any]) -> None:
        """Takes down what a browser reported of its own troubles."""
        told = {key: str(error.get(key) or "")[:500] for key in ("kind", "message", "source")}
        batch = self.batches.get(str(error.get("request_id")))
        if batch is None:
            self.stray[:] = [*self.stray, told][-MAX_ERRORS:]
        elif len(batch.errors) < MAX_ERRORS:
            self.batches[batch.request.id] = replace(batch, errors=(*batch.errors, told))


def _short(value: Any) -> Any:
    """A picture by its beginning and its length; what else is long by its beginning."""
    if isinstance(value, File):
        return {"file": value.name, "bytes": len(value.data)}
    if isinstance(value, (list, tuple)):
        return [_short(inner) for inner in list(value)[:MAX_FILES]]
    if isinstance(value, str) and len(value) > 200:
        head, comma, text = value.partition(",") if value.startswith("data:") else ("", "", value)
        if len(text) < 12_000 and not comma:
            return value
        print_ = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
        return f"{head}{comma}{text[:48]}...({len(text)} base64 chars, sha256 {print_})"
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)[:200]


# The app.


def build(backend: Backend) -> FastAPI:
    """The app of a backend."""
    app = FastAPI(
        title="diagnose: a backend that makes pictures",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            AnyHttpException: _refused,
            ClientDisconnect: _gone,
            Exception: _crashed,
        },
    )
    app.state.backend = backend
    app.state.in_flight = 0
    app.state.threads = anyio.CapacityLimiter(THREADS)
    app.add_middleware(
        CORSMiddleware,
        allow_origin_regex=_LOCAL_ORIGIN,
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type", "Authorization"],
        expose_headers=["x-request-id"],
    )
    app.add_middleware(_Entrance, backend=backend)
    _api(app)
    if backend.site is not None:
        _page(app, backend.site)
    return app


def _backend(request: HttpRequest) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


Given = Annotated[Backend, Depends(_backend)]


def _api(app: FastAPI) -> None:
    started = app.state.backend.hands.clock().isoformat()
    print_ = fingerprint()

    @app.post("/api/generate-image", response_model=None, **GENERATE)
    async def generate_image(request: HttpRequest, backend: Given) -> Response:
        outcome = await _generate(await _arrived(request), request, backend)
        return JSONResponse(dict(outcome.answer), outcome.status)

    @app.get("/api/debug/last-prompt", response_model=None, **ROUTES["last_prompt"])
    async def last_prompt(request: HttpRequest, backend: Given) -> Response:
        _allowed(request, backend)
        newest = await anyio.to_thread.run_sync(backend.prompt_log.latest)
        if newest is None:
            raise HTTPException(404, "No prompt log found. Please generate a batch first to create log entry.")
        return JSONResponse(newest)

    @app.get("/health", **ROUTES["health"])
    async def health() -> dict[str, Any]:
        return {"status": "ok", "version": __version__, "source": print_, "started_at": started}

    @app.get("/ready", response_model=None, **ROUTES["ready"])
    async def ready(backend: Given) -> Response:
        missing = backend.settings.missing
        answer = {"ready": not missing, "missing": list(missing), "embedded": backend.embedded}
        return JSONResponse(answer, 503 if missing else 200)

    @app.post("/api/browser-errors", status_code=204, response_model=None, **ROUTES["browser_errors"])
    async def browser_errors(request: HttpRequest, backend: Given) -> Response:
        told = _json(await request.body())
        if not isinstance(told, dict):
            raise HTTPException(422, "the body must be a JSON object")
        backend.browser_error(told)
        return Response(status_code=204)


def _page(app: FastAPI, site: Site) -> None:
    @app.get("/", include_in_schema=False)
    async def home(request: HttpRequest) -> HTMLResponse:
        return await _shown(request, site.home, Visit(_language(request)))

    @app.post("/", include_in_schema=False)
    async def batch_without_script(request: HttpRequest, backend: Given) -> HTMLResponse:
        language, prompt = _language(request), ""
        try:
            given = await _arrived(request)
            prompt = str(given.body.get("prompt") or "")
            language = _language(request, given.body.get("lang"))
            outcome = await _generate(given, request, backend)
        except AnyHttpException as refusal:
            visit = Visit(language, None, prompt, str(refusal.detail))
            return await _shown(request, site.home, visit, refusal.status_code)
        batch, error = backend.batches.get(outcome.request.id), None
        if not outcome.wish.prompt:
            batch, error = None, str(outcome.answer.get("detail"))
        return await _shown(request, site.home, Visit(language, batch, prompt, error), outcome.status)

    @app.get("/batches/{request_id}", include_in_schema=False)
    async def one_batch(request_id: str, request: HttpRequest, backend: Given) -> HTMLResponse:
        batch = backend.batches.get(request_id)
        if batch is None:
            raise HTTPException(404, f"no batch {request_id[:60]} is kept; the newest {KEPT} are")
        return await _shown(request, site.fragment, Visit(_language(request), batch))

    @app.post("/break", include_in_schema=False)
    async def break_one(request: HttpRequest, backend: Given) -> Response:
        if backend.switch is None:
            raise HTTPException(404, "nothing can be broken here: this backend uses the real services")
        form = await request.form(max_files=0, max_fields=5)
        name = str(form.get("name") or "")
        try:
            backend.switch.apply(name or None)
        except KeyError:
            raise HTTPException(422, f"'{name[:60]}' cannot be broken") from None
        return RedirectResponse("/", 303)

    @app.get("/assets/{name}", include_in_schema=False)
    async def asset(name: Annotated[str, InPath(max_length=60)]) -> Response:
        return _file(site.asset(name))

    @app.get("/pictures", include_in_schema=False)
    async def picture(url: str) -> Response:
        return _file(site.picture(url[:2000]))


def _file(found: tuple[bytes, str] | None) -> Response:
    if found is None:
        raise HTTPException(404, "Not Found")
    return Response(found[0], media_type=found[1], headers={"cache-control": "no-cache"})


async def _shown(request: HttpRequest, show: Callable[[Visit], str], visit: Visit, status: int = 200) -> HTMLResponse:
    page = HTMLResponse(await anyio.to_thread.run_sync(show, visit), status)
    if "lang" in request.query_params:
        page.set_cookie("lang", visit.language, samesite="lax")
    return page


def _language(request: HttpRequest, typed: object = None) -> str:
    wanted = typed or request.query_params.get("lang") or request.cookies.get("lang")
    if wanted in ("en", "id"):
        return str(wanted)
    first = request.headers.get("accept-language", "").lower().split(",")[0]
    return "id" if first.startswith(("id", "in")) else "en"


# One request.


async def _arrived(request: HttpRequest) -> Request:
    """What a request carries. Raises HTTPException where it cannot be read."""
    kind = request.headers.get("content-type", "")
    essence = kind.partition(";")[0].strip().lower()
    if essence == "multipart/form-data":
        body = await _form(request)
    elif essence == "application/json":
        parsed = await anyio.to_thread.run_sync(_json, await request.body())
        if not isinstance(parsed, dict):
            raise HTTPException(422, "the body is not a JSON object")
        body = parsed
    else:
        raise HTTPException(415, "send the request as application/json or multipart/form-data")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return Request(request.state.request_id, body, token if scheme.lower() == "bearer" else "", kind[:200])


async def _form(request: HttpRequest) -> dict[str, Any]:
    """The fields of a form; files of one name make a list where there are several."""
    body: dict[str, Any] = {}
    async with request.form(max_files=MAX_FILES, max_fields=50, max_part_size=MAX_SMALL) as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                body[name] = value
                continue
            data = await value.read()
            if data or value.filename:
                known = [*body[name]] if isinstance(body.get(name), list) else []
                body[name] = [*known, File((value.filename or "image")[:200], data)]
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in body.items()}


async def _generate(given: Request, request: HttpRequest, backend: Backend) -> Outcome:
    """Runs the pipeline beside the event loop, so that slow pictures hold up nothing else."""
    state = request.app.state
    if state.in_flight >= MAX_IN_FLIGHT:
        raise HTTPException(503, "too many pictures are being made; try again in a minute", {"retry-after": "60"})
    state.in_flight += 1
    settings = backend.settings
    try:
        outcome = await anyio.to_thread.run_sync(backend.run, given, limiter=state.threads)
    finally:
        state.in_flight -= 1
    backend.keep(Batch(given, outcome, settings))
    return outcome


def _allowed(request: HttpRequest, backend: Backend) -> None:
    """Prompts are nobody else's business: only this machine, or who has the token, may see them."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if backend.token and hmac.compare_digest(given.encode(), backend.token.encode()):
        return
    near = request.client is not None and request.client.host in LOCAL
    # a proxy on this machine makes the whole world look near, and so does a name that was rebound to it
    direct = "x-forwarded-for" not in request.headers and request.url.hostname in LOCAL
    if not (near and direct):
        raise HTTPException(403, "only this machine, or a caller with the debug token, may see prompts")


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def fingerprint() -> str:
    """Which source this process runs: the same files give the same twelve characters."""
    here = Path(__file__).parent
    files = [*sorted(here.rglob("*.py")), here.parent / "selection.py", here.parent / "profile.py"]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


# Around every request.


async def _refused(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, AnyHttpException)
    answer = {"detail": error.detail, "request_id": getattr(request.state, "request_id", None)}
    return JSONResponse(answer, error.status_code, error.headers)


async def _gone(_request: HttpRequest, _error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; the access line says that the client left


async def _crashed(request: HttpRequest, _error: Exception) -> Response:
    return JSONResponse({"detail": "Internal Server Error", "request_id": request.state.request_id}, 500)


class _Entrance:
    """Gives every request its id, bounds its size, and keeps strangers' pages from acting here."""

    def __init__(self, app: ASGIApp, backend: Backend) -> None:
        self._app = app
        self._backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._backend.hands.new_id()
        self._backend.journal.enter(request_id)
        scope.setdefault("state", {})["request_id"] = request_id
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        size, begun = 0, False

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise HTTPException(413, f"the request is larger than {MAX_BODY // 2**20} MiB")
            return message

        async def named(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                extra = {**_HEADERS, "x-request-id": request_id}
                pairs = [(name.encode(), value.encode("latin-1")) for name, value in extra.items()]
                message = {**message, "headers": [*message["headers"], *pairs]}
            await send(message)

        refusal = _unwelcome(scope, headers)
        if refusal is not None:
            await _answer(*refusal, request_id)(scope, receive, named)
            return
        try:
            await self._app(scope, bounded, named)
        except asyncio.CancelledError:
            # the server stops, and this was not done within its grace
            if not begun:
                self._backend.journal(events.Interrupted())
                await _answer(503, "the backend is stopping; no picture was waited for", request_id)(
                    scope, receive, named
                )
            raise


def _answer(status: int, detail: str, request_id: str) -> Response:
    return JSONResponse({"detail": detail, "request_id": request_id}, status)


def _unwelcome(scope: MutableMapping[str, Any], headers: Mapping[str, str]) -> tuple[int, str] | None:
    """Why a request is not even read."""
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BODY:
        return 413, f"the request is larger than {MAX_BODY // 2**20} MiB"
    origin = headers.get("origin")
    if scope["method"] == "POST" and origin is not None:
        host = urlsplit(origin).hostname
        if host not in LOCAL and urlsplit(origin).netloc != headers.get("host"):
            return 403, "requests from another site's page are not taken"
    return None
