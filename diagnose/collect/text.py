"""Bytes that people really have, made into text: any encoding, repaired, and said what was done."""

from __future__ import annotations

import io
import os
import re
from typing import NamedTuple

from diagnose.model import Phrase

# Start-up counts: patterns are plain text that `re` compiles and keeps when first used, and values are named
# tuples, which cost a sixth of a dataclass to define.

LIMIT = 256 * 1024 * 1024
"""The most that is ever held of one file; a gzip bomb ends here."""
REPAIR_LIMIT = 4 * 1024 * 1024
"""The most characters that are handed to the mojibake repair."""

GZIP_MAGIC = b"\x1f\x8b\x08"

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8", "UTF-8 byte-order mark read"),
    (b"\xff\xfe", "utf-16-le", "UTF-16 read"),
    (b"\xfe\xff", "utf-16-be", "UTF-16 read"),
)


class Decoded(NamedTuple):
    """Text, and one note for each thing that was accepted on the way."""

    text: str
    notes: tuple[str, ...] = ()


class Characters(NamedTuple):
    """Characters as they stand in the file: a position in `text` can be turned back into a byte."""

    text: str
    encoding: str = "utf-8"
    bom: int = 0
    notes: tuple[str, ...] = ()


class Snapshot(NamedTuple):
    """The bytes of a file at one moment; `start` is the file's byte at which they begin."""

    data: bytes
    notes: tuple[str, ...] = ()
    start: int = 0


def decode(data: bytes) -> Decoded:
    """The text of a file, whatever wrote it. Never raises."""
    read = characters(data)
    text, notes = read.text, list(read.notes)
    if "\0" in text:
        text = text.replace("\0", "")
        notes.append("NUL bytes dropped")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        notes.append("CR line ends read")
    repaired, remark = repair(text)
    if remark:
        notes.append(remark)
    return Decoded(repaired, tuple(notes))


def characters(data: bytes, encoding: str | None = None) -> Characters:
    """Decode and change nothing else; `encoding` is for a part of a file whose beginning told it."""
    if encoding is not None and encoding != "utf-8":
        return Characters(data.decode(encoding, "replace"), encoding, 0, ("UTF-16 read",))
    for mark, name, note in _BOMS:
        if data.startswith(mark):
            body = data[len(mark) :]
            if name == "utf-8":
                rest = _eight_bit(body)
                return Characters(rest.text, rest.encoding, len(mark), (note, *rest.notes))
            return Characters(body.decode(name, "replace"), name, len(mark), (note,))
    wide = _wide(data)
    if wide:
        return Characters(data.decode(wide, "replace"), wide, 0, ("UTF-16 without byte-order mark read",))
    return _eight_bit(data)


