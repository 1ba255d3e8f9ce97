"""The backend: takes requests over HTTP, runs the pipeline for each in a thread, and keeps its records.

What it shows of a request, its page and the diagnosis beside a batch, is a hand like the others, given to it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Protocol

import anyio
import anyio.to_thread
from fastapi import Depends, FastAPI, HTTPException
from fastapi import Path as InPath
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHttpException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

from diagnose import __version__
from diagnose.fingerprint import fingerprint
from diagnose.generator import events
from diagnose.generator.entrance import LOCAL, MAX_SMALL, Guarded, Named
from diagnose.generator.faults import Source
from diagnose.generator.hands import Settings
from diagnose.generator.journal import Journal
from diagnose.generator.openapi import GENERATE, ROUTES
from diagnose.generator.pipeline import MAX_PROMPT, Code, File, Hands, Outcome, Request, encodable, generate
from diagnose.generator.prompt_log import PromptLog
from diagnose.generator.records import entry

MAX_FILES = 12
MAX_FIELDS = 50
MAX_IN_FLIGHT = 200
THREADS = 100
KEPT = 50
"""Batches that can be looked at again."""
MAX_ERRORS = 20

_LOCAL_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""What a proxy adds."""


# What it is given.


@dataclass(frozen=True, slots=True)
class Standing:
    """A backend's code, its hands, what they were given, and what its files on disk say."""

    code: Code
    hands: Hands
    settings: Settings
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One request, its outcome, and what the browser had to say."""

    request: Request
    outcome: Outcome
    standing: Standing
    """The backend as it stood when it ran."""
    log: str
    """What was taken down of it."""
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
    """A backend; how it stands may be replaced, as a whole, while it runs."""

    standing: Standing
    prompt_log: PromptLog
    journal: Journal
    embedded: bool = False
    site: Site | None = None
    switch: Switch | None = None
    token: str | None = field(default=None, repr=False)
    """Lets others than this machine look at the newest prompt."""
    batches: OrderedDict[str, Batch] = field(default_factory=OrderedDict)
    stray: list[Mapping[str, Any]] = field(default_factory=list)
    """Errors of the browser that came before any batch."""

    def run(self, request: Request) -> Batch:
        """One request, from its fields to its answer and its record."""
        standing = self.standing
        outcome = generate(request, standing.code, standing.hands)
        new = entry(outcome)
        if new is not None:
            self._save(new, standing.hands)
        return Batch(request, outcome, standing, self.journal.told(request.id))

    def _save(self, new: Mapping[str, Any], hands: Hands) -> None:
        file = self.prompt_log.path.name
        try:
            aside = self.prompt_log.append(new, hands.clock())
        except OSError as error:
            hands.log(events.SaveFailed(error.strerror or str(error)))
            return
        if aside is not None:
            hands.log(events.LogSetAside(file, aside.name))
        hands.log(events.Saved(file))

    def keep(self, batch: Batch) -> None:
        """Keeps a batch to be looked at, without the bytes of its pictures."""
        request = replace(batch.request, body=_short(batch.request.body))
        received = tuple(replace(image, value=None) for image in batch.outcome.received)
        outcome = replace(batch.outcome, request=request, received=received)
        self.batches[request.id] = replace(batch, request=request, outcome=outcome, errors=tuple(self.stray))
        self.stray.clear()
        while len(self.batches) > KEPT:
            self.batches.popitem(last=False)

    def browser_error(self, error: Mapping[str, Any]) -> None:
        """Takes down what a browser reported of its own troubles."""
        told = {key: encodable(str(error.get(key) or "")[:500]) for key in ("kind", "message", "source")}
        batch = self.batches.get(str(error.get("request_id")))
        if batch is None:
            self.stray[:] = [*self.stray, told][-MAX_ERRORS:]
        elif len(batch.errors) < MAX_ERRORS:
            self.batches[batch.request.id] = replace(batch, errors=(*batch.errors, told))


def _short(value: Any, depth: int = 0) -> Any:
    """A request as it is kept: pictures by their beginning and length, and nothing that is long, deep or much."""
    if isinstance(value, File):
        return {"file": value.name, "bytes": len(value.data)}
    if isinstance(value, (list, tuple, dict)) and depth > 2:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {encodable(key[:100]): _short(inner, depth + 1) for key, inner in list(value.items())[:MAX_FIELDS]}
    if isinstance(value, (list, tuple)):
        return [_short(inner, depth + 1) for inner in list(value)[:MAX_FILES]]
    return shortened(value) if isinstance(value, str) else value


def shortened(value: str) -> str:
    """A picture as support engineers paste it: its beginning, its length and its fingerprint; other text as it is."""
    head, comma, text = value.partition(",") if value.startswith("data:") else ("", "", value)
    if len(value) <= 200 or (len(text) < MAX_PROMPT and not comma):
        return encodable(value)
    print_ = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{encodable(head[:100])}{comma}{encodable(text[:48])}...({len(text)} base64 chars, sha256 {print_})"


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
            RequestValidationError: _refused,
            ClientDisconnect: _gone,
        },
    )
    app.state.backend = backend
    app.state.in_flight = 0
    app.state.threads = anyio.CapacityLimiter(THREADS)
    # the last that is added stands outermost
    app.add_middleware(Guarded, journal=backend.journal)
    app.add_middleware(
        CORSMiddleware,
        allow_origin_regex=_LOCAL_ORIGIN,
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type", "Authorization"],
        expose_headers=["x-request-id"],
    )
    app.add_middleware(Named, journal=backend.journal, new_id=backend.standing.hands.new_id)
    _api(app)
    if backend.site is not None:
        _page(app, backend.site)
    return app


def _backend(request: HttpRequest) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


Given = Annotated[Backend, Depends(_backend)]


def _api(app: FastAPI) -> None:
    started = app.state.backend.standing.hands.clock().isoformat()
    print_ = fingerprint()

    @app.post("/api/generate-image", response_model=None, **GENERATE)
    async def generate_image(request: HttpRequest, backend: Given) -> Response:
        outcome = (await _generate(request, backend)).outcome
        return JSONResponse(dict(outcome.answer), outcome.status)

    @app.get("/api/debug/last-prompt", response_model=None, **ROUTES["last_prompt"])
    async def last_prompt(request: HttpRequest, backend: Given) -> Response:
        _allowed(request, backend)
        newest = await anyio.to_thread.run_sync(backend.prompt_log.latest)
        if newest is None:
            raise HTTPException(404, _no_entry(backend.prompt_log.path))
        # as it was written: a foreign entry may hold what strict JSON does not
        return Response(json.dumps(newest), media_type="application/json")

    @app.get("/health", **ROUTES["health"])
    async def health() -> dict[str, Any]:
        return {"status": "ok", "version": __version__, "source": print_, "started_at": started}

    @app.get("/ready", response_model=None, **ROUTES["ready"])
    async def ready(backend: Given) -> Response:
        missing = backend.standing.settings.missing
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
        try:
            batch = await _generate(request, backend)
        except AnyHttpException as refusal:
            visit = Visit(_language(request), error=str(refusal.detail))
            return await _shown(request, site.home, visit, refusal.status_code)
        outcome, typed = batch.outcome, batch.request.body
        visit = Visit(_language(request, typed.get("lang")), batch, encodable(str(typed.get("prompt") or "")))
        if not outcome.wish.prompt:
            visit = replace(visit, batch=None, error=str(outcome.answer.get("detail")))
        return await _shown(request, site.home, visit, outcome.status)

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
    text = await anyio.to_thread.run_sync(show, visit)
    page = HTMLResponse(text.encode("utf-8", "replace"), status)
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
    async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_SMALL) as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                body[name] = value
                continue
            data = await value.read()
            if data or value.filename:
                known = [*body[name]] if isinstance(body.get(name), list) else []
                body[name] = [*known, File((value.filename or "image")[:200], data)]
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in body.items()}


async def _generate(request: HttpRequest, backend: Backend) -> Batch:
    """Runs the pipeline beside the event loop, so that slow pictures hold up nothing else."""
    state = request.app.state
    if state.in_flight >= MAX_IN_FLIGHT:
        raise HTTPException(503, "too many pictures are being made; try again in a minute", {"retry-after": "60"})
    state.in_flight += 1
    try:
        given = await _arrived(request)
        batch = await anyio.to_thread.run_sync(backend.run, given, limiter=state.threads)
    finally:
        state.in_flight -= 1
    backend.keep(batch)
    return backend.batches[given.id]


def _no_entry(path: Path) -> str:
    if path.exists():
        return f"{path.name} holds no entry that can be read."
    return "No prompt log found. Please generate a batch first to create log entry."


def _allowed(request: HttpRequest, backend: Backend) -> None:
    """Prompts are nobody else's business: only this machine, or who has the token, may see them."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if backend.token and hmac.compare_digest(given.encode(), backend.token.encode()):
        return
    near = request.client is not None and request.client.host in LOCAL
    # a proxy on this machine makes the whole world look near, and so does a page that is open on it
    direct = not any(name in request.headers for name in _FORWARDED) and _own_page(request)
    if not (near and direct):
        raise HTTPException(403, "only this machine, or a caller with the debug token, may see prompts")


def _own_page(request: HttpRequest) -> bool:
    """Whether no page asks, or the one that is served here."""
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


# What cannot be met.


async def _refused(request: HttpRequest, error: Exception) -> Response:
    status, detail, headers = 422, "a parameter is missing or of the wrong kind", None
    if isinstance(error, AnyHttpException):
        status, detail, headers = error.status_code, error.detail, error.headers
    return JSONResponse({"detail": detail, "request_id": request.state.request_id}, status, headers)


async def _gone(request: HttpRequest, _error: Exception) -> Response:
    _backend(request).journal(events.ClientLeft())
    return Response(status_code=499)  # nobody reads it
