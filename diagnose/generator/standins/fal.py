"""A stand-in of fal: its synchronous endpoint, and the addresses under which its pictures stand.

It judges a body by the model's bundled schema in the words of fal's servers, ignores keys that the schema does not know,
as fal normally does, and draws what it was really given: the prompt alone, or the reference mixed in by the strength that
took effect. So a person sees whether the photo was used, and how much.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from diagnose import schema

if TYPE_CHECKING:
    from PIL.Image import Image

KEPT = 50
"""Pictures that stay; fal keeps them longer."""
SIDE = 512
_KEY = re.compile(r"Key [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{32}")
_FLAGGED = "The content could not be processed because it contained material flagged by a content checker."
_NOT_DOWNLOADED = "Failed to download the file. Please check if the URL is accessible and try again."
_NOT_LOADED = "Failed to load the image. Please ensure the image file is not corrupted and is in a supported format."
_SIZES = {
    "portrait_4_3": (3, 4),
    "portrait_16_9": (9, 16),
    "landscape_4_3": (4, 3),
    "landscape_16_9": (16, 9),
}
_EDITED = 0.5
"""How much of a picture an edit model changes; its schema has no strength."""
_UNKNOWN_MODEL: Mapping[str, Any] = {"required": ["prompt"], "properties": {"image_url": {}, "image_urls": {}}}
"""What a model takes whose schema is not bundled."""


@dataclass(frozen=True, slots=True)
class FalAccount:
    """How fal, and the account with it, stands."""

    balance: bool = True
    busy: bool = False
    """As many calls are under way as the account may have."""
    unknown_models: frozenset[str] = frozenset()
    stricter: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}))
    """Limits of single keys that fal has since drawn tighter than the schema that is bundled."""
    forbidden: tuple[str, ...] = ()
    """Words that the content checker stops at."""
    draws: bool = True
    """False where it answers 200 without a picture."""
    outage: int | None = None
    """500 for a model that breaks down, 504 for one that takes too long and says so."""
    delay: float = 0.0
    """Seconds before every answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer without a picture."""

    status: int
    body: Mapping[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        """What stands beside the body; a refusal of the schema costs nothing."""
        kind = {"x-fal-error-type": str(self.body["error_type"])} if "error_type" in self.body else {}
        return {**kind, "x-fal-billable-units": "0"} if self.status == 422 else kind


class Fal:
    """The service. `account` may be replaced while it runs."""

    def __init__(self, account: FalAccount, fetch: Callable[[str], bytes | None], new_id: Callable[[], str]) -> None:
        self.account = account
        self.pictures: OrderedDict[str, bytes] = OrderedDict()
        self._fetch = fetch
        self._new_id = new_id
        self.app = Starlette(
            routes=[
                Route("/files/{folder}/{name}", self._picture, methods=["GET"]),
                Route("/{model:path}", self._run, methods=["POST"]),
            ]
        )

    async def _run(self, request: Request) -> Response:
        await asyncio.sleep(self.account.delay)
        request_id = self._new_id()
        raw = await request.body()
        authorization = request.headers.get("authorization", "")
        answer = await run_in_threadpool(self._answer, request.path_params["model"], raw, authorization, request_id)
        headers = {"x-fal-request-id": request_id}
        if isinstance(answer, Refusal):
            return JSONResponse(answer.body, answer.status, {**headers, **answer.headers})
        return JSONResponse(answer, 200, headers)

    def _answer(self, model: str, raw: bytes, authorization: str, request_id: str) -> dict[str, Any] | Refusal:
        refusal = _account_refusal(self.account, model, authorization)
        if refusal is not None:
            return refusal
        body = _json(raw)
        if not isinstance(body, dict):
            text = "Input should be a valid dictionary or object to extract fields from"
            fault = {"type": "model_attributes_type", "loc": ["body"], "msg": text, "input": body}
            return Refusal(422, {"detail": [fault]})
        known = _schema(model, self.account)
        faults = list(validate(body, known)) or list(_flagged(body, self.account.forbidden))
        references: list[Image] = []
        if not faults:
            references, faults = self._references(body, known)
        if faults:
            return Refusal(422, {"detail": faults})
        images = [self._kept(draw(body, references, known), request_id)] if self.account.draws else []
        return {
            "images": images,
            "timings": {"inference": 0.1},
            "seed": body.get("seed", _number(request_id)),
            "has_nsfw_concepts": [False] * len(images),
            "prompt": body["prompt"],
        }

    def _references(self, body: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[list[Image], list[Any]]:
        """The pictures of a body, opened, and what is wrong with them; only keys that the model reads are looked at."""
        opened: list[Image] = []
        faults: list[Any] = []
        for key in ("image_url", "image_urls"):
            given = body.get(key) if key in known["properties"] else None
            for url in given if isinstance(given, list) else [given] if given else []:
                data = self._fetch(str(url))
                image = _load(data) if data is not None else None
                if image is not None:
                    opened.append(image)
                elif data is None:
                    faults.append(_own("file_download_error", _NOT_DOWNLOADED, key, url))
                else:
                    faults.append(_own("image_load_error", _NOT_LOADED, key, url))
        return opened, faults

    def _kept(self, drawn: Image, request_id: str) -> dict[str, Any]:
        encoded = io.BytesIO()
        drawn.save(encoded, "PNG")
        name = f"{hashlib.sha256(request_id.encode()).hexdigest()[:16]}.png"
        self.pictures[name] = encoded.getvalue()
        while len(self.pictures) > KEPT:
            self.pictures.popitem(last=False)
        width, height = drawn.size
        url = f"https://v3.fal.media/files/zebra/{name}"
        return {"url": url, "content_type": "image/png", "width": width, "height": height}

    async def _picture(self, request: Request) -> Response:
        data = self.pictures.get(request.path_params["name"])
        return Response(data, media_type="image/png") if data else JSONResponse({"detail": "Not Found"}, 404)


# Refusals.


def _account_refusal(account: FalAccount, model: str, authorization: str) -> Refusal | None:
    app = "/".join(model.split("/")[:2])
    if not _KEY.fullmatch(authorization):
        text = f'Cannot access application "{app}". Authentication is required to access this application.'
        return Refusal(401, {"detail": text})
    if not account.balance:
        text = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
        return Refusal(403, {"detail": text})
    if account.busy:
        text = "Concurrent requests limit reached"
        return Refusal(429, {"detail": text, "error_type": "concurrent_requests_limit"})
    if model in account.unknown_models:
        return Refusal(404, {"detail": f'Application "{app}" not found'})
    if account.outage == 504:
        return Refusal(504, {"detail": "Request timed out", "error_type": "request_timeout"})
    if account.outage is not None:
        fault = {**_own("internal_server_error", "Internal server error", "", {}), "loc": ["body"]}
        return Refusal(account.outage, {"detail": [fault]})
    return None


def _schema(model: str, account: FalAccount) -> Mapping[str, Any]:
    known = schema.fal_input(model) or _UNKNOWN_MODEL
    stricter = {key: {**known["properties"].get(key, {}), **limit} for key, limit in account.stricter.items()}
    return {**known, "properties": {**known["properties"], **stricter}}


def _flagged(body: Mapping[str, Any], forbidden: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    if any(word in str(body.get("prompt")).lower() for word in forbidden):
        yield _own("content_policy_violation", _FLAGGED, "prompt", body.get("prompt"))


def _own(kind: str, text: str, key: str, given: object) -> dict[str, Any]:
    return {
        "loc": ["body", key],
        "msg": text,
        "type": kind,
        "url": f"https://docs.fal.ai/errors#{kind}",
        "input": given,
    }


def validate(body: Mapping[str, Any], model_schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is wrong with a body, in the words of fal's servers; keys it does not know are ignored."""
    for key in model_schema.get("required", ()):
        if key not in body:
            yield {"type": "missing", "loc": ["body", key], "msg": "Field required", "input": dict(body)}
    for key, value in body.items():
        rule = model_schema["properties"].get(key, {})
        fault = _type_fault(rule.get("type"), value) or _range_fault(rule, value)
        if fault:
            yield {"type": fault[0], "loc": ["body", key], "msg": fault[1], "input": value, **fault[2]}


