"""Reads zip archives of strangers: nothing is unpacked to a place that the archive names, and nothing endless is read.

Source: APPNOTE.TXT of PKWARE for flags and attributes; https://docs.python.org/3/library/zipfile.html for what the
library leaves to its caller (names that lead outside, bombs).
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from diagnose.errors import NothingReadable
from diagnose.model import Phrase

MOST_FILES = 1000
MOST_BYTES = 256 << 20
"""Of all that is unpacked."""
MOST_EACH = 64 << 20
MANIFEST = "manifest.json"
CASE = "case.json"
EVIDENCE = "evidence/"
_ENCRYPTED = 0x1


class Member(NamedTuple):
    """A file of an archive."""

    name: str
    data: bytes


class Archive(NamedTuple):
    """What could be read of an archive."""

    members: tuple[Member, ...]
    notes: tuple[str, ...]
    """What was left out, and why."""
    manifest: Mapping[str, Any] | None
    """Of a bundle that this program made."""


def read(file: Path | io.BytesIO, name: str) -> Archive:
    """The files of an archive. Raises NothingReadable for one that is damaged, endless, or a bundle that was changed."""
    notes: list[str] = []
    try:
        with zipfile.ZipFile(file) as opened:
            members = tuple(_members(opened, name, notes))
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError) as error:
        raise NothingReadable(Phrase("'{name}': is a damaged zip archive: {error}", name=name, error=error)) from None
    except OSError as error:
        raise NothingReadable(Phrase("'{name}': {why}", name=name, why=error.strerror or error)) from None
    return Archive(members, tuple(notes), _manifest(members, name))


def _members(opened: zipfile.ZipFile, name: str, notes: list[str]) -> Iterator[Member]:
    infos = [info for info in opened.infolist() if not info.is_dir()]
    if len(infos) > MOST_FILES:
        raise NothingReadable(
            Phrase(
                "'{name}': holds {count} files, more than {most}; give what tells of this",
                name=name,
                count=f"{len(infos):,}",
                most=f"{MOST_FILES:,}",
            )
        )
    twice = {member for member, count in Counter(info.filename for info in infos).items() if count > 1}
    left = MOST_BYTES
    for info in infos:
        why = _unsafe(info) or ("stands in it twice" if info.filename in twice else None)
        if why is None and info.file_size > MOST_EACH:
            why = Phrase("is larger than {n} MB", n=MOST_EACH >> 20)
        if why is not None:
            notes.append(
                Phrase("{name}: '{filename}' was left out: it {why}", name=name, filename=info.filename, why=why)
            )
            continue
        # the size that the archive claims is not believed
        with opened.open(info) as packed:
            data = packed.read(min(MOST_EACH, left) + 1)
        left -= len(data)
        if len(data) > MOST_EACH or left < 0:
            raise NothingReadable(
                Phrase("'{name}': unpacks to more than it says, or to more than {n} MB", name=name, n=MOST_BYTES >> 20)
            )
        yield Member(info.filename, data)


def _unsafe(info: zipfile.ZipInfo) -> str | None:
    parts = re.split(r"[/\\]", info.filename)
    if ".." in parts or not parts[0] or re.match(r"[A-Za-z]:", info.filename) or "\0" in info.orig_filename:
        return "has a name that leads out of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return None


def _manifest(members: tuple[Member, ...], name: str) -> Mapping[str, Any] | None:
    """The manifest of a bundle, which its files were held against."""
    files = {member.name: member.data for member in members}
    if MANIFEST not in files or CASE not in files:
        return None
    try:
        manifest = json.loads(files.pop(MANIFEST))
        if manifest.get("tool", {}).get("name") != "diagnose":
            return None  # somebody else's files of these names
        listed = {str(item["name"]): str(item["sha256"]) for item in manifest["files"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NothingReadable(
            Phrase("'{name}': its {manifest} is not one that a bundle has", name=name, manifest=MANIFEST)
        ) from None
    for member in sorted(listed.keys() | files.keys()):
        if member not in files:
            raise NothingReadable(
                Phrase(
                    "'{name}': '{member}' is listed in its manifest and missing; the bundle was changed",
                    name=name,
                    member=member,
                )
            )
        if listed.get(member) != hashlib.sha256(files[member]).hexdigest():
            raise NothingReadable(
                Phrase(
                    "'{name}': '{member}' is not what its manifest says; the bundle was changed",
                    name=name,
                    member=member,
                )
            )
    found: Mapping[str, Any] = manifest
    return found
