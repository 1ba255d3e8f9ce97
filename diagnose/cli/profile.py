"""The commands about profiles: `profile init`, `profile show`, `profile check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diagnose.cli.terminal import FORMATS, safe, say, tell, write, write_json
from diagnose.errors import Exit, NothingReadable
from diagnose.model import Phrase

if TYPE_CHECKING:
    from diagnose.profile_draft import Draft

_form = click.option(
    "--format", "form", type=FORMATS, default="text", show_default=True, help="Text for people, JSON for machines."
)


@click.group()
def profile() -> None:
    """Draft, show and check a profile: what is meant to happen in the backend.

    A profile is TOML: --profile FILE, DIAGNOSE_PROFILE, ./diagnose.toml, or
    [tool.diagnose] in ./pyproject.toml.
    """


@profile.command()
@click.argument("evidence", nargs=-1, metavar="[EVIDENCE]...")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write to this file."
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--name", default="drafted", show_default=True, help="The profile's name.")
def init(evidence: tuple[str, ...], output: Path | None, force: bool, name: str) -> None:
    """Draft a profile from evidence.

    EVIDENCE is the backend's source folder, its log, its prompt log, in any mix;
    without any, the current folder. Each value stands with where it comes from. Where
    witnesses disagree the strongest is believed, and the others are named.
    """
    from diagnose import profile as profiles
    from diagnose import profile_draft

    if output is not None and output.exists() and not force:
        raise click.BadParameter(
            Phrase("'{file}' is there already; --force writes over it", file=output), param_hint="-o"
        )
    found = _draft(evidence or (".",))
    text = profile_draft.toml(found, safe(name)[:100] or "drafted")
    profiles.parse(text, "the draft")
    for key in ("models.image_to_image", "models.text_to_image"):
        if key not in found.chosen:
            tell(Phrase("{key}: nothing in the evidence names it; the default is written, put yours there", key=key))
    for key, others in found.conflicts.items():
        told = found.chosen.get(key)
        said = ", ".join(f"{other.value!r} ({other.source})" for other in others)
        if told is None:
            tell(Phrase("{key}: left out, since it is told in several ways: {others}", key=key, others=said))
        else:
            mine = f"{told.value!r} ({told.source})"
            tell(Phrase("{key}: {value} is believed; told otherwise: {others}", key=key, value=mine, others=said))
    if output is None:
        write(text.rstrip("\n"))
        return
    try:
        with output.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise click.BadParameter(
            Phrase("'{file}' is there already; --force writes over it", file=output), param_hint="-o"
        ) from None
    except OSError as error:
        raise click.BadParameter(f"'{output}': {error.strerror or error}", param_hint="-o") from None
    tell(Phrase("written: {file} ({form})", file=output, form="profile"))


def _draft(evidence: tuple[str, ...]) -> Draft:
    """What the evidence says. Raises NothingReadable."""
    from diagnose import profile_draft

    bundle = profile_draft.gathered([Path(name) for name in evidence if name != "-"], _stdin(evidence))
    if bundle.given == {"case"}:
        raise NothingReadable(
            Phrase("'{name}': a saved case holds no source; give the evidence it was made of", name=bundle.cases[0][0])
        )
    return profile_draft.draft(bundle)


def _stdin(evidence: tuple[str, ...]) -> bytes | None:
    from diagnose.cli.terminal import standard_input

    return standard_input() if "-" in evidence else None


@profile.command()
@click.argument("wanted", required=False, metavar="[NAME|FILE]")
@_form
def show(wanted: str | None, form: str) -> None:
    """Show the profile in force: where it was found, and each key with its value."""
    from diagnose import mask
    from diagnose import profile as profiles

    found = profiles.find(wanted, Path.cwd())
    rows = [
        {"key": mask.text(key), "value": mask.value(value), "declared": key in found.profile.declared}
        for key, value in profiles.settings(found.profile)
    ]
    if form == "json":
        write_json({"profile": found.profile.name, "where": mask.text(found.where), "by": found.by, "settings": rows})
        return
    led = {
        "argument": Phrase("named on the command line"),
        "DIAGNOSE_PROFILE": Phrase("named by DIAGNOSE_PROFILE"),
        "folder": Phrase("found in this folder"),
        "default": Phrase("the default: nothing names another"),
    }
    write(safe(say(Phrase("{where} ({led})", where=found.where, led=say(led[found.by])))))
    width = max(len(str(row["key"])) for row in rows)
    for row in rows:
        mark = say("declared") if row["declared"] else say("default")
        write(safe(f"  {row['key']:<{width}}  {row['value']}  ({mark})"))


@profile.command()
@click.argument("files", nargs=-1, metavar="[NAME|FILE] [EVIDENCE]...")
@_form
def check(files: tuple[str, ...], form: str) -> None:
    """Check a profile, and compare it with evidence.

    The first argument is the profile where it is a built-in name or ends in .toml;
    else it is the profile in force. Exit code 0, 2 for a profile that cannot be used,
    1 where the evidence says something else.
    """
    from diagnose import mask, profile_draft
    from diagnose import profile as profiles

    named = files[0] if files and (files[0] in profiles.BUILT_IN or files[0].lower().endswith(".toml")) else None
    evidence = files[1:] if named is not None else files
    found = profiles.find(named, Path.cwd())
    remarks = profile_draft.remarks(found.profile)
    different = profile_draft.differences(found.profile, _draft(evidence)) if evidence else ()
    code = Exit.NOT_SOUND if different else Exit.OK
    if form == "json":
        rows: list[dict[str, Any]] = [
            {"key": d.key, "declared": d.declared, "seen": d.seen, "source": d.source} for d in different
        ]
        shown = {
            "profile": found.profile.name,
            "where": found.where,
            "valid": True,
            "warnings": [str(remark) for remark in remarks],
            "differences": rows,
        }
        write_json(mask.value(shown))
        sys.exit(code)
    for remark in remarks:
        write(safe(say(Phrase("warning: {text}", text=remark))))
    for d in different:
        said = Phrase(
            "differs: {key} is {declared} in the profile, and {seen} in the evidence ({source})",
            key=d.key,
            declared=repr(d.declared),
            seen=repr(d.seen),
            source=d.source,
        )
        write(safe(say(said)))
    if different:
        write(
            safe(
                say(Phrase("{where}: valid, and the evidence differs in {n} keys", where=found.where, n=len(different)))
            )
        )
    elif evidence:
        write(safe(say(Phrase("{where}: valid, and the evidence says the same", where=found.where))))
    else:
        write(safe(say(Phrase("{where}: valid", where=found.where))))
    sys.exit(code)
