"""The command that lays two generations, or two histories, side by side: `compare`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from diagnose.cli.output import deliver, machine, output_options, protect, targets
from diagnose.cli.plugins import checks_option
from diagnose.cli.terminal import complain, language, open_console, profile_of, standard_input
from diagnose.errors import Exit, NothingReadable
from diagnose.model import Phrase, Profile

if TYPE_CHECKING:
    from diagnose.model.comparison import Comparison, Given, HistoryComparison
    from diagnose.model.history import History


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--history", "counted", is_flag=True, help="A and B are histories: files, folders or patterns.")
@checks_option
@click.option(
    "--profile", "profile_name", metavar="NAME|FILE", help="What is meant to happen: seed, flux-2-edit, or a TOML file."
)
@output_options()
@click.option("--lang", type=click.Choice(["en", "id"]), help="Language of the text [default: from the locale].")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours in the text.",
)
@click.option("-v", "--verbose", count=True, help="Everything that changes, what is the same, and how it was read.")
def compare(first: str, second: str, counted: bool, profile_name: str | None, **options: Any) -> None:
    """Lay two generations, or two histories, side by side.

    A and B are each evidence of one generation: a prompt log (its newest entry),
    a backend's log, request, answer or folder (the newest attempt), a saved case,
    or `-` for standard input. A place as answers print it works as well:
    prompt_log.json#/3 (#3 and #-1 too), backend.log:214, backend.log@10542.

    A difference matters when the other side's value in its place changes the
    answer, or the status of a check: every one is tried out.

    With --history, or where A or B is a pattern such as 'logs/2026-01-*.json' and
    no file, both are histories: all generations of a file, folder or pattern are
    counted, and the shift of every outcome and cause is told.

    \b
    Exit codes: 0 both came to the same (histories: no shift is more than chance),
    1 they differ, 2 usage, 3 one is undetermined (histories: chance was not
    tested), 4 one cannot be read. Same means the same outcome and cause, and
    generations that do not contradict each other.
    """
    if first == second == "-":
        raise click.UsageError("standard input can be A or B, and not both")
    options["wanted"] = targets(options["forms"], options["outputs"])
    protect(options["wanted"], (first, second))
    profile = profile_of(profile_name)
    if counted or _is_pattern(first) or _is_pattern(second):
        _leave(*_histories(first, second, profile, options), options)
    from diagnose import compare as compared

    chosen = profile if profile_name else None
    given = [_given(name, profile, chosen, options) for name in (first, second)]
    found = compared.generations(*given)
    _leave(found, _code(found), options)


def _is_pattern(name: str) -> bool:
    """Whether a name stands for several files: it holds a wildcard, and no file is called so."""
    if not re.search(r"[*?\[]", name):
        return False
    from diagnose.collect import place

    spot = place.spot(name)
    return spot.whole and not Path(spot.file).exists()


# --- generations


def _given(name: str, profile: Profile, chosen: Profile | None, options: dict[str, Any]) -> Given:
    """One of the two. Raises NothingReadable, except where a machine reads: then the document says it."""
    from diagnose import case_file, examine
    from diagnose.collect import place
    from diagnose.model.comparison import Given

    try:
        examined = _examined(name, profile, chosen)
        if not examined.readable and not machine(options["wanted"]):
            raise NothingReadable(Phrase.joined("; ", dict.fromkeys(case_file.notes(examined.cases[0]))))
    except NothingReadable as error:
        told = error.message if place.spot(name).file in error.message else f"{name}: {error.message}"
        if not machine(options["wanted"]):
            raise NothingReadable(told) from None
        complain(told)
        examined = examine.nothing(profile, [told, examine.NOTHING])
    case = examined.cases[0]
    notes = tuple(case_file.notes(case)) if options["verbose"] or machine(options["wanted"]) else ()
    return Given(name, case, examined.readable, notes)


def _examined(name: str, profile: Profile, chosen: Profile | None) -> Any:
    """The case at a place. Raises NothingReadable."""
    from diagnose import examine, normalise
    from diagnose.collect import place

    spot = place.spot(name)
    bundle = place.read(spot, standard_input() if spot.file == place.STDIN else None)
    if bundle.cases:
        if not spot.whole:
            raise NothingReadable(Phrase("'{file}': a saved case is one generation; name it alone", file=spot.file))
        return examine.saved(bundle, chosen)
    entry = spot.entry if spot.byte is None else None
    try:
        return examine.examine(bundle, profile, normalise.Selector(entry=entry))
    except NothingReadable as error:
        raise NothingReadable(
            Phrase("'{name}': {why}", name=name, why=error.message.partition(": ")[2] or error.message)
        ) from None


def _code(found: Comparison) -> Exit:
    if not (found.a.readable and found.b.readable):
        return Exit.NOTHING_READABLE
    if found.undetermined:
        return Exit.UNDETERMINED
    return Exit.OK if found.same else Exit.NOT_SOUND


# --- histories


def _histories(first: str, second: str, profile: Profile, options: dict[str, Any]) -> tuple[HistoryComparison, Exit]:
    from diagnose import compare as compared

    found = compared.histories(first, _history(first, profile, options), second, _history(second, profile, options))
    if not (found.a.entries and found.b.entries):
        return found, Exit.NOTHING_READABLE
    if found.same is None:
        return found, Exit.UNDETERMINED
    return found, Exit.OK if found.same else Exit.NOT_SOUND


def _history(name: str, profile: Profile, options: dict[str, Any]) -> History:
    """All generations behind a name. Raises NothingReadable, except where a machine reads."""
    from diagnose.history import survey
    from diagnose.model.history import History

    if name == "-":
        raise click.UsageError("a history is read from files; standard input is one generation")
    try:
        return survey([name], profile)
    except NothingReadable as error:
        if not machine(options["wanted"]):
            raise
        complain(error.message)
        return History(profile.name, notes=(error.message,))


# --- output


def _leave(found: Comparison | HistoryComparison, code: Exit, options: dict[str, Any]) -> NoReturn:
    """Print, and exit with the answer's code."""
    deliver(options["wanted"], lambda form, to_file: _render(found, form, to_file, code, options))
    sys.exit(code)


def _render(
    found: Comparison | HistoryComparison, form: str, to_file: bool, code: Exit, options: Mapping[str, Any]
) -> str:
    from diagnose.render.words import Words

    words, verbose = Words(language(options["lang"])), bool(options["verbose"])
    match form:
        case "json":
            from diagnose.render import compare_document

            return compare_document.dumps(found)
        case "text":
            from diagnose.render import compare as screen

            console = open_console("never", 100) if to_file else open_console(options["color"])
            with console.capture() as captured:
                screen.show(found, console, words, verbose)
            return str(captured.get()).rstrip("\n")
        case "junit":
            from diagnose.render import junit

            return junit.comparison(found, words)
        case "sarif":
            from diagnose.render import sarif

            return sarif.comparison(found, words, code)
        case _:
            from diagnose.render import compare_report, html, markdown

            report = compare_report.of(found, words, verbose=verbose or form == "html")
            return html.dumps([report], words) if form == "html" else markdown.dumps([report], words)
