"""Entries that stand in a block of a file, decoded together, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

REFUSED = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for what it does not take."""


def _one(decoder: msgspec.json.Decoder[Any], piece: bytes) -> Any:
    try:
        return decoder.decode(piece)
    except REFUSED:
        return None


class Pieces:
    """Elements, each with the byte at which it stands."""

    def __init__(self, places: Sequence[int], pieces: Sequence[bytes]) -> None:
        self._places, self._pieces = places, pieces

    def decoded(self, decoder: msgspec.json.Decoder[Any]) -> list[Any]:
        """Every element; None for one that the decoder does not take."""
        return [_one(decoder, piece) for piece in self._pieces]

    def piece(self, number: int) -> bytes:
        """The bytes of an element."""
        return self._pieces[number]

    def byte(self, number: int) -> int:
        """Where an element begins."""
        return self._places[number]


class Lines:
    """Whole lines of a file, from a byte on; they are asked for in their order."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._start = data, start
        self._number = self._at = 0

    def decoded(self, decoder: msgspec.json.Decoder[Any]) -> list[Any]:
        """Every line; None for one that the decoder does not take. Together, which is faster, where all are taken."""
        data = self._data
        try:
            found = decoder.decode_lines(data)
            if len(found) == data.count(b"\n") + (data[-1:] not in (b"\n", b"")):
                return found
        except REFUSED:
            pass
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        return [_one(decoder, line) for line in lines]

    def piece(self, number: int) -> bytes:
        """The bytes of a line."""
        start = self.byte(number) - self._start
        end = self._data.find(b"\n", start)
        return self._data[start:] if end < 0 else self._data[start:end]

    def byte(self, number: int) -> int:
        """Where a line begins. Raises ValueError for one before the last that was asked for."""
        if number < self._number:
            raise ValueError("lines are asked for in their order")
        for _ in range(number - self._number):
            self._at = self._data.find(b"\n", self._at) + 1
        self._number = number
        return self._start + self._at


Block = Pieces | Lines
