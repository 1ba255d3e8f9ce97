"""What is handed to somebody else: the masked evidence of one generation, its case, its report, and what was done to them.

The finished archive is scanned once more before it is given out: for every secret that was seen while it was made, and
for everything that looks like one. The same input makes the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from diagnose import __version__, case_file, mask
from diagnose.collect import prompt_log
from diagnose.collect.archive import CASE, EVIDENCE, MANIFEST
from diagnose.collect.text import decode, open_bytes
from diagnose.errors import SecretLeft
from diagnose.model import Case, Phrase

WHOLE = 4 << 20
"""Characters of a file that goes in whole; of a longer one what tells of this generation."""
AROUND = 200
"""Lines that are kept around those."""
MOST_LINES = 20_000
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the archive: the earliest that the format knows."""
_LINE = re.compile(r"(?P<name>.+?)(?:@(?P<byte>\d{1,18}))?:(?P<line>\d{1,9})")


@dataclass(frozen=True, slots=True)
class Item:
    """A file of evidence as it goes in."""

    name: str
    """In the archive."""
    text: str
    cut: str | None = None
    """What was left out of it, and why."""
    maskings: tuple[mask.Masking, ...] = ()


class LeftOut(NamedTuple):
    """A file of evidence that does not go in."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes in and what does not."""

    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]


def plan(origins: Mapping[str, Sequence[Path | bytes]], case: Case, seen: Collection[str] = ()) -> Plan:
    """What goes in of the files that were read. The case must be the unmasked one, with its sources.

    `seen` are the secrets that were met so far, and grows while this masks: what only the last file shows to be a secret
    is masked in the first one as well.
    """
    items: list[Item] = []
    left: list[LeftOut] = []
    names: set[str] = set()
    for name in sorted(origins):
        for number, origin in enumerate(origins[name]):
            inside = _inside(name, number, len(origins[name]))
            while inside in names:
                inside += "_"
            names.add(inside)
            found = _item(name, inside, origin, case)
            (items if isinstance(found, Item) else left).append(found)  # type: ignore[arg-type]
    return Plan(tuple(_without(item, seen) for item in items), tuple(left))


def _without(item: Item, known: Collection[str]) -> Item:
    again = mask.document(item.text, known)
    return replace(item, text=again.text, maskings=(*item.maskings, *again.maskings)) if again.maskings else item


def _inside(name: str, number: int, many: int) -> str:
    """The name in the archive; files of one name get a number."""
    shown = re.sub(r"<[^<>]*>", "masked", mask.text(name))
    safe = re.sub(r"[^\w.()+ /=@,-]", "_", shown.replace("\\", "/"))
    parts = [part for part in safe.split("/") if part not in ("", ".", "..")]
    kept = "/".join(part[:120] for part in parts) or "unnamed"
    if mask.survivors(EVIDENCE + kept):  # under the folder's name it can look like more
        kept = f"masked{Path(kept).suffix}"
    return EVIDENCE + (kept if many == 1 else f"{number + 1}/{kept}")


def _item(name: str, inside: str, origin: Path | bytes, case: Case) -> Item | LeftOut:
    own = [e for e in case.evidence if e.source == name or e.source.startswith((f"{name}:", f"{name}#", f"{name}@"))]
    own += [e for e in case.evidence if e.source.startswith(f"{name}[")]
    if not own:
        return LeftOut(mask.text(name), "nothing in it tells of this generation")
    if any(e.kind == "env.setting" for e in own):
        return LeftOut(mask.text(name), "holds settings; their names and shapes are in the case, their values nowhere")
    try:
        text = decode(origin if isinstance(origin, bytes) else open_bytes(origin)).text
    except OSError as error:
        return LeftOut(mask.text(name), f"cannot be read: {error.strerror or error}")
    if text.lstrip().startswith("{") and '"log"' in text[:2000] and '"entries"' in text[:20_000]:
        return LeftOut(
            mask.text(name), "is a recording of the browser, which holds other traffic; its part is in the case"
        )
    if len(text) > WHOLE:
        return _part(name, inside, text, origin, case)
    masked = mask.document(text)
    return Item(inside, masked.text, None, masked.maskings)


