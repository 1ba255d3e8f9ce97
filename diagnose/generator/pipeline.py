"""Makes pictures for one request: image field, storage, address, model, payload, fal.

One function over hands that are given to it. On a broken link it goes on without the image or refuses, as the
profile says, exactly as the backends do that this tool was written for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from diagnose.generator import events, images
from diagnose.generator.broken import (
    BrokenLink,
    FalDown,
    FalRefused,
    ImageUnusable,
    RequestRefused,
    StorageFault,
)
from diagnose.model import IMAGE_TO_IMAGE, Profile
from diagnose.selection import Prerequisites, Refused, Rule, Selected, select

PRICE = 75
MAX_IMAGES = 3
"""As many as an edit model that takes several is sent."""

MAX_PICTURES = 4
"""As many as one request may ask for."""
IMAGE_SIZES = {
    "1:1": "square_hd",
    "3:4": "portrait_4_3",
    "9:16": "portrait_16_9",
    "4:3": "landscape_4_3",
    "16:9": "landscape_16_9",
}
"""fal's names of the aspect ratios, for pictures that no photo gives a shape."""

MAX_PROMPT = 10_000

MAX_RECEIVED = 12
"""Images of one request."""

NO_IMAGE = (
    "Missing required image. This is an image-to-image pipeline - please provide at least one image"
    " (face_image, product_images, or background_image)."
)


# The hands.


@dataclass(frozen=True, slots=True)
class User:
    """Who asks."""

    id: str
    coins: int | None
    """None where nothing is charged."""


class Accounts(Protocol):
    """Lets callers in and takes the price."""

    def admit(self, token: str) -> User:
        """The user behind a token. Raises RequestRefused."""

    def charge(self, user: User, price: int) -> int | None:
        """Takes the price; the coins that remain, or None where nothing is charged."""


class Storage(Protocol):
    """Keeps pictures where fal can fetch them."""

    def ready(self) -> None:
        """Raises NotConfigured when nothing can be stored."""

    def upload(self, bucket: str, path: str, data: bytes, content_type: str) -> None:
        """Stores a picture. Raises StorageFault."""

    def public_url(self, bucket: str, path: str) -> str | None:
        """Its address; made of words, never proof that anything is served there."""

    def probe(self, url: str) -> tuple[int, str | None]:
        """The status, and Storage's own code, that a reader without a key gets."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What fal answered."""

    pictures: tuple[str, ...]
    request_id: str | None


class Model(Protocol):
    """Makes the pictures."""

    def ready(self) -> None:
        """Raises NotConfigured when no call can be made."""

    def run(self, model: str, body: Mapping[str, Any]) -> Answer:
        """Posts the body. Raises FalFault."""