def encoding_of(head: bytes) -> str | None:
    """The encoding that the first bytes of a file declare."""
    return next((name for mark, name, _ in _BOMS if head.startswith(mark)), None)


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: text of Latin letters has a zero in every second byte."""
    sample = data[:4096]
    half = len(sample) // 2
    if half < 2 or b"\0" not in sample:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > half * 0.6 and even < half * 0.2:
        return "utf-16-le"
    if even > half * 0.6 and odd < half * 0.2:
        return "utf-16-be"
    return None


def _eight_bit(data: bytes) -> Characters:
    try:
        return Characters(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        cut = error.reason == "unexpected end of data"
    text = data.decode("utf-8", "replace")
    good = sum(text.count(c) for c in _COMMON_WIDE) if len(text) > REPAIR_LIMIT else _beyond_ascii(text)
    if cut or good >= text.count("\ufffd"):
        return Characters(text, notes=("bytes that are not UTF-8 replaced",))
    try:
        return Characters(data.decode("cp1252"), "cp1252", notes=("Windows-1252 read",))
    except UnicodeDecodeError:
        return Characters(data.decode("latin-1"), "latin-1", notes=("Latin-1 read",))


_COMMON_WIDE = "✅❌📤📥🔄📸📊⚠→←—–éèü"


def _beyond_ascii(text: str) -> int:
    return sum(c > "\x7f" and c != "\ufffd" for c in text)


# Mojibake: UTF-8 that was read in a code page of one byte a character. Only lines with these are touched.
_CONTINUATION = (
    "\u0080-\u00bf\u011e\u0130\u0131\u0152\u0153\u015e\u015f\u0160\u0161\u0178\u017d\u017e\u0192"
    "\u02c6\u02dc\u2013-\u203a\u20ac\u2122"
)
_TELLTALE = f"[ÂÃâðï][{_CONTINUATION}]|âŒ|ğŸ|Γ[£åÅÜöÇ]|≡ƒ|Ô[£åÅÜöÇ]|\u00adƒ"
# The code page of Western European consoles, which ftfy does not know.
_CONSOLE = "Ô[£åÅÜöÇ]|\u00adƒ"

# Bytes for which the code page has no character are often lost on the way; no decoder can bring them back.
# What the well-known signs look like then:
_LOSSY = (
    (r"â†(?=\s|$)", "←"),
    (r"âŒ", "❌"),
    (r"âš(?:\u00a0| )?ï¸(?!\u008f)", "⚠️"),
    (r"â±ï¸(?!\u008f)", "⏱️"),
    (r"[ğð]Ÿ”(?=\s|$)", "🔍"),
    (r"[ğð]Ÿ“(?=\s|$)", "📝"),
    (r"[ğð]Ÿ¯", "🎯"),
)
_NOT_ASCII = r"[^\x00-\x7f]+"


def has_mojibake(text: str) -> bool:
    """Whether tell-tale sequences are present."""
    return not text.isascii() and re.search(_TELLTALE, text) is not None


def repair(text: str) -> tuple[str, str]:
    """The text with mojibake repaired, line by line, and a note, empty when nothing was to be done."""
    if not has_mojibake(text):
        return text, ""
    lines = text.split("\n")
    left, skipped = REPAIR_LIMIT, False
    for number, line in enumerate(lines):
        if line.isascii() or not re.search(_TELLTALE, line):
            continue
        if len(line) > left:
            skipped = True
            continue
        left -= len(line)
        lines[number] = _repair_line(line)
    repaired = "\n".join(lines)
    if repaired == text:
        return text, ""
    return repaired, "mojibake repaired in part (too much text)" if skipped else "mojibake repaired"


def _repair_line(line: str) -> str:
    if re.search(_CONSOLE, line):
        line = re.sub(_NOT_ASCII, _from_console_page, line)
    for pattern, sign in _LOSSY:
        line = re.sub(pattern, sign, line)
    if not re.search(_TELLTALE, line):
        return line
    try:
        import ftfy

        return ftfy.fix_encoding(line)
    except (ImportError, ValueError):  # an unrepaired line is still evidence
        return line


def _from_console_page(found: re.Match[str]) -> str:
    try:
        return found[0].encode("cp850").decode("utf-8")
    except UnicodeError:
        return found[0]


_ESCAPE = (
    r"(?<!\\)\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2}))"
)


def unescape(line: str) -> str:
    r"""Turn what a console wrote for lack of a character (`\u2705`, `\U0001f4e4`, `\xe9`) back into it."""
    return re.sub(_ESCAPE, _escaped, line) if "\\" in line else line


def _escaped(found: re.Match[str]) -> str:
    high, low, *single = found.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    code = int(next(digits for digits in single if digits), 16)
    # A console never escapes ASCII: those are somebody's JSON, and control characters must not come alive.
    if code < 0xA0 or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
        return found[0]
    return chr(code)


_ANSI = (
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]?"  # CSI: colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b\n]*+(?:\x07|\x1b\\)?"  # OSC and other strings: titles, links
    r"|\x1b[ -/]*+[0-~]?"
)


def strip_ansi(line: str) -> str:
    """The line without terminal escapes."""
    return re.sub(_ANSI, "", line) if "\x1b" in line or "\x9b" in line else line


def open_bytes(path: str | os.PathLike[str], limit: int = LIMIT) -> bytes:
    """The bytes of a snapshot."""
    return snapshot(path, limit).data


def snapshot(path: str | os.PathLike[str], limit: int = LIMIT) -> Snapshot:
    """A file at one moment, unpacked when it is gzip; read again once when it changed meanwhile.

    Of a file above the limit the newest part is kept: what is asked for stands at the end of a log.
    Raises OSError.
    """
    found, changed = _read_once(path, limit)
    if changed:
        found, _ = _read_once(path, limit)
    if found.data.startswith(GZIP_MAGIC) and found.start == 0:
        return inflate(found.data, limit)
    return found


def _read_once(path: str | os.PathLike[str], limit: int) -> tuple[Snapshot, bool]:
    with io.BufferedReader(io.FileIO(path)) as file:
        before = os.fstat(file.fileno())
        start = max(0, before.st_size - limit)
        if start and file.read(len(GZIP_MAGIC)) == GZIP_MAGIC:
            start = 0
        if start or file.seekable():
            file.seek(start)
        data = file.read(limit)
        after = os.fstat(file.fileno())
    changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    notes = (Phrase("only the last {limit} bytes were read", limit=limit),) if start else ()
    return Snapshot(data, notes, start), changed


def inflate(data: bytes, limit: int = LIMIT) -> Snapshot:
    """Unpack gzip, rotated logs joined together included; what is cut off or damaged ends it."""
    import zlib

    out: list[bytes] = []
    size, notes = 0, ["gzip read"]
    while data.startswith(GZIP_MAGIC):
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(data, limit - size)
        except zlib.error:
            notes.append("the gzip data is damaged")
            break
        out.append(part)
        size += len(part)
        if size >= limit:
            notes.append(Phrase("only the first {limit} bytes of the unpacked file were read", limit=limit))
            break
        if not member.eof:
            notes.append("the gzip data is cut off")
            break
        data = member.unused_data
    return Snapshot(b"".join(out), tuple(notes))


def last_uuid(address: str) -> list[str]:
    """The last uuid in a path, which is the picture's; the first is the user's."""
    found: list[str] = re.findall(_UUID, address)
    return found[-1:]


_UUID = r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}"
