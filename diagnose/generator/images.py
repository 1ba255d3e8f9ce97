"""Reads what a browser sends as a picture: base64, a data URL or bytes, down to its format and size.

It looks at magic bytes and headers only; whether the rest is sound is for the model that loads it.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass

from diagnose.generator.broken import ImageUnusable

MIN_SIDE = 256
MAX_BYTES = 10 * 1024 * 1024

_TYPES = {"JPEG": ("jpg", "image/jpeg"), "PNG": ("png", "image/png"), "WEBP": ("webp", "image/webp")}
_OTHERS = {b"ftypheic": "HEIC", b"ftypheix": "HEIC", b"ftypmif1": "HEIC", b"ftypavif": "AVIF"}
# start of frame, all but the markers for tables that share the range
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that can be used."""

    data: bytes
    format: str
    width: int
    height: int

    @property
    def extension(self) -> str:
        """How its file name ends."""
        return _TYPES[self.format][0]

    @property
    def content_type(self) -> str:
        """Its MIME type."""
        return _TYPES[self.format][1]


def decode(value: object) -> bytes:
    """The bytes of an image field. Raises ImageUnusable when they are not sound base64."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ImageUnusable(
            f"Failed to convert base64 to image bytes: not a string but {_json_type(value)}", decoded=False
        )
    text = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageUnusable(f"Failed to convert base64 to image bytes: {error}", decoded=False) from None


def inspect(data: bytes) -> Picture:
    """The picture in these bytes. Raises ImageUnusable when it has another format or the wrong size."""
    if len(data) > MAX_BYTES:
        raise _unusable(f"Image file too large: {len(data)} bytes. Maximum: {MAX_BYTES} bytes")
    form = _format(data)
    try:
        width, height = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp}[form](data)
    except (struct.error, IndexError, ValueError):
        raise _unusable(f"Invalid image file: cannot identify image file, its {form} header is broken") from None
    if min(width, height) < MIN_SIDE:
        raise _unusable(f"Image too small: {width}x{height}px. Minimum dimension: {MIN_SIDE}px")
    return Picture(data, form, width, height)


def whole(data: bytes) -> bool:
    """Whether a picture has its end, without which no library loads it."""
    if data.startswith(b"\xff\xd8"):
        return data.rstrip(b"\x00").endswith(b"\xff\xd9")
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data[-16:]
    return len(data) >= 12 and len(data) >= 8 + int(struct.unpack("<I", data[4:8])[0])


def _format(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    other = "GIF" if data[:4] == b"GIF8" else _OTHERS.get(data[4:12])
    if other:
        raise _unusable(f"Unsupported image format: {other}. Supported: {', '.join(_TYPES)}")
    raise _unusable("Invalid image file: cannot identify image file")


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    while data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    raise ValueError("no frame")


def _webp(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", data[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _unusable(text: str) -> ImageUnusable:
    return ImageUnusable(f"Image preprocessing failed: {text}", decoded=True)


def _json_type(value: object) -> str:
    return {dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}.get(type(value), "a number")


def grey(width: int, height: int) -> bytes:
    """A plain grey JPEG of this size, for a demo that carries no picture of anybody."""
    tables = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([16] * 64)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    # one code word each: "the same brightness as the block before" and "nothing more in this block"
    codes = b"".join(
        b"\xff\xc4" + struct.pack(">HB", 20, kind) + b"\x01" + bytes(15) + b"\x00" for kind in (0x00, 0x10)
    )
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00\x00\x3f\x00"
    bits = 2 * -(-width // 8) * -(-height // 8)
    body = bytes(bits // 8) + (bytes([0xFF >> bits % 8]) if bits % 8 else b"")
    header = b"\xff\xe0" + struct.pack(">H5sHBHHBB", 16, b"JFIF\0", 0x0101, 0, 1, 1, 0, 0)
    return b"\xff\xd8" + header + tables + frame + codes + scan + body + b"\xff\xd9"
