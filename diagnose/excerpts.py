"""What stands around a piece of evidence in its file, for whoever shows it: a few lines, the named one marked.

Lines are masked together with many lines around them, since a secret can stand in several.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from diagnose import mask, schema
from diagnose.collect.text import decode, open_bytes
from diagnose.model.excerpts import Excerpt, SourceLine

AROUND = 2
"""Lines before and behind."""
CONTEXT = 80
"""Lines that are masked together on each side: the longest private key has fewer."""
LONGEST = 400
"""Characters of a line."""
_LINE = re.compile(r"(?P<name>.+?)(?:@(?P<byte>\d{1,18}))?:(?P<line>\d{1,9})")
_POINTER = re.compile(r"(?P<name>.+?)#(?P<pointer>/.*)", re.S)


def of(sources: Iterable[str], origins: Mapping[str, Sequence[Path | bytes]]) -> dict[str, Excerpt]:
    """The lines at each source that is a place in one of these files.

    What cannot be shown is left out, and so is what stands in one of two files of the same name.
    """
    texts: dict[tuple[str, int], list[str] | None] = {}
    found: dict[str, Excerpt] = {}
    for source in dict.fromkeys(sources):
        at = _LINE.fullmatch(source) or _POINTER.fullmatch(source)
        if at is None or len(origins.get(at["name"], ())) != 1:
            continue
        groups = at.groupdict()
        start = int(groups.get("byte") or 0)
        key = (groups["name"], start)
        if key not in texts:
            texts[key] = _lines(origins[groups["name"]][0], start)
        lines = texts[key]
        if lines is None:
            continue
        number = int(groups["line"]) if groups.get("line") else _line_of("\n".join(lines), groups["pointer"])
        if number is not None and 0 < number <= len(lines):
            found[source] = _around(source, lines, number, counted=not start)
    return found


def _around(source: str, lines: list[str], number: int, counted: bool) -> Excerpt:
    first, last = max(0, number - 1 - AROUND), min(len(lines), number + AROUND)
    before = max(0, first - CONTEXT)
    masked = mask.document("\n".join(lines[before : last + CONTEXT])).text.split("\n")
    shown = enumerate(masked[first - before : last - before], first + 1)
    return Excerpt(
        source,
        tuple(SourceLine(at if counted else None, mask.cut(line, LONGEST), at == number) for at, line in shown),
    )


def _lines(origin: Path | bytes, start: int) -> list[str] | None:
    """The lines of a file; of a long one those behind a byte."""
    try:
        if isinstance(origin, bytes):
            data = origin
        elif start:
            with origin.open("rb") as file:
                file.seek(start)
                data = file.read(1 << 20)
        else:
            data = open_bytes(origin)
    except OSError:
        return None
    return decode(data).text.split("\n")


def _line_of(text: str, pointer: str) -> int | None:
    """The line of a place in a JSON document, or of the deepest place above it that is there."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _entry_line(text, steps)
    path: list[str | int] = []
    for step in steps:
        if isinstance(value, list) and step.isdigit() and int(step) < len(value):
            path.append(int(step))
        elif isinstance(value, dict) and step in value:
            path.append(step)
        else:
            break
        value = value[path[-1]]
    if not path:
        return 1
    offset = schema.locate(text, [tuple(path)]).get(tuple(path))
    return None if offset is None else text.count("\n", 0, offset) + 1


def _entry_line(text: str, steps: list[str]) -> int | None:
    """The line of an entry in JSON Lines."""
    if not steps or not steps[0].isdigit():
        return None
    places = [number for number, line in enumerate(text.split("\n"), 1) if line.lstrip().startswith("{")]
    return places[int(steps[0])] if int(steps[0]) < len(places) else None
