"""Makes backend logs of any size as a busy web backend writes them: seeded, mostly of access lines, with attempts among them.

The lines are those of the pipeline that the checks know (its preprocessing, upload, payload and call of fal), in several
dresses and outcomes. `interleaved` lets the requests of others, and sometimes a second attempt, stand among an attempt's
lines, as they do where one process answers many.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

STORAGE = "https://abcdefghijklmnopqrst.supabase.co"
IMAGE_TO_IMAGE = "fal-ai/flux-general/image-to-image"
TEXT_TO_IMAGE = "fal-ai/flux/schnell"
SUBJECTS = (
    "a woman",
    "a man in a blue coat",
    "two friends",
    "a dancer",
    "an old sailor",
    "a model for fashion",
    "a child",
)
PLACES = (
    "in a studio",
    "on a snowy street",
    "under a bridge",
    "next to a window",
    "at the sea, 9:16",
    "in a green field",
)
LIGHTS = (
    "natural daylight",
    "neon lights",
    "golden hour, photorealistic",
    "soft shadows and film grain",
    "studio clean style",
)
OTHERS = (
    "/health",
    "/",
    "/api/gallery?page={0}",
    "/api/profile",
    "/static/app.{0}.js",
    "/api/items/{0}",
    "/favicon.ico",
)
REFUSALS = {
    401: ("Unauthorized", '{"detail":"Cannot access application"}'),
    403: (
        "Forbidden",
        '{"detail":"User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."}',
    ),
    404: ("Not Found", '{"detail":"Application \'flux-general\' not found"}'),
    422: (
        "Unprocessable Entity",
        '{"detail":[{"loc":["body","image_url"],"msg":"Failed to download the file.","type":"file_download_error"}]}',
    ),
    429: ("Too Many Requests", '{"detail":"Concurrent requests limit reached"}'),
    500: ("Internal Server Error", '{"detail":"Internal Server Error"}'),
    504: ("Gateway Timeout", "upstream timed out"),
}
STORED = {
    "bucket": (404, "Bucket not found", "Bucket not found"),
    "policy": (403, "Unauthorized", "new row violates row-level security policy"),
    "expired": (403, "Unauthorized", '"exp" claim timestamp check failed'),
}

Told = tuple[str, str, str]
"""Level, logger and message."""
WAIT: Told = ("", "", "")
"""Where an attempt waits for somebody, so that other requests are answered meanwhile."""


@dataclass
class Log:
    """How a log is written."""

    seed: int = 1
    style: str = "plain"
    """`plain`, `timed`, `docker`, `utc` or `json`."""
    interleaved: float = 0.0
    """How often somebody else's request is answered where an attempt waits."""
    overlapping: float = 0.0
    """How often an attempt begins while another is under way."""
    odd_prompts: float = 0.0
    """How often a prompt holds words that the backend's own lines could hold."""

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._now = datetime(2026, 1, 10, 6, 0, tzinfo=UTC)

    # --- lines

    def line(self, told: Told) -> str:
        """One record in this log's dress; a message of several lines is one record."""
        level, logger, message = told
        self._now += timedelta(milliseconds=self._dice.randint(1, 400))
        if self.style == "timed":
            return f"{self._now:%Y-%m-%d %H:%M:%S},{self._now.microsecond // 1000:03d} [{logger}] {level}: {message}\n"
        plain = f"{level}:     {message}\n" if logger == "uvicorn" else f"{level}:{logger}:{message}\n"
        if self.style == "docker":
            return "".join(f"studio-api-1  | {one}\n" for one in plain[:-1].split("\n"))
        if self.style == "utc":
            stamp = f"{self._now:%Y-%m-%dT%H:%M:%S}.{self._now.microsecond:06d}000Z"
            return "".join(f"{stamp} {one}\n" for one in plain[:-1].split("\n"))
        if self.style == "json":
            stamp = f"{self._now:%Y-%m-%dT%H:%M:%S}.{self._now.microsecond // 1000:03d}Z"
            fields = {"timestamp": stamp, "level": level, "logger": logger, "message": message}
            return json.dumps(fields, ensure_ascii=False) + "\n"
        return plain

    def access(self, method: str, path: str, status: str) -> Told:
        """The line of a request that was answered."""
        peer = f"10.0.{self._dice.randrange(256)}.{self._dice.randrange(256)}:{self._dice.randint(30000, 60999)}"
        return "INFO", "uvicorn", f'{peer} - "{method} {path} HTTP/1.1" {status}'

    def other(self) -> str:
        """What a request that is no attempt leaves, or the backend's own doings."""
        dice, kind = self._dice, self._dice.random()
        if kind < 0.86:
            path = dice.choice(OTHERS).format(dice.randrange(2000))
            return self.line(self.access("GET", path, dice.choice(("200 OK", "200 OK", "200 OK", "304 Not Modified", "404 Not Found"))))  # fmt: skip
        if kind < 0.91:
            return self.line(self.access("POST", dice.choice(("/api/events", "/api/auth/login")), "200 OK"))
        if kind < 0.95:
            who = self.line(self._called("GET", f"{STORAGE}/auth/v1/user", 200, "OK"))
            return who + self.line(self.access("GET", "/api/profile", "200 OK"))
        if kind < 0.97:
            return self.line(
                ("INFO", "app.cache", f"cache refreshed, {dice.randrange(9999)} keys in {dice.randrange(90)} ms")
            )
        return self.line(("INFO", "app.request", "request"))

    def _called(self, method: str, url: str, status: int, phrase: str) -> Told:
        return "INFO", "httpx", f'HTTP Request: {method} {url} "HTTP/1.1 {status} {phrase}"'

    def prompt(self) -> str:
        """Somebody's words."""
        dice = self._dice
        words = (
            f"Photo of {dice.choice(SUBJECTS)} {dice.choice(PLACES)}, {dice.choice(LIGHTS)}, take {dice.randrange(900)}"
        )
        return f"{words}, no image of failed errors" if dice.random() < self.odd_prompts else words

    # --- attempts

    def attempt(self) -> Iterator[Told]:
        """The lines of one request for a picture; most succeed."""
        kinds: tuple[tuple[Callable[..., Iterator[Told]], tuple[object, ...], int], ...] = (
            (self.whole, (), 600),
            (self.whole, (2,), 150),
            (self.without_image, (), 100),
            (self.whole, (1, "json", 422), 12),
            (self.whole, (1, "json", 401), 8),
            (self.whole, (1, "json", 403), 8),
            (self.whole, (1, "json", 404), 8),
            (self.whole, (1, "json", 429), 8),
            (self.whole, (1, "json", 500), 8),
            (self.whole, (1, "json", 504), 8),
            (self.whole, (1, "multipart", 0), 30),
            (self.lost, ("bucket",), 10),
            (self.lost, ("policy",), 10),
            (self.lost, ("expired",), 10),
            (self.undecodable, (), 10),
            (self.refused, (401, "Unauthorized"), 10),
            (self.refused, (403, "Forbidden"), 10),
            (self.refused, (422, "Unprocessable Entity"), 10),
            (self.unhandled, (), 5),
            (self.bare, ("200 OK",), 5),
            (self.bare, ("502 Bad Gateway",), 5),
        )
        make, given, _ = self._dice.choices(kinds, [weight for _, _, weight in kinds])[0]
        return make(*given)

    def _begun(self, user: str) -> Iterator[Told]:
        yield self._called("GET", f"{STORAGE}/auth/v1/user", 200, "OK")
        yield WAIT
        yield self._called("GET", f"{STORAGE}/rest/v1/profiles?select=%2A&user_id=eq.{user}", 200, "OK")

    def _stored(self, user: str, form: str, why: str = "") -> Iterator[Told]:
        dice = self._dice
        size, path = dice.randint(9_000, 900_000), f"{user}/face/{_uuid(dice)}.jpg"
        url = f"{STORAGE}/storage/v1/object/public/IMAGES_UPLOAD/{path}"
        if form == "json":
            yield "INFO", "main", "📥 Images received from frontend:"
            yield "INFO", "main", "   - Product images: 0"
            yield "INFO", "main", "   - Face image: Yes"
            yield "INFO", "main", "   - Background image: No"
        else:
            yield "INFO", "main", f"📤 Received image file upload: photo-{dice.randrange(99)}.jpg ({size} bytes)"
        yield "INFO", "main", "🔄 Preprocessing face_image (target aspect: 9:16)..."
        width = dice.randint(600, 4000)
        yield "INFO", "image_preprocessor", f"✅ Input validation passed: {width}x1200px, format: JPEG"
        yield "INFO", "image_preprocessor", f"✅ Final resize: {width}x1024px → 720x1280px (0.922 MP)"
        yield (
            "INFO",
            "image_preprocessor",
            f"✅ Compressed to {size:,} bytes ({size / 1e6:.2f} MB) with JPEG quality 85",
        )
        yield "INFO", "supabase_service", "📤 Uploading image to Supabase Storage:"
        yield "INFO", "supabase_service", "   Bucket: IMAGES_UPLOAD"
        yield "INFO", "supabase_service", f"   Path: {path}"
        yield "INFO", "supabase_service", f"   File size: {size} bytes ({size / 1e6:.2f} MB)"
        yield "INFO", "supabase_service", "   Content-Type: image/jpeg"
        yield WAIT
        post = f"{STORAGE}/storage/v1/object/IMAGES_UPLOAD/{path}"
        if why:
            status, error, message = STORED[why]
            yield self._called("POST", post, 400, "Bad Request")
            said = f"{{'statusCode': {status}, 'error': {error}, 'message': {message}}}"
            yield "ERROR", "supabase_service", "❌ Supabase upload failed:"
            yield "ERROR", "supabase_service", f"   Error: {said}"
            frames = f'Traceback (most recent call last):\n  File "/srv/app/supabase_service.py", line 385, in upload\n    response = upload()\nstorage3.exceptions.StorageApiError: {said}'  # fmt: skip
            yield "ERROR", "supabase_service", f"   Full traceback:\n{frames}"
            yield "WARNING", "main", f"Failed to upload images to Supabase Storage: {said}. Continuing without image."
            return
        yield self._called("POST", post, 200, "OK")
        yield "INFO", "supabase_service", "✅ Image uploaded successfully to Supabase Storage"
        yield "INFO", "supabase_service", f"   Public URL: {url}?"
        yield "INFO", "main", f"✅ face_image uploaded successfully: {url}?"

    def _generated(self, user: str, url: str | None, pictures: int, status: int) -> Iterator[Told]:
        dice, prompt = self._dice, self.prompt()
        model, mode = (IMAGE_TO_IMAGE, "image-to-image") if url else (TEXT_TO_IMAGE, "text-to-image")
        yield (
            "INFO",
            "main",
            f"Generating images for user {user} using Fal.ai {model} ({mode} mode). Current coins: {dice.randrange(900)}",
        )
        yield "INFO", "main", "=" * 70
        yield "INFO", "main", f"Generation Mode: {mode}"
        yield "INFO", "main", f"Model: {model}"
        yield "INFO", "main", f"Init Image URL: {'YES' if url else 'NO'}"
        yield "INFO", "main", f"   Prompt: {prompt}"
        yield "INFO", "main", f"   Prompt length: {len(prompt)} chars"
        yield "INFO", "main", "💾 Prompt saved to debug_prompt_log.json for debugging"
        for number in range(1, pictures + 1):
            yield "INFO", "fal_service", f"📤 Sending {mode} request to Fal.ai for image {number}/{pictures}"
            yield "INFO", "fal_service", f"   Prompt preview: {prompt[:200]}..."
            yield "INFO", "fal_service", "   📤 FULL REQUEST PAYLOAD ke Fal.ai:"
            body = {
                "prompt": prompt,
                **({"image_url": url, "image_strength": 0.5} if url else {"image_size": "square_hd"}),
            }
            body |= {"num_inference_steps": 7, "guidance_scale": 3.5}
            yield "INFO", "fal_service", "   " + json.dumps(body, indent=2)
            yield WAIT
            if status:
                phrase, said = REFUSALS[status]
                yield self._called("POST", f"https://fal.run/{model}", status, phrase)
                yield "ERROR", "fal_service", f"HTTP Error generating image {number}: {status} - {said}"
                continue
            yield self._called("POST", f"https://fal.run/{model}", 200, "OK")
            yield "INFO", "fal_service", "✅ Extracted 1 image URL(s) from Fal.ai response"
            yield WAIT
            name = f"https://v3.fal.media/files/zebra/{_name(dice)}.png"
            yield self._called("GET", name, 200, "OK")
            yield "INFO", "fal_service", f"   File size: {dice.randint(900, 90_000):,} bytes ({dice.random():.2f} MB)"
            yield "INFO", "fal_service", f"✅ Generated and compressed image {number}/{pictures} from Fal.ai: {name}..."
        if status:
            yield self.access("POST", "/api/generate-image", "500 Internal Server Error")
            return
        yield "INFO", "fal_service", f"Successfully generated {pictures}/{pictures} images from Fal.ai"
        yield "INFO", "main", f"⏱️ Fal.ai call time: {dice.random() * 9:.2f}s"
        yield "INFO", "main", f"Coins deducted. Remaining coins for user {user}: {dice.randrange(900)}"
        yield "INFO", "main", f"⏱️ Total generate-image time: {dice.random() * 20:.2f}s"
        yield self.access("POST", "/api/generate-image", "200 OK")

    def whole(self, pictures: int = 1, form: str = "json", status: int = 0) -> Iterator[Told]:
        """A request with a photo; with a status, refused by fal."""
        user = _uuid(self._dice)
        url = ""
        yield from self._begun(user)
        for told in self._stored(user, form):
            url = told[2].rpartition(" ")[2] if "Public URL" in told[2] else url
            yield told
        yield from self._generated(user, url, pictures, status)

    def without_image(self) -> Iterator[Told]:
        """A request without a photo."""
        user = _uuid(self._dice)
        yield from self._begun(user)
        yield "INFO", "main", "📥 Images received from frontend:"
        yield "INFO", "main", "   - Product images: 0"
        yield "INFO", "main", "   - Face image: No"
        yield "INFO", "main", "   - Background image: No"
        yield from self._generated(user, None, 1, 0)

    def lost(self, why: str) -> Iterator[Told]:
        """The photo was not stored, and the picture made without it."""
        user = _uuid(self._dice)
        yield from self._begun(user)
        yield from self._stored(user, "json", why)
        yield from self._generated(user, None, 1, 0)

    def undecodable(self) -> Iterator[Told]:
        """The photo was none."""
        yield from self._begun(_uuid(self._dice))
        yield "INFO", "main", "📥 Images received from frontend:"
        yield "INFO", "main", "   - Face image: Yes"
        yield (
            "ERROR",
            "main",
            "❌ Face image preprocessing failed: cannot identify image file <_io.BytesIO object at 0x7f1c>",
        )
        yield self.access("POST", "/api/generate-image", "422 Unprocessable Entity")

    def refused(self, status: int, phrase: str) -> Iterator[Told]:
        """Refused before anything was done."""
        yield self._called(
            "GET", f"{STORAGE}/auth/v1/user", 403 if status == 401 else 200, "Forbidden" if status == 401 else "OK"
        )
        yield WAIT
        yield self.access("POST", "/api/generate-image", f"{status} {phrase}")

    def unhandled(self) -> Iterator[Told]:
        """An exception that nobody caught, printed after the answer."""
        yield from self._begun(_uuid(self._dice))
        yield self.access("POST", "/api/generate-image", "500 Internal Server Error")
        frames = 'Traceback (most recent call last):\n  File "/srv/app/main.py", line 12, in generate\n    body["prompt"]\nKeyError: \'prompt\''
        yield "ERROR", "uvicorn", f"Exception in ASGI application\n{frames}"

    def bare(self, status: str) -> Iterator[Told]:
        """A backend that says nothing but that it answered."""
        yield self.access("POST", "/api/v1/generate/image", status)

    # --- logs

    def attempts(self) -> Iterator[str]:
        """One attempt after another, with what was answered meanwhile; sometimes two at once."""
        while True:
            if self._dice.random() < self.overlapping:
                one, two = self.attempt(), self.attempt()
                running = [one, two]
                lines: list[str] = []
                while running:
                    told = next(chosen := self._dice.choice(running), None)
                    if told is None:
                        running.remove(chosen)
                    else:
                        lines.append(self._said(told))
                yield "".join(lines)
            else:
                yield "".join(self._said(told) for told in self.attempt())

    def _said(self, told: Told) -> str:
        if told is not WAIT:
            return self.line(told)
        meanwhile = 0
        while self._dice.random() < self.interleaved and meanwhile < 40:
            meanwhile += 1
        return "".join(self.other() for _ in range(meanwhile))

    def text(self, attempts: int, between: int) -> str:
        """A log with so many attempts, and up to so many lines of others between two of them."""
        made = self.attempts()
        parts = []
        for _ in range(attempts):
            parts += [self.other() for _ in range(self._dice.randint(0, between))]
            parts.append(next(made))
        return "".join((*parts, *(self.other() for _ in range(between))))


def write(path: Path, size: int, attempts: int, seed: int = 1) -> None:
    """A log of about `size` bytes; what stands between the attempts is taken from one long piece, made once."""
    log = Log(seed, interleaved=0.8)
    dice = random.Random(seed)
    pool = "".join(log.other() for _ in range(60_000)).encode()
    ends = [0, *(pool.index(b"\n", at) + 1 for at in range(0, len(pool) - 500, 997))]
    made = log.attempts()
    each = size // max(attempts, 1)
    with path.open("wb") as file:
        for _ in range(attempts):
            told = next(made).encode()
            wanted = max(each - len(told), 0) * dice.random() * 2
            while wanted > 0:
                begin, end = sorted(dice.sample(ends, 2))
                if end - begin > wanted:
                    end = pool.index(b"\n", begin + int(wanted)) + 1
                piece = pool[begin:end]
                file.write(piece)
                wanted -= len(piece) or 1
            file.write(told)


def _uuid(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def _name(dice: random.Random) -> str:
    return "".join(dice.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789", k=16))