def _part(name: str, inside: str, text: str, origin: Path | bytes, case: Case) -> Item | LeftOut:
    """Of a long file the lines about this generation, or its entry."""
    entry = case.subject.entry
    if case.subject.source == f"{name}#/{entry}" and entry is not None:
        data = origin if isinstance(origin, bytes) else open_bytes(origin)
        log = prompt_log.read_newest(origin) if isinstance(origin, Path) else prompt_log.read(data)
        kept = [one for one in log.entries if one.index == entry]
        if kept:
            masked = mask.document(json.dumps([one.value for one in kept], indent=2, ensure_ascii=False))
            return Item(inside, masked.text, f"entry {entry} alone, of {len(text):,} characters", masked.maskings)
    lines = text.split("\n")
    places = sorted(set(_numbers(name, text, case)))
    if not places:
        return LeftOut(mask.text(name), f"is long ({len(text):,} characters), and no line of it is named")
    first, last = max(0, places[0] - AROUND), min(len(lines), places[-1] + AROUND, places[0] + MOST_LINES)
    masked = mask.document("\n".join(lines[first:last]))
    said = Phrase("lines {first} to {last} of {lines}", first=first + 1, last=last, lines=f"{len(lines):,}")
    shifted = tuple(one._replace(line=one.line + first) for one in masked.maskings)
    return Item(inside, masked.text, said, shifted)


def _numbers(name: str, text: str, case: Case) -> Iterator[int]:
    """The lines that the evidence names, from 0."""
    for e in case.evidence:
        at = _LINE.fullmatch(e.source)
        if at is not None and at["name"] == name:
            start = text.count("\n", 0, _offset(text, int(at["byte"]))) if at["byte"] else 0
            yield start + int(at["line"]) - 1


def _offset(text: str, byte: int) -> int:
    """The character at a byte of the text in UTF-8."""
    if text.isascii():
        return byte
    return len(text.encode("utf-8", "surrogatepass")[:byte].decode("utf-8", "ignore"))


def pack(
    planned: Plan, case: Case, reports: Mapping[str, str], facts: Mapping[str, Any], seen: Iterable[str]
) -> tuple[bytes, dict[str, Any]]:
    """The archive and its manifest.

    `reports` are files beside the evidence, by name; `facts` stand at the head of the manifest; `seen` are the secrets
    that were met. Raises SecretLeft where one of them, or anything like one, is still in it.
    """
    # what a report says was masked piece by piece; what only looks like a secret as a whole is masked as a whole
    said = {name: mask.document(text).text if mask.survivors(text) else text for name, text in reports.items()}
    files = {CASE: case_file.dumps(case) + "\n", **said, **{item.name: item.text for item in planned.items}}
    manifest = _manifest(planned, files, facts)
    files[MANIFEST] = json.dumps(manifest, indent=2, ensure_ascii=True) + "\n"
    data = _zipped(files)
    _scan(data, frozenset(seen))
    return data, manifest


def _manifest(planned: Plan, files: Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, Any]:
    cuts = {item.name: item.cut for item in planned.items if item.cut}
    listed = [
        {
            "name": name,
            "sha256": hashlib.sha256(_bytes(text)).hexdigest(),
            "bytes": len(_bytes(text)),
            **({"cut": cuts[name]} if name in cuts else {}),
        }
        for name, text in sorted(files.items())
    ]
    return {
        "schema_version": 1,
        "tool": {"name": "diagnose", "version": __version__},
        **facts,
        "files": listed,
        "left_out": [one._asdict() for one in planned.left_out],
        "maskings": [
            {"rule": one.kind, "file": item.name, "line": one.line, "pseudonym": one.pseudonym}
            for item in planned.items
            for one in item.maskings
        ],
    }


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _zipped(files: Mapping[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, text in sorted(files.items()):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(info, _bytes(text))
    return made.getvalue()


def _scan(data: bytes, seen: frozenset[str]) -> None:
    """Look at the archive as a stranger would who unpacks it. Raises SecretLeft, which names the place and not the value."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            for what, text in (("its name", info.filename), ("", archive.read(info).decode("utf-8"))):
                for left in mask.survivors(text, seen):
                    place = what or f"line {left.line}"
                    raise SecretLeft(
                        Phrase(
                            "the bundle was not written: {file}, {place}, would hold a secret ({kind})",
                            file=mask.text(info.filename),
                            place=place,
                            kind=left.kind,
                        )
                    )