_Wrong = tuple[str, str, dict[str, Any]]


def _type_fault(wanted: str | None, value: object) -> _Wrong | None:
    match wanted:
        case "string" if not isinstance(value, str):
            return "string_type", "Input should be a valid string", {}
        case "array" if not isinstance(value, list):
            return "list_type", "Input should be a valid list", {}
        case "integer" if not _numeric(value, whole=True):
            return "int_parsing", "Input should be a valid integer, unable to parse string as an integer", {}
        case "number" if not _numeric(value, whole=False):
            return "float_parsing", "Input should be a valid number, unable to parse string as a number", {}
    return None


def _numeric(value: object, whole: bool) -> bool:
    try:
        number = float(value) if isinstance(value, (str, int, float)) else None
    except (ValueError, OverflowError):
        return False
    return number is not None and (not whole or number.is_integer())


def _range_fault(rule: Mapping[str, Any], value: object) -> _Wrong | None:
    if "enum" in rule and value not in rule["enum"]:
        allowed = " or ".join(f"'{one}'" for one in rule["enum"])
        return "literal_error", f"Input should be {allowed}", {"ctx": {"expected": allowed}}
    if "minimum" not in rule and "maximum" not in rule:
        return None
    number = float(value) if isinstance(value, (str, int, float)) else 0.0
    if "minimum" in rule and not number >= rule["minimum"]:
        text = f"Input should be greater than or equal to {rule['minimum']}"
        return "greater_than_equal", text, {"ctx": {"ge": rule["minimum"]}}
    if "maximum" in rule and number > rule["maximum"]:
        text = f"Input should be less than or equal to {rule['maximum']}"
        return "less_than_equal", text, {"ctx": {"le": rule["maximum"]}}
    return None


