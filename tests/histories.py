"""Prompt logs of many entries, for tests and benchmarks: what real backends wrote, and what can go wrong with it."""

from __future__ import annotations

import copy
import datetime
import json
import random
import uuid
from collections.abc import Iterator
from typing import Any

PROMPT = (
    "a woman model for fashion in mirror selfie using phone pose studio clean style natural daylight lighting shot from"
    " eye level angle photorealistic resolution keep the face background garment texture skin camera lens soft light"
)
WORDS = PROMPT.split()
HOST = "https://igrbbjgkvdzfdfqdykex.supabase.co/storage/v1/object/public"


def url(user: str, number: int, bucket: str = "IMAGES_UPLOAD", kind: str = "face") -> str:
    """The public address of an uploaded picture."""
    return f"{HOST}/{bucket}/{user}/{kind}/{uuid.UUID(int=number)}.jpg?"


def entry(number: int = 0, **more: Any) -> dict[str, Any]:
    """An entry as the seed's backend writes it for a request with a photo."""
    address = url("7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10", number)
    prompt = f"{PROMPT} {number}"
    return {
        "timestamp": (datetime.datetime(2026, 1, 11, 6, 35) + datetime.timedelta(seconds=number)).isoformat(),
        "request": {
            "has_product_images": False,
            "num_product_images": 0,
            "has_face_image": True,
            "has_background_image": False,
            "has_image_url": True,
            "image_url": address,
            "request_format": "application/json",
            "original_prompt": prompt[:200],
        },
        "enhanced_prompt": prompt,
        "fal_request": {
            "model": "fal-ai/flux-general/image-to-image",
            "prompt": prompt,
            "num_inference_steps": 7,
            "guidance_scale": 3.5,
            "image_strength": 0.5,
            "image_url": address,
        },
        "prompt_length": len(prompt),
        "generation_mode": "image-to-image",
    } | more


def without_photo(number: int = 0, lost: bool = False) -> dict[str, Any]:
    """An entry of text-to-image: no photo was sent, or it was `lost` on the way."""
    made = entry(number, generation_mode="text-to-image")
    made["request"] |= {"has_face_image": lost, "has_image_url": False, "image_url": None}
    made["fal_request"] = {
        "model": "fal-ai/flux/schnell",
        "prompt": made["fal_request"]["prompt"],
        "num_inference_steps": 7,
        "guidance_scale": 3.5,
        "image_size": "square_hd",
    }
    return made


def realistic(count: int, seed: int = 1, onset: float = 0.6) -> Iterator[dict[str, Any]]:
    """Entries of some 2.1 KB over ninety days: few are bad until `onset`, and then many of those with a photo are."""
    chance = random.Random(seed)
    time = datetime.datetime(2026, 1, 1)
    gap = 90 * 86400 / max(count, 1)
    prompts = [" ".join(chance.choice(WORDS) for _ in range(chance.randint(80, 105))) for _ in range(500)]
    users = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(2000)]
    for number in range(count):
        time += datetime.timedelta(seconds=chance.expovariate(1 / gap))
        draw = chance.random()
        late = number >= count * onset
        if draw < 0.2:
            made = without_photo(number)
        elif draw < 0.2 + (0.4 if late else 0.03):
            made = without_photo(number, lost=True)
        else:
            made = entry(number)
            made["fal_request"]["image_strength"] = chance.choice((0.5, 0.5, 0.5, 0.5, 0.65, 0.7))
            address = url(users[chance.randrange(len(users))], chance.getrandbits(128))
            made["request"]["image_url"] = made["fal_request"]["image_url"] = address
        prompt = f"{prompts[chance.randrange(len(prompts))]} {number}"
        made["timestamp"] = time.isoformat(timespec="microseconds")
        made["enhanced_prompt"] = made["fal_request"]["prompt"] = prompt
        made["request"]["original_prompt"] = prompt[:200]
        made["prompt_length"] = len(prompt)
        made["request"]["app_version"] = "2.4.0" if late else "2.3.1"
        yield made


VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 0.5, 3.0, 7, -1, 20, 21, 24, 0.01, 0.67, 4.5, 1.0000001, 0.5000001, 1e400, float("nan"), 10**30,
    "", "x", "unknown", "euler", "square_hd", "application/json", "multipart/form-data; boundary=----x", "text-to-image",
    "image-to-image", "fal-ai/flux/schnell", "fal-ai/flux-2/lora/edit", "fal-ai/flux-general/image-to-image",
    "2026-01-11 06:35", "2026-01-11T06:35:30.5+07:00", "2026-13-45", "2026-01-11T06:35:30Z\n", "data:image/png;base64,AAAA",
    "http://localhost:54321/a.png", "blob:http://x/1", "http://10.0.0.1/x", "https://cdn.example.com/1.png",
    "https://cdn.example.com/abcdefghijklmnopqrst.supabase.co/1",
    "https://abcdefghijklmnopqrst.supabase.co/storage/v1/object/public/b/u/1.png",
    [], ["https://a.example.com/1.png"], ["http://localhost/1"], [None], [1, "a"], {}, {"width": 1}, {"a": [{}]},
)  # fmt: skip
KEYS = (
    "image_url", "image_urls", "image", "image_strength", "strength", "steps", "num_inference_steps", "guidance_scale",
    "cfg_scale", "negative_prompt", "seed", "loras", "ip_adapters", "image_size", "num_images", "scheduler", "foo", "output_format",
    "has_logo", "has_image_url", "has_face_image", "has_product_images", "has_background_image", "request_format", "num_product_images",
    "model", "prompt", "generation_mode", "request_id", "outcome", "upload", "sent", "status", "fal_request_id", "timestamp", "payload",
    "width", "original_prompt", "prompt_length", "enhanced_prompt",
)  # fmt: skip


def _eras() -> list[dict[str, Any]]:
    """One entry of each state of the pipeline that wrote prompt logs, and one of our own generator."""
    picture = url("u", 1)
    many = entry(2)
    many["fal_request"] |= {
        "model": "fal-ai/flux-2/lora/edit",
        "image_urls": [picture, picture],
        "image_strength": 0.67,
    }
    del many["fal_request"]["image_url"]
    first = entry(3)
    first["fal_request"] |= {
        "model": "fal-ai/flux-1.1/image-to-image",
        "image": "data:image/png;base64,AAAA",
        "strength": 0.65,
    }
    del first["fal_request"]["image_url"], first["fal_request"]["image_strength"]
    staged = entry(4)
    staged["fal_request"] |= {
        "strength": 0.6,
        "image_size": {"width": 1, "height": 2},
        "ip_adapters": [{"image_url": picture, "scale": 0.7}],
    }
    own = entry(
        5,
        request_id="r",
        outcome="succeeded",
        status=200,
        fal_request_id="f",
        upload={"bucket": "b", "path": "p", "status": 200},
    )
    own["sent"] = {key: value for key, value in own["fal_request"].items() if key != "model"}
    refused = copy.deepcopy(own) | {"status": None, "fal_request_id": None, "outcome": "failed"}
    refused["upload"] = {
        "bucket": "b",
        "path": "p/1",
        "status": 400,
        "error": "{'statusCode': 404, 'error': Bucket not found, 'message': Bucket not found}",
    }
    flat = entry(6)
    sent = flat.pop("fal_request")
    flat |= {"model": sent.pop("model"), "payload": sent}
    return [entry(1), without_photo(1), without_photo(2, lost=True), many, first, staged, own, refused, flat]  # fmt: skip


ERAS = _eras()


def mutated(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Entries of every era with a few fields removed, replaced, added or bent."""
    chance = random.Random(seed)
    for _ in range(count):
        made = copy.deepcopy(chance.choice(ERAS))
        for _ in range(chance.randint(0, 4)):
            parts = [made, *(made.get(part) for part in ("request", "fal_request", "fal_request", "sent", "payload"))]
            _bend(chance.choice([part for part in parts if isinstance(part, dict)]), chance)
        yield made


def _bend(part: dict[str, Any], chance: random.Random) -> None:
    draw = chance.random()
    key = chance.choice([*part] if part and draw < 0.65 else KEYS)
    value = part.get(key)
    if draw < 0.25:
        part.pop(key, None)
    elif draw < 0.8 or value is None:
        part[key] = copy.deepcopy(chance.choice(VALUES))
    elif isinstance(value, (int, float)) and abs(value) < 1e300:
        part[key] = value * chance.choice((1, 2, 0.5, -1, 1.0000001, 100))
    elif isinstance(value, str):
        part[key] = value[: chance.randint(0, len(value))]


def line(value: Any, ascii_only: bool = False) -> bytes:
    """One line of JSON Lines."""
    return json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n"
