"""The commands that run the small backend: `demo` and `serve`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diagnose.cli.answers import Shown, exit_code
from diagnose.cli.output import Target, deliver, output_options, protect, targets
from diagnose.cli.plugins import checks_option
from diagnose.cli.terminal import language, open_console, profile_of, safe, say, tell, write
from diagnose.errors import Exit
from diagnose.model import Phrase
from diagnose.render.words import Words

if TYPE_CHECKING:
    from diagnose.generator.demo import Stage
    from diagnose.generator.faults import Fault


@click.command()
@click.option(
    "--break", "broken", metavar="CHECK", help="Break this one and show the whole answer; see `diagnose demo --list`."
)
@click.option("--list", "listed", is_flag=True, help="List what can be broken.")
@click.option(
    "--score", is_flag=True, help="Count right answers and false blame, with full evidence and with sources taken away."
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Leave the evidence files in this folder.",
)
@output_options()
@checks_option
@click.option("--lang", type=click.Choice(["en", "id"]), help="Language of the text [default: from the locale].")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours in the text.",
)
def demo(broken: str | None, listed: bool, score: bool, keep: Path | None, **options: Any) -> None:
    """Break a small backend link by link, and explain each failure from its files.

    The backend is real and is sent real requests; Supabase and fal are stand-ins on
    this machine, and nothing else is contacted. Needs the server extra.
    """
    import tempfile

    from diagnose import serve as server

    server.require_server()
    from diagnose.generator import faults
    from diagnose.generator.demo import stage

    if listed:
        words = Words(language(options["lang"]))
        rows = [f"{fault.name:<36} {words(fault.title)}" for fault in faults.FAULTS]
        rows += [f"{check:<36} - ({words(why)})" for check, why in faults.UNBREAKABLE.items()]
        write("\n".join(rows))
        return
    wanted = targets(options["forms"], options["outputs"])
    protect(wanted, ())
    chosen = list(faults.FAULTS)
    if broken is not None:
        chosen = [fault for fault in faults.FAULTS if broken in (fault.name, fault.check)][:1]
        if not chosen and broken in faults.UNBREAKABLE:
            why = faults.UNBREAKABLE[broken]
            raise click.BadParameter(
                Phrase("'{broken}' cannot be broken; {hint}", broken=broken, hint=Phrase(why)), param_hint="--break"
            )
        if not chosen:
            import difflib

            near = difflib.get_close_matches(broken, [fault.name for fault in faults.FAULTS], 1)
            hint = (
                Phrase("did you mean '{near}'?", near=near[0])
                if near
                else "`diagnose demo --list` shows what can be broken"
            )
            raise click.BadParameter(
                Phrase("'{broken}' cannot be broken; {hint}", broken=broken, hint=hint), param_hint="--break"
            )
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.BadParameter(
                Phrase("'{keep}': {why}", keep=keep, why=error.strerror or error), param_hint="--keep"
            ) from None
    with tempfile.TemporaryDirectory(prefix="diagnose-demo-") as scratch, stage() as on:
        folder = keep if keep is not None else Path(scratch)
        if score:
            _score(chosen, on, folder, wanted)
        elif broken is not None:
            _demo_one(chosen[0], on, folder, wanted, options)
        else:
            _demo_all(chosen, on, folder, wanted, options)
    if keep is not None and wanted == (Target("text", None),):
        kept = safe(str(keep))
        write(
            "\n"
            + say(
                Phrase("The evidence is in {kept}; repeat any answer with: diagnose checklist {kept}/<name>", kept=kept)
            )
        )


def _demo_one(fault: Fault, stage: Stage, folder: Path, wanted: Sequence[Target], options: Mapping[str, Any]) -> None:
    from diagnose import score

    place = folder / fault.name.replace(":", "-")
    stage.write_case(fault, place)
    bundle = score.read(place, score.written(place))
    found = score.judged(bundle, fault.profile)
    answers = Shown([found], True, {**options, "verbose": False}, bundle.origins, exit_code(found, None, False))

    def render(form: str, to_file: bool) -> str:
        said = answers.render(form, to_file)
        words = Words(language(options["lang"]))
        return f"{words('Broken')}: {words(fault.title)}\n\n{said}" if form == "text" else said

    deliver(wanted, render)


def _demo_all(
    chosen: Sequence[Fault], stage: Stage, folder: Path, wanted: Sequence[Target], options: Mapping[str, Any]
) -> None:
    from diagnose import score
    from diagnose.render.text import Page

    words = Words(language(options["lang"]))
    screen = wanted == (Target("text", None),)
    page = Page(open_console(options["color"]), words, False)
    found = []
    for fault in chosen:
        place = folder / fault.name.replace(":", "-")
        stage.write_case(fault, place)
        found.append(score.answer(place, score.written(place), fault.profile))
        if screen:
            with page.console.capture() as shown:
                page.short(words(fault.title), found[-1])
            write(shown.get().rstrip("\n"))
    if not screen:
        deliver(wanted, Shown(found, True, {**options, "verbose": False, "every": True}, {}, Exit.OK).render)
        return
    page.console.print()
    page.line(
        words(
            "{n} faults. One in full: diagnose demo --break bucket_missing. How often it is right: diagnose demo --score",
            n=len(chosen),
        ),
        "dim",
    )


def _score(chosen: Sequence[Fault], stage: Stage, folder: Path, wanted: Sequence[Target]) -> None:
    from diagnose import score

    screen = wanted == (Target("text", None),)
    rows = []
    for fault in chosen:
        rows.append(score.row(fault, stage, folder / fault.name.replace(":", "-")))
        if screen:
            write(score.line(rows[-1]))
    forms = {"json": score.dumps, "markdown": score.markdown, "text": score.summary}
    if any(target.form not in forms for target in wanted):
        raise click.UsageError("--score is told as text, json or markdown")
    deliver(wanted, lambda form, _: forms[form](rows))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port to listen on; 0 picks a free one.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("backend"),
    show_default=True,
    metavar="DIR",
    help="Where prompt_log.json and backend.log are kept.",
)
@click.option(
    "--prompt-log",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The prompt log; a name that ends in .jsonl makes it JSON Lines [default: DIR/prompt_log.json].",
)
@click.option(
    "--prompt-log-keep",
    "keep",
    type=click.IntRange(min=0),
    metavar="N",
    help="Entries that stay in the prompt log; 0 keeps all [default: the profile's, 10].",
)
@click.option(
    "--log-format",
    type=click.Choice(["plain", "json"]),
    default="plain",
    show_default=True,
    help="How the log's lines are written.",
)
@click.option("--embedded", is_flag=True, help="Use the stand-ins even where real services are set.")
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME|FILE",
    help="The models, the bucket and the payload to use: seed, flux-2-edit, or a TOML file.",
)
def serve(profile_name: str | None, **options: Any) -> None:
    """Serve a small backend that makes pictures, with a page that explains each of them.

    With SUPABASE_URL, SUPABASE_SERVICE_KEY and FAL_KEY in the environment, .env or
    config.env it uses the real services. With none of them Supabase and fal are
    stand-ins on this machine, which the page can break link by link.
    Needs the server extra: pip install 'diagnose-generation[server]'.
    """
    from diagnose import serve as server

    server.require_server()
    try:
        server.run(server.Options(**options), profile_of(profile_name), lambda text: click.echo(safe(text)), sys.stderr)
    except KeyboardInterrupt:
        tell("interrupted")
        sys.stdout.flush()
        os._exit(Exit.INTERRUPTED)  # threads that were given up would hold the process until fal answers
