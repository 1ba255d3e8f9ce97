"""What every command shares: where it prints, in which language, and how it complains."""

from __future__ import annotations

import contextlib
import locale
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from diagnose.model import Phrase, Profile

FORMATS = click.Choice(["text", "json"])


def open_console(color: str, width: int | None = None) -> Any:
    from rich.console import Console

    if color == "never":
        return Console(highlight=False, no_color=True, color_system=None, emoji=False, markup=False, width=width)
    force = True if color == "always" else None
    return Console(highlight=False, force_terminal=force, emoji=False, markup=False)


_asked: list[str] = []
"""The language that the command line asks for, as soon as it is known: errors and help are said in it as well."""


def asked(wanted: str | None) -> None:
    """Say everything of this run in this language."""
    _asked[:] = [wanted] if wanted else []


def spoken() -> str | None:
    """The language that the command line asked for; None where it asked for none."""
    return _asked[0] if _asked else None


def language(wanted: str | None = None) -> str:
    """The language of this run: of `--lang`, `DIAGNOSE_LANG`, or the locale. English where it is none of ours."""
    asked_for = wanted or spoken()
    if asked_for:
        return asked_for
    for name in ("DIAGNOSE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "").lower()
        if value:
            return "id" if re.match(r"(?:id|in|indonesian)(?:$|[_.@-])", value) else "en"
    return "id" if sys.platform == "win32" and "indonesia" in str(locale.getlocale()[0]).lower() else "en"


def say(text: str) -> str:
    """A text of ours in the language of this run."""
    from diagnose.render.words import Words

    return Words(language()).say(text)


def tell(text: str) -> None:
    """One line beside the answer."""
    click.echo(safe(say(text)), err=True)


def profile_of(name: str | None) -> Profile:
    from diagnose import profile

    return profile.load(name, Path.cwd())


def standard_input() -> bytes:
    if sys.stdin.isatty():
        tell("reading standard input; end with Ctrl-D")
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
    with console.status(say("looking..."), spinner="line") as status:

        def told(done: int, still: Sequence[str]) -> None:
            said = Phrase(
                "looked at {done} of {n}; waiting for {names}",
                done=done,
                n=done + len(still),
                names=", ".join(still[:2]),
            )
            status.update(Text(safe(say(said)), no_wrap=True, overflow="ellipsis"))

        yield told


def write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_json(value: Any) -> None:
    import json

    write(json.dumps(value, indent=2, ensure_ascii=True))


def complain(message: str) -> None:
    click.echo(f"diagnose: {safe(say(message))}", err=True)


def safe(message: str) -> str:
    """What an error quotes can hold secrets and terminal commands like any other evidence; masked before it is cut."""
    from diagnose import mask
    from diagnose.render.text import visible

    return visible(mask.cut(message, 1000))


def leave_quietly() -> None:
    """Whoever read our output has left; nothing more may be written, not even at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
