"""Writes what happened: the log lines, and `prompt_log.json`.

The words are those of the backends that this tool is asked about. `prompt_log.json` is written after the
fact, and whole or not at all.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO

from diagnose.generator import events
from diagnose.generator.broken import FalRefused, ImageUnusable, NotConfigured, StorageBroken, StorageFault
from diagnose.generator.pipeline import Outcome, pretty, said
from diagnose.model import IMAGE_TO_IMAGE
from diagnose.selection import Selected

Form = Literal["plain", "json"]

_RULE = "=" * 70


class Line(NamedTuple):
    """One record of a log."""

    level: str
    logger: str
    text: str

    def plain(self) -> str:
        """As Python's default format writes it, or uvicorn's where the server speaks for itself."""
        if self.logger.startswith("uvicorn"):
            return f"{self.level + ':':<10}{self.text}"
        return f"{self.level}:{self.logger}:{self.text}"


# The words.


def words(event: events.Event) -> Iterator[Line]:
    """The log lines of one event."""
    match event:
        case events.Started() | events.Stopped() | events.Served() | events.Crashed() | events.Exchanged():
            yield from _server(event)
        case events.Chosen() | events.Sending() | events.Answered() | events.CallFailed():
            yield from _fal(event)
        case (
            events.Preprocessing() | events.Preprocessed() | events.Uploading() | events.Uploaded() | events.ImageLost()
        ):
            yield from _image(event)
        case events.TokenRefused(status, body):
            yield Line("WARNING", "supabase_service", f"Token verification failed: {status} - {_one_line(body)}")
        case events.Refused(fault):
            if isinstance(fault, NotConfigured):
                yield Line("ERROR", "main", f"{fault}")
        case events.ImagesReceived(products, face, background):
            yield _main("📥 Images received from frontend:")
            yield _main(f"   - Product images: {products}")
            yield _main(f"   - Face image: {_yes(face, 'Yes', 'No')}")
            yield _main(f"   - Background image: {_yes(background, 'Yes', 'No')}")
        case events.FileReceived(name, size):
            yield _main(f"📤 Received image file upload: {_one_line(name)} ({size} bytes)")
        case events.FellBack(text):
            yield Line(
                "WARNING",
                "main",
                f"Failed to upload images to Supabase Storage: {text}. Continuing without image.",
            )
        case events.Probed(status, code):
            yield _main(f"   Public URL check: HTTP {status} {code or HTTPStatus(status).phrase}")
        case events.NothingGenerated(text):
            yield Line("ERROR", "fal_service", f"Error generating images with Fal.ai: {_one_line(text)}")
        case events.Generated(pictures, of, user, price):
            yield Line("INFO", "fal_service", f"Successfully generated {pictures}/{of} images from Fal.ai")
            yield _main(f"Images generated successfully. Reducing coins by {price} for user {user}")
        case events.Charged(user, remaining):
            yield _main(f"Coins deducted. Remaining coins for user {user}: {remaining}")
        case events.Finished(seconds):
            yield _main(f"⏱️ Total generate-image time: {seconds:.2f}s")
        case events.Saved(file):
            yield _main(f"💾 Prompt saved to {file} for debugging")
        case events.SaveFailed(text):
            yield Line("WARNING", "main", f"Failed to save prompt log: {text}")


def _server(
    event: events.Started | events.Stopped | events.Served | events.Crashed | events.Exchanged,
) -> Iterator[Line]:
    match event:
        case events.Started(pid, url, missing):
            yield from (Line("WARNING", "main", f"{name} not found in environment variables") for name in missing)
            yield _uvicorn(f"Started server process [{pid}]")
            yield _uvicorn("Waiting for application startup.")
            yield _uvicorn("Application startup complete.")
            yield _uvicorn(f"Uvicorn running on {url} (Press CTRL+C to quit)")
        case events.Stopped(pid):
            yield _uvicorn("Shutting down")
            yield _uvicorn("Waiting for application shutdown.")
            yield _uvicorn("Application shutdown complete.")
            yield _uvicorn(f"Finished server process [{pid}]")
        case events.Served(client, method, path, status):
            text = f'{client} - "{method} {path} HTTP/1.1" {status} {_phrase(status)}'
            yield Line("INFO", "uvicorn.access", text)
        case events.Crashed(kind, text):
            trace = (
                "Exception in ASGI application\n"
                "Traceback (most recent call last):\n"
                '  File "/srv/app/backend/main.py", line 2731, in generate_image_saas\n'
                "    return await run_in_threadpool(generate, request)\n"
                f"{kind}: {text}"
            )
            yield Line("ERROR", "uvicorn.error", trace)
        case events.Exchanged(method, url, status, protocol):
            yield Line("INFO", "httpx", f'HTTP Request: {method} {url} "{protocol} {status} {_phrase(status)}"')


def _image(
    event: events.Preprocessing | events.Preprocessed | events.Uploading | events.Uploaded | events.ImageLost,
) -> Iterator[Line]:
    match event:
        case events.Preprocessing(name, aspect):
            yield _main(f"🔄 Preprocessing {name} (target aspect: {_one_line(aspect)})...")
        case events.Preprocessed(name, form, width, height, size):
            yield Line(
                "INFO",
                "image_preprocessor",
                f"✅ Input validation passed: {width}x{height}px, format: {form}",
            )
            yield _main(f"✅ {_spoken(name)} preprocessing complete:")
            yield _main(f"   Final: {width}x{height} ({width * height / 1e6:.3f} MP), {_mb(size)} MB")
        case events.Uploading(name, bucket, path, size, content_type):
            yield _main(f"📤 Uploading preprocessed {name} to Supabase Storage (size: {size} bytes)")
            yield _store("📤 Uploading image to Supabase Storage:")
            yield _store(f"   Bucket: {bucket}")
            yield _store(f"   Path: {path}")
            yield _store(f"   File size: {size} bytes ({_mb(size)} MB)")
            yield _store(f"   Content-Type: {content_type}")
        case events.Uploaded(name, bucket, path, url):
            full = f"{bucket}/{path}"
            stored = f"UploadResponse(path='{path}', full_path='{full}', fullPath='{full}')"
            yield _store(f"   Supabase upload response: {stored}")
            yield _store("✅ Image uploaded successfully to Supabase Storage")
            yield _store(f"   Public URL: {url}")
            yield _main(f"✅ {name} uploaded to Supabase Storage successfully")
        case events.ImageLost():
            yield from _lost(event)


def _lost(event: events.ImageLost) -> Iterator[Line]:
    fault = event.fault
    if isinstance(fault, ImageUnusable) and fault.decoded:
        yield Line("ERROR", "main", f"❌ {_spoken(event.name)} preprocessing failed: {fault}")
        return
    if isinstance(fault, StorageFault):
        yield _wrong("❌ Supabase upload failed:")
        yield _wrong(f"   Bucket: {event.bucket}")
        yield _wrong(f"   Path: {event.path}")
        yield _wrong(f"   Error: {fault}")
        yield _wrong(f"   Error type: {fault.kind}")
        if isinstance(fault, StorageBroken):
            trace = (
                "   Full traceback:\n"
                "Traceback (most recent call last):\n"
                '  File "/srv/app/backend/supabase_service.py", line 385, in upload_image\n'
                "    response = supabase.storage.from_(bucket_name).upload(\n"
                f"{fault.kind}: {fault}"
            )
            yield _wrong(trace)
    else:
        yield _wrong(str(fault).replace("Failed to convert", "Error converting", 1))
    yield Line("ERROR", "main", f"❌ Failed to upload {event.name}: {said(fault)}")


def _fal(event: events.Chosen | events.Sending | events.Answered | events.CallFailed) -> Iterator[Line]:
    match event:
        case events.Chosen():
            yield from _chosen(event)
        case events.Sending():
            yield from _sending(event)
        case events.Answered(_, 0):
            yield Line("ERROR", "fal_service", "❌ No image URL found in Fal.ai response")
        case events.Answered(_, pictures):
            yield Line("INFO", "fal_service", f"✅ Extracted {pictures} image URL(s) from Fal.ai response")
        case events.CallFailed(number, FalRefused(status=401, body=body)):
            yield Line(
                "ERROR",
                "fal_service",
                f"❌ Fal.ai API 401 Unauthorized for image {number}. Response: {_one_line(body)}",
            )
        case events.CallFailed(number, FalRefused(status=403, body=body)):
            yield Line(
                "ERROR",
                "fal_service",
                f"❌ Fal.ai API 403 Forbidden for image {number}. Response: {_one_line(body)}",
            )
        case events.CallFailed(number, FalRefused(status=status, body=body)):
            yield Line(
                "ERROR",
                "fal_service",
                f"HTTP Error generating image {number}: {status} - {_one_line(body[:500])}",
            )
            yield Line("WARNING", "fal_service", f"Skipping image {number} due to HTTP error {status}")
        case events.CallFailed(number, fault):
            yield Line("ERROR", "fal_service", f"Error generating image {number}: {fault.kind} - {fault}")


def _chosen(event: events.Chosen) -> Iterator[Line]:
    using = f"Fal.ai {event.model} ({event.mode} mode)"
    yield _main(f"Generating images for user {event.user} using {using}. Current coins: {event.coins}")
    yield _main(_RULE)
    yield _main("GENERATION SUMMARY:")
    yield _main(_RULE)
    yield _main(f"Generation Mode: {event.mode}")
    yield _main(f"Model: {event.model}")
    yield _main(f"Init Image URL: {_yes(bool(event.init_image_url), 'YES', 'NO')}")
    yield _main(_RULE)
    yield _main("📝 FINAL PROMPT YANG DIKIRIM KE FAL.AI:")
    yield _main(f"   Model: {event.model}")
    yield _main(f"   Mode: {event.mode}")
    yield _main(f"   Steps: {event.body.get('num_inference_steps')}, CFG: {event.body.get('guidance_scale')}")
    yield _main(f"   Prompt: {_one_line(event.prompt)}")
    yield _main(f"   Prompt length: {len(event.prompt)} chars")


def _sending(event: events.Sending) -> Iterator[Line]:
    def fal(text: str) -> Line:
        return Line("INFO", "fal_service", text)

    body = event.body
    yield fal(f"📤 Sending {event.mode} request to Fal.ai for image {event.number}/{event.of}")
    yield fal(f"   Model: {event.model}")
    if event.mode == IMAGE_TO_IMAGE and event.image_url:
        key = "image_urls" if "image_urls" in body else "image_url"
        yield fal(f"   ✅ Image-to-image: Using {key} from Supabase Storage")
        yield fal(f"   📤 Image URL yang dikirim: {event.image_url}")
        yield fal(f"   Model: {event.model} (support LoRA)")
        strength, guidance = body.get("image_strength", body.get("strength")), body.get("guidance_scale")
        yield fal(f"   Image Strength: {strength} (FIXED: menjaga identitas wajah)")
        yield fal(f"   Inference Steps: {body.get('num_inference_steps')} (FIXED: INFERENCE, BUKAN training)")
        yield fal(f"   Guidance Scale: {guidance} (FIXED: prompt adherence tanpa merusak wajah)")
    yield fal("   📤 FULL REQUEST PAYLOAD ke Fal.ai:")
    yield fal(f"   {pretty(body)}")


def _main(text: str) -> Line:
    return Line("INFO", "main", text)


def _store(text: str) -> Line:
    return Line("INFO", "supabase_service", text)


def _wrong(text: str) -> Line:
    return Line("ERROR", "supabase_service", text)


def _uvicorn(text: str) -> Line:
    return Line("INFO", "uvicorn.error", text)


def _yes(so: bool, word: str, other: str) -> str:
    return word if so else other


def _spoken(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _mb(size: int) -> str:
    return f"{size / 1024 / 1024:.2f}"


def _one_line(text: str) -> str:
    # what others wrote could otherwise write log lines of its own
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


# The log.


@dataclass(frozen=True, slots=True)
class Journal:
    """Writes events as log lines, one write each, so that those of two requests interleave whole."""

    stream: TextIO
    clock: Callable[[], datetime]
    form: Form = "plain"
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, event: events.Event, request_id: str | None = None) -> None:
        """Takes down one event; JSON lines carry the request's id."""
        text = "".join(self._worded(line, request_id) + "\n" for line in words(event))
        with self._lock:
            self.stream.write(text)
            self.stream.flush()

    def of(self, request_id: str) -> Callable[[events.Event], None]:
        """The log of one request."""
        return lambda event: self.write(event, request_id)

    def _worded(self, line: Line, request_id: str | None) -> str:
        if self.form == "plain":
            return line.plain()
        time = self.clock().isoformat()
        record = {"asctime": time, "levelname": line.level, "name": line.logger, "message": line.text}
        return json.dumps({**record, "request_id": request_id} if request_id else record, ensure_ascii=False)


