"""The commands that give an answer: `latest-log` and `checklist`."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from diagnose import case_file, examine, explain, normalise
from diagnose.cli.output import deliver, machine, output_options, protect, targets
from diagnose.cli.plugins import checks_option
from diagnose.cli.terminal import (
    complain,
    language,
    open_console,
    profile_of,
    progress,
    safe,
    standard_input,
    tell,
    write,
)
from diagnose.errors import Exit, NothingReadable
from diagnose.model import Case, Diagnosis, Phrase, Profile

if TYPE_CHECKING:
    from diagnose.collect import Bundle
    from diagnose.live.targets import Wish
    from diagnose.render import report
    from diagnose.render.words import Words

EXPECTED = click.Choice(["image-to-image", "text-to-image"])
KINDS = ("prompt_log", "backend_log", "response", "request", "har", "console", "source")
WHERE = ("prompt_log.json", "backend/prompt_log.json")


def selecting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that gives an answer."""
    options = [
        checks_option,
        click.option(
            "--profile",
            "profile_name",
            metavar="NAME|FILE",
            help="What is meant to happen: seed, flux-2-edit, or a TOML file.",
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
        click.option(
            "-v",
            "--verbose",
            count=True,
            help="Every check, and how the evidence was read; -vv also tells what was asked of whom.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def evidence_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What evidence can be named, and where may be looked."""
    options = [
        click.argument("paths", nargs=-1, metavar="[FILE|FOLDER|-]..."),
        click.option("--prompt-log", "prompt_log", multiple=True, metavar="FILE", help="A prompt_log.json."),
        click.option(
            "--backend-log",
            "backend_log",
            multiple=True,
            metavar="FILE",
            help="The backend's log; rotated and .gz logs too.",
        ),
        click.option("--response", multiple=True, metavar="FILE", help="The API's answer, whole or its body."),
        click.option(
            "--request", "request", multiple=True, metavar="FILE", help="The request, whole or its body, or a HAR."
        ),
        click.option("--har", multiple=True, metavar="FILE", help="What the browser's network panel saved."),
        click.option("--console", multiple=True, metavar="FILE", help="What the browser's console saved."),
        click.option("--source", multiple=True, metavar="FOLDER", help="The backend's source folder."),
        click.option("--backend-url", metavar="URL", help="Look at the backend that runs at this address."),
        click.option(
            "--supabase-url", metavar="URL", help="Look at this project's Storage; without --live, with no key."
        ),
        click.option(
            "--live",
            is_flag=True,
            help="Look at the backend, Storage and fal that the profile, the environment and .env name.",
        ),
        click.option("--online", is_flag=True, help="Fetch fal's public schemas of the models, and keep them."),
        click.option(
            "--allow-host",
            multiple=True,
            metavar="HOST",
            help="Fetch addresses of this host that stand in the evidence; never private ones.",
        ),
        click.option(
            "--probe-upload",
            is_flag=True,
            help="With --live: write one small object to the bucket, fetch it, and remove it.",
        ),
        click.option(
            "--deadline",
            type=click.FloatRange(min=0, min_open=True, max=3600),
            default=10.0,
            show_default=True,
            metavar="SECONDS",
            help="How long looking may take; what has not answered by then is unknown.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command("latest-log")
@click.argument("file", required=False, metavar="[FILE|-]")
@click.option(
    "--at-offset",
    type=click.IntRange(min=0),
    metavar="BYTE",
    help="The generation that begins at this byte, or the first after it; `diagnose history` names it.",
)
@output_options()
@selecting_options
def latest_log(file: str | None, at_offset: int | None, **options: Any) -> None:
    """Explain the newest entry of a prompt log.

    FILE is prompt_log.json in any state, or a pasted ticket; `-` reads standard
    input. Without FILE: ./prompt_log.json, ./backend/prompt_log.json, or the place
    the profile names.
    """
    from diagnose import collect

    profile = profile_of(options["profile_name"])

    if at_offset is not None and any(options[name] is not None for name in ("entry", "at", "match")):
        raise click.UsageError("--at-offset names one generation; --entry, --at and --match name another")
    if at_offset is not None and file == "-":
        raise click.UsageError("--at-offset needs a file")

    def gather() -> collect.Bundle:
        if at_offset is not None:
            from diagnose.collect import place

            return place.read(place.Spot(str(found_log(file, profile)), byte=at_offset))
        if file == "-":
            return collect.gather([], stdin=standard_input(), otherwise="prompt_log")
        return collect.gather([found_log(file, profile)], otherwise="prompt_log")

    _answer(gather, profile, None, checklist=False, file=file, **options)


@click.command()
@evidence_options
@output_options()
@selecting_options
def checklist(**options: Any) -> None:
    """Answer the seven questions of the troubleshooting checklist.

    Evidence is recognised by its content: logs, prompt logs, requests, answers, HAR
    files, consoles, .env files, source folders and saved cases in any mix; `-` is
    standard input. Files whose kind you know can be named with an option.

    Nothing is contacted unless an address is given, or --live: then the running
    backend, Storage and fal are looked at, read-only and all at once, and joined to
    the files.
    """
    profile = profile_of(options["profile_name"])
    wish = wish_of(options)
    gather = gatherer(options, profile, wish)
    _answer(gather, profile, wish, checklist=True, **options)


@click.command()
@evidence_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Where the case is written; `-` is standard output.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), hidden=True, expose_value=False)
@selecting_options
def collect(output: Path, **options: Any) -> None:
    """Save the evidence of one generation, so that its answer can be repeated anywhere.

    Takes what `checklist` takes. The case holds everything that was seen, masked:
    `diagnose checklist case.json` gives the same answer from it, without the files
    and without a network.
    """
    from diagnose import case_file

    if options["every"]:
        raise click.UsageError("a case is one generation; choose it with --entry, --at or --match instead of --all")
    given = [*options["paths"], *(name for kind in KINDS for name in options[kind])]
    if any(output.exists() and Path(name).exists() and output.samefile(name) for name in given):
        raise click.BadParameter(
            Phrase("'{output}' is evidence itself and is not overwritten", output=output), param_hint="--output"
        )
    profile = profile_of(options["profile_name"])
    wish = wish_of(options)
    examined = look(gatherer(options, profile, wish), profile, wish, options)
    if not examined.readable:
        raise NothingReadable(Phrase.joined("; ", dict.fromkeys(case_file.notes(examined.cases[0]))))
    text = case_file.dumps(examined.cases[0])
    if str(output) == "-":
        write(text)
    else:
        try:
            output.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise click.BadParameter(
                Phrase("'{output}': {why}", output=output, why=error.strerror or error), param_hint="--output"
            ) from None
        said = Phrase(
            "{evidence} pieces of evidence are in {output}; repeat the answer with: diagnose checklist {output}",
            evidence=len(examined.cases[0].evidence),
            output=output,
        )
        tell(said)
    if examined.interrupted:
        raise click.Abort
    sys.exit(Exit.OK)


def wish_of(options: dict[str, Any]) -> Wish | None:
    """Where may be looked; None: nowhere."""
    from diagnose.live.ask import origin
    from diagnose.live.targets import Wish

    wish = Wish(
        backend_url=options["backend_url"],
        supabase_url=options["supabase_url"],
        live=options["live"],
        online=options["online"],
        allowed=frozenset(host.lower() for host in options["allow_host"]),
        write=f"diagnose-probe-{uuid.uuid4()}.png" if options["probe_upload"] else None,
        source=tuple(Path(folder) for folder in options["source"]),
    )
    if not options["deadline"] > 0:  # "nan" is in every range
        raise click.BadParameter("it is a number of seconds", param_hint="--deadline")
    if wish.write and not wish.live:
        raise click.UsageError("--probe-upload needs the key of the environment: add --live")
    for name, url in (("--backend-url", wish.backend_url), ("--supabase-url", wish.supabase_url)):
        if url is not None and origin(url) is None:
            raise click.BadParameter(Phrase("'{url}' is not an http(s) address", url=url), param_hint=name)
    return wish if wish.any and not options["offline"] else None


def gatherer(options: dict[str, Any], profile: Profile, wish: Wish | None) -> Callable[[], Bundle]:
    """Collects what the command line names; where it names nothing, what stands in the usual places."""
    from diagnose import collect

    named = [(kind, Path(name)) for kind in KINDS for name in options[kind]]
    paths = options["paths"]

    def gather() -> Bundle:
        given = standard_input() if "-" in paths else None
        files = [Path(path) for path in paths if path != "-"]
        if not files and not named and given is None:
            files = _usual(profile, must=wish is None)
        every = options["every"] or any(options[key] is not None for key in ("entry", "at", "match"))
        return collect.gather(files, named, given, every=every)

    return gather


def _usual(profile: Profile, must: bool) -> list[Path]:
    """The prompt log in its usual place, and the backend's log beside it."""
    try:
        prompt_log = found_log(None, profile)
    except NothingReadable:
        if must:
            raise
        return []  # there is a living system to look at
    beside = prompt_log.with_name("backend.log")
    return [prompt_log, beside] if beside.is_file() else [prompt_log]


def look(
    gather: Callable[[], Bundle], profile: Profile, wish: Wish | None, options: dict[str, Any]
) -> examine.Examined:
    """The cases. Raises NothingReadable."""
    began = time.monotonic()
    bundle = gather()
    selector = normalise.Selector(options["entry"], options["at"], options["match"])
    if bundle.cases:
        if wish is not None:
            raise click.UsageError(
                "a saved case is answered as it was; looking at the living system needs the originals"
            )
        return examine.saved(bundle, profile if options["profile_name"] else None)
    if wish is None:
        return examine.examine(bundle, profile, selector, options["every"])
    if wish.write:
        said = Phrase(
            "--probe-upload: one object, {write}, is written to the bucket and removed again", write=wish.write
        )
        tell(said)
    with progress() as told:
        looking = examine.Looking(wish, began + options["deadline"], told)
        examined = examine.examine(bundle, profile, selector, options["every"], looking)
    for line in examined.asked if options["verbose"] > 1 else ():
        click.echo(safe(line), err=True)
    return examined


def _answer(
    gather: Callable[[], Bundle], profile: Profile, wish: Wish | None, checklist: bool, **options: Any
) -> NoReturn:
    """Diagnose, print, and exit with the answer's code."""
    wanted = targets(options["forms"], options["outputs"])
    protect(wanted, _named(options))
    collected: list[Bundle] = []

    def kept() -> Bundle:
        collected.append(gather())
        return collected[-1]

    try:
        examined = look(kept, profile, wish, options)
    except NothingReadable as error:
        if not machine(wanted):
            raise
        complain(error.message)  # the document says it as well: machines read stdout
        examined = examine.nothing(profile, [error.message, examine.NOTHING])
    diagnoses = [explain.diagnose(case, notes=told_notes(case, examined, options)) for case in examined.cases]
    if not examined.readable and not machine(wanted) and all(d.root is None for d in diagnoses):
        raise NothingReadable(Phrase.joined("; ", dict.fromkeys(diagnoses[0].notes)))
    protect(wanted, read_files(collected[-1]) if collected else ())
    code = max((exit_code(d, options["expect"], not examined.readable) for d in diagnoses), key=_worst)
    origins = collected[-1].origins if collected else {}
    deliver(wanted, Shown(diagnoses, checklist, options, origins, code).render)
    if examined.interrupted:
        raise click.Abort
    sys.exit(code)


def read_files(bundle: Bundle) -> list[str]:
    """The files in which something was recognised."""
    return [str(p) for name in bundle.read for p in bundle.origins.get(name, ()) if isinstance(p, Path)]


def _named(options: dict[str, Any]) -> list[str]:
    """The evidence that the command line names."""
    named = [*options.get("paths", ()), *(name for kind in KINDS for name in options.get(kind, ()))]
    return [*named, *([options["file"]] if options.get("file") else [])]


def told_notes(case: Case, examined: examine.Examined, options: dict[str, Any]) -> list[str]:
    """How the evidence was read, as far as the reader needs it."""
    notes = case_file.notes(case)
    if options["verbose"] or not examined.readable:
        return notes
    telling = ("ticket", "were read", "was left out")
    return [note for note in notes if note.startswith("--live") or any(word in note for word in telling)]


def _worst(code: Exit) -> int:
    """Of many answers the exit code is the worst one's."""
    return [Exit.OK, Exit.NOTHING_READABLE, Exit.UNDETERMINED, Exit.NOT_SOUND].index(code)


def exit_code(d: Diagnosis, expected: str | None, unreadable: bool) -> Exit:
    """The exit code of one answer, the same in every format."""
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


def faults() -> dict[str, str]:
    """What each check finds, in a sentence."""
    from diagnose import registry

    return {check.id: check.fault for check in registry.checks()}


def check_pages() -> dict[str, str]:
    """The page of each check."""
    from diagnose import registry

    return {check.id: check.page for check in registry.checks()}


class Shown:
    """Answers, and how they are shown in each format."""

    def __init__(
        self,
        diagnoses: Sequence[Diagnosis],
        checklist: bool,
        options: Mapping[str, Any],
        origins: Mapping[str, Sequence[Path | bytes]],
        code: int,
    ) -> None:
        self.diagnoses, self.checklist, self.options, self.origins, self.code = (
            diagnoses,
            checklist,
            options,
            origins,
            code,
        )

    def render(self, form: str, to_file: bool = False) -> str:
        """The document of a format."""
        from diagnose.render.words import Words

        words = Words(language(self.options["lang"]))
        match form:
            case "json":
                from diagnose.render import document

                return document.dumps(list(self.diagnoses), bool(self.options.get("every")))
            case "text":
                return self.text(words, to_file)
            case "junit":
                from diagnose.render import junit

                return junit.diagnoses(self.diagnoses, words, self.code)
            case "sarif":
                from diagnose.render import sarif

                return sarif.diagnoses(self.diagnoses, words, self.code, check_pages())
            case _:
                from diagnose.render import html, markdown

                reports = self.reports(words, verbose=form == "html")
                return html.dumps(reports, words) if form == "html" else markdown.dumps(reports, words)

    def reports(self, words: Words, verbose: bool) -> list[report.Report]:
        """What Markdown and HTML show, with what stands at the places of the proof."""
        from diagnose import excerpts
        from diagnose.render import report

        proofs = [found for found in map(report.proof, self.diagnoses) if found is not None]
        # of settings only names and shapes are shown, which the evidence says itself
        sources = (e.source for found in proofs for e in found.evidence if e.kind != "env.setting")
        around = excerpts.of(sources, self.origins)
        verbose = verbose or bool(self.options["verbose"])
        return [report.of(d, words, verbose=verbose, excerpts=around) for d in self.diagnoses]

    def text(self, words: Words, to_file: bool) -> str:
        """The screens under each other; in a file without colours, as wide as a page."""
        from diagnose.render.text import Page

        shown_on = open_console("never", 100) if to_file else open_console(self.options["color"])
        page = Page(shown_on, words, bool(self.options["verbose"]))
        with shown_on.capture() as shown:
            for index, d in enumerate(self.diagnoses):
                if index:
                    page.rule()
                page.show(d, self.checklist)
        return str(shown.get()).rstrip("\n")


def found_log(file: str | None, profile: Profile) -> Path:
    """The file that was named, or the first of the usual places that exists."""
    if file is not None:
        return Path(file)
    places = dict.fromkeys([*WHERE, profile.prompt_log])
    for place in places:
        if Path(place).is_file():
            return Path(place)
    raise NothingReadable(
        Phrase(
            "no prompt log found in {cwd}: looked for {names}; name a file, e.g. diagnose latest-log path/to/prompt_log.json",
            cwd=Path.cwd(),
            names=", ".join(places),
        )
    )
