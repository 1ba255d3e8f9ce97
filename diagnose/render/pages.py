"""The page of a check, which is its docstring, in any language: translated paragraph by paragraph."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from diagnose.render.words import Words

WIDTH = 116


class Part(NamedTuple):
    """A paragraph of a page, under its heading; the first one, which states the fault, has none."""

    heading: str
    text: str
    """In one line; of a list, the lines of which are indented further, as it is written."""


def parts(docstring: str) -> Iterator[Part]:
    """The paragraphs of a page."""
    for block in re.split(r"\n\s*\n", docstring.strip()):
        first, _, rest = block.partition("\n")
        if rest.startswith("    "):
            yield Part(first.strip(), " ".join(rest.split()))
        else:
            yield Part("", " ".join(block.split()))


def page(docstring: str, words: Words) -> str:
    """The page in the language of `words`; in English as it is written."""
    if words.language == "en":
        return docstring.strip()
    said = []
    for part in parts(docstring):
        text = words(part.text)
        wrapped = textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
        said.append(f"{words(part.heading)}\n{textwrap.indent(wrapped, '    ')}" if part.heading else wrapped)
    return "\n\n".join(said)
