"""The commands that run the small backend: `demo` and `serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from diagnose.cli.answers import show
from diagnose.cli.terminal import FORMATS, language, open_console, profile_of, safe, write, write_json
from diagnose.errors import Exit


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
        kept = safe(str(keep))
        click.echo(f"\nThe evidence is in {kept}; repeat any answer with: diagnose checklist {kept}/<name>")


def _demo_one(fault: Any, stage: Any, folder: Path, form: str, options: dict[str, Any]) -> None:
    from diagnose import score

    place = folder / fault.name
    stage.write_case(fault, place)
    found = score.answer(place, score.written(place), fault.profile)
    if form == "json":
        from diagnose.render import document

        write(document.dumps([found], False))
    else:
        click.echo(f"Broken: {fault.title}\n")
        show([found], True, options)


def _demo_all(chosen: list[Any], stage: Any, folder: Path, options: dict[str, Any]) -> None:
    from diagnose import score
    from diagnose.render.text import Page
    from diagnose.render.words import Words

    page = Page(open_console(options["color"]), Words(language(options["lang"])), False)
    for fault in chosen:
        place = folder / fault.name
        stage.write_case(fault, place)
        with page.console.capture() as shown:
            page.short(fault.title, score.answer(place, score.written(place), fault.profile))
        write(shown.get().rstrip("\n"))
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
        write_json({**total, "rows": table})
        return
    click.echo(f"\nTop-1 {total['top1']:.2f} over {len(rows)} faults with full evidence")
    click.echo(f"False blame {total['false_blame']} in {len(removals)} answers with sources taken away")
    click.echo(
        f"The fault is named or suspected in {total['suspected']:.3f}, and named where the backend's log is kept in {total['named_with_log']:.3f}"
    )


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
        click.echo("interrupted", err=True)
        sys.stdout.flush()
        os._exit(Exit.INTERRUPTED)  # threads that were given up would hold the process until fal answers
