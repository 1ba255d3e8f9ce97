"""Serves the generator's backend and its page: chooses its hands, and puts a diagnosis beside every batch."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO
from urllib.parse import quote
from uuid import uuid4

from diagnose import collect, explain, normalise, registry
from diagnose.errors import DiagnoseError, ExtraMissing
from diagnose.model import Diagnosis, Evidence, Phrase, Profile

if TYPE_CHECKING:
    from fastapi import FastAPI

    from diagnose.generator.app import Backend, Batch, Visit
    from diagnose.generator.embedded import Breaker
    from diagnose.generator.hands import Settings
    from diagnose.generator.pipeline import Hands, Request
    from diagnose.generator.prompt_log import PromptLog
    from diagnose.render.page import View

ENV_FILES = (".env", "config.env")
TOKEN = "DIAGNOSE_DEBUG_TOKEN"  # noqa: S105 - the name of a variable
LOG = "backend.log"
GRACE = 200
"""Seconds that pictures under way have when the server stops: as long as fal may take, and a little more."""
LOG_NAMES = (".json", ".jsonl", ".ndjson")
SERVER = ("fastapi", "filelock", "jinja2", "PIL", "psutil", "python_multipart", "uvicorn")
"""The packages of the server extra, as they are imported."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the backend is to be served."""

    host: str
    port: int
    data: Path
    prompt_log: Path | None
    keep: int | None
    log_format: Literal["plain", "json"]
    embedded: bool


def require_server() -> None:
    """Raises ExtraMissing where the packages of the server are not installed."""
    from importlib.util import find_spec

    lacking = [name for name in SERVER if find_spec(name) is None]
    if lacking:
        raise ExtraMissing(
            Phrase(
                "this command needs the server extra ({names} not installed): pip install 'diagnose-generation[server]'",
                names=", ".join(lacking),
            )
        )


def environment() -> Mapping[str, str | None]:
    """The variables of the process and of the files beside it; the process wins, then the first file."""
    from dotenv import dotenv_values

    found: dict[str, str | None] = {}
    for name in reversed(ENV_FILES):
        if Path(name).is_file():
            try:
                values = dotenv_values(name, interpolate=False)
                found |= {key: value for key, value in values.items() if value is not None}
            except (OSError, ValueError) as error:
                raise DiagnoseError(Phrase("'{name}' cannot be read: {error}", name=name, error=error)) from None
    return {**found, **os.environ}


def run(options: Options, profile: Profile, say: Callable[[str], None], echo: TextIO) -> None:
    """Serves until it is interrupted. Raises PortTaken, DiagnoseError."""
    from diagnose.generator import serving

    with serving.listen(options.host, options.port) as bound, backend(options, profile, say, echo) as built:
        say(f"serving {serving.address(bound)}  (records in {options.data}; Ctrl-C stops it)")
        built.backend.journal.enter()
        # a picture that is being made is paid for: it is waited for and written down, unless Ctrl-C comes again
        serving.server(built.app, grace=GRACE).run(sockets=[bound])


@dataclass(frozen=True, slots=True)
class Built:
    """A backend, and the app that serves it."""

    app: FastAPI
    backend: Backend


