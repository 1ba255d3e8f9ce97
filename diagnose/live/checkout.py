"""Looks at a folder of source on disk: what was changed last, which routes it declares, which commit it stands at.

No program is run for it: git's own files say where a checkout stands.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from diagnose.collect import source
from diagnose.model import Evidence, Witness

MAX_FILES = 5000
SECONDS = 1.5
"""How long a folder is walked; what lies further in is not seen."""
_SKIPPED = source.SKIPPED | {"alembic", "scripts", "docs", "examples", "site-packages", "dist-packages"}
_TEST = re.compile(r"(?:test_.*|.*_test|conftest|setup)\.py")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Newest(NamedTuple):
    """The file that was changed last."""

    file: str
    modified: float


def read(folder: Path, given: bool) -> Evidence | None:
    """What a folder, or one file, holds; None where there is no Python. `given`: the user says it is the source."""
    newest = _newest(folder)
    if newest is None:
        return None
    server = source.server(folder)
    top = folder.parent if folder.is_file() else folder
    fields = {
        "folder": os.path.realpath(top),
        "file": newest.file,
        "modified": newest.modified,
        "changed": local(newest.modified),
        "routes": [{"method": r.method, "path": r.path, "source": r.source} for r in server.routes],
        "starts": server.starts,
        "entry": server.entry,
        "commit": commit(top),
        "given": given,
    }
    return Evidence("live.source", str(top / newest.file), Witness.OBSERVED, fields)


def local(seconds: float) -> str | None:
    """A time of this machine's clock as it is written here."""
    try:
        return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
    except (OSError, OverflowError, ValueError):
        return None


def _newest(folder: Path) -> Newest | None:
    found: Newest | None = None
    for path, name in _python(folder):
        with contextlib.suppress(OSError):
            modified = path.stat().st_mtime
            if found is None or modified > found.modified:
                found = Newest(name, modified)
    return found


def _python(folder: Path) -> Iterator[tuple[Path, str]]:
    if folder.is_file():
        yield folder, folder.name
        return
    until, seen = time.monotonic() + SECONDS, 0
    for top, folders, names in os.walk(folder):
        inside = [d for d in folders if d not in _SKIPPED and not d.startswith(".")]
        # an environment of packages, whatever its name
        folders[:] = sorted(d for d in inside if not (Path(top) / d / "pyvenv.cfg").exists())
        for name in sorted(names):
            seen += 1
            if name.endswith(".py") and not _TEST.fullmatch(name):
                path = Path(top) / name
                yield path, path.relative_to(folder).as_posix()
        if seen > MAX_FILES or time.monotonic() > until:
            return


# --- git --------------------------------------------------------------------------------------------------------------


def commit(folder: Path) -> str | None:
    """The commit that is checked out in a folder or above it; None where that cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        place = folder.resolve()
        for above in (place, *list(place.parents)[:12]):
            if (above / ".git").exists():
                return _head(above / ".git")
    return None


def _head(git: Path) -> str | None:
    if git.is_file():  # a worktree or a submodule
        named = _line(git).removeprefix("gitdir:").strip()
        git = (git.parent / named).resolve()
    head = _line(git / "HEAD")
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else None
    ref = head.removeprefix("ref:").strip()
    if not ref.startswith("refs/") or ".." in ref:
        return None
    common = (git / _line(git / "commondir")).resolve() if (git / "commondir").is_file() else git
    for place in (git, common):
        found = _line(place / ref) if (place / ref).is_file() else ""
        if _COMMIT.fullmatch(found):
            return found
    return _packed(common / "packed-refs", ref)


def _packed(file: Path, ref: str) -> str | None:
    with contextlib.suppress(OSError), file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            sha, _, name = line.strip().partition(" ")
            if name == ref and _COMMIT.fullmatch(sha):
                return sha
    return None


def _line(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as text:
        return text.readline(4096).strip()