# Pictures.


def draw(body: Mapping[str, Any], references: list[Image], model_schema: Mapping[str, Any]) -> Image:
    """A picture of the prompt, with the first reference mixed in where there is one.

    The strength is fal's: 1.0 remakes the picture, near 0 keeps the reference. Where the body has none, the schema's default
    takes effect, whatever stands beside it under another name.
    """
    from PIL import Image

    if not references:
        return _pattern(str(body["prompt"]), _size(body.get("image_size")))
    rule = model_schema["properties"].get("strength")
    strength = float(body.get("strength", rule.get("default", 0.85))) if rule else _EDITED
    reference = references[0]
    reference.thumbnail((SIDE, SIDE))
    return Image.blend(reference, _pattern(str(body["prompt"]), reference.size), min(1.0, max(0.0, strength)))


def _pattern(prompt: str, size: tuple[int, int]) -> Image:
    """Soft patches of colour, the same for the same words."""
    from PIL import Image

    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
    return Image.frombytes("RGB", (3, 3), digest[:27]).resize(size, Image.Resampling.BICUBIC)


def _size(given: object) -> tuple[int, int]:
    wide, high = _SIZES.get(str(given), (1, 1))
    if isinstance(given, dict):
        numbers = [value for value in (given.get("width"), given.get("height")) if isinstance(value, (int, float))]
        wide, high = (max(1, int(number)) for number in numbers) if len(numbers) == 2 else (1, 1)
    scale = SIDE / max(wide, high)
    return max(1, round(wide * scale)), max(1, round(high * scale))


def _load(data: bytes) -> Image | None:
    """The picture in these bytes; None where no library loads it whole."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as opened:
            return opened.convert("RGB")
    except Exception:  # a hostile file makes Pillow's decoders raise nearly anything
        return None


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
