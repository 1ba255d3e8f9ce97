"""The command line. The only file that reads arguments, prints, and exits."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from diagnose import __version__
from diagnose.errors import DiagnoseError, Exit, NothingReadable
from diagnose.model import Diagnosis, Profile

FORMATS = click.Choice(["text", "json"])
EXPECTED = click.Choice(["image-to-image", "text-to-image"])
WHERE = ("prompt_log.json", "backend/prompt_log.json")


class Commands(click.Group):
    """The commands, in the order in which they are needed."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], list(self.commands), 1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(error.message + hint, ctx) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="diagnose")
def cli() -> None:
    """Says why a picture ignores the photo it was asked to start from.

    Begin with `diagnose latest-log` in the backend's folder, or with
    `diagnose checklist FILE...` for logs, prompt logs, requests and answers in any
    mix. `diagnose demo` shows it on a broken backend of its own.

    \b
    Exit codes: 0 sound or by design, 1 not sound, 2 usage, 3 undetermined,
    4 nothing readable, 130 interrupted.
    """


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


@cli.command("latest-log")
@click.argument("file", required=False, metavar="[FILE|-]")
@_shared
def latest_log(file: str | None, **options: Any) -> None:
    """Explain the newest entry of a prompt log.

    FILE is prompt_log.json in any state, or a pasted ticket; `-` reads standard
    input. Without FILE: ./prompt_log.json, ./backend/prompt_log.json, or the place
    the profile names.
    """
    from diagnose import collect

    profile = _profile(options["profile_name"])

    def gather() -> collect.Bundle:
        if file == "-":
            return collect.gather([], stdin=_stdin(), otherwise="prompt_log")
        return collect.gather([_found(file, profile)], otherwise="prompt_log")

    _answer(gather, profile, checklist=False, **options)


@cli.command()
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

    profile = _profile(options["profile_name"])
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
        stdin = _stdin() if "-" in paths else None
        files = [Path(path) for path in paths if path != "-"]
        if not files and not named and stdin is None:
            files = [_found(None, profile)]
            beside = files[0].with_name("backend.log")
            files += [beside] if beside.is_file() else []
        every = options["every"] or any(options[key] is not None for key in ("entry", "at", "match"))
        return collect.gather(files, named, stdin, every=every)

    _answer(gather, profile, checklist=True, **options)


def _answer(gather: Callable[[], Any], profile: Profile, checklist: bool, **options: Any) -> None:
    """Diagnose, print, and exit with the answer's code."""
    from diagnose import collect, explain, normalise

    try:
        bundle = gather()
    except NothingReadable as error:
        if options["form"] != "json":
            raise
        _complain(error.message)  # the document says it as well: machines read stdout
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
        _complain(error.message)
        unreadable, notes = True, [*notes, error.message]
        cases = normalise.cases(collect.Bundle(), profile)
    diagnoses = [explain.diagnose(case, notes=notes) for case in cases]
    if unreadable and options["form"] == "text" and all(d.root is None for d in diagnoses):
        raise NothingReadable("; ".join(dict.fromkeys(notes)))
    try:
        if options["form"] == "json":
            from diagnose.render import document

            _write(document.dumps(diagnoses, options["every"]))
        else:
            _print(diagnoses, checklist, options)
    except BrokenPipeError:
        _leave_quietly()  # the reader has left; the exit code is the answer's all the same
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


def _print(diagnoses: list[Diagnosis], checklist: bool, options: dict[str, Any]) -> None:
    from diagnose.render.text import Page
    from diagnose.render.words import Words

    console = _console(options["color"])
    page = Page(console, Words(_language(options["lang"])), options["verbose"])
    with console.capture() as shown:
        for index, d in enumerate(diagnoses):
            if index:
                page.rule()
            page.show(d, checklist)
    _write(shown.get().rstrip("\n"))


def _console(color: str) -> Any:
    from rich.console import Console

    if color == "never":
        return Console(highlight=False, no_color=True, color_system=None, emoji=False, markup=False)
    force = True if color == "always" else None
    return Console(highlight=False, force_terminal=force, emoji=False, markup=False)


