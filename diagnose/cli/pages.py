"""The commands that show what the program knows: `explain`, `checks`, `schema`; and `validate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from diagnose.cli.plugins import checks_option
from diagnose.cli.terminal import (
    FORMATS,
    complain,
    language,
    leave_quietly,
    safe,
    say,
    standard_input,
    write,
    write_json,
)
from diagnose.errors import Exit
from diagnose.model import Phrase


@click.command("explain")
@click.argument("check")
@checks_option
@click.option(
    "--format", "form", type=FORMATS, default="text", show_default=True, help="Text for people, JSON for machines."
)
@click.option("--lang", type=click.Choice(["en", "id"]), help="Language of the text [default: from the locale].")
def explain_command(check: str, form: str, lang: str | None) -> None:
    """Show the page of one check: what it looks at, why it matters, how to put it right."""
    from diagnose import registry
    from diagnose.errors import UnknownName

    known = registry.by_id()
    if check not in known:
        import difflib

        near = difflib.get_close_matches(check, list(known), 1)
        raise UnknownName(
            Phrase(
                "there is no check '{check}'{hint}",
                check=check,
                hint=Phrase("; did you mean '{near}'?", near=near[0]) if near else "; `diagnose checks` lists them",
            )
        )
    found = known[check]
    if form == "json":
        write_json({**_row(found), "page": found.page.strip()})
        return
    from diagnose.render.pages import page
    from diagnose.render.words import Words

    words = Words(language(lang))
    said = f"{found.id} ({found.link})\n\n{page(found.page, words)}"
    if found.because:
        said += f"\n\n{words('Can be explained by')}\n    {', '.join(found.because)}"
    write("\n".join(map(safe, said.split("\n"))))


@click.command("checks")
@checks_option
@click.option(
    "--format", "form", type=FORMATS, default="text", show_default=True, help="Text for people, JSON for machines."
)
@click.option("--lang", type=click.Choice(["en", "id"]), help="Language of the text [default: from the locale].")
def checks_command(form: str, lang: str | None) -> None:
    """List every check with the fault it finds."""
    from diagnose import registry

    if form == "json":
        write_json([_row(check) for check in registry.checks()])
        return
    from diagnose.render.words import Words

    words = Words(language(lang))
    last = None
    for check in registry.checks():
        if check.link is not last:
            click.echo(("" if last is None else "\n") + click.style(str(check.link), bold=True))
            last = check.link
        click.echo(f"  {check.id:<28} {safe(words(check.fault))}")


def _row(check: Any) -> dict[str, Any]:
    return {
        "id": check.id,
        "link": str(check.link),
        "fault": check.fault,
        "because": list(check.because),
        "reads": list(check.reads),
    }


@click.command()
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
            data = standard_input() if file == "-" else open_bytes(Path(file))
        except OSError as error:
            complain(Phrase("{file}: {why}", file=file, why=error.strerror or error))
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
        write_json(shown if len(files) > 1 else shown[0])
    sys.exit(code)


def _validation(file: str, valid: bool, errors: list[dict[str, Any]], total: int) -> None:
    lines = [f"{file}:{e['line']}:{e['column']}: {e['pointer'] or '/'}: {e['message']}" for e in errors]
    rest = Phrase(" ({n} more not shown)", n=total - len(errors)) if total > len(errors) else ""
    told = Phrase(
        "{file}: invalid, {total} error{rest}" if total == 1 else "{file}: invalid, {total} errors{rest}",
        file=file,
        total=total,
        rest=rest,
    )
    lines.append(say(Phrase("{file}: valid", file=file) if valid else told))
    try:
        write("\n".join(map(safe, lines)))
    except BrokenPipeError:
        leave_quietly()


@click.command("schema")
@click.argument("name", required=False)
def schema_command(name: str | None) -> None:
    """Print a JSON Schema; without NAME, list them."""
    from diagnose import schema

    if name is None:
        for known in schema.names():
            click.echo(known)
        return
    write(schema.text(name).rstrip())
