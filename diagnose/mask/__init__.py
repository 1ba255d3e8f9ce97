"""Masks secrets in everything that leaves the program. A secret gets the same pseudonym wherever it appears.

A secret is known by its form (a fal key, a JWT, a data URI), by its name (`FAL_KEY=`, `"apikey":`, `?token=`, `Cookie:`)
or by both. The beginning of one is a secret too: messages quote what somebody else has cut. What only looks like one
stays: uuids of paths and requests, model ids, file names, and words such as "token".

`text`, `value` and `cut` mask what is printed; `document` masks a whole file of evidence, each line at its place;
`survivors` looks a finished text over as whoever receives it could.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from diagnose.mask.strings import LONGEST, cut, remember, seen, text, value

__all__ = [
    "LONGEST",
    "Masked",
    "Masking",
    "Survivor",
    "cut",
    "document",
    "remember",
    "seen",
    "survivors",
    "text",
    "value",
]


class Masking(NamedTuple):
    """A secret that was masked in a file."""

    kind: str
    line: int
    """From 1; where the secret begins."""
    pseudonym: str


class Masked(NamedTuple):
    """A file's text without its secrets."""

    text: str
    maskings: tuple[Masking, ...]


class Survivor(NamedTuple):
    """A secret that stands in a text that was to hold none. Its value is told nowhere."""

    kind: str
    line: int
    """From 1."""


def document(text: str, known: Collection[str] = ()) -> Masked:
    """The text of a whole file without its secrets, with as many lines as before, each at its place.

    Found are also secrets that are escaped (JSON in JSON, URLs, HTML, Python's `repr`), in base64, or spread over lines;
    and `known` secrets, those given to `remember`, and those found elsewhere in this text, whatever they look like. What
    cannot be masked alone takes its whole line with it. Time and memory are linear in the text. For each text,
    `survivors(document(text).text)` is empty, and masking again changes nothing.
    """
    from diagnose.mask import documents

    return documents.masked(text, known)


def survivors(text: str, known: Collection[str] = ()) -> tuple[Survivor, ...]:
    """Every secret that still stands in a text, by its form or because it is one of the `known` ones.

    Known ones are looked for as they are and as JSON, URLs, HTML, base64, hexadecimal digits or backwards, and across
    lines. Those shorter than eight characters cannot be told from words and are not looked for.
    """
    from diagnose.mask import documents

    return documents.survivors(text, known)
