"""The option that lets the checks of a folder stand beside ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def _use(_context: click.Context, _parameter: click.Parameter, folder: Path | None) -> None:
    if folder is not None:
        from diagnose import registry

        registry.use(folder)


def checks_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--checks`. It is read before all others, since the names that they take can be those of its checks."""
    return click.option(
        "--checks",
        type=click.Path(path_type=Path),
        metavar="DIR",
        callback=_use,
        expose_value=False,
        is_eager=True,
        help="Checks of your own beside ours: one Python file each.  [default: DIAGNOSE_CHECKS]",
    )(command)