def _language(wanted: str | None) -> str:
    if wanted:
        return wanted
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "id" if value.lower().startswith(("id_", "id.", "in_")) or value.lower() == "id" else "en"
    return "en"


def _profile(name: str | None) -> Profile:
    from diagnose import profile

    return profile.load(name, Path.cwd())


def _found(file: str | None, profile: Profile) -> Path:
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


def _stdin() -> bytes:
    if sys.stdin.isatty():
        click.echo("reading standard input; end with Ctrl-D", err=True)
    return sys.stdin.buffer.read(256 * 1024 * 1024)


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# --- the checks' pages ------------------------------------------------------------------------------------------------


@cli.command("explain")
@click.argument("check")
@click.option(
    "--format", "form", type=FORMATS, default="text", show_default=True, help="Text for people, JSON for machines."
)
def explain_command(check: str, form: str) -> None:
    """Show the page of one check: what it looks at, why it matters, how to put it right."""
    from diagnose import registry
    from diagnose.errors import UnknownName

    known = registry.by_id()
    if check not in known:
        import difflib

        near = difflib.get_close_matches(check, list(known), 1)
        raise UnknownName(
            f"there is no check '{check}'"
            + (f"; did you mean '{near[0]}'?" if near else "; `diagnose checks` lists them")
        )
    found = known[check]
    if form == "json":
        _json({**_row(found), "page": found.page.strip()})
        return
    click.echo(f"{found.id} ({found.link})\n\n{found.page.strip()}")
    if found.because:
        click.echo(f"\nCan be explained by\n    {', '.join(found.because)}")


@cli.command("checks")
@click.option(
    "--format", "form", type=FORMATS, default="text", show_default=True, help="Text for people, JSON for machines."
)
def checks_command(form: str) -> None:
    """List every check with the fault it finds."""
    from diagnose import registry

    if form == "json":
        _json([_row(check) for check in registry.checks()])
        return
    last = None
    for check in registry.checks():
        if check.link is not last:
            click.echo(("" if last is None else "\n") + click.style(str(check.link), bold=True))
            last = check.link
        click.echo(f"  {check.id:<28} {check.fault}")


def _row(check: Any) -> dict[str, Any]:
    return {
        "id": check.id,
        "link": str(check.link),
        "fault": check.fault,
        "because": list(check.because),
        "reads": list(check.reads),
    }


def _json(value: Any) -> None:
    import json

    _write(json.dumps(value, indent=2, ensure_ascii=True))


# --- schemas ----------------------------------------------------------------------------------------------------------


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--schema",
    "name",
    default="prompt_log",
    show_default=True,
    help="The schema to validate against; see `diagnose schema`.",
)
@click.option(
    "--format", "form", type=FORMATS, default="text", show_default=True, help="Text for people, JSON for machines."
)
def validate(files: tuple[str, ...], name: str, form: str) -> None:
    """Check files against a JSON Schema.

    Exit code 0 when all are valid, 1 when one is not, 4 when one cannot be read.
    """
    from diagnose import mask, schema
    from diagnose.collect.text import open_bytes

    schema.text(name)
    code = Exit.OK
    shown: list[dict[str, Any]] = []
    for file in files:
        try:
            data = _stdin() if file == "-" else open_bytes(Path(file))
        except OSError as error:
            _complain(f"{file}: {error.strerror or error}")
            shown.append({"file": mask.text(file), "valid": None, "errors": [], "total": 0})
            code = Exit.NOTHING_READABLE
            continue
        result = schema.validate(data, name)
        code = code if result.valid or code is Exit.NOTHING_READABLE else Exit.NOT_SOUND
        errors = [
            {"pointer": mask.text(e.pointer), "line": e.line, "column": e.column, "message": mask.text(e.message)}
            for e in result.errors
        ]
        shown.append({"file": mask.text(file), "valid": result.valid, "errors": errors, "total": result.total})
        if form == "text":
            _validation(file, result.valid, errors, result.total)
    if form == "json":
        _json(shown if len(files) > 1 else shown[0])
    sys.exit(code)


