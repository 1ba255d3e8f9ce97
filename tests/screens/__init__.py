"""The screens that the README shows, as SVG: `python -m tests.screens` takes them anew."""

from __future__ import annotations

import html
import io
import os
import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner

from diagnose.cli import cli
from tests import histories

FOLDER = Path(__file__).parent
COLUMNS = 96
SCREENS: Mapping[str, str] = {
    "answer": "demo --break bucket_missing --lang en",
    "jawaban": "demo --break bucket_missing --lang id",
    "history": "history prompt_log.jsonl --lang en",
}
"""The name of each, and the command that prints it."""


def taken(name: str) -> str:
    """What the command prints on a terminal with colours."""
    before = os.environ.get("COLUMNS"), Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COLUMNS"] = str(COLUMNS)
        os.chdir(folder)
        try:
            if name == "history":
                lines = b"\n".join(histories.line(entry) for entry in histories.realistic(3000))
                Path("prompt_log.jsonl").write_bytes(lines)
            return CliRunner().invoke(cli, [*shlex.split(SCREENS[name]), "--color", "always"]).stdout
        finally:
            os.chdir(before[1])
            os.environ.pop("COLUMNS")
            if before[0] is not None:
                os.environ["COLUMNS"] = before[0]


def drawn(name: str) -> str:
    """The screen as SVG, which loads nothing: the fonts that rich would fetch are left out."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ diagnose {SCREENS[name]}\n{taken(name)}"))
    svg = console.export_svg(title="diagnose", unique_id=f"screen-{name}")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)


def said(svg: str) -> str:
    """The words of a screen, without what draws them."""
    texts = re.findall(r"<text[^>]*>(.*?)</text>", svg, re.S)
    return re.sub(r"\s+", "", html.unescape("".join(texts)))
