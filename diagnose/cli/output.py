"""Where answers go: to standard output or to files, each in a format of its own, several in one run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from diagnose.cli.terminal import leave_quietly, tell, write
from diagnose.model import Phrase

SUFFIXES = {
    ".txt": "text",
    ".json": "json",
    ".md": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xml": "junit",
    ".sarif": "sarif",
    ".csv": "csv",
}
"""The format that a file's name says."""
FORMATS = ("text", "json", "markdown", "html", "junit", "sarif")
STDOUT = "-"


class Target(NamedTuple):
    """An answer in one format, and where it goes."""

    form: str
    file: Path | None
    """None is standard output."""


def output_options(*more: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options `--format` and `-o`; `more` are formats beside the usual ones."""

    def applied(command: Callable[..., Any]) -> Callable[..., Any]:
        named = click.option(
            "--format",
            "forms",
            type=click.Choice([*FORMATS, *more]),
            multiple=True,
            help="Text for people, JSON for machines, Markdown for tickets, HTML to hand over, JUnit and SARIF for CI; several"
            " go with as many -o.  [default: text]",
        )
        given = click.option(
            "-o",
            "--output",
            "outputs",
            type=click.Path(dir_okay=False, allow_dash=True),
            multiple=True,
            metavar="FILE",
            help="Write to this file; without --format its name says the format (.html, .md, .json, .xml, .sarif, .txt)"
            " and the text is printed as well. Can be given several times; - is standard output.",
        )
        return named(given(command))

    return applied


def targets(forms: Sequence[str], outputs: Sequence[str], known: Sequence[str] = FORMATS) -> tuple[Target, ...]:
    """What goes where. Raises click's errors where that cannot be told."""
    if not outputs:
        if len(forms) > 1:
            raise click.UsageError("several formats need a -o FILE each; - is standard output")
        return (Target(forms[0] if forms else "text", None),)
    if len(set(outputs)) < len(outputs):
        raise click.UsageError("two -o name the same file")
    if forms and len(forms) != len(outputs):
        raise click.UsageError("give as many --format as -o, in the same order, or no --format")
    if forms:
        return tuple(Target(form, _file(name)) for form, name in zip(forms, outputs, strict=True))
    found = [Target(_said(name, known), _file(name)) for name in outputs]
    return tuple(found) if STDOUT in outputs else (Target("text", None), *found)


def _file(name: str) -> Path | None:
    return None if name == STDOUT else Path(name)


def _said(name: str, known: Sequence[str]) -> str:
    if name == STDOUT:
        return "text"
    form = SUFFIXES.get(Path(name).suffix.lower())
    if form is None or form not in known:
        endings = ", ".join(suffix for suffix, said in SUFFIXES.items() if said in known)
        raise click.BadParameter(
            Phrase(
                "'{name}' does not say its format: name it with --format, or end it in {endings}",
                name=name,
                endings=endings,
            ),
            param_hint="-o",
        )
    return form


def protect(wanted: Sequence[Target], evidence: Sequence[str]) -> None:
    """Refuse to write over what is read, or where nothing can be written."""
    for target in wanted:
        if target.file is None:
            continue
        try:
            over = [n for n in evidence if target.file.exists() and Path(n).exists() and target.file.samefile(n)]
        except (OSError, ValueError):
            over = []
        if over:
            raise click.BadParameter(
                Phrase("'{file}' is evidence itself and is not overwritten", file=target.file), param_hint="-o"
            )
        if not target.file.parent.is_dir():
            raise click.BadParameter(
                Phrase("'{file}': there is no folder '{parent}'", file=target.file, parent=target.file.parent),
                param_hint="-o",
            )


def machine(wanted: Sequence[Target]) -> bool:
    """Whether a document is wanted even where nothing could be read."""
    return any(target.form != "text" for target in wanted)


def deliver(wanted: Sequence[Target], render: Callable[[str, bool], str]) -> None:
    """Write each target; `render` makes the document of a format, and is told whether it goes to a file.

    A reader that has left is no fault. Raises click's errors for a file that cannot be written, after all others are.
    """
    failed: list[str] = []
    for target in sorted(wanted, key=lambda t: t.file is None):
        text = render(target.form, target.file is not None)
        if target.file is None:
            try:
                write(text)
            except BrokenPipeError:
                leave_quietly()
            continue
        try:
            target.file.write_text(text + "\n", encoding="utf-8", newline="\n")
            tell(Phrase("written: {file} ({form})", file=target.file, form=target.form))
        except OSError as error:
            failed.append(f"'{target.file}': {error.strerror or error}")
    sys.stdout.flush()
    if failed:
        raise click.BadParameter("; ".join(failed), param_hint="-o")
