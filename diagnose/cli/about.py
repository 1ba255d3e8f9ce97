"""What `diagnose --version` says: enough to repeat a fault elsewhere, and nothing about whose machine it is."""

from __future__ import annotations

import locale
import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from diagnose import __version__
from diagnose.cli.terminal import language

NAME = "diagnose-generation"
_SETTINGS = ("DIAGNOSE_LANG", "DIAGNOSE_PROFILE", "DIAGNOSE_CHECKS", "NO_COLOR", "PYTHONUTF8", "PYTHONIOENCODING")


def lines(verbose: bool) -> Iterator[str]:
    """The version; with `verbose` also the platform, encodings, the packages that are installed, and the checks."""
    yield f"diagnose, version {__version__}"
    if not verbose:
        return
    from diagnose import registry
    from diagnose.siblings import sibling

    yield f"python    {platform.python_implementation()} {platform.python_version()}"
    yield f"platform  {platform.system()} {platform.release()} {platform.machine()}"
    yield f"encoding  stdout {sys.stdout.encoding}, files {sys.getfilesystemencoding()}, locale {locale.getencoding()}"
    yield f"language  {language()}"
    yield f"set       {', '.join(name for name in _SETTINGS if name in os.environ) or '-'}"
    ours = {file.stem for file in Path(str(sibling("checks").__file__)).parent.glob("[a-z]*.py")}
    others = [check.id for check in registry.checks() if check.id not in ours]
    yield f"checks    {len(ours)}" + (f", and {', '.join(others)}" if others else "")
    for package, version in _packages():
        yield f"  {package:<20} {version}"


def _packages() -> Iterator[tuple[str, str]]:
    """The packages that this one names, with their versions."""
    from importlib import metadata

    try:
        named = metadata.requires(NAME) or []
    except metadata.PackageNotFoundError:
        return  # run from its sources: nothing says what it needs
    for name in sorted({re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0] for requirement in named} - {NAME}):
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "-"
