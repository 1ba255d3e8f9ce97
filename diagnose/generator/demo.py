"""Writes one fault's evidence to a folder, by sending real requests to the real backend in a world that is broken so.

What is written is what a support engineer gets. Diagnosing it is left to the ordinary commands.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from diagnose.generator import app, events
from diagnose.generator.embedded import arrange, hands_for
from diagnose.generator.faults import Blocked, Fault, Source, World, photo, sound
from diagnose.generator.journal import Form, Journal
from diagnose.generator.prompt_log import PromptLog
from diagnose.generator.serving import running
from diagnose.generator.standins import keys
from diagnose.generator.standins.services import Services

PATH = "/api/generate-image"
ORIGIN = "http://localhost:3000"

_BEGINNING = datetime(2026, 1, 11, 6, 35, 30, 766926)


@dataclass(frozen=True, slots=True)
class EvidencePaths:
    """Where the evidence stands; None where the case has none of that kind."""

    folder: Path
    backend_log: Path | None
    prompt_log: Path | None
    request: Path | None
    response: Path | None
    source: Path | None
    env: Path | None


# Time and names that are the same in every run.


@dataclass(slots=True)
class Ticks:
    """A clock that goes on by the same step whenever it is read."""

    at: datetime
    step: timedelta = timedelta(milliseconds=130)

    def __call__(self) -> datetime:
        self.at += self.step
        return self.at


@dataclass(slots=True)
class Ids:
    """Names that look random and are not."""

    seed: str
    count: int = 0

    def __call__(self) -> str:
        self.count += 1
        digest = hashlib.sha256(f"{self.seed}/{self.count}".encode()).digest()
        return str(uuid.UUID(bytes=digest[:16], version=4))


class Stage:
    """A machine on which cases are played one after the other: its clock, its names, and the services it reaches."""

    def __init__(self) -> None:
        world = sound()
        self.clock = Ticks(_BEGINNING)
        self.new_id = Ids("demo")
        self.services = Services(world.project, world.fal, lambda: self.clock(), lambda: self.new_id())
        self.transport: httpx.BaseTransport | None = None

    def write_case(self, fault: Fault, folder: Path, form: Form = "plain") -> EvidencePaths:
        """The evidence of a fault. The folder is made; files of these names in it are replaced."""
        return self.write_world(fault.arrange(sound(fault.profile)), folder, form)

    def write_world(self, world: World, folder: Path, form: Form = "plain") -> EvidencePaths:
        """The evidence of a world: earlier requests that went well, then the one it is about."""
        self.clock, self.new_id = Ticks(_BEGINNING), Ids("demo")
        self.services.supabase.objects.clear()
        folder.mkdir(parents=True, exist_ok=True)
        prompt_log = folder / "prompt_log.json"
        prompt_log.unlink(missing_ok=True)
        log = io.BytesIO()
        sent, answer = _Play(self, prompt_log, Journal(log, lambda: self.clock(), form)).play(world)
        prompt_log.write_text(world.spoil(prompt_log.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
        written = {
            "backend.log": log.getvalue().decode(),
            "request.json": _json(sent),
            "response.json": _json(answer),
            ".env": _env(world),
        }
        for name, text in written.items():
            if name in world.files:
                (folder / name).write_text(text, encoding="utf-8", newline="\n")
        if "source" in world.files:
            write_source(world.source, folder / "source")
        if "prompt_log.json" not in world.files:
            prompt_log.unlink()
        (folder / ".prompt_log.json.lock").unlink(missing_ok=True)  # nobody writes there any more
        return _paths(folder, world.files)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """A stage with its services, for as long as the block lasts."""
    built = Stage()
    with built.services.serve() as transport:
        built.transport = transport
        yield built


def write_case(fault: Fault, folder: Path, form: Form = "plain") -> EvidencePaths:
    """The evidence of one fault, played on a stage of its own."""
    with stage() as built:
        return built.write_case(fault, folder, form)


def _paths(folder: Path, files: frozenset[str]) -> EvidencePaths:
    def where(name: str) -> Path | None:
        return folder / name if name in files else None

    return EvidencePaths(
        folder,
        where("backend.log"),
        where("prompt_log.json"),
        where("request.json"),
        where("response.json"),
        where("source"),
        where(".env"),
    )


@dataclass(frozen=True, slots=True)
class _Play:
    """One case on the stage."""

    stage: Stage
    prompt_log: Path
    journal: Journal

    def play(self, world: World) -> tuple[dict[str, Any], dict[str, Any]]:
        """The request and the answer it is about, after what went before."""
        healthy = sound(world.code.profile.name)
        stale = world.source.profile != world.code.profile
        before = replace(healthy, code=world.code, announces=world.announces) if stale else healthy
        earlier: list[dict[str, Any]] = [
            {
                "prompt": "A Man model, for Sportswear, in Walking pose, in Urban Street style",
                "product_images": [photo(768, 1024)],
            },
            {"prompt": "An empty studio with a wooden stool, in Minimalist style"},
        ]
        bodies = [{**body, "aspect_ratio": "9:16", "num_images": 2} for body in earlier]
        restarts = (before.code, before.settings) != (world.code, world.settings)
        with self._backend(before) as (origin, backend):
            for body in bodies:
                self.stage.clock.at += timedelta(minutes=3)
                self._serve(replace(before, body=body), origin)
            if not restarts:
                return self._last(world, origin, backend)
        self.stage.clock.at += timedelta(minutes=7)
        with self._backend(world) as (origin, backend):
            return self._last(world, origin, backend)

    @contextlib.contextmanager
    def _backend(self, world: World) -> Iterator[tuple[str, app.Backend]]:
        """A process of the backend, from its start to its end."""
        self._arrange(world)
        prompt_log = PromptLog(self.prompt_log, world.code.profile.keep)
        backend = app.Backend(self._standing(world), prompt_log, self.journal)
        for setting in world.settings.missing:
            self.journal(events.Missing(setting))
        with running(app.build(backend), self.journal.enter) as origin:
            yield origin, backend

    def _last(self, world: World, origin: str, backend: app.Backend) -> tuple[dict[str, Any], dict[str, Any]]:
        self.stage.clock.at += timedelta(minutes=3)
        self._arrange(world)
        backend.standing = self._standing(world)
        if not world.saves:
            # a path through a file: nothing can be written there
            backend.prompt_log = PromptLog(self.prompt_log / "prompt_log.json", world.code.profile.keep)
        answer = self._serve(world, origin)
        sent = {
            "method": "POST",
            "url": f"{world.code.profile.backend_url}{PATH}",
            "content_type": "application/json",
            "body": {
                key: app.shortened(value) if isinstance(value, str) else value for key, value in world.body.items()
            },
            "headers": {"Authorization": "Bearer <user access token>", "Origin": ORIGIN},
        }
        return sent, answer

    def _arrange(self, world: World) -> None:
        arrange(self.stage.services, world)

    def _standing(self, world: World) -> app.Standing:
        assert self.stage.transport is not None
        hands = hands_for(world, self.stage.transport, self.journal, self.stage.clock, self.stage.new_id)
        return app.Standing(world.code, hands, world.settings)

    def _serve(self, world: World, origin: str) -> dict[str, Any]:
        """One request, through whatever stands between: the answer that the browser gets."""
        arrived = world.between(world.body)
        if isinstance(arrived, Blocked):
            return {"status": arrived.status, "headers": dict(arrived.headers), "seconds": 0.01, "body": arrived.body}
        began = self.stage.clock()
        headers = {"Authorization": f"Bearer {world.token}", "Origin": ORIGIN}
        got = httpx.post(f"{origin}{PATH}", json=dict(arrived), headers=headers, timeout=60, trust_env=False)
        shown = ("content-type", "x-request-id", "access-control-allow-origin")
        return {
            "status": got.status_code,
            "headers": {name: got.headers[name] for name in shown if name in got.headers},
            "seconds": round((self.stage.clock() - began).total_seconds(), 2),
            "body": got.json(),
        }


# Files.


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _env(world: World) -> str:
    settings = {
        "SUPABASE_URL": world.settings.supabase_url,
        "SUPABASE_ANON_KEY": keys.supabase_key("anon"),
        "SUPABASE_SERVICE_KEY": world.settings.supabase_key,
        "FAL_KEY": world.settings.fal_key,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items() if value)


def write_source(source: Source, folder: Path) -> None:
    """The files on disk of a backend."""
    folder.mkdir(exist_ok=True)
    (folder / "fal_service.py").write_text(_service(source), encoding="utf-8", newline="\n")
    (folder / "main.py").write_text(_main(source), encoding="utf-8", newline="\n")


def _service(source: Source) -> str:
    profile = source.profile
    pair = ("FAL_MODEL_ENDPOINT_IMAGE_TO_IMAGE", "FAL_MODEL_ENDPOINT_TEXT_TO_IMAGE")
    first, second = reversed(pair) if source.inverted else pair
    choice = f"    return {first} if use_image_to_image else {second}"
    if profile.fallback == "refuse":
        choice = '    if not use_image_to_image:\n        raise ValueError("Missing required image")\n'
        choice += f"    return {pair[0]}"
    several = profile.image_key == "image_urls"
    common = "".join(f", {key!r}: {value!r}" for key, value in profile.payload.items() if "strength" not in key)
    own = "".join(f'        "{key}": {value!r},\n' for key, value in profile.payload.items())
    strength = profile.payload.get("image_strength")
    if strength is not None and source.sends_strength:
        own += f'        "strength": {strength!r},\n'
    return (
        '"""Calls fal."""\n\n'
        f'{pair[0]} = "{profile.image_to_image}"\n'
        f'{pair[1]} = "{profile.text_to_image}"\n\n\n'
        "def endpoint(init_image_url):\n"
        "    use_image_to_image = init_image_url is not None\n"
        f"{choice}\n\n\n"
        "def payload(prompt, init_image_url):\n"
        "    if init_image_url is None:\n"
        f'        return {{"prompt": prompt, "image_size": "square_hd"{common}}}\n'.replace("'", '"')
        + "    return {\n"
        '        "prompt": prompt,\n'
        f'        "{profile.image_key}": {"[init_image_url]" if several else "init_image_url"},\n'
        f"{own}"
        "    }\n"
    )


def _main(source: Source) -> str:
    profile = source.profile
    names = (source.announced, profile.text_to_image)
    first, second = reversed(names) if source.inverted else names
    model = f'"{first}"' if profile.fallback == "refuse" else f'"{first}" if init_image_url else "{second}"'
    fields = "".join(f'    {name} = data.get("{name}")\n' for name in profile.image_fields)
    return (
        '"""Takes requests for pictures."""\n\n'
        "from fal_service import endpoint, payload\n"
        "from supabase_service import upload_first\n\n\n"
        "async def generate_image(request):\n"
        "    data = await request.json()\n"
        '    prompt = data.get("prompt")\n'
        f"{fields}"
        f"    init_image_url = upload_first({', '.join(profile.image_fields)})\n"
        f"    model_name = {model}\n"
        "    return await call(endpoint(init_image_url), payload(prompt, init_image_url), model_name)\n"
    )
