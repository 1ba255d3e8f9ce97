"""Reads the one generation that begins at a byte of a file, as a history names it."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from pathlib import Path

from diagnose.collect import Bundle, backend_log, loose_json, prompt_log
from diagnose.collect.text import GZIP_MAGIC, decode
from diagnose.errors import NothingReadable

LARGEST = prompt_log.LARGEST_WINDOW
ATTEMPT = 1 << 20
"""Bytes of a log that are read from the attempt's first line on."""


def gather(path: Path, byte: int) -> Bundle:
    """The entry or attempt that begins there. Raises NothingReadable where none does."""
    try:
        data = _from(path, byte)
    except (OSError, EOFError, zlib.error) as error:
        raise NothingReadable(f"'{path}': {getattr(error, 'strerror', None) or error}") from None
    if not data:
        raise NothingReadable(f"'{path}': ends before byte {byte:,}")
    bundle = Bundle()
    place = f"{path.name}@{byte}"
    if data[:1] == b"{":
        found = loose_json.strict_at(decode(data).text, 0)
        if found is None or not isinstance(found[0], dict):
            raise NothingReadable(f"'{path}': no whole entry begins at byte {byte:,}")
        entry = prompt_log.Entry(0, prompt_log.normalise_entry(found[0]), byte)
        bundle.prompt_logs.append((place, prompt_log.PromptLog((entry,), "json_lines", whole=False)))
        bundle.given.add("prompt_log")
    else:
        log = backend_log.read(decode(data[:ATTEMPT]).text, place)
        if not log.attempts:
            raise NothingReadable(f"'{path}': no generation begins at byte {byte:,}")
        bundle.logs.append(replace(log, attempts=log.attempts[:1]))
        bundle.given.add("backend_log")
    bundle.read.append(path.name)
    return bundle


def _from(path: Path, byte: int) -> bytes:
    with path.open("rb") as raw:
        packed = raw.read(3) == GZIP_MAGIC
        raw.seek(0)
        file = gzip.GzipFile(fileobj=raw) if packed else raw
        file.seek(byte)
        data = file.read(ATTEMPT)
        if data[:1] == b"{" and len(data) == ATTEMPT:
            data += file.read(LARGEST)
        return data
