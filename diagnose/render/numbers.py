"""Numbers as they are said in a language: counts, shares, probabilities and sizes."""

from __future__ import annotations

from diagnose.model import Message
from diagnose.model.history import Share
from diagnose.render.words import Words

SIZES = ((Message("{n} GB"), 10**9), (Message("{n} MB"), 10**6), (Message("{n} kB"), 10**3))
_SWAPPED = str.maketrans(",.", ".,")


def spoken(number: str, words: Words) -> str:
    """A number that is written as in English, with the separators of the language."""
    return number.translate(_SWAPPED) if words.language == "id" else number


def number(n: int, words: Words) -> str:
    """`1,234`."""
    return spoken(f"{n:,}", words)


def share(count: int, of: int, words: Words) -> str:
    """In percent, with one decimal; a few are never none, and nearly all are never all."""
    if count <= 0 or of <= 0:
        return "0%"
    if count >= of:
        return "100%"
    if count * 1000 < of:
        return f"<{spoken('0.1', words)}%"
    if (of - count) * 1000 < of:
        return f">{spoken('99.9', words)}%"
    return f"{spoken(f'{100 * count / of:.1f}', words)}%"


def counted(count: int, of: int, words: Words) -> str:
    """`1,234 (12.3%)`."""
    return f"{number(count, words)} ({share(count, of, words)})"


def parted(part: Share, words: Words) -> str:
    """`97.0% (1,234 of 1,272)`."""
    said = words("{count} of {of}", count=number(part.count, words), of=number(part.of, words))
    return f"{share(part.count, part.of, words)} ({said})"


def chance(p_value: float, least: float, digits: str, words: Words) -> str:
    """How likely chance alone makes such a difference; what is less than `least` is not told in digits."""
    if p_value < least:
        return words("p < {p}", p=spoken(f"{least:g}", words))
    return words("p = {p}", p=spoken(format(p_value, digits), words))


def size(n: int, words: Words) -> str:
    """Bytes, in the unit in which they are said."""
    for unit, least in SIZES:
        if n >= least:
            return words(unit.template, n=spoken(f"{n / least:,.1f}", words))
    return words("{n} B", n=number(n, words))
