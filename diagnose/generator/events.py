"""What the pipeline and its hands say of their work. Values only: `records` has the words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diagnose.generator.broken import BrokenLink, FalFault, RequestRefused
from diagnose.generator.images import Picture


@dataclass(frozen=True, slots=True)
class Missing:
    """A setting that the backend did not find when it started."""

    setting: str


@dataclass(frozen=True, slots=True)
class LogSetAside:
    """A prompt log that could not be read was given another name, so that nothing of it is lost."""

    file: str
    place: str


@dataclass(frozen=True, slots=True)
class ClientLeft:
    """Whoever sent a request hung up before all of it was here."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The server stopped while the request was under way."""


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """The auth service did not accept the caller's token."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The request ended before its images were looked at."""

    fault: RequestRefused


@dataclass(frozen=True, slots=True)
class ImagesReceived:
    """Which image fields arrived."""

    products: int
    face: bool
    background: bool


@dataclass(frozen=True, slots=True)
class FileReceived:
    """A multipart request brought a file."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """An image is about to be looked at."""

    name: str
    aspect: str


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """An image can be used."""

    name: str
    picture: Picture


@dataclass(frozen=True, slots=True)
class Uploading:
    """An image is about to be stored."""

    name: str
    bucket: str
    path: str
    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An image was stored."""

    name: str
    bucket: str
    path: str
    url: str | None


@dataclass(frozen=True, slots=True)
class ImageLost:
    """An image could not be decoded, used or stored."""

    name: str
    bucket: str
    path: str | None
    fault: BrokenLink


@dataclass(frozen=True, slots=True)
class FellBack:
    """The backend goes on without the image."""

    text: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The mode and the model were chosen; said before the call."""

    user: str
    coins: int | None
    mode: str
    model: str
    init_image_url: str | None
    prompt: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sending:
    """A body is about to be posted."""

    number: int
    of: int
    mode: str
    model: str
    image_url: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """fal answered with this many pictures."""

    number: int
    pictures: int


@dataclass(frozen=True, slots=True)
class CallFailed:
    """fal refused, or did not answer."""

    number: int
    fault: FalFault


@dataclass(frozen=True, slots=True)
class Probed:
    """The backend tried the address that fal could not read."""

    status: int
    code: str | None


@dataclass(frozen=True, slots=True)
class NothingGenerated:
    """No picture was made."""

    text: str


@dataclass(frozen=True, slots=True)
class Generated:
    """Pictures were made."""

    pictures: int
    of: int
    user: str
    price: int


@dataclass(frozen=True, slots=True)
class Charged:
    """The price was taken."""

    user: str
    remaining: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The request is done."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Saved:
    """The generation was written down."""

    file: str


@dataclass(frozen=True, slots=True)
class SaveFailed:
    """The generation could not be written down."""

    text: str


Event = (
    Missing | LogSetAside | ClientLeft | Interrupted | TokenRefused | Refused | ImagesReceived | FileReceived
    | Preprocessing | Preprocessed | Uploading | Uploaded | ImageLost | FellBack | Chosen | Sending | Answered
    | CallFailed | Probed | NothingGenerated | Generated | Charged | Finished | Saved | SaveFailed
)  # fmt: skip
