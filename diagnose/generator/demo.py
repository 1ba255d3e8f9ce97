"""Writes one fault's evidence to a folder, by running the real pipeline in a world that is broken so.

What is written is what a support engineer gets. Diagnosing it is left to the ordinary commands.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from diagnose.generator import events, hands, images
from diagnose.generator.faults import Blocked, Fault, Source, World, data_url, sound
from diagnose.generator.pipeline import Hands, Log, Outcome, Request, generate
from diagnose.generator.records import Form, Journal, PromptLog, entry

PATH = "/api/generate-image"

_BEGINNING = datetime(2026, 1, 11, 6, 35, 30, 766926)
_WHOLE = 200
"""Characters up to which a field of the request is written whole."""


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


def write_case(fault: Fault, folder: Path, form: Form = "plain") -> EvidencePaths:
    """The evidence of a fault. The folder is made; files of these names in it are replaced."""
    return write_world(fault.arrange(sound(fault.profile)), folder, form)


def write_world(world: World, folder: Path, form: Form = "plain") -> EvidencePaths:
    """The evidence of a world: earlier requests that went well, then the one it is about."""
    folder.mkdir(parents=True, exist_ok=True)
    prompt_log = folder / "prompt_log.json"
    prompt_log.unlink(missing_ok=True)
    machine = _Machine(prompt_log, form)
    sent, answer = _run(world, machine)
    prompt_log.write_text(world.spoil(prompt_log.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    written = {
        "backend.log": machine.stream.getvalue(),
        "request.json": _json(sent),
        "response.json": _json(answer),
        ".env": _env(world),
    }
    for name, text in written.items():
        if name in world.files:
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    if "source" in world.files:
        _write_source(world.source, folder / "source")
    if "prompt_log.json" not in world.files:
        prompt_log.unlink()

    def where(name: str) -> Path | None:
        return folder / name if name in world.files else None

    return EvidencePaths(
        folder,
        where("backend.log"),
        where("prompt_log.json"),
        where("request.json"),
        where("response.json"),
        where("source"),
        where(".env"),
    )


# The machine on which it all runs.


@dataclass(slots=True)
class _Machine:
    """One host: its clock, its log and its files."""

    prompt_log: Path
    form: Form
    clock: hands.Ticks = field(default_factory=lambda: hands.Ticks(_BEGINNING))
    new_id: hands.Ids = field(default_factory=lambda: hands.Ids("demo"))
    stream: io.StringIO = field(default_factory=io.StringIO)
    pid: int = 20783
    port: int = 60476

    @property
    def journal(self) -> Journal:
        return Journal(self.stream, self.clock, self.form)

    def start(self, world: World) -> None:
        missing = () if world.fal.key else ("FAL_KEY",)
        self.journal.write(events.Started(self.pid, world.code.profile.backend_url, missing))

    def restart(self, world: World) -> None:
        self.journal.write(events.Stopped(self.pid))
        self.pid += 497
        self.clock.at += timedelta(minutes=7)
        self.start(world)


def _run(world: World, machine: _Machine) -> tuple[dict[str, Any], dict[str, Any]]:
    """The request and the answer it is about, after what went before."""
    healthy = sound(world.code.profile.name)
    stale = world.source.profile != world.code.profile
    before = replace(healthy, code=world.code, announces=world.announces) if stale else healthy
    machine.start(before)
    photo = data_url(images.grey(768, 1024))
    for body in (
        {
            "prompt": "A Man model, for Sportswear, in Walking pose, in Urban Street style",
            "product_images": [photo],
        },
        {"prompt": "An empty studio with a wooden stool, in Minimalist style"},
    ):
        machine.clock.at += timedelta(minutes=3)
        _serve(replace(before, body={**body, "aspect_ratio": "9:16"}), machine)
    if (before.code, _settings(before)) != (world.code, _settings(world)):
        machine.restart(world)
    machine.clock.at += timedelta(minutes=3)
    answer = _serve(world, machine)
    sent = {
        "method": "POST",
        "url": f"{world.code.profile.backend_url}{PATH}",
        "content_type": "application/json",
        "body": {key: _shortened(value) for key, value in world.body.items()},
        "headers": {"Authorization": "Bearer <user access token>", "Origin": "http://localhost:3000"},
    }
    return sent, answer


def _settings(world: World) -> tuple[str | None, ...]:
    """What a process reads once, when it starts."""
    return world.project.url, world.project.key, world.fal.key


def _serve(world: World, machine: _Machine) -> dict[str, Any]:
    """One request as the server handles it: the answer that the browser gets."""
    arrived = world.between(world.body)
    if isinstance(arrived, Blocked):
        return {
            "status": arrived.status,
            "headers": dict(arrived.headers),
            "seconds": 0.01,
            "body": arrived.body,
        }
    machine.port += 4
    status, kind = 500, "text/plain; charset=utf-8"
    body: Mapping[str, Any] | str = "Internal Server Error"
    request = Request(machine.new_id(), arrived, world.token, count=2)
    log = machine.journal.of(request.id)
    began = machine.clock()
    try:
        outcome = generate(request, world.code, _hands(world, machine, log))
    except Exception as error:
        log(events.Crashed(type(error).__name__, str(error)))
    else:
        _save(outcome, world, machine, log)
        status, kind, body = outcome.status, "application/json", outcome.answer
    log(events.Served(f"127.0.0.1:{machine.port}", "POST", PATH, status))
    headers = {
        "content-type": kind,
        "x-request-id": request.id,
        "access-control-allow-origin": "http://localhost:3000",
    }
    seconds = round((machine.clock() - began).total_seconds(), 2)
    return {"status": status, "headers": headers, "seconds": seconds, "body": body}


def _hands(world: World, machine: _Machine, log: Log) -> Hands:
    def main(event: events.Event, /) -> None:
        log(replace(event, model=world.announces) if world.announces and isinstance(event, events.Chosen) else event)

    storage = hands.MemoryStorage(world.project, log, machine.clock)
    accounts = hands.MemoryAccounts(world.account, world.project.url, log, machine.clock)
    model = hands.MemoryFal(world.fal, storage.fetch, log, machine.new_id)
    return Hands(accounts, storage, model, main, machine.clock, machine.new_id)


def _save(outcome: Outcome, world: World, machine: _Machine, log: Log) -> None:
    new = entry(outcome)
    if new is None:
        return
    if not world.saves:
        log(events.SaveFailed(f"[Errno 28] No space left on device: '{machine.prompt_log.name}'"))
        return
    PromptLog(machine.prompt_log, world.code.profile.keep).append(new, machine.clock())
    log(events.Saved(machine.prompt_log.name))


# Files.


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _shortened(value: Any) -> Any:
    """A long data URL as support engineers paste it: its beginning, its length and its fingerprint."""
    if not isinstance(value, str) or len(value) <= _WHOLE or not value.startswith("data:"):
        return value
    head, _, text = value.partition(",")
    print_ = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{head},{text[:48]}...({len(text)} base64 chars, sha256 {print_})"


def _env(world: World) -> str:
    settings = {
        "SUPABASE_URL": world.project.url,
        "SUPABASE_ANON_KEY": hands.supabase_key("anon"),
        "SUPABASE_SERVICE_KEY": world.project.key,
        "FAL_KEY": world.fal.key,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items() if value)


def _write_source(source: Source, folder: Path) -> None:
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
