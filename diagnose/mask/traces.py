"""Known secrets in a text: as they are, in every dress, and across lines."""

from __future__ import annotations

import base64
import html
import json
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

_GRAM = 8
_STEP = 4
"""A text is looked at in every fourth place, for each secret's first four stretches of eight."""
_SHORTEST = _GRAM + _STEP - 1
_LONGEST = 1 << 16
"""Of a longer secret the beginning is looked for."""


class Trace(NamedTuple):
    """A known secret that was found."""

    secret: str
    lines: tuple[int, ...]
    place: tuple[int, int] | None
    """From, to in the line where it stands as it is; None where it stands in a view, or in several lines."""


class Traces:
    """Looks for known secrets. Its time does not depend on how many there are."""

    def __init__(self, known: Collection[str]) -> None:
        self._grams: dict[str, list[tuple[int, str, str]]] = {}
        self._short: dict[str, str] = {}
        for secret in sorted(known):
            if len(secret) < _GRAM:
                continue
            for form in _forms(secret[:_LONGEST]):
                if len(form) < _SHORTEST:
                    self._short[form] = secret
                    continue
                for offset in range(_STEP):
                    self._grams.setdefault(form[offset : offset + _GRAM], []).append((offset, form, secret))

    def among(self, lines: Sequence[str]) -> Iterator[Trace]:
        """Everything that is found of them in the lines."""
        if not self._grams and not self._short:
            return
        text = "\n".join(lines)
        starts = _starts(lines, 1)
        for at, form, secret in self._in(text):
            first = bisect_right(starts, at) - 1
            place = at - starts[first]
            yield Trace(secret, (first,), (place, place + len(form)))
        from diagnose.mask.documents import undone

        levels: list[tuple[int, str]] = list(enumerate(lines))
        for _ in range(4):
            levels = [(n, view) for n, line in levels if (view := undone(line)) != line]
            yield from self._squeezed([n for n, _ in levels], [view for _, view in levels], across=False)
        yield from self._squeezed(range(len(lines)), lines, across=True)

    def _squeezed(self, numbers: Sequence[int], lines: Sequence[str], *, across: bool) -> Iterator[Trace]:
        """In lines without their white space, their prefixes and what quotes or goes on at their ends."""
        from diagnose.mask.spread import content

        bare = [re.sub(r"\s+", "", content(line) if across else line) for line in lines]
        if not bare:
            return
        starts = _starts(bare, 0 if across else 1)
        for at, form, secret in self._in(("" if across else "\n").join(bare)):
            first, last = bisect_right(starts, at) - 1, bisect_right(starts, at + len(form) - 1) - 1
            yield Trace(secret, tuple(numbers[n] for n in range(first, last + 1) if bare[n]), None)

    def _in(self, text: str) -> Iterator[tuple[int, str, str]]:
        grams = self._grams
        if grams:
            for at in [n for n in range(0, len(text) - _GRAM + 1, _STEP) if text[n : n + _GRAM] in grams]:
                for offset, form, secret in grams[text[at : at + _GRAM]]:
                    if text.startswith(form, at - offset) and at >= offset:
                        yield at - offset, form, secret
        for form, secret in self._short.items():
            at = text.find(form)
            while at >= 0:
                yield at, form, secret
                at = text.find(form, at + len(form))


def _starts(lines: Sequence[str], between: int) -> list[int]:
    made, at = [], 0
    for line in lines:
        made.append(at)
        at += len(line) + between
    return made


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is and in the dresses in which files hold one."""
    data = secret.encode("utf-8", "replace")
    forms = [
        secret, secret[::-1], json.dumps(secret)[1:-1], secret.replace("/", "\\/"), quote(secret, safe=""), quote(secret),
        html.escape(secret), data.hex(), data.hex().upper(), re.sub(r"\s+", "", secret), secret.lower(), secret.upper(),
    ]  # fmt: skip
    if ":" in secret:
        forms += [secret.replace(":", "_"), secret.replace(":", "-")]
    if len(secret) >= 12:
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + data).decode("ascii").rstrip("=")
            inner = coded[(0, 2, 3)[shift] : len(coded) - (1 if (len(data) + shift) % 3 else 0)]
            forms += [inner, inner.replace("+", "-").replace("/", "_")]
    yield from dict.fromkeys(form for form in forms if len(form) >= _GRAM)
