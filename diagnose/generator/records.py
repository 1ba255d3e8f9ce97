"""Says what happened: the log lines, and the entry of `prompt_log.json`.

The words are those of the backends that this tool is asked about. The entry is made after the fact, from what was
really sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

from diagnose.generator import events
from diagnose.generator.broken import FalRefused, ImageUnusable, NotConfigured, StorageBroken, StorageFault
from diagnose.generator.pipeline import Outcome, pretty, said
from diagnose.model import IMAGE_TO_IMAGE
from diagnose.selection import Selected

_RULE = "=" * 70


class Line(NamedTuple):
    """One record of a log."""

    level: str
    logger: str
    text: str

    def plain(self, request_id: str | None = None) -> str:
        """As Python's default format writes it, or uvicorn's where the server speaks for itself."""
        text = f"[{request_id}] {self.text}" if request_id else self.text
        if self.logger.startswith("uvicorn"):
            return f"{self.level + ':':<10}{text}"
        return f"{self.level}:{self.logger}:{text}"


# The words.


def words(event: events.Event) -> Iterator[Line]:
    """The log lines of one event."""
    match event:
        case events.Missing(setting):
            yield Line("WARNING", "main", f"{setting} not found in environment variables")
        case events.ClientLeft():
            yield Line("WARNING", "main", "The client left before its request was complete")
        case events.Interrupted():
            yield Line("WARNING", "main", "The server is stopping; this request was not waited for")
        case events.LogSetAside(file, place):
            yield Line("WARNING", "main", f"{file} could not be read and was set aside as {place}")
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
            yield _main(f"   Public URL check: HTTP {status} {code or phrase(status) or 'no answer'}")
        case events.NothingGenerated(text):
            yield Line("ERROR", "fal_service", f"Error generating images with Fal.ai: {_one_line(text)}")
        case events.Generated(pictures, of, user, price):
            yield Line("INFO", "fal_service", f"Successfully generated {pictures}/{of} images from Fal.ai")
            charged = f" Reducing coins by {price} for user {user}" if price else ""
            yield _main(f"Images generated successfully.{charged}")
        case events.Charged(user, remaining):
            yield _main(f"Coins deducted. Remaining coins for user {user}: {remaining}")
        case events.Finished(seconds):
            yield _main(f"⏱️ Total generate-image time: {seconds:.2f}s")
        case events.Saved(file):
            yield _main(f"💾 Prompt saved to {file} for debugging")
        case events.SaveFailed(text):
            yield Line("WARNING", "main", f"Failed to save prompt log: {text}")


def _image(
    event: events.Preprocessing | events.Preprocessed | events.Uploading | events.Uploaded | events.ImageLost,
) -> Iterator[Line]:
    match event:
        case events.Preprocessing(name, aspect):
            yield _main(f"🔄 Preprocessing {name} (target aspect: {_one_line(aspect)})...")
        case events.Preprocessed(name, picture):
            size = f"{picture.width}x{picture.height}"
            valid = f"✅ Input validation passed: {size}px, format: {picture.format}"
            yield Line("INFO", "image_preprocessor", valid)
            yield _main(f"✅ {_spoken(name)} preprocessing complete:")
            megapixels = picture.width * picture.height / 1e6
            yield _main(f"   Final: {size} ({megapixels:.3f} MP), {_mb(len(picture.data))} MB")
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
    coins = "" if event.coins is None else f" Current coins: {event.coins}"
    yield _main(f"Generating images for user {event.user} using {using}.{coins}")
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


def _yes(so: bool, word: str, other: str) -> str:
    return word if so else other


def _spoken(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _mb(size: int) -> str:
    return f"{size / 1024 / 1024:.2f}"


def phrase(status: object) -> str:
    """The words of an HTTP status; none where it has none, like those that gateways invent."""
    try:
        return HTTPStatus(int(str(status))).phrase
    except ValueError:
        return ""


def _one_line(text: str) -> str:
    # what others wrote could otherwise write log lines of its own
    return text.replace("\r", "\\r").replace("\n", "\\n")


# The prompt log.


def entry(outcome: Outcome) -> dict[str, Any] | None:
    """What `prompt_log.json` keeps of a generation; None where it ended before a model was chosen.

    The keys the older backends write, filled from what was really sent, and what they leave out.
    """
    chosen, carried = outcome.chosen, outcome.carried
    if not isinstance(chosen, Selected) or outcome.sent is None:
        return None
    categories = [image.category for image in outcome.received]
    prompt = outcome.wish.prompt
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
