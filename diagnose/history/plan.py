"""Finds the files that are meant, tells what each is from its beginning, and cuts them into ranges."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from diagnose.collect import prompt_log
from diagnose.collect.text import GZIP_MAGIC, characters
from diagnose.errors import NothingReadable
from diagnose.history.entries import Question
from diagnose.history.ranges import RANGE, SEPARATOR, File, Task, opened
from diagnose.model import Phrase
from diagnose.model.history import Missed

HEAD = 1 << 18
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.I)
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".log", ".txt", ".out", ".err", ".gz")
_ROTATED = re.compile(r"\.log(?:[.\-_]\d{1,14}){0,3}(?:\.gz)?$", re.I)
_SKIPPED = {"node_modules", "__pycache__", "venv", "site-packages"}


class Plan(NamedTuple):
    """What is to be counted."""

    files: tuple[File, ...]
    missed: tuple[Missed, ...] = ()
    notes: tuple[str, ...] = ()

    def tasks(self, question: Question) -> Iterator[Task]:
        """Every range of every file, in order."""
        for file in self.files:
            yield from tasks(file, question)


def tasks(file: File, question: Question) -> Iterator[Task]:
    """The ranges of a file; one where it cannot be cut."""
    whole = file.size is None or file.size <= RANGE or (file.form == "array" and not file.separator)
    if whole or file.size is None:
        yield Task(file, 0, None, question)
        return
    for start in range(0, file.size, RANGE):
        end = start + RANGE
        yield Task(file, start, None if end >= file.size else end, question)


def plan(paths: Sequence[str], kind: str | None = None, offline: bool = False, scratch: str | None = None) -> Plan:
    """The files behind paths, folders, patterns and addresses.

    `kind`, `prompt_log` or `backend_log`, takes only files of this kind; `-` stands for the file `scratch`. Raises NothingReadable for a name that leads
    nowhere, and where none of the files is a prompt log or a backend's log.
    """
    found: list[File] = []
    missed: list[Missed] = []
    passed_over: list[str] = []
    for path, named in _names(paths, offline):
        try:
            file = look(scratch, len(found), "stdin") if path == "-" and scratch else look(path, len(found))
        except OSError as error:
            if named:
                raise NothingReadable(Phrase("'{path}': {why}", path=path, why=error.strerror or error)) from None
            missed.append(Missed(path, 0, None, error.strerror or str(error)))
            continue
        if file is None or (kind is not None and file.kind != kind):
            passed_over.append(path)
        else:
            found.append(file)
    if not found and not missed:
        asked = {"prompt_log": "prompt log", "backend_log": "backend's log"}.get(
            kind or "", "prompt log or backend's log"
        )
        raise NothingReadable(
            Phrase("no {asked} was found in {names}", asked=asked, names=", ".join(repr(path) for path in paths)[:400])
        )
    return Plan(tuple(found), tuple(missed), tuple(_notes(passed_over)))


def _notes(passed_over: Sequence[str]) -> Iterator[str]:
    if passed_over:
        names = ", ".join(passed_over[:3]) + (", ..." if len(passed_over) > 3 else "")
        yield f"passed over, since they hold no generations: {names}"


def _names(paths: Sequence[str], offline: bool) -> Iterator[tuple[str, bool]]:
    """Every file, with whether it was named itself."""
    for path in paths:
        if path == "-":
            yield path, True
            continue
        if _URL.match(path) and not path.lower().startswith("file://"):
            if offline:
                raise NothingReadable(
                    Phrase("'{path}': is an address, and --offline forbids all network use", path=path)
                )
            yield from ((found, found == path) for found in _remote(path))
            continue
        path = path.removeprefix("file://")
        try:
            there, folder = os.path.exists(path), os.path.isdir(path)  # noqa: PTH110, PTH112 - a name can be too long for Path
        except (OSError, ValueError):
            there = folder = False
        if folder:
            inside = list(_folder(path))
            if not inside:
                raise NothingReadable(Phrase("'{path}': holds no log", path=path))
            yield from ((name, False) for name in inside)
        elif there:
            yield path, True
        elif glob.has_magic(path):
            matching = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - the pattern can be absolute
            if not matching:
                raise NothingReadable(Phrase("'{path}': matches no file", path=path[:200]))
            yield from ((name, False) for name in matching if not os.path.isdir(name))  # noqa: PTH112
        else:
            raise NothingReadable(Phrase("'{path}': no such file or folder", path=path[:200]))


def _folder(path: str) -> Iterator[str]:
    for top, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(names):
            if name.endswith(_SUFFIXES) or _ROTATED.search(name):
                yield os.path.join(top, name)  # noqa: PTH118 - as it was named


def _remote(url: str) -> list[str]:
    """The files at an address: itself, those that a pattern matches, or those of a folder."""
    try:
        import fsspec

        system, path = fsspec.url_to_fs(url)
        if "*" in url or "?" in path:
            found = sorted(system.glob(path))
        elif system.isdir(path):
            found = sorted(name for name in system.find(path) if name.endswith(_SUFFIXES) or _ROTATED.search(name))
        else:
            return [url]
        named = [str(system.unstrip_protocol(name)) for name in found]
    except ImportError as error:
        raise NothingReadable(Phrase("'{url}': {error}", url=url, error=error)) from None
    except Exception as error:  # each file system raises errors of its own
        raise NothingReadable(
            Phrase("'{url}': {name}: {error}", url=url, name=type(error).__name__, error=str(error)[:300])
        ) from None
    if not named:
        raise NothingReadable(Phrase("'{url}': holds no log", url=url))
    return named


def look(path: str, index: int, name: str | None = None) -> File | None:
    """What a file is, by its beginning; None where it is no log of generations. Raises OSError."""
    with opened(path) as raw:
        head = raw.read(HEAD)
        size, identity = _size(raw, path)
    packed = head.startswith(GZIP_MAGIC)
    if packed:
        head = _unpacked(path)
    read = characters(head)
    encoding = read.encoding if read.encoding.startswith("utf-16") else "utf-8"
    said = read.text.replace("\0", " ").lstrip("\ufeff \t\r\n")
    kind, form = _kind(said, path)
    if kind is None:
        return None
    separator = b""
    if form == "array" and encoding == "utf-8":
        separator = _separator(head)
    known = None if packed or encoding != "utf-8" else size
    return File(index, path, name or path, kind, form, known, encoding, packed, separator, identity)


def _size(raw: object, path: str) -> tuple[int, tuple[int, int, int] | None]:
    fileno = getattr(raw, "fileno", None)
    if "://" not in path and fileno is not None:
        told = os.fstat(fileno())
        return told.st_size, (told.st_dev, told.st_ino, told.st_mtime_ns)
    return int(getattr(raw, "size", None) or 0), None


def _unpacked(path: str) -> bytes:
    import gzip
    import zlib

    with opened(path) as raw, gzip.open(raw) as file:
        try:
            return file.read(HEAD)
        except (EOFError, zlib.error):
            return _inflated(path)


def _inflated(path: str) -> bytes:
    """What can be had of the beginning of a damaged archive."""
    import zlib

    with opened(path) as raw:
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(raw.read(HEAD), HEAD)
        except zlib.error:
            return b""


def _kind(said: str, path: str) -> tuple[str | None, str]:
    """Kind and form of a file whose beginning this is."""
    from diagnose import collect

    if not said:
        return ("prompt_log", "lines") if path.endswith((".json", ".jsonl", ".ndjson")) else (None, "")
    if said.startswith("[") and re.match(r"\[\s*[\[{\]]", said):
        return (
            ("prompt_log", "array") if collect.tells_of_entries(said) or said[1:].strip() in ("]", "") else (None, "")
        )
    if said.startswith("{"):
        first = said.partition("\n")[0]
        if prompt_log.looks_like_entry(prompt_log.line_value(first)):
            return "prompt_log", "lines"
        if collect.tells_of_entries(said) and not collect.reads_like_log(said):
            return "prompt_log", "array" if prompt_log.line_value(first) is None else "lines"
    if collect.reads_like_log(said):
        return "backend_log", "log"
    return None, ""


def _separator(head: bytes) -> bytes:
    """What stands between the first two elements; empty where that cannot be told."""
    body = head.decode("utf-8", "surrogateescape")
    start = body.find("{")
    try:
        _, end = json.JSONDecoder(strict=False).raw_decode(body, start)
    except (ValueError, RecursionError):
        return b""
    found = SEPARATOR.match(head, len(body[:end].encode("utf-8", "surrogateescape")) - 1)
    return found[0] if found else b""


def identity_now(path: str) -> tuple[int, int, int] | None:
    """Which file stands there now, and when it was changed; None where there is none."""
    try:
        told = Path(path).stat()
    except (OSError, ValueError):
        return None
    return told.st_dev, told.st_ino, told.st_mtime_ns
