"""Help in the language of the run: the texts of commands and options, and click's own words."""

from __future__ import annotations

import gettext
import inspect
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from diagnose.render.words import LANGUAGES, Words

_ENGLISH: dict[int, str] = {}
"""The texts as they were written, by the id of the command or option that has them; both live as long as the program."""
_BREAK = r"\b"
"""Stands in the catalogue for the character by which click leaves a paragraph's lines as they are."""
_FOLDER = str(Path(__file__).parent.parent / "locale")


def wanted(arguments: Sequence[str]) -> str | None:
    """The language after `--lang`, wherever it stands; None where there is none, or none that is known."""
    for place, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--lang":
            said = value or (arguments[place + 1] if place + 1 < len(arguments) else "")
            return said if said in LANGUAGES else None
    return None


def speak(top: click.Group, language: str) -> None:
    """Put every help text into a language; English costs nothing where nothing else was spoken before."""
    if language == "en" and not _ENGLISH:
        return
    words = Words(language)
    for each in told(top):
        text = english(each)
        each.help = words(text).replace(_BREAK, "\b") if text else None
    gettext.bindtextdomain("diagnose", _FOLDER)
    gettext.textdomain("diagnose")
    os.environ["LANGUAGE"] = language  # where click's own gettext looks for the language


def english(each: click.Command | click.Option) -> str:
    """The help of a command or an option as it was written."""
    return _ENGLISH.setdefault(id(each), inspect.cleandoc(each.help or "").replace("\b", _BREAK))


def told(command: click.Command) -> Iterator[click.Command | click.Option]:
    """A command, its options, and those below it."""
    yield command
    yield from (parameter for parameter in command.params if isinstance(parameter, click.Option))
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from told(below)


def language_for_all(top: click.Group) -> None:
    """`--lang` for every command that has none of its own: its help and its errors have a language as well."""
    for command in top.commands.values():
        if isinstance(command, click.Group):
            language_for_all(command)
        if not any("--lang" in parameter.opts for parameter in command.params):
            choice = click.Choice(LANGUAGES)
            said = "Language of the text [default: from the locale]."
            command.params.append(click.Option(["--lang"], type=choice, expose_value=False, help=said))