def _validation(file: str, valid: bool, errors: list[dict[str, Any]], total: int) -> None:
    lines = [f"{file}:{e['line']}:{e['column']}: {e['pointer'] or '/'}: {e['message']}" for e in errors]
    rest = f" ({total - len(errors)} more not shown)" if total > len(errors) else ""
    lines.append(f"{file}: valid" if valid else f"{file}: invalid, {total} error{'s' if total != 1 else ''}{rest}")
    try:
        _write("\n".join(map(_safe, lines)))
    except BrokenPipeError:
        _leave_quietly()


@cli.command("schema")
@click.argument("name", required=False)
def schema_command(name: str | None) -> None:
    """Print a JSON Schema; without NAME, list them."""
    from diagnose import schema

    if name is None:
        for known in schema.names():
            click.echo(known)
        return
    _write(schema.text(name).rstrip())


# --- the demo ----------------------------------------------------------------------------------------------------------


@cli.command()
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
@click.option(
    "--format",
    "form",
    type=FORMATS,
    default="text",
    show_default=True,
    help="Text for people, JSON for machines (with --break and --score).",
)
@click.option("--lang", type=click.Choice(["en", "id"]), help="Language of the text [default: from the locale].")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours in the text.",
)
def demo(
    broken: str | None, listed: bool, score: bool, keep: Path | None, form: str, lang: str | None, color: str
) -> None:
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
        for fault in faults.FAULTS:
            click.echo(f"{fault.name:<36} {fault.title}")
        return
    chosen = list(faults.FAULTS)
    if broken is not None:
        chosen = [fault for fault in faults.FAULTS if broken in (fault.name, fault.check)][:1]
        if not chosen:
            import difflib

            near = difflib.get_close_matches(broken, [fault.name for fault in faults.FAULTS], 1)
            hint = f"did you mean '{near[0]}'?" if near else "`diagnose demo --list` shows what can be broken"
            raise click.BadParameter(f"'{broken}' cannot be broken; {hint}", param_hint="--break")
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.BadParameter(f"'{keep}': {error.strerror or error}", param_hint="--keep") from None
    with tempfile.TemporaryDirectory(prefix="diagnose-demo-") as scratch, stage() as on:
        folder = keep if keep is not None else Path(scratch)
        if score:
            _score(chosen, on, folder, form)
        elif broken is not None:
            _demo_one(chosen[0], on, folder, form, {"lang": lang, "color": color, "verbose": False})
        else:
            _demo_all(chosen, on, folder, {"lang": lang, "color": color})
    if keep is not None and form == "text":
        kept = _safe(str(keep))
        click.echo(f"\nThe evidence is in {kept}; repeat any answer with: diagnose checklist {kept}/<name>")


def _demo_one(fault: Any, stage: Any, folder: Path, form: str, options: dict[str, Any]) -> None:
    from diagnose import score

    place = folder / fault.name
    stage.write_case(fault, place)
    found = score.answer(place, score.written(place), fault.profile)
    if form == "json":
        from diagnose.render import document

        _write(document.dumps([found], False))
    else:
        click.echo(f"Broken: {fault.title}\n")
        _print([found], True, options)


def _demo_all(chosen: list[Any], stage: Any, folder: Path, options: dict[str, Any]) -> None:
    from diagnose import score
    from diagnose.render.text import Page
    from diagnose.render.words import Words

    page = Page(_console(options["color"]), Words(_language(options["lang"])), False)
    for fault in chosen:
        place = folder / fault.name
        stage.write_case(fault, place)
        with page.console.capture() as shown:
            page.short(fault.title, score.answer(place, score.written(place), fault.profile))
        _write(shown.get().rstrip("\n"))
    page.console.print()
    page.line(
        f"{len(chosen)} faults. One in full: diagnose demo --break bucket_missing. How often it is right: diagnose demo --score",
        "dim",
    )