class Log(Protocol):
    """Takes down what happens."""

    def __call__(self, event: events.Event, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Hands:
    """Everything the pipeline touches."""

    accounts: Accounts
    storage: Storage
    model: Model
    log: Log
    clock: Callable[[], datetime]
    new_id: Callable[[], str]


# What goes in and what comes out.


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived. Images stand in the body as base64 or data URLs, or as files where they came as multipart."""

    id: str
    body: Mapping[str, Any]
    token: str = ""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a multipart request."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the pictures, beside the images."""

    prompt: str
    count: int = 1
    """Pictures wanted: one call to fal each."""
    aspect_ratio: str = ""
    payload: Mapping[str, float] = field(default_factory=dict)
    """Values of the payload that the request itself gives."""


Choose = Callable[[Rule, Prerequisites], Selected | Refused]
Build = Callable[[Profile, Wish, Selected, Sequence[str]], dict[str, Any]]


def build(profile: Profile, wish: Wish, chosen: Selected, urls: Sequence[str]) -> dict[str, Any]:
    """The body for fal.

    It sends `image_strength`, which the profile names, and the same value as `strength`, which fal's FLUX.1
    image-to-image models read: an unknown key is ignored there without a word.
    """
    payload = {**profile.payload, **wish.payload}
    if chosen.mode != IMAGE_TO_IMAGE:
        common = {key: value for key, value in payload.items() if "strength" not in key}
        return {"prompt": wish.prompt, "image_size": IMAGE_SIZES.get(wish.aspect_ratio, "square_hd"), **common}
    several = profile.image_key == "image_urls"
    body = {
        "prompt": wish.prompt,
        profile.image_key: list(urls[:MAX_IMAGES]) if several else next(iter(urls), None),
        **payload,
    }
    if "image_strength" in body:
        body.setdefault("strength", body["image_strength"])
    return body


@dataclass(frozen=True, slots=True)
class Code:
    """What a backend's authors write: the profile they meant, the conditional, the payload."""

    profile: Profile
    choose: Choose = select
    build: Build = build


@dataclass(frozen=True, slots=True)
class Received:
    """One image of the request."""

    name: str
    category: str
    value: object


@dataclass(frozen=True, slots=True)
class Carried:
    """How far the images came."""

    urls: tuple[str, ...] = ()
    bucket: str | None = None
    path: str | None = None
    fault: BrokenLink | None = None

    @property
    def status(self) -> int | None:
        """What Storage said: 200, its own status of a refusal, or None where it was not reached."""
        if self.fault is not None:
            return self.fault.answered if isinstance(self.fault, StorageFault) else None
        return 200 if self.path else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request."""

    request: Request
    began: datetime
    status: int = 500
    """The answer's HTTP status."""
    answer: Mapping[str, Any] = field(default_factory=dict)
    wish: Wish = Wish("")
    received: tuple[Received, ...] = ()
    carried: Carried = Carried()
    chosen: Selected | Refused | None = None
    sent: Mapping[str, Any] | None = None
    fal_status: int | None = None
    fal_request_id: str | None = None
    pictures: tuple[str, ...] = ()

    @property
    def init_image_url(self) -> str | None:
        """The address that decided the model."""
        return self.carried.urls[0] if self.carried.urls else None


# The way.


def generate(request: Request, code: Code, hands: Hands) -> Outcome:
    """One request, from its fields to its answer. The outcome tells of a broken link; only bugs raise."""
    outcome = Outcome(request, hands.clock())
    try:
        user, wish = _admit(request, code.profile, hands)
        received = tuple(image_fields(request, code.profile))
        if len(received) > MAX_RECEIVED:
            raise RequestRefused(422, f"too many images: {len(received)}. Maximum: {MAX_RECEIVED}")
        hands.model.ready()
        if received:
            hands.storage.ready()
    except RequestRefused as refusal:
        hands.log(events.Refused(refusal))
        return _refused(outcome, refusal.status, str(refusal))
    _announce(received, hands.log)
    carried = _carry(received, user, wish, code.profile, hands)
    outcome = replace(outcome, wish=wish, received=received, carried=carried)
    rule = Rule(code.profile.image_to_image, code.profile.text_to_image, code.profile.fallback)
    chosen = code.choose(rule, Prerequisites(bool(received), outcome.init_image_url))
    outcome = replace(outcome, chosen=chosen)
    if isinstance(chosen, Refused):
        return _refused(outcome, *_why_refused(carried))
    if carried.fault is not None:
        hands.log(events.FellBack(said(carried.fault)))
    body = code.build(code.profile, wish, chosen, carried.urls)
    outcome = replace(outcome, sent=body)
    hands.log(events.Chosen(user.id, user.coins, chosen.mode, chosen.model, outcome.init_image_url, wish.prompt, body))
    return _draw(outcome, chosen, body, user, hands)


def image_fields(request: Request, profile: Profile) -> Iterable[Received]:
    """The images of a request, most wanted first; fields that the profile does not name are not looked at."""
    for name in dict.fromkeys((*profile.image_fields, profile.multipart_field)):
        given = request.body.get(name)
        category = "upload" if name == profile.multipart_field else name.partition("_")[0]
        if isinstance(given, (list, tuple)):
            yield from (Received(f"{name.removesuffix('s')}[{at}]", category, value) for at, value in enumerate(given))
        elif given:
            yield Received(name, category, given)


def said(fault: BrokenLink) -> str:
    """A fault in the words that a backend answers with."""
    return f"Failed to upload image to Supabase Storage: {fault}" if isinstance(fault, StorageFault) else str(fault)


def _admit(request: Request, profile: Profile, hands: Hands) -> tuple[User, Wish]:
    user = hands.accounts.admit(request.token)
    if user.coins is not None and user.coins < PRICE:
        need = f"You need at least {PRICE} coins to generate images."
        raise RequestRefused(403, f"Insufficient coins. {need} Please top up to continue.")
    return user, _wish(request.body, profile)


def _wish(body: Mapping[str, Any], profile: Profile) -> Wish:
    """What the request asks for. Raises RequestRefused where it asks for nothing that can be done."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise RequestRefused(422, "Missing required field: prompt")
    if len(prompt) > MAX_PROMPT:
        raise RequestRefused(422, f"prompt is too long: {len(prompt)} characters. Maximum: {MAX_PROMPT}")
    asked = _number(body, "num_images")
    count = 1 if asked is None else asked
    if count not in range(1, MAX_PICTURES + 1):
        raise RequestRefused(422, f"num_images must be a whole number from 1 to {MAX_PICTURES}")
    given = {key: _number(body, key) for key, meant in profile.payload.items() if isinstance(meant, (int, float))}
    payload = {key: value for key, value in given.items() if value is not None}
    return Wish(encodable(prompt), int(count), encodable(str(body.get("aspect_ratio") or "")[:20]), payload)


def encodable(text: str) -> str:
    """Text without half characters: JSON can escape half a character, which no file and no request can hold."""
    return text.encode("utf-8", "replace").decode()


def _number(body: Mapping[str, Any], key: str) -> float | None:
    """A number of the request; a form sends it as text, and an empty field as nothing."""
    value = body.get(key)
    if value is None or value == "":
        return None
    try:
        number = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise RequestRefused(422, f"{key} must be a number")
    return int(number) if number.is_integer() else number


def _announce(received: Sequence[Received], log: Log) -> None:
    for image in received:
        if isinstance(image.value, File):
            log(events.FileReceived(image.value.name, len(image.value.data)))
    categories = [image.category for image in received]
    if "upload" not in categories:
        log(events.ImagesReceived(categories.count("product"), "face" in categories, "background" in categories))


def _carry(received: Sequence[Received], user: User, wish: Wish, profile: Profile, hands: Hands) -> Carried:
    """Every image to its public address; the first that is lost ends it for all, as a single `try` does."""
    urls: list[str] = []
    first: str | None = None
    for image in received:
        path = None
        try:
            data = image.value.data if isinstance(image.value, File) else images.decode(image.value)
            hands.log(events.Preprocessing(image.name, wish.aspect_ratio or "as it is"))
            picture = images.prepare(data)
            hands.log(events.Preprocessed(image.name, picture))
            path = f"{user.id}/{image.category}/{hands.new_id()}.{images.EXTENSION}"
            hands.log(events.Uploading(image.name, profile.bucket, path, len(picture.data), images.CONTENT_TYPE))
            hands.storage.upload(profile.bucket, path, picture.data, images.CONTENT_TYPE)
        except (ImageUnusable, StorageFault) as fault:
            hands.log(events.ImageLost(image.name, profile.bucket, path, fault))
            return Carried((), profile.bucket, path, fault)
        url = hands.storage.public_url(profile.bucket, path)
        hands.log(events.Uploaded(image.name, profile.bucket, path, url))
        first = first or path
        urls += [url] if url else []
    return Carried(tuple(urls), profile.bucket if first else None, first)


def _draw(outcome: Outcome, chosen: Selected, body: Mapping[str, Any], user: User, hands: Hands) -> Outcome:
    """Asks fal for every picture, and answers."""
    pictures: list[str] = []
    troubles: list[str] = []
    count = outcome.wish.count
    for number in range(1, count + 1):
        hands.log(events.Sending(number, count, chosen.mode, chosen.model, outcome.init_image_url, body))
        try:
            answer = hands.model.run(chosen.model, body)
        except FalRefused as fault:
            hands.log(events.CallFailed(number, fault))
            outcome = replace(outcome, fal_status=fault.status, fal_request_id=fault.request_id)
            if fault.status in _HOPELESS:
                return _failed(outcome, f"{_HOPELESS[fault.status]} Response: {fault.body[:300]}", hands)
            troubles.append(f"image {number}: HTTP {fault.status} - {fault.body[:200]}")
        except FalDown as fault:
            hands.log(events.CallFailed(number, fault))
            troubles.append(f"image {number}: {fault.kind} - {fault}")
        else:
            hands.log(events.Answered(number, len(answer.pictures)))
            outcome = replace(outcome, fal_status=200, fal_request_id=answer.request_id)
            pictures += answer.pictures
            troubles += [] if answer.pictures else [f"image {number}: no image URL in the response"]
    if not pictures:
        return _failed(outcome, f"No images generated from Fal.ai. Last errors: {' | '.join(troubles)}", hands)
    hands.log(events.Generated(len(pictures), count, user.id, PRICE if user.coins is not None else 0))
    remaining = hands.accounts.charge(user, PRICE)
    if remaining is not None:
        hands.log(events.Charged(user.id, remaining))
    hands.log(events.Finished((hands.clock() - outcome.began).total_seconds()))
    info = _debug_info(outcome, chosen, body)
    return replace(
        outcome,
        status=200,
        pictures=tuple(pictures),
        answer={
            "images": pictures,
            "remaining_coins": remaining,
            "debug_info": info,
            "request_id": outcome.request.id,
        },
    )


_HOPELESS = {
    401: "Fal.ai API authentication failed (401). Please check your FAL_KEY.",
    403: "Fal.ai API access denied (403 Forbidden). Please check your FAL_KEY and API permissions.",
}
"""Answers that no second picture would change."""


def _failed(outcome: Outcome, text: str, hands: Hands) -> Outcome:
    if "file_download_error" in text and outcome.init_image_url:
        hands.log(events.Probed(*hands.storage.probe(outcome.init_image_url)))
    hands.log(events.NothingGenerated(text))
    return _refused(outcome, 400, f"Failed to generate images: {text}")


def _refused(outcome: Outcome, status: int, detail: str) -> Outcome:
    return replace(outcome, status=status, answer={"detail": detail, "request_id": outcome.request.id})


def _why_refused(carried: Carried) -> tuple[int, str]:
    if carried.fault is None:
        return (500, "Failed to get the image's address from Supabase Storage.") if carried.path else (422, NO_IMAGE)
    text = said(carried.fault)
    if isinstance(carried.fault, ImageUnusable):
        return 422, text
    return (
        500,
        f"Failed to upload image to Supabase Storage: {text}. Image is required for image-to-image pipeline.",
    )


def _debug_info(outcome: Outcome, chosen: Selected, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "prompt_sent": outcome.wish.prompt,
        "prompt_length": len(outcome.wish.prompt),
        "model": chosen.model,
        "generation_mode": chosen.mode,
        "num_inference_steps": body.get("num_inference_steps"),
        "guidance_scale": body.get("guidance_scale"),
        "image_strength": body.get("image_strength"),
        "image_url": outcome.init_image_url,
    }


def pretty(body: Mapping[str, Any]) -> str:
    """A body as it is logged and shown."""
    return json.dumps(body, indent=2, ensure_ascii=False)