@contextlib.contextmanager
def backend(options: Options, profile: Profile, say: Callable[[str], None], echo: TextIO | None) -> Iterator[Built]:
    """A backend with its page, its records and, where no service is set, the stand-ins it talks to. Raises DiagnoseError."""
    from diagnose.generator import app, events, hands
    from diagnose.generator.entrance import LOCAL
    from diagnose.generator.journal import Journal
    from diagnose.generator.pipeline import Code
    from diagnose.generator.prompt_log import PromptLog

    variables = environment()
    settings = hands.settings(variables)
    embedded = options.embedded or settings.empty
    if options.prompt_log is not None and options.prompt_log.suffix.lower() not in LOG_NAMES:
        raise DiagnoseError(
            Phrase(
                "'{prompt_log}': a prompt log's name ends in {names}",
                prompt_log=options.prompt_log,
                names=", ".join(LOG_NAMES),
            )
        )
    log_file = _folder(options.data) / LOG
    stream, trouble = _opened(log_file)
    with stream, contextlib.ExitStack() as held:
        journal = Journal(stream, datetime.now, options.log_format, echo)
        if trouble:
            say(f"{log_file}: {trouble}; the log goes to the terminal only")
        keep = profile.keep if options.keep is None else options.keep
        prompt_log = PromptLog(options.prompt_log or options.data / "prompt_log.json", keep)
        aside = _checked(prompt_log, say)
        if aside is not None:
            say(f"{prompt_log.path} could not be read; it was set aside as {aside.name}, and a new one is begun")
            journal(events.LogSetAside(prompt_log.path.name, aside.name))
        standing = app.Standing(Code(profile), _real(settings, journal), settings)
        made = app.Backend(standing, prompt_log, journal, embedded, token=variables.get(TOKEN))
        site = made.site = Site(made, profile)
        if embedded:
            site.breaker = made.switch = held.enter_context(_embedded(made, profile))
        missing = made.standing.settings.missing
        for name in missing:
            journal(events.Missing(name))
        say(_about(embedded, missing))
        if options.host not in LOCAL:
            cost = "" if embedded else " at your cost"
            say(f"whoever reaches {options.host} can make pictures{cost}: there are no accounts here")
        yield Built(app.build(made), made)


def _checked(prompt_log: PromptLog, say: Callable[[str], None]) -> Path | None:
    """Where a corrupt prompt log was set aside; one that cannot be opened is said to be so, and stops nothing."""
    try:
        return prompt_log.check(datetime.now())
    except OSError as error:
        say(f"{prompt_log.path} cannot be written: {error.strerror or error}; no prompt will be kept")
        return None


def _about(embedded: bool, missing: tuple[str, ...]) -> str:
    if embedded:
        return "no account is used: Supabase Storage and fal are stand-ins on this machine, and the page can break them"
    if missing:
        return f"not ready, settings are missing: {', '.join(missing)}; set them in the environment, .env or config.env"
    return "the real services are used: every picture costs what fal takes for it"


def _folder(data: Path) -> Path:
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiagnoseError(
            Phrase("'{data}': {why}; give another folder with --data", data=data, why=error.strerror or error)
        ) from None
    return data


def _opened(file: Path) -> tuple[io.FileIO, str | None]:
    """The log, written record by record; or nowhere, and why."""
    try:
        return file.open("ab", buffering=0), None
    except OSError as error:
        return Path(os.devnull).open("ab", buffering=0), f"cannot be written: {error.strerror or error}"


def _real(settings: Settings, log: Any) -> Hands:
    from diagnose.generator.client import client
    from diagnose.generator.hands import Anyone, Fal, SupabaseStorage
    from diagnose.generator.pipeline import Hands

    try:
        http = client()
    except (ValueError, ImportError) as error:
        raise DiagnoseError(
            Phrase("the proxy that the environment names cannot be used: {error}", error=error)
        ) from None
    return Hands(
        Anyone(), SupabaseStorage(settings, http), Fal(settings, http), log, datetime.now, lambda: str(uuid4())
    )


@contextlib.contextmanager
def _embedded(backend: Backend, profile: Profile) -> Iterator[Breaker]:
    from diagnose.generator.embedded import Breaker
    from diagnose.generator.faults import sound
    from diagnose.generator.standins.services import Services

    world = sound(profile)
    services = Services(world.project, world.fal, datetime.now, backend.standing.hands.new_id)
    with services.serve() as transport:
        breaker = Breaker(backend, services, transport, profile)
        breaker.apply(None)
        yield breaker


# The page.


