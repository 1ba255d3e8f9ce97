"""The command line: reads arguments, prints, and exits. One module for each family of commands."""

from __future__ import annotations

import gc
import io
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from diagnose.cli import about, answers, bundle, compare, contract, demo, help_texts, history, pages, profile, watch
from diagnose.cli.terminal import asked, complain, language, leave_quietly, say, tell, write
from diagnose.errors import DiagnoseError, Exit
from diagnose.model import Phrase
from diagnose.render.words import LANGUAGES


class Commands(click.Group):
    """The commands, in the order in which they are needed."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self.commands)

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Speak the language that is asked for before anything is said, help and errors included."""
        words = list(options.get("args") or (arguments[1] if len(arguments) > 1 else ()))
        asked(help_texts.wanted(words))
        help_texts.speak(self, language())
        return super().make_context(*arguments, **options)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], list(self.commands), 1)
            hint = Phrase(" Did you mean '{near}'?", near=near[0]) if near else ""
            raise click.UsageError(Phrase("{message}{hint}", message=error.message, hint=hint), ctx) from None


@click.group(
    cls=Commands,
    invoke_without_command=True,
    no_args_is_help=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, help="Show the version and exit.")
@click.option("--verbose", is_flag=True, help="With --version: everything that a report of a fault should say.")
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    expose_value=False,
    help="Language of all that is said.  [default: DIAGNOSE_LANG, or the locale]",
)
@click.pass_context
def cli(context: click.Context, version: bool, verbose: bool) -> None:
    """Says why a picture ignores the photo it was asked to start from.

    Begin with `diagnose latest-log` in the backend's folder, or with
    `diagnose checklist FILE...` for logs, prompt logs, requests and answers in any
    mix. `diagnose demo` shows it on a broken backend of its own.

    \b
    Exit codes: 0 sound or by design, 1 not sound, 2 usage, 3 undetermined,
    4 nothing readable, 130 interrupted.
    """
    if version:
        write("\n".join(about.lines(verbose)))
        context.exit()
    if context.invoked_subcommand is None:
        raise click.UsageError(say("Missing command."), context)


for command in (
    answers.latest_log,
    answers.checklist,
    watch.watch,
    history.history,
    compare.compare,
    answers.collect,
    bundle.bundle,
    pages.explain_command,
    pages.checks_command,
    pages.validate,
    pages.schema_command,
    profile.profile,
    contract.contract,
    demo.demo,
    demo.serve,
):
    cli.add_command(command)
help_texts.language_for_all(cli)


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
        tell("interrupted")
        sys.exit(Exit.INTERRUPTED)
    except click.ClickException as error:
        _usage(error)
        sys.exit(Exit.USAGE)
    except DiagnoseError as error:
        complain(error.message)
        sys.exit(error.exit)
    except BrokenPipeError:
        leave_quietly()
        sys.exit(Exit.OK)
    except Exception as error:
        _internal(error)


def _flush() -> None:
    sys.stdout.flush()


def _usage(error: click.ClickException) -> None:
    """click's own message, with nothing in it that commands the terminal."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
        tell(Phrase("Try '{command} --help' for help.", command=error.ctx.command_path))
        click.echo(err=True)
    vars(error)["message"] = say(error.message)
    tell(Phrase("Error: {message}", message=error.format_message()))


def _internal(error: Exception) -> NoReturn:
    import traceback

    from diagnose import mask

    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    complain(Phrase("internal error at {place}: {name}: {error}", place=place, name=type(error).__name__, error=error))
    tell("this is a fault of diagnose itself, not of your backend; please report this line")
    if os.environ.get("DIAGNOSE_DEBUG"):
        click.echo(mask.text("".join(traceback.format_exception(error))), err=True)
    sys.exit(Exit.INTERNAL)
