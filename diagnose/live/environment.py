"""The settings as a backend started here would find them: the process's variables, then the files beside it.

Values are read only to look with; what is told of them is their name, their role and their shape.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from diagnose.collect import settings
from diagnose.collect.text import decode, open_bytes
from diagnose.model import Evidence, Witness

FILES = (
    ".env",
    "config.env",
    ".env.local",
    "backend/.env",
    "backend/config.env",
    "frontend/.env",
    "frontend/.env.local",
)
"""Where backends of this kind keep their settings, and their frontends the address they call."""
VARIABLES = "environment"
"""The name that stands for the process's own variables where a file's would stand."""
MAX_BYTES = 1_000_000
_OURS = re.compile(r"^(?:SUPABASE_|FAL_)")
"""Of the process's variables only these are looked at: others of like names belong to other programs."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting with its value."""

    name: str
    value: str = field(repr=False)
    file: str
    home: str = ""
    """The file it stands in, or the process's variables: a key and an address belong together where they share it."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Every setting, the one that wins first; and what may be told of them."""

    settings: tuple[Setting, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    def first(self, *patterns: str, home: str | None = None) -> Setting | None:
        """The setting that wins among the names that fit the first pattern which fits any; with `home` only of one's."""
        for pattern in patterns:
            for setting in self.settings:
                if home is not None and setting.home != home:
                    continue
                if re.fullmatch(pattern, setting.name, re.I) and setting.value.strip():
                    return setting
        return None


def read(variables: Mapping[str, str], given: Sequence[Path], folder: Path) -> Environment:
    """The variables, then the files in the usual places, then those that were given, which are evidence already."""
    found: list[Setting] = []
    for name, value in sorted(variables.items()):
        if is_ours(name):
            found.append(Setting(name, value, VARIABLES, VARIABLES))
    shown: list[Evidence] = list(told(variables, VARIABLES))
    known = {_real(path) for path in given}
    for place, path in _files(folder, frozenset()):
        found += _values(path, place, home=_real(path))
        shown += settings.read(_text(path), place) if _real(path) not in known else []
    for path in given:  # one's own settings win over those that were handed in
        found += _values(path, path.name, home=_real(path))
    return Environment(tuple(found), tuple(shown))


def is_ours(name: str) -> bool:
    """Whether a variable of a process can be the chain's."""
    return bool(_OURS.match(name))


def told(variables: Mapping[str, str], file: str) -> Iterator[Evidence]:
    """The chain's settings among a process's variables; `file` says whose they are."""
    for name, value in sorted(variables.items()):
        if is_ours(name):
            fields = {"name": name, "file": file, **settings.told(name, value)}
            yield Evidence("env.setting", f"{file}:{name}", Witness.OBSERVED, fields)


def beside(folder: Path) -> list[Evidence]:
    """The settings in the files of a folder and of the one above it, where the folder's own lack them.

    What stands in the usual places of the folder one looks from is told already.
    """
    known = {_real(path) for _, path in _files(Path.cwd(), frozenset())}
    shown: list[Evidence] = []
    for place in (folder, folder.parent):
        names = {e["name"] for e in shown}
        for _, path in _files(place, known):
            known.add(_real(path))
            shown += (e for e in settings.read(_text(path), str(path)) if e["name"] not in names)
    return shown


def _files(folder: Path, known: AbstractSet[str]) -> Iterator[tuple[str, Path]]:
    for place in FILES:
        path = folder / place
        with contextlib.suppress(OSError):
            if path.is_file() and _real(path) not in known:
                yield place, path


def _real(path: Path) -> str:
    return os.path.realpath(path)


def _values(path: Path, name: str, home: str = "") -> Iterator[Setting]:
    from dotenv import dotenv_values

    for key, value in dotenv_values(stream=io.StringIO(_text(path)), interpolate=False).items():
        if value is not None:
            yield Setting(key, value, name, home)


def _text(path: Path) -> str:
    try:
        return decode(open_bytes(path)[:MAX_BYTES]).text
    except OSError:
        return ""


def of_this_process(folder: Path, given: Sequence[Path]) -> Environment:
    """What this process sees."""
    return read(os.environ, given, folder)
