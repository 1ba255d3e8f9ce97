"""Reports as one HTML file that needs nothing else: no script but its own few lines, no address that is fetched.

Style and script stand in the file and are named by their hashes in its content security policy, so that nothing else in
it runs or loads, whatever the evidence holds. Every text passes `_inert` on its way in.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from diagnose import __version__, mask
from diagnose.render.report import COLOURS, TONES, Report
from diagnose.render.text import visible
from diagnose.render.words import Words

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).with_name("sheet")
LONGEST = 4000
"""Characters of one text."""
FOLDED = ("read", "deeper", "findings", "files", "missing")
"""Sections that a reader opens."""
LABELS = {
    "copy": "Copy",
    "irreversible": "cannot simply be undone",
    "broke": "Broke here",
    "between": "Perhaps here",
    "chain": "Chain",
    "timeline": "Generations over time",
    "generations": "generations",
    "bad": "not sound",
    "numbers": "Numbers",
    "many": "Answers",
}
MARKS = {
    "pass": "M3 8.5l3.2 3.2L13 4.8",
    "fail": "M4 4l8 8M12 4l-8 8",
    "warn": "M8 3v6.2M8 12.4v.4",
    "note": "M8 3.2v.4M8 6.8V13",
    "unknown": "M5.2 5.8A2.8 2.8 0 1 1 8 8.6v1.2M8 12.6v.4",
    "none": "M5 8h6",
}


def dumps(reports: Sequence[Report], words: Words) -> str:
    """The reports in one page."""
    import markupsafe

    colours, own, script = (
        file.read_text(encoding="utf-8") for file in (COLOURS, FOLDER / "report.css", FOLDER / "report.js")
    )
    style = f"{colours}\n{own}"
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    return (
        _template()
        .render(
            reports=[_shown(report) for report in reports],
            language=words.language,
            say=SimpleNamespace(**{name: words(text) for name, text in LABELS.items()}),
            tones=TONES,
            marks=MARKS,
            folded=FOLDED,
            lines=_lines,
            policy=policy,
            style=markupsafe.Markup(style),  # noqa: S704, our own file
            script=markupsafe.Markup(script),  # noqa: S704, our own file
            version=__version__,
        )
        .strip()
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _inert(value: object) -> object:
    """Masked, bounded, and without control characters."""
    if type(value) is not str:
        return value
    return "\n".join(visible(line) for line in mask.cut(value, LONGEST).split("\n"))


def _shown(value: Any) -> Any:
    """A report as its template reads it: each block knows its own kind."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return [_shown(inner) for inner in value]
    if not hasattr(value, "__dataclass_fields__"):
        return value
    parts = {field.name: _shown(getattr(value, field.name)) for field in fields(value)}
    return {**parts, "kind": type(value).__name__}


def _lines(name: str) -> list[str]:
    """The name of a link in lines that fit under its mark."""
    return textwrap.wrap(name, 16)[:3]