# The prompt log.


def entry(outcome: Outcome) -> dict[str, Any] | None:
    """What `prompt_log.json` keeps of a generation; None where it ended before a model was chosen.

    The keys the older backends write, filled from what was really sent, and what they leave out.
    """
    chosen, carried = outcome.chosen, outcome.carried
    if not isinstance(chosen, Selected) or outcome.sent is None:
        return None
    categories = [image.category for image in outcome.received]
    prompt = outcome.prompt
    upload = {
        "status": carried.status,
        "bucket": carried.bucket,
        "path": carried.path,
        "error": str(carried.fault) if carried.fault else None,
    }
    return {
        "timestamp": outcome.began.isoformat(),
        "request": {
            "has_product_images": "product" in categories,
            "num_product_images": categories.count("product"),
            "has_face_image": "face" in categories,
            "has_background_image": "background" in categories,
            "has_image_url": outcome.init_image_url is not None,
            "image_url": outcome.init_image_url,
            "request_format": outcome.request.content_type.partition(";")[0],
            "original_prompt": prompt if len(prompt) <= 200 else prompt[:200] + "...",
        },
        "enhanced_prompt": prompt,
        "prompt_length": len(prompt),
        "generation_mode": chosen.mode,
        "fal_request": {"model": chosen.model, **outcome.sent},
        "request_id": outcome.request.id,
        "outcome": "succeeded" if outcome.pictures else "failed",
        "decision": {"mode": chosen.mode, "model": chosen.model, "reason": chosen.reason},
        "upload": upload if outcome.received else None,
        "sent": dict(outcome.sent),
        "status": outcome.fal_status,
        "fal_request_id": outcome.fal_request_id,
    }