@dataclass
class Site:
    """The page of one backend, with its diagnosis of every batch."""

    backend: Backend
    profile: Profile
    breaker: Breaker | None = None

    def home(self, visit: Visit) -> str:
        """The whole page."""
        from diagnose.render import page

        return page.home(self._view(visit))

    def fragment(self, visit: Visit) -> str:
        """The part of the page that tells of one batch."""
        from diagnose.render import page

        return page.fragment(self._view(visit))

    def asset(self, name: str) -> tuple[bytes, str] | None:
        """A file of the page, and its media type."""
        from diagnose.render import page

        return page.asset(name)

    def picture(self, url: str) -> tuple[bytes, str] | None:
        """A picture of the stand-ins; nothing is fetched from anywhere else."""
        return self.breaker.services.picture(url) if self.breaker else None

    def _view(self, visit: Visit) -> View:
        from diagnose.render import page

        links = registry.by_id()
        faults = self.breaker.breakable if self.breaker else ()
        breaks = [page.Break(fault.name, fault.title, str(links[fault.check].link)) for fault in faults]
        return page.View(
            visit.language,
            self.backend.embedded,
            tuple(breaks),
            self.breaker.broken if self.breaker else None,
            self.backend.standing.settings.missing,
            self._shown(visit.batch) if visit.batch else None,
            visit.prompt,
            visit.error,
        )

    def _shown(self, batch: Batch) -> Any:
        from diagnose.render import page

        outcome = batch.outcome
        detail = outcome.answer.get("detail")
        return page.Batch(
            batch.request.id,
            outcome.status,
            outcome.wish.prompt,
            str(detail) if detail else None,
            tuple(page.Picture(self._address(url), outcome.wish.prompt) for url in outcome.pictures),
            self._address(outcome.init_image_url) if outcome.init_image_url else None,
            self.diagnosis(batch),
        )

    def _address(self, url: str) -> str:
        return f"/pictures?url={quote(url, safe='')}" if self.backend.embedded else url

    def diagnosis(self, batch: Batch) -> Diagnosis | None:
        """The ordinary answer to what this batch left, and nothing else did; None where there is none to read."""
        with tempfile.TemporaryDirectory(prefix="diagnose-batch-") as scratch:
            try:
                bundle = collect.gather(_evidence(batch, Path(scratch)))
            except DiagnoseError:
                return None
            bundle.common += _given(batch.standing.settings)
            bundle.given.add("settings")
            case = normalise.cases(bundle, self.profile)[0]
            return explain.diagnose(case, notes=bundle.notes)


def _given(settings: Settings) -> list[Evidence]:
    """What the backend was given: names, roles and shapes, read as they would be from a file."""
    from diagnose.collect.settings import read
    from diagnose.generator.hands import NAMES

    lines = [f"{name}={getattr(settings, key)}" for key, name in NAMES.items() if getattr(settings, key)]
    return read("\n".join(lines), "(environment)")


def _evidence(batch: Batch, folder: Path) -> list[Path]:
    """A batch as files: its own lines of the log, its entry, the request, the answer, and the browser's errors."""
    from diagnose.generator.records import entry

    texts = {
        f"{LOG}[{batch.request.id[:8]}]": batch.log,
        "request.json": json.dumps(_sent(batch.request)),
        "response.json": json.dumps(_answered(batch)),
    }
    written = entry(batch.outcome)
    if written is not None:
        texts["prompt_log.json"] = json.dumps([written])
    if batch.errors:
        texts["console.txt"] = "\n".join(f"Uncaught {error['kind']}: {error['message']}" for error in batch.errors)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", errors="replace")
    files = [folder / name for name in texts]
    if batch.standing.source is not None:
        from diagnose.generator.demo import write_source

        write_source(batch.standing.source, folder / "source")
        files.append(folder / "source")
    return files


def _sent(request: Request) -> dict[str, Any]:
    sent: dict[str, Any] = {"method": "POST", "url": "/api/generate-image", "content_type": request.content_type}
    if not request.content_type.startswith("multipart/"):
        return {**sent, "body": dict(request.body)}
    files = {name: value for name, value in request.body.items() if _is_file(value)}
    fields = {name: value for name, value in request.body.items() if name not in files}
    parts = [{"field": name, "name": one["file"]} for name, value in files.items() for one in _each(value)]
    return {**sent, "fields": fields, "files": parts}


def _answered(batch: Batch) -> dict[str, Any]:
    headers = {"x-request-id": batch.request.id}
    return {"status": batch.outcome.status, "headers": headers, "body": dict(batch.outcome.answer)}


def _is_file(value: object) -> bool:
    return any(isinstance(one, dict) and "file" in one for one in _each(value))


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
