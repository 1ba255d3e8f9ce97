"""Reads what browsers send as pictures, and makes of each the JPEG that is stored."""

from __future__ import annotations

import base64
import binascii
import io
import threading
from dataclasses import dataclass

from diagnose.generator.broken import ImageUnusable

FORMATS = ("JPEG", "PNG", "WEBP")
EXTENSION, CONTENT_TYPE = "jpg", "image/jpeg"
"""Whatever arrives is stored as this."""
MIN_SIDE = 256
MAX_BYTES = 10 * 1024 * 1024
MAX_SIDE = 16_384
MAX_PIXELS = 50_000_000
"""A file of a few kilobytes can claim to be gigabytes of pixels; Pillow knows only after it has unpacked them."""

_ROOM = threading.BoundedSemaphore(2)
"""A picture of the largest size takes hundreds of megabytes while it is turned; no more of them at once."""
_OTHERS = {b"ftypheic": "HEIC", b"ftypheix": "HEIC", b"ftypmif1": "HEIC", b"ftypavif": "AVIF"}


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it is stored."""

    data: bytes
    """A JPEG, upright, without what the camera wrote beside the pixels."""
    format: str
    """What it was when it arrived."""
    width: int
    height: int


def decode(value: object) -> bytes:
    """The bytes of an image field. Raises ImageUnusable when they are not sound base64."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ImageUnusable(
            f"Failed to convert base64 to image bytes: not a string but {_json_type(value)}", decoded=False
        )
    text = value.partition(",")[2] if value.startswith("data:") else value
    if len(text) > MAX_BYTES * 3 // 2:
        raise _unusable(f"Image file too large: {len(text)} base64 characters. Maximum: {MAX_BYTES} bytes")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageUnusable(f"Failed to convert base64 to image bytes: {error}", decoded=False) from None


def prepare(data: bytes) -> Picture:
    """The picture in these bytes, turned upright and encoded anew. Raises ImageUnusable when there is none."""
    from PIL import Image, ImageOps

    if len(data) > MAX_BYTES:
        raise _unusable(f"Image file too large: {len(data)} bytes. Maximum: {MAX_BYTES} bytes")
    _supported(data)
    try:
        with _ROOM, Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            form = opened.format or ""
            _fitting(*opened.size)
            upright = ImageOps.exif_transpose(opened)
            flat = upright.convert("RGB")
    except ImageUnusable:
        raise
    except Exception as error:  # a hostile file makes Pillow's decoders raise nearly anything
        raise _unusable(f"Invalid image file: {_reason(error)}") from None
    stored = io.BytesIO()
    flat.save(stored, "JPEG", quality=92)
    return Picture(stored.getvalue(), form, *flat.size)


def _supported(data: bytes) -> None:
    other = "GIF" if data[:4] == b"GIF8" else _OTHERS.get(data[4:12])
    if other:
        raise _unusable(f"Unsupported image format: {other}. Supported: {', '.join(FORMATS)}")


def _fitting(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise _unusable(f"Image too small: {width}x{height}px. Minimum dimension: {MIN_SIDE}px")
    if max(width, height) > MAX_SIDE:
        raise _unusable(f"Image too large: {width}x{height}px. Maximum dimension: {MAX_SIDE}px")
    if width * height > MAX_PIXELS:
        raise _unusable(f"Image has too many pixels: {width}x{height}px. Maximum: {MAX_PIXELS / 1e6:.0f} megapixels")


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "cannot identify image file"
    return str(error) or type(error).__name__


def _unusable(text: str) -> ImageUnusable:
    return ImageUnusable(f"Image preprocessing failed: {text}", decoded=True)


def _json_type(value: object) -> str:
    return {dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
