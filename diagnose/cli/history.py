"""The command that looks at many generations: `history`."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from diagnose.cli.answers import check_pages, faults, found_log
from diagnose.cli.output import FORMATS, deliver, machine, output_options, protect, targets
from diagnose.cli.plugins import checks_option
from diagnose.cli.terminal import complain, language, open_console, profile_of, say, tell
from diagnose.errors import Exit, NothingReadable, UnknownName
from diagnose.model import Phrase
from diagnose.model.history import History

_MOMENT = re.compile(r"\d{4}(?:-\d\d(?:-\d\d(?:T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?)?)?")


def _moment(_context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    told = (value or "").strip().replace(" ", "T").replace(",", ".").removesuffix("Z")
    if told and not _MOMENT.fullmatch(told):
        raise click.BadParameter(
            Phrase("'{value}' is no time; write 2026-01-11, or 2026-01-11T06:35", value=value), param=parameter
        )
    return told


@click.command()
@click.argument("paths", nargs=-1, metavar="[FILE|FOLDER|GLOB|URL|-]...")
@click.option(
    "--by",
    metavar="FIELD",
    help="Also count by hour, day, model, bucket, user-prefix, request_format, or any field of an entry, such as"
    " fal_request.strength.",
)
@click.option("--since", callback=_moment, metavar="TIME", help="From this time on: 2026-01-11, 2026-01-11T06:35.")
@click.option("--until", callback=_moment, metavar="TIME", help="To this time, which is included.")
@click.option("--only", metavar="CHECK", help="Only generations in which this check failed, warned or noted something.")
@click.option(
    "--onset", is_flag=True, help="Since when each cause is there, and what separates bad generations from good ones."
)
@click.option(
    "--kind",
    type=click.Choice(["prompt_log", "backend_log"]),
    help="Count only files of this kind [default: backend logs where there are any].",
)
@click.option(
    "--jobs", type=click.IntRange(min=1, max=1024), metavar="N", help="Processes at once [default: one each core]."
)
@click.option("--scheduler", metavar="ADDRESS", help="Count on a Dask cluster, such as tcp://10.0.0.5:8786.")
@checks_option
@click.option(
    "--profile", "profile_name", metavar="NAME|FILE", help="What is meant to happen: seed, flux-2-edit, or a TOML file."
)
@output_options("csv")
@click.option("--offline", is_flag=True, help="Forbid all network use (files alone never need it).")
@click.option("--lang", type=click.Choice(["en", "id"]), help="Language of the text [default: from the locale].")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours in the text.",
)
@click.option("-v", "--verbose", is_flag=True, help="Every check, and how the files were read.")
def history(paths: tuple[str, ...], **options: Any) -> None:
    """Count many generations: what came of them, why, since when.

    Takes prompt logs (JSON Lines or arrays) and backend logs of any size, gzipped
    too; folders; patterns; addresses that fsspec knows, such as s3://bucket/logs/*.gz;
    `-` for standard input. Without any: the usual place of the prompt log. Each
    generation is judged by the same checks as in the other commands. Nothing is
    written, and no address is contacted but those that are named.

    What could not be counted is said: lines that are no entry by their byte, files
    that vanished, grew or were cut meanwhile by their name.

    \b
    Exit codes: 0 all sound, 1 some are not, 3 some undetermined or not counted,
    4 nothing readable.
    """
    from diagnose import history as engine
    from diagnose import registry
    from diagnose.history.engines import processors

    wanted = targets(options["forms"], options["outputs"], (*FORMATS, "csv"))
    protect(wanted, paths)
    profile = profile_of(options["profile_name"])
    _known(options["only"], tuple(registry.by_id()))
    named = list(paths) or [str(found_log(None, profile))]
    if options["scheduler"] and options["offline"]:
        raise click.UsageError("--scheduler is a network address, and --offline forbids all network use")
    with _input(named) as scratch, _progress() as told:
        wish = engine.Wish(
            by=options["by"],
            since=options["since"],
            until=options["until"],
            only=options["only"],
            onset=options["onset"],
            kind=options["kind"],
            jobs=options["jobs"] or processors(),
            scheduler=options["scheduler"],
            offline=options["offline"],
            scratch=scratch,
        )
        try:
            found = engine.survey(named, profile, wish, told)
        except NothingReadable as error:
            if not machine(wanted):
                raise
            complain(error.message)  # the document says it as well: machines read stdout
            found = History(profile.name, notes=(error.message,))
    protect(wanted, [source.name for source in found.sources])
    code = _code(found)
    deliver(wanted, lambda form, to_file: render(found, form, to_file, code, options))
    sys.exit(code)


def _known(check: str | None, checks: tuple[str, ...]) -> None:
    if check is not None and check not in checks:
        import difflib

        near = difflib.get_close_matches(check, checks, 1)
        hint = Phrase("; did you mean '{near}'?", near=near[0]) if near else "; `diagnose checks` lists them"
        raise UnknownName(Phrase("--only {check}: no check has this name{hint}", check=check, hint=hint))


@contextlib.contextmanager
def _input(paths: list[str]) -> Iterator[str | None]:
    """Standard input in a file of its own, since it is read by several processes and more than once."""
    if "-" not in paths:
        yield None
        return
    if paths.count("-") > 1:
        raise click.UsageError("standard input can be named once")
    if sys.stdin.isatty():
        tell("reading standard input; end with Ctrl-D")
    with tempfile.TemporaryDirectory(prefix="diagnose-") as folder:
        path = Path(folder) / "stdin"
        try:
            with path.open("wb") as file:
                while block := sys.stdin.buffer.read(1 << 20):
                    file.write(block)
        except OSError as error:
            said = Phrase(
                "standard input could not be kept in {folder}: {strerror}; give a file instead",
                folder=folder,
                strerror=error.strerror,
            )
            raise click.UsageError(said) from None
        yield str(path)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int | None], None] | None]:
    """Bytes, rate and time left, on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True, highlight=False, emoji=False, markup=False)
    columns = (TextColumn(say("counting")), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    # no thread of its own: processes are started while it shows
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("counting", total=None)

        def told(done: int, whole: int | None) -> None:
            bar.update(task, completed=done, total=whole, refresh=True)

        yield told


def render(found: History, form: str, to_file: bool, code: int, options: Mapping[str, Any]) -> str:
    """The document of a format."""
    from diagnose.render.words import Words

    words = Words(language(options["lang"]))
    titles = faults()
    match form:
        case "json" | "csv":
            from diagnose.render import history_document

            return history_document.dumps(found) if form == "json" else history_document.csv(found).rstrip("\n")
        case "text":
            from diagnose.render import history as screen

            shown_on = open_console("never", 100) if to_file else open_console(options["color"])
            with shown_on.capture() as shown:
                screen.show(found, shown_on, words, options["verbose"], titles)
            return str(shown.get()).rstrip("\n")
        case "junit":
            from diagnose.render import junit

            return junit.history(found, words)
        case "sarif":
            from diagnose.render import sarif

            return sarif.history(found, words, code, check_pages())
        case _:
            from diagnose.render import history_report, html, markdown

            report = history_report.of(found, words, verbose=bool(options["verbose"]) or form == "html", titles=titles)
            return html.dumps([report], words) if form == "html" else markdown.dumps([report], words)


def _code(found: History) -> Exit:
    if found.bad.count:
        return Exit.NOT_SOUND
    undetermined = found.outcomes.get("undetermined")
    if undetermined is not None or found.not_counted or found.malformed:
        return Exit.UNDETERMINED
    return Exit.OK if found.entries else Exit.NOTHING_READABLE
