"""A few lines of a file of evidence. Values only."""

from __future__ import annotations

from typing import NamedTuple


class SourceLine(NamedTuple):
    """A line of a file of evidence."""

    number: int | None
    """None where nobody counted the lines before it."""
    text: str
    marked: bool
    """It is the line that the evidence names."""


class Excerpt(NamedTuple):
    """What stands around a piece of evidence in its file, masked."""

    source: str
    lines: tuple[SourceLine, ...]
