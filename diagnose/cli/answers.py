"""The commands that give an answer: `latest-log` and `checklist`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from diagnose.cli.terminal import (
    FORMATS,
    complain,
    language,
    leave_quietly,
    open_console,
    profile_of,
    standard_input,
    write,
)
from diagnose.errors import Exit, NothingReadable
from diagnose.model import Diagnosis, Profile

EXPECTED = click.Choice(["image-to-image", "text-to-image"])
WHERE = ("prompt_log.json", "backend/prompt_log.json")


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that gives an answer."""
    options = [
        click.option(
            "--profile",
            "profile_name",
            metavar="NAME|FILE",
            help="What is meant to happen: seed, flux-2-edit, or a TOML file.",
        ),
        click.option(
            "--format",
            "form",
            type=FORMATS,
            default="text",
            show_default=True,
            help="Text for people, JSON for machines.",
        ),
        click.option("--entry", type=int, metavar="N", help="The N-th entry, from 0; negative from the end."),
        click.option("--at", metavar="TIME", help="The attempt nearest to, and not after, this time."),
        click.option("--match", metavar="TEXT", help="The newest attempt that holds this text."),
        click.option("--all", "every", is_flag=True, help="Every attempt, oldest first."),
        click.option("--expect", type=EXPECTED, help="Exit 1 unless this mode was used."),
        click.option("--offline", is_flag=True, help="Forbid all network use (files alone never need it)."),
        click.option(
            "--lang", type=click.Choice(["en", "id"]), help="Language of the text [default: from the locale]."
        ),
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            help="Colours in the text.",
        ),
        click.option("-v", "--verbose", is_flag=True, help="Every check, and how the evidence was read."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command("latest-log")
@click.argument("file", required=False, metavar="[FILE|-]")
@_shared
def latest_log(file: str | None, **options: Any) -> None:
    """Explain the newest entry of a prompt log.

    FILE is prompt_log.json in any state, or a pasted ticket; `-` reads standard
    input. Without FILE: ./prompt_log.json, ./backend/prompt_log.json, or the place
    the profile names.
    """
    from diagnose import collect

    profile = profile_of(options["profile_name"])

    def gather() -> collect.Bundle:
        if file == "-":
            return collect.gather([], stdin=standard_input(), otherwise="prompt_log")
        return collect.gather([found_log(file, profile)], otherwise="prompt_log")

    _answer(gather, profile, checklist=False, **options)


@click.command()
@click.argument("paths", nargs=-1, metavar="[FILE|FOLDER|-]...")
@click.option("--prompt-log", "prompt_log", multiple=True, metavar="FILE", help="A prompt_log.json.")
@click.option(
    "--backend-log", "backend_log", multiple=True, metavar="FILE", help="The backend's log; rotated and .gz logs too."
)
@click.option("--response", multiple=True, metavar="FILE", help="The API's answer, whole or its body.")
@click.option("--request", "request_", multiple=True, metavar="FILE", help="The request, whole or its body, or a HAR.")
@click.option("--source", multiple=True, metavar="FOLDER", help="The backend's source folder.")
@_shared
def checklist(paths: tuple[str, ...], **options: Any) -> None:
    """Answer the seven questions of the troubleshooting checklist.

    Evidence is recognised by its content: logs, prompt logs, requests, answers, HAR
    files, consoles, .env files and source folders in any mix; `-` is standard
    input. Files whose kind you know can be named with an option.
    """
    from diagnose import collect

    profile = profile_of(options["profile_name"])
    named = [
        (kind, Path(name))
        for kind, key in (
            ("prompt_log", "prompt_log"),
            ("backend_log", "backend_log"),
            ("response", "response"),
            ("request", "request_"),
            ("source", "source"),
        )
        for name in options.pop(key)
    ]

    def gather() -> collect.Bundle:
        given = standard_input() if "-" in paths else None
        files = [Path(path) for path in paths if path != "-"]
        if not files and not named and given is None:
            files = [found_log(None, profile)]
            beside = files[0].with_name("backend.log")
            files += [beside] if beside.is_file() else []
        every = options["every"] or any(options[key] is not None for key in ("entry", "at", "match"))
        return collect.gather(files, named, given, every=every)

    _answer(gather, profile, checklist=True, **options)


def _answer(gather: Callable[[], Any], profile: Profile, checklist: bool, **options: Any) -> None:
    """Diagnose, print, and exit with the answer's code."""
    from diagnose import collect, explain, normalise

    try:
        bundle = gather()
    except NothingReadable as error:
        if options["form"] != "json":
            raise
        complain(error.message)  # the document says it as well: machines read stdout
        bundle = collect.Bundle(notes=[error.message])
    selector = normalise.Selector(options["entry"], options["at"], options["match"])
    notes = bundle.notes if options["verbose"] else [n for n in bundle.notes if "ticket" in n or "were read" in n]
    unreadable = bundle.empty or (
        bundle.given <= {"prompt_log"} and not any(log.entries for _, log in bundle.prompt_logs)
    )
    if unreadable:
        faults = [f"{name}: {fault.message}" for name, log in bundle.prompt_logs for fault in log.faults]
        notes = [
            *bundle.notes,
            *faults,
            "nothing was found that tells of a generation; give a prompt log, a backend log or an answer",
        ]
    try:
        cases = normalise.cases(bundle, profile, selector, options["every"])
    except NothingReadable as error:  # there is no such attempt
        if options["form"] != "json":
            raise
        complain(error.message)
        unreadable, notes = True, [*notes, error.message]
        cases = normalise.cases(collect.Bundle(), profile)
    diagnoses = [explain.diagnose(case, notes=notes) for case in cases]
    if unreadable and options["form"] == "text" and all(d.root is None for d in diagnoses):
        raise NothingReadable("; ".join(dict.fromkeys(notes)))
    try:
        if options["form"] == "json":
            from diagnose.render import document

            write(document.dumps(diagnoses, options["every"]))
        else:
            show(diagnoses, checklist, options)
    except BrokenPipeError:
        leave_quietly()  # the reader has left; the exit code is the answer's all the same
    sys.exit(max((_code(d, options["expect"], unreadable) for d in diagnoses), key=_worst))


def _worst(code: Exit) -> int:
    """Of many answers the exit code is the worst one's."""
    return [Exit.OK, Exit.NOTHING_READABLE, Exit.UNDETERMINED, Exit.NOT_SOUND].index(code)


def _code(d: Diagnosis, expected: str | None, unreadable: bool) -> Exit:
    from diagnose import explain

    if unreadable:
        return Exit.NOTHING_READABLE
    if expected == "image-to-image" and d.outcome != "switched":
        return Exit.NOT_SOUND
    if expected == "text-to-image" and d.outcome != "not_switched":
        return Exit.NOT_SOUND
    if d.generation == "failed":
        return Exit.NOT_SOUND
    if d.outcome == "undetermined":
        return Exit.UNDETERMINED
    return Exit.OK if explain.sound(d) else Exit.NOT_SOUND


def show(diagnoses: list[Diagnosis], checklist: bool, options: dict[str, Any]) -> None:
    from diagnose.render.text import Page
    from diagnose.render.words import Words

    shown_on = open_console(options["color"])
    page = Page(shown_on, Words(language(options["lang"])), options["verbose"])
    with shown_on.capture() as shown:
        for index, d in enumerate(diagnoses):
            if index:
                page.rule()
            page.show(d, checklist)
    write(shown.get().rstrip("\n"))


def found_log(file: str | None, profile: Profile) -> Path:
    """The file that was named, or the first of the usual places that exists."""
    if file is not None:
        return Path(file)
    places = dict.fromkeys([*WHERE, profile.prompt_log])
    for place in places:
        if Path(place).is_file():
            return Path(place)
    raise NothingReadable(
        f"no prompt log found in {Path.cwd()}: looked for {', '.join(places)}; name a file, e.g. diagnose latest-log path/to/prompt_log.json"
    )
