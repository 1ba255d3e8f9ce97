"""What every command shares: where it prints, in which language, and how it complains."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from diagnose.model import Profile

FORMATS = click.Choice(["text", "json"])


def open_console(color: str, width: int | None = None) -> Any:
    from rich.console import Console

    if color == "never":
        return Console(highlight=False, no_color=True, color_system=None, emoji=False, markup=False, width=width)
    force = True if color == "always" else None
    return Console(highlight=False, force_terminal=force, emoji=False, markup=False)


def language(wanted: str | None) -> str:
    if wanted:
        return wanted
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "id" if value.lower().startswith(("id_", "id.", "in_")) or value.lower() == "id" else "en"
    return "en"


def profile_of(name: str | None) -> Profile:
    from diagnose import profile

    return profile.load(name, Path.cwd())


def standard_input() -> bytes:
    if sys.stdin.isatty():
        click.echo("reading standard input; end with Ctrl-D", err=True)
    return sys.stdin.buffer.read(256 * 1024 * 1024)


@contextlib.contextmanager
def progress() -> Iterator[Callable[[int, Sequence[str]], None]]:
    """Shows on a terminal what is still being looked at; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _done, _still: None
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, emoji=False, markup=False)
    with console.status("looking...", spinner="line") as status:

        def told(done: int, still: Sequence[str]) -> None:
            said = f"looked at {done} of {done + len(still)}; waiting for {', '.join(still[:2])}"
            status.update(Text(safe(said), no_wrap=True, overflow="ellipsis"))

        yield told


def write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_json(value: Any) -> None:
    import json

    write(json.dumps(value, indent=2, ensure_ascii=True))


def complain(message: str) -> None:
    click.echo(f"diagnose: {safe(message)}", err=True)


def safe(message: str) -> str:
    """What an error quotes can hold secrets and terminal commands like any other evidence; masked before it is cut."""
    from diagnose import mask
    from diagnose.render.text import visible

    return visible(mask.cut(message, 1000))


def leave_quietly() -> None:
    """Whoever read our output has left; nothing more may be written, not even at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
