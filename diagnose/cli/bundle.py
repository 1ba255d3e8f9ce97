"""The command that packs what is handed to somebody else: `bundle`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diagnose import case_file, explain, mask
from diagnose.cli.answers import (
    KINDS,
    Shown,
    evidence_options,
    exit_code,
    gatherer,
    look,
    read_files,
    selecting_options,
    told_notes,
    wish_of,
)
from diagnose.cli.terminal import language, profile_of, safe, say, tell, write, write_json
from diagnose.errors import Exit, NothingReadable
from diagnose.model import Phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diagnose import bundle as packed
    from diagnose import examine
    from diagnose.collect import Bundle

REPORTS = {"report.html": "html", "report.md": "markdown", "diagnosis.json": "json"}


@click.command()
@evidence_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.zip",
    help="Where the archive is written.",
)
@click.option("--dry-run", is_flag=True, help="List what would go in, and what not; write nothing.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the list."
)
@selecting_options
def bundle(output: Path | None, dry_run: bool, form: str, **options: Any) -> None:
    """Pack the evidence of one generation, masked, to hand it to somebody else.

    Takes what `checklist` takes. The archive holds the files that tell of this
    generation, the case, the report, and a manifest: the SHA-256 of each file, what
    was left out or cut and why, and each masking by rule, file and line. Before it is
    written, it is searched for every secret that was seen and for all that looks
    like one; a bundle in which one is left is not written.

    `diagnose checklist case.zip` gives the same answer, on any machine.
    """
    if output is None and not dry_run:
        raise click.UsageError("name the archive with -o FILE.zip, or list what would go in with --dry-run")
    if output is not None:
        _protect(output, options)
    profile = profile_of(options["profile_name"])
    wish = wish_of(options)
    kept: list[Bundle] = []
    gather = gatherer(options, profile, wish)

    def gathered() -> Bundle:
        kept.append(gather())
        return kept[-1]

    with mask.seen() as seen:
        examined = look(gathered, profile, wish, {**options, "verbose": 0})
        if not examined.readable:
            raise NothingReadable(Phrase.joined("; ", dict.fromkeys(case_file.notes(examined.cases[0]))))
        planned, data, manifest = _packed(kept[-1], examined, options, seen)
    if dry_run or output is None:
        write_json(manifest) if form == "json" else write(_listed(manifest, planned))
        return
    _protect(output, {"paths": read_files(kept[-1])})
    _write(output, data)
    if form == "json":
        write_json(manifest)
    else:
        write(_listed(manifest, planned))
        tell(
            Phrase(
                "written: {output} ({size} bytes); repeat its answer with: diagnose checklist {output}",
                output=output,
                size=f"{len(data):,}",
            )
        )
    if examined.interrupted:
        raise click.Abort
    sys.exit(Exit.OK)


def _protect(output: Path, options: Mapping[str, Any]) -> None:
    given = [*options["paths"], *(name for kind in KINDS for name in options.get(kind, ()))]
    if any(output.exists() and Path(name).exists() and output.samefile(name) for name in given):
        raise click.BadParameter(
            Phrase("'{output}' is evidence itself and is not overwritten", output=output), param_hint="--output"
        )
    if not output.parent.is_dir():
        raise click.BadParameter(
            Phrase("'{output}': there is no folder '{parent}'", output=output, parent=output.parent),
            param_hint="--output",
        )


def _packed(
    gathered: Bundle, examined: examine.Examined, options: Mapping[str, Any], seen: set[str]
) -> tuple[packed.Plan, bytes, dict[str, Any]]:
    """The archive. What its report says is what will be said of it."""
    from diagnose import bundle as packed

    case = examined.cases[0]
    planned = packed.plan(gathered.origins, case, seen)
    masked = case_file.masked(case)
    found = explain.diagnose(masked, notes=told_notes(masked, examined, {"verbose": 0}))
    inside = {item.name.removeprefix("evidence/"): [item.text.encode()] for item in planned.items if not item.cut}
    shown = Shown([found], True, {**options, "verbose": 0}, inside, exit_code(found, None, False))
    reports = {name: shown.render(form) + "\n" for name, form in REPORTS.items()}
    facts = {
        "profile": case.profile.name,
        "language": language(options["lang"]),
        "answer": {"outcome": found.outcome, "root": found.root.check if found.root else None},
        "checks": _checks(),
    }
    data, manifest = packed.pack(planned, case, reports, mask.value(facts), seen)
    return planned, data, manifest


def _checks() -> dict[str, str]:
    """Each check with a hash of what it says of itself, so that two versions of one can be told apart."""
    import hashlib

    from diagnose import registry

    return {check.id: hashlib.sha256(check.page.encode()).hexdigest()[:12] for check in registry.checks()}


def _write(output: Path, data: bytes) -> None:
    """The whole archive or nothing of it."""
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=".diagnose-", delete=False) as file:
            file.write(data)
        try:
            Path(file.name).chmod(0o644 & ~_umask())
            Path(file.name).replace(output)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise click.BadParameter(
            Phrase("'{output}': {why}", output=output, why=error.strerror or error), param_hint="--output"
        ) from None


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def _listed(manifest: Mapping[str, Any], planned: packed.Plan) -> str:
    """What goes in, in lines."""
    masked: dict[str, int] = {}
    for one in manifest["maskings"]:
        masked[one["file"]] = masked.get(one["file"], 0) + 1
    cuts = {item.name: item.cut for item in planned.items if item.cut}
    lines = [
        f"{item['bytes']:>10,}  {item['name']}"
        + (f"  ({say(cuts[item['name']])})" if item["name"] in cuts else "")
        + (f"  {say(Phrase('masked: {n}', n=masked[item['name']]))}" if item["name"] in masked else "")
        for item in manifest["files"]
    ]
    lines += [f"{say('left out'):>10}  {left.name}: {say(left.why)}" for left in planned.left_out]
    return "\n".join(safe(line) for line in lines)
