"""The command that is left open while somebody presses Generate: `watch`."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from diagnose.cli.answers import WHERE
from diagnose.cli.plugins import checks_option
from diagnose.cli.terminal import FORMATS, complain, language, leave_quietly, open_console, profile_of, tell, write
from diagnose.errors import Exit, NothingReadable
from diagnose.model import Case, Diagnosis, Phrase, Profile

LOG = "backend.log"


@click.command()
@click.option("--prompt-log", type=click.Path(path_type=Path), metavar="FILE", help="The prompt log to follow.")
@click.option("--backend-log", type=click.Path(path_type=Path), metavar="FILE", help="The backend's log to follow.")
@checks_option
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME|FILE",
    help="What is meant to happen: seed, flux-2-edit, or a TOML file.",
)
@click.option(
    "--format",
    "form",
    type=FORMATS,
    default="text",
    show_default=True,
    help="Text for people; JSON Lines for machines, one document a generation.",
)
@click.option("--from-start", is_flag=True, help="First the generations that are there already, oldest first.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N generations.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05, max=60),
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="How often the files are looked at.",
)
@click.option("--lang", type=click.Choice(["en", "id"]), help="Language of the text [default: from the locale].")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours in the text.",
)
@click.option("-v", "--verbose", is_flag=True, help="Every check, in the answers that are shown in full.")
def watch(prompt_log: Path | None, backend_log: Path | None, form: str, **options: Any) -> None:
    """Follow the logs, and say of each generation what came of it when it ends.

    One line a generation; the full answer where one is not sound. Without a file:
    ./prompt_log.json, ./backend/prompt_log.json or the place the profile names, and
    the backend.log beside it. Logs can be rotated, cut or rewritten meanwhile, and
    need not exist yet. Nothing is written, and nothing is contacted.

    Ends with Ctrl-C; or with --count, and then with exit code 0 if every
    generation was sound or by design, else 1.
    """
    from diagnose import explain
    from diagnose.watch import Watch, followable

    profile = profile_of(options["profile_name"])
    if prompt_log is None and backend_log is None:
        prompt_log, backend_log = _found(profile)
    files = [followable(path) for path in (prompt_log, backend_log) if path is not None]
    following = Watch(profile, prompt_log, backend_log, complain)
    if not options["from_start"]:
        following.skip(time.monotonic())  # before it is said: from then on every generation is told
    tell(Phrase("watching {names}; Ctrl-C ends it", names=Phrase.joined(" and ", map(str, files))))
    left, sound = options["count"], True
    try:
        for case in _cases(following, options["interval"]):
            answer = explain.diagnose(case)
            with _undisturbed():
                write(_json(answer) if form == "json" else _text(answer, explain.sound(answer), options))
            sound = sound and explain.sound(answer)
            left = left - 1 if left is not None else None
            if left == 0:
                break
    except BrokenPipeError:
        leave_quietly()
    finally:
        following.close()
    sys.exit(Exit.OK if sound else Exit.NOT_SOUND)


def _cases(following: Any, interval: float) -> Iterator[Case]:
    """Every generation that ends, until whoever reads our output leaves."""
    abandoned = _abandonment()
    while not abandoned():
        yield from following.poll(time.monotonic())
        time.sleep(interval)
    raise BrokenPipeError


def _found(profile: Profile) -> tuple[Path | None, Path | None]:
    """The logs in the usual places; a prompt log is written at the first generation, and its backend's log before that."""
    places = [Path(place) for place in dict.fromkeys([*WHERE, profile.prompt_log])]
    prompts = next((place for place in places if place.is_file()), None)
    prompts = prompts or next((place for place in places if place.with_name(LOG).is_file()), None)
    if prompts is not None:
        log = prompts.with_name(LOG)
        return prompts, log if log.is_file() else None
    raise NothingReadable(
        Phrase(
            "no prompt log found in {cwd}: looked for {names}; name a file, e.g. diagnose watch --prompt-log path/to/prompt_log.json",
            cwd=Path.cwd(),
            names=", ".join(map(str, places)),
        )
    )


def _json(answer: Diagnosis) -> str:
    from diagnose.render.document import document

    return json.dumps(document(answer), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _text(answer: Diagnosis, sound: bool, options: dict[str, Any]) -> str:
    """A line; and, of a generation that broke, the whole answer."""
    from diagnose.render.text import Page
    from diagnose.render.words import Words

    console = open_console(options["color"])  # a new one each time: a window can be made wider
    page = Page(console, Words(language(options["lang"])), options["verbose"])
    with console.capture() as shown:
        page.brief(_time(answer), answer)
        if not sound:
            console.print()
            page.show(answer, checklist=False)
            page.rule()
    return str(shown.get()).rstrip("\n")


def _time(answer: Diagnosis) -> str:
    """The time of day as the backend wrote it, else that of this machine."""
    written = re.search(r"(?:\b|(?<=T))\d\d:\d\d:\d\d", answer.subject.timestamp or "")
    return written[0] if written else time.strftime("%H:%M:%S")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """What is being printed is finished before Ctrl-C ends the program; a second one ends it at once."""
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        before = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not in the main thread, where no Ctrl-C arrives
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


def _abandonment() -> Callable[[], bool]:
    """Asks whether the reader of a pipe has left: it would otherwise be noticed at the next generation, or never."""
    import select

    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        return lambda: False
    if not hasattr(select, "poll") or os.isatty(number):
        return lambda: False
    poll = select.poll()
    poll.register(number, 0)
    return lambda: any(event & select.POLLERR for _, event in poll.poll(0))
