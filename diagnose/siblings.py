"""The one door to `checks` and `schemas`. It lets no stranger's package of the same name in."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from diagnose.errors import StrangerPackage
from diagnose.model import Phrase

_HOME = Path(__file__).resolve().parent.parent


def sibling(name: str) -> ModuleType:
    """The package `name` that stands beside `diagnose`.

    Raises StrangerPackage for one that stands elsewhere, and does so before any of it runs.
    """
    if name not in sys.modules:
        _refuse_stranger(name, _place(name))
    module = importlib.import_module(name)
    _refuse_stranger(name, module.__file__ or str(module.__path__))
    return module


def _place(name: str) -> str | None:
    spec = PathFinder.find_spec(name)
    if spec is None:
        return None
    # A folder without an __init__.py has no origin; its search path says where it is.
    return spec.origin or next(iter(spec.submodule_search_locations or ()), None)


def _refuse_stranger(name: str, place: str | None) -> None:
    if place is None:
        raise StrangerPackage(
            Phrase(
                "the package '{name}' is missing: it belongs beside 'diagnose' in {HOME}. Install diagnose-generation again",
                name=name,
                HOME=_HOME,
            )
        )
    if Path(place).resolve() != _HOME / name / "__init__.py":
        raise StrangerPackage(
            Phrase(
                "another package named '{name}' stands before ours: {place}. Use the `diagnose` command instead of `python -m diagnose`, unset PYTHONPATH, and install diagnose-generation in an environment of its own (pipx or `uv tool install`)",
                name=name,
                place=place,
            )
        )