def _score(chosen: list[Any], stage: Any, folder: Path, form: str) -> None:
    from diagnose import score

    rows = []
    for fault in chosen:
        rows.append(score.row(fault, stage, folder / fault.name))
        if form == "text":
            row, root = rows[-1], rows[-1].found.root
            blamed = sum(r.blamed for r in row.removals)
            kept = [r for r in row.removals if "backend.log" in r.present]
            named = root.check if root is not None else (fault.check if row.right else "-")
            click.echo(
                f"{'right' if row.right else 'WRONG':<6} {fault.name:<36} {named:<28} blamed {blamed}/{len(row.removals)}  named with log {sum(r.named for r in kept)}/{len(kept)}"
            )
    removals = [r for row in rows for r in row.removals]
    kept = [r for r in removals if "backend.log" in r.present]
    total = {
        "faults": len(rows),
        "top1": sum(row.right for row in rows) / len(rows),
        "removals": len(removals),
        "false_blame": sum(r.blamed for r in removals),
        "suspected": sum(r.suspected for r in removals) / max(1, len(removals)),
        "named_with_log": sum(r.named for r in kept) / max(1, len(kept)),
    }
    if form == "json":
        table = [{"broken": row.fault.name, "named": row.found.root.check if row.found.root else None, "right": row.right,
                  "removals": [{"present": list(r.present), "root": r.root, "suspected": r.suspected, "false_blame": r.blamed} for r in row.removals]} for row in rows]  # fmt: skip
        _json({**total, "rows": table})
        return
    click.echo(f"\nTop-1 {total['top1']:.2f} over {len(rows)} faults with full evidence")
    click.echo(f"False blame {total['false_blame']} in {len(removals)} answers with sources taken away")
    click.echo(
        f"The fault is named or suspected in {total['suspected']:.3f}, and named where the backend's log is kept in {total['named_with_log']:.3f}"
    )


# --- the generator -----------------------------------------------------------------------------------------------------


@cli.command()
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
        server.run(server.Options(**options), _profile(profile_name), lambda text: click.echo(_safe(text)), sys.stderr)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.stdout.flush()
        os._exit(Exit.INTERRUPTED)  # threads that were given up would hold the process until fal answers


# --- running ----------------------------------------------------------------------------------------------------------


def main() -> NoReturn:
    """Run the command; every error is one clear line and the right exit code."""
    gc.set_threshold(50_000)  # most runs end before there is anything to collect
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console that lacks a character still shows the answer
    try:
        code = cli.main(prog_name="diagnose", standalone_mode=False)
        _flush()
        sys.exit(code or 0)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(Exit.INTERRUPTED)
    except click.ClickException as error:
        _usage(error)
        sys.exit(Exit.USAGE)
    except DiagnoseError as error:
        _complain(error.message)
        sys.exit(error.exit)
    except BrokenPipeError:
        _leave_quietly()
        sys.exit(Exit.OK)
    except Exception as error:
        _internal(error)


def _flush() -> None:
    sys.stdout.flush()


def _usage(error: click.ClickException) -> None:
    """click's own message, with nothing in it that commands the terminal."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help' for help.\n", err=True)
    click.echo(f"Error: {_safe(error.format_message())}", err=True)


def _complain(message: str) -> None:
    click.echo(f"diagnose: {_safe(message)}", err=True)


def _safe(message: str) -> str:
    """What an error quotes can hold secrets and terminal commands like any other evidence; masked before it is cut."""
    from diagnose import mask
    from diagnose.render.text import visible

    return visible(mask.cut(message, 1000))


def _leave_quietly() -> None:
    """Whoever read our output has left; nothing more may be written, not even at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())


def _internal(error: Exception) -> NoReturn:
    import traceback

    from diagnose import mask

    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    _complain(f"internal error at {place}: {type(error).__name__}: {error}")
    click.echo("this is a fault of diagnose itself, not of your backend; please report this line", err=True)
    if os.environ.get("DIAGNOSE_DEBUG"):
        click.echo(mask.text("".join(traceback.format_exception(error))), err=True)
    sys.exit(Exit.INTERNAL)