@dataclass(frozen=True, slots=True)
class PromptLog:
    """`prompt_log.json`: a JSON array, oldest entry first."""

    path: Path
    keep: int = 10
    """How many entries stay; 0 keeps all."""

    def append(self, new: Mapping[str, Any], now: datetime) -> Path | None:
        """Adds an entry. Where the file was corrupt it is set aside first; its new place is the answer."""
        entries, aside = self._read(now)
        entries.append(dict(new))
        self._write(entries[-self.keep :] if self.keep else entries)
        return aside

    def _read(self, now: datetime) -> tuple[list[Any], Path | None]:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return [], None
        if not raw.strip():
            return [], None
        try:
            entries = json.loads(raw.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            entries = None
        return (entries, None) if isinstance(entries, list) else ([], self._set_aside(now))

    def _set_aside(self, now: datetime) -> Path:
        stamp = now.strftime("%Y%m%dT%H%M%S")
        for attempt in range(1000):
            place = self.path.with_name(f"{self.path.name}.corrupt-{stamp}{f'-{attempt}' if attempt else ''}")
            try:
                place.open("x").close()
            except FileExistsError:
                continue
            # the name is ours now, so nothing that anybody set aside before is replaced
            self.path.replace(place)
            return place
        raise FileExistsError(f"no free name to set '{self.path}' aside")

    def _write(self, entries: list[Any]) -> None:
        target = Path(os.path.realpath(self.path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
        try:
            with temporary.open("x", encoding="utf-8") as file:
                json.dump(entries, file, indent=2, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
