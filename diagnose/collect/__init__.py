"""Collects evidence from files, recognised by what they hold and not by their names.

The reader of each kind is imported when a file of that kind is met: `latest-log` reads one file and must start fast.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diagnose.collect import loose_json, prompt_log
from diagnose.collect.text import decode, open_bytes
from diagnose.errors import NothingReadable
from diagnose.model import Evidence, Phrase

if TYPE_CHECKING:
    from diagnose.collect import backend_log, documents

KINDS = ("prompt_log", "backend_log", "response", "request", "har", "console", "source")
MAX_FOLDER_FILES = 200
LONG_LOG = 512 * 1024
"""Bytes from which a log is read from its end, or only where it tells of pictures."""
_ENTRY_MARK = re.compile(
    r'"(?:fal_request|enhanced_prompt|has_face_image|has_product_images|has_image_url|generation_mode'
    r'|gen_ai\.(?:request|response)\.model)"\s*:'
)
_LOG_MARK = re.compile(
    r"^\S*\s*\|?.{0,80}?(?:\b(?:INFO|DEBUG|WARNING|WARN|ERROR|CRITICAL)\b[:\]\s|]|HTTP/\d|https?://(?:queue\.)?fal\.run|Traceback \(most|\"message\"\s*:)",
    re.M,
)
_MARKED = re.compile(r"←|<--|⇐|â†")
"""How documents mark an example of what should stand in the log."""
_HEADING = re.compile(r"^#{1,6} |^```|^- \[[ x]\]|^\*\*", re.M)
_CLAIMS = re.compile(r"expected|harus|seharusnya|should|must|contoh|example|diharapkan|sample", re.I)
_ACTUAL = re.compile(r"actual|log anda|log terakhir|latest|status log|your log|terakhir", re.I)


@dataclass
class Bundle:
    """Everything that was collected, by kind; the order within a kind is oldest first."""

    prompt_logs: list[tuple[str, prompt_log.PromptLog]] = field(default_factory=list)
    logs: list[backend_log.BackendLog] = field(default_factory=list)
    requests: list[documents.Exchange] = field(default_factory=list)
    responses: list[documents.Exchange] = field(default_factory=list)
    common: list[Evidence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)
    read: list[str] = field(default_factory=list)
    cases: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    """Saved cases, as they stand in their files."""
    named: set[Path] = field(default_factory=set)
    """Files that were named one by one, and not found in a folder."""
    origins: dict[str, list[Path | bytes]] = field(default_factory=dict)
    """What was read under each name: a file, or standard input."""
    settings_files: list[Path] = field(default_factory=list)
    """Of these the settings: whoever names such a file means what stands in it."""

    @property
    def empty(self) -> bool:
        """Whether nothing at all was recognised."""
        return not self.given


def gather(
    paths: Iterable[Path],
    named: Iterable[tuple[str, Path]] = (),
    stdin: bytes | None = None,
    otherwise: str | None = None,
    every: bool = False,
) -> Bundle:
    """Evidence from files and folders, and from files whose kind was named.

    With `every`, all of a long log is read and not only its newest attempts. With `otherwise`, a file in which nothing is recognised is read as that kind, so that its state can be told.
    Raises NothingReadable for a path that does not exist or cannot be opened: the user asked for it by name.
    """
    bundle = Bundle()
    files: list[tuple[str | None, Path, str]] = []
    for path in paths:
        files += _files(path)
        bundle.named |= set() if path.is_dir() else {path}
    files += [(kind, path, path.name) for kind, path in named]
    if stdin is not None:
        bundle.origins["stdin"] = [stdin]
        if stdin[:4] in ZIP:
            _archive(bundle, io.BytesIO(stdin), "stdin")
        else:
            _recognise(bundle, stdin, "stdin", None)
        if otherwise and bundle.empty:
            _recognise(bundle, stdin, "stdin", otherwise)
    for kind, path, name in sorted(files, key=lambda f: _rotation(f[1])):
        if kind == "source":
            _source(bundle, path)
        elif kind is None and _head_bytes(path) in ZIP:
            _archive(bundle, path, name)
        else:
            bundle.origins.setdefault(name, []).append(path)
            _file(bundle, path, name, kind, every)
            if otherwise and bundle.empty:
                _file(bundle, path, name, otherwise, every)
    return bundle


def _files(path: Path) -> list[tuple[str | None, Path, str]]:
    _must_exist(path)
    if not path.is_dir():
        return [("source", path, path.name)] if path.suffix == ".py" else [(None, path, path.name)]
    if (path / "manifest.json").is_file() and (path / "case.json").is_file():
        return [(None, path / "case.json", "case.json")]  # a bundle, unpacked: its case is all its evidence
    found: list[tuple[str | None, Path, str]] = []
    python = False
    for top, folders, names in os.walk(path):
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and f not in ("node_modules", "__pycache__", "venv")
        )
        for name in sorted(names):
            file = Path(top) / name
            if file.suffix == ".py":
                python = True
            elif len(found) < MAX_FOLDER_FILES and (
                file.suffix in _SUFFIXES or name.startswith(".env") or ".log" in name
            ):
                found.append((None, file, file.relative_to(path).as_posix()))
        if len(Path(top).relative_to(path).parts) >= 3:
            folders.clear()
    if python:
        found.append(("source", path, path.name))
    return found


def _must_exist(path: Path) -> None:
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name too long for the system, or with a NUL in it
        there = False
    if not there:
        raise NothingReadable(Phrase("'{path}': no such file or folder", path=str(path)[:200]))


ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OWN_DOCUMENT = '"schema_version"'
"""Stands at the head of what this program writes itself, however much that quotes of logs."""
_OWN_REPORT = re.compile(
    r"^(?:  (?:outcome|hasil) +|- \*\*(?:outcome|hasil)\*\*: )(?:switched|not_switched|wrong_model|refused|undetermined), \w"
    r"|<meta name=\"generator\" content=\"diagnose |\bdiagnose latest-log \S.{0,400} --at-offset \d",
    re.M,
)
"""Stands near the head of an answer as text, Markdown or HTML: what it quotes of logs is no evidence a second time."""
_CASE_KEYS = {"schema_version", "profile", "subject", "evidence"}
_SUFFIXES = {".json", ".jsonl", ".ndjson", ".log", ".txt", ".md", ".har", ".env", ".html", ".gz", ".out", ".err"}


def _rotation(path: Path) -> tuple[str, int]:
    """backend.log.2.gz is older than backend.log.1, which is older than backend.log."""
    name = path.name.removesuffix(".gz")
    numbered = re.search(r"\.(\d{1,3})$", name)
    stem = name[: numbered.start()] if numbered else name
    return str(path.parent / stem), -int(numbered[1]) if numbered else 0


def _source(bundle: Bundle, path: Path) -> None:
    from diagnose.collect import source

    _must_exist(path)
    found = source.read(path)
    if found:
        bundle.common += found
        bundle.given.add("source")
        bundle.read.append(path.name)
        folder = path.parent if path.is_file() else path
        for name in dict.fromkeys(e.source.rpartition(":")[0] for e in found):
            bundle.origins.setdefault(name, []).append(folder / name)


def _head_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError:
        return b""  # whoever reads it says why it cannot be read


def _archive(bundle: Bundle, file: Path | io.BytesIO, name: str) -> None:
    """A bundle, whose case is all its evidence; or a stranger's archive, each file of it like one in a folder."""
    from diagnose.collect import archive
    from diagnose.collect.text import GZIP_MAGIC, inflate

    found = archive.read(file, name)
    bundle.notes += found.notes
    if found.manifest is not None:
        held = {member.name: member.data for member in found.members}
        _recognise(bundle, held[archive.CASE], name, None)
        for inside, data in held.items():
            if inside.startswith(archive.EVIDENCE):
                bundle.origins[inside.removeprefix(archive.EVIDENCE)] = [data]
        return
    bundle.notes.append(
        Phrase("{name}: {members} files of this archive were looked at", name=name, members=len(found.members))
    )
    python = [member for member in found.members if member.name.endswith(".py")]
    for member in found.members:
        if member.name.endswith(".py") or member.name.startswith("__MACOSX/"):
            continue
        if member.data[:4] in ZIP:
            bundle.notes.append(
                Phrase(
                    "{name}: '{filename}' was left out: it {why}", name=name, filename=member.name, why="is an archive"
                )
            )
            continue
        bundle.origins.setdefault(member.name, []).append(member.data)
        packed = member.data.startswith(GZIP_MAGIC)
        _recognise(bundle, inflate(member.data).data if packed else member.data, member.name, None)
    if python:
        _packed_source(bundle, [(member.name, member.data) for member in python])


def _packed_source(bundle: Bundle, files: list[tuple[str, bytes]]) -> None:
    """A source folder out of an archive."""
    import tempfile

    from diagnose.collect import source

    with tempfile.TemporaryDirectory(prefix="diagnose-") as folder:
        for name, data in files:
            file = Path(folder, *name.replace("\\", "/").split("/"))
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            except (OSError, ValueError):  # a name that this system does not take
                bundle.notes.append(Phrase("{name}: could not be unpacked", name=name))
                continue
            bundle.origins.setdefault(name, []).append(data)
        found = source.read(Path(folder))
    if found:
        bundle.common += found
        bundle.given.add("source")


def _file(bundle: Bundle, path: Path, name: str, kind: str | None, every: bool) -> None:
    try:
        size = path.stat().st_size
        if kind == "backend_log" and size > LONG_LOG and path.suffix != ".gz":
            _long_log(bundle, path, name, every)
            return
        if (
            kind in (None, "prompt_log")
            and size > prompt_log.TAIL_THRESHOLD
            and path.suffix != ".gz"
            and _starts_like_entries(path)
        ):
            _add_prompt_log(bundle, prompt_log.read_newest(path), name)
            return
        if kind is None and size > LONG_LOG and path.suffix != ".gz" and _reads_like_log(path):
            _long_log(bundle, path, name, every)
            return
        data = open_bytes(path)
    except IsADirectoryError:
        raise NothingReadable(Phrase("'{path}': is a folder where a file was expected", path=path)) from None
    except OSError as error:
        raise NothingReadable(Phrase("'{path}': {why}", path=path, why=error.strerror or error)) from None
    told = len(bundle.common)
    _recognise(bundle, data, name, kind)
    if path in bundle.named and any(e.kind == "env.setting" for e in bundle.common[told:]):
        bundle.settings_files.append(path)


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return decode(file.read(4096)).text.lstrip()


def _starts_like_entries(path: Path) -> bool:
    head = _head(path)
    if _OWN_DOCUMENT in head:
        return False
    return head[:1] in "[{" and bool(_ENTRY_MARK.search(head) or '"timestamp"' in head)


def _reads_like_log(path: Path) -> bool:
    """Whether the end of a long file looks like a log and not like JSON or prose."""
    if _OWN_DOCUMENT in _head(path):
        return False
    with path.open("rb") as file:
        file.seek(-65536, os.SEEK_END)
        text = decode(file.read()).text
    return _mostly_log(text[text.find("\n") + 1 :])


def _long_log(bundle: Bundle, path: Path, name: str, every: bool) -> None:
    """A long log: its newest attempts from the end, or every attempt, without reading what lies between."""
    from diagnose.collect import long_log

    if every:
        log, note = long_log.whole(path, name), f"{name}: only its lines about pictures were read"
    else:
        log, note = long_log.newest(path, name)
    bundle.logs.append(log)
    bundle.given.add("backend_log")
    bundle.read.append(name)
    bundle.notes.append(note)


def _recognise(bundle: Bundle, data: bytes, name: str, kind: str | None) -> None:
    decoded = decode(data)
    bundle.notes += [Phrase("{name}: {note}", name=name, note=note) for note in decoded.notes]
    text = decoded.text
    if kind == "backend_log":
        _add_log(bundle, text, name)
    elif kind == "prompt_log":
        _add_prompt_log(bundle, prompt_log.read(data), name)
    elif kind in ("request", "response"):
        _exchange(bundle, text, name, kind)
    elif kind == "har":
        _add_named_har(bundle, text, name)
    elif kind == "console":
        _add_console(bundle, text, name)
    else:
        _by_content(bundle, text, data, name)


def _by_content(bundle: Bundle, text: str, data: bytes, name: str) -> None:
    stripped = text.lstrip()
    if _OWN_REPORT.search(text[:4096]):
        bundle.notes.append(Phrase("{name}: is an answer of diagnose itself, and was left out", name=name))
        return
    if not stripped:
        if name.endswith(".json"):
            _add_prompt_log(bundle, prompt_log.read(data), name)
        return
    value = _json(stripped)
    if value is not None:
        if _json_document(bundle, value, data, name):
            return
    elif stripped[:1] in "[{" and _ENTRY_MARK.search(text[:20000]) and not _LOG_MARK.search(text[:2000]):
        _add_prompt_log(bundle, prompt_log.read(data), name)
        return
    from diagnose.collect import settings

    if stripped[:1] == "<" and re.search(r"<!doctype|<html", stripped[:500], re.I):
        _exchange(bundle, text, name, "response")
    elif settings.looks_like(text):
        found = settings.read(text, name)
        if found:
            bundle.common += found
            bundle.given.add("settings")
            bundle.read.append(name)
    elif (_HEADING.search(text) and _ENTRY_MARK.search(text)) or (_ENTRY_MARK.search(text) and not _mostly_log(text)):
        _ticket(bundle, text, name)
    else:
        _lines(bundle, text, name)


def _lines(bundle: Bundle, text: str, name: str) -> None:
    from diagnose.collect import browser

    if browser.looks_like_console(text) and not _mostly_log(text):
        _add_console(bundle, text, name)
        return
    _add_log(bundle, text, name, only_if_recognised=True)


def tells_of_entries(text: str) -> bool:
    """Whether the beginning of a JSON document is a prompt log's, and none of this program's own."""
    return bool(_ENTRY_MARK.search(text)) and _OWN_DOCUMENT not in text[:4096]


def reads_like_log(text: str) -> bool:
    """Whether the beginning of a file is a backend log's."""
    return _OWN_DOCUMENT not in text[:4096] and _mostly_log(text)


def _mostly_log(text: str) -> bool:
    lines = [line for line in text[:60000].split("\n") if line.strip()]
    marked = sum(1 for line in lines if _LOG_MARK.match(line))
    return marked * 3 > len(lines)


def _json(text: str) -> Any:
    try:
        return loose_json.parse(text).value
    except loose_json.NotJson:
        return None


def _json_document(bundle: Bundle, value: Any, data: bytes, name: str) -> bool:
    """A whole JSON document: True when it was recognised."""
    if isinstance(value, dict) and value.keys() >= _CASE_KEYS:
        bundle.cases.append((name, value))
        bundle.given.add("case")
        bundle.read.append(name)
        return True
    first = value[-1] if isinstance(value, list) and value else value
    if prompt_log.looks_like_entry(first) or (value in ([], {}) and "log" in name):
        _add_prompt_log(bundle, prompt_log.read(data), name)
        return True
    from diagnose.collect import documents

    kind = documents.kind_of(value)
    if kind == "har":
        _add_har(bundle, value, name)
        return True
    if kind is not None:
        _add_exchanges(bundle, value, name, kind)
        return True
    return False


def _add_har(bundle: Bundle, value: Any, name: str) -> None:
    from diagnose.collect import browser

    recording = browser.har(value, name)
    bundle.requests += [sent for sent, _ in recording.pairs]
    bundle.responses += [got for _, got in recording.pairs]
    bundle.notes += [Phrase("{name}: {note}", name=name, note=note) for note in recording.notes]
    bundle.given |= {"har", "request", "response", "console"} if recording.pairs else {"har"}
    bundle.read.append(name)


def _add_named_har(bundle: Bundle, text: str, name: str) -> None:
    """A file that the user says is a HAR; of one that was cut off, its whole entries."""
    from diagnose.collect import documents

    value = _json(text.strip())
    if value is None and '"entries"' in text[:100_000]:
        kept = [block.value for block in loose_json.blocks(text)]
        entries = [e for e in kept if isinstance(e, dict) and isinstance(e.get("request"), dict) and "response" in e]
        if entries:
            bundle.notes.append(
                Phrase("{name}: is cut off; {entries} whole entries of it were read", name=name, entries=len(entries))
            )
            value = {"log": {"entries": entries}}
    if isinstance(value, dict) and documents.kind_of(value) == "har":
        _add_har(bundle, value, name)
    else:
        bundle.notes.append(Phrase("{name}: is not a HAR (it has no log.entries) and was not read", name=name))


def _add_console(bundle: Bundle, text: str, name: str) -> None:
    """A saved console. That no line of it is an error is evidence too."""
    from diagnose.collect import browser, documents

    value = _json(text.strip()) if text.lstrip()[:1] == "{" else None
    if isinstance(value, dict) and documents.kind_of(value) == "har":
        _add_har(bundle, value, name)
        return
    errors = browser.console(text, name)
    bundle.common += errors
    bundle.given.add("console")
    bundle.read.append(name)
    if not errors:
        bundle.notes.append(Phrase("{name}: no line in it is an error", name=name))


def _exchange(bundle: Bundle, text: str, name: str, kind: str) -> None:
    """A request or an answer whose kind is known; an answer need not be JSON."""
    from diagnose.collect import documents

    value = _json(text.strip())
    if isinstance(value, dict) and documents.kind_of(value) == "har":
        _json_document(bundle, value, b"", name)
    elif isinstance(value, (dict, list)):
        _add_exchanges(bundle, value, name, kind)
    elif kind == "response" and text.strip():
        body = documents.response(text if "<" in text[:300] else {"status": None, "body": text, "headers": {}}, name)
        bundle.responses.append(body)
        bundle.given.add("response")
        bundle.read.append(name)
    else:
        bundle.notes.append(Phrase("{name}: is not a {kind} in JSON and was not read", name=name, kind=kind))


def _add_exchanges(bundle: Bundle, value: Any, name: str, kind: str) -> None:
    from diagnose.collect import documents

    items = value if isinstance(value, list) else [value]
    items = [item for item in items if isinstance(item, dict)]
    for index, item in enumerate(items):
        source = name if not isinstance(value, list) else f"{name}[{index}]"
        if kind == "request":
            bundle.requests.append(documents.request(item, source))
        else:
            bundle.responses.append(documents.response(item, source))
    if items:
        bundle.given.add(kind)
        bundle.read.append(name)


def _add_prompt_log(bundle: Bundle, log: prompt_log.PromptLog, name: str) -> None:
    bundle.prompt_logs.append((name, log))
    bundle.given.add("prompt_log")
    bundle.read.append(name)
    bundle.notes += [Phrase("{name}: {note}", name=name, note=note) for note in log.notes]


def _add_log(bundle: Bundle, text: str, name: str, only_if_recognised: bool = False) -> None:
    from diagnose.collect import backend_log

    log = backend_log.read(text, name)
    if only_if_recognised and not log.recognised and not log.common:
        bundle.notes.append(Phrase("{name}: nothing in it was recognised", name=name))
        return
    bundle.logs.append(log)
    bundle.given.add("backend_log")
    bundle.read.append(name)


def _ticket(bundle: Bundle, text: str, name: str) -> None:
    """A pasted ticket: JSON and log lines in prose. What it says should be there is a claim, not an observation."""
    from diagnose.collect import backend_log

    entries: list[dict[str, Any]] = []
    claims = 0
    covered: list[tuple[int, int]] = []
    for block in loose_json.blocks(text):
        if not isinstance(block.value, dict) or not prompt_log.looks_like_entry(block.value):
            continue
        covered.append((block.start, block.end))
        if _is_claim(text, block.start, json.dumps(block.value, default=str)):
            claims += 1
        else:
            entries.append(prompt_log.normalise_entry(block.value))
    merged = _merged(entries)
    if merged:
        kept = tuple(prompt_log.Entry(i, value, None, None) for i, value in enumerate(merged))
        log = prompt_log.PromptLog(kept, "ticket", (), (), True)
        _add_prompt_log(bundle, log, name)
    lines = _observed_lines(text, covered)
    if any(line.strip() for line in lines):
        log_read = backend_log.read("\n".join(lines), name)
        if log_read.attempts:
            bundle.logs.append(log_read)
            bundle.given.add("backend_log")
    said = Phrase(
        "; {claims} example of what should appear left aside"
        if claims == 1
        else "; {claims} examples of what should appear left aside",
        claims=claims,
    )
    bundle.notes.append(Phrase("{name}: read as a pasted ticket{said}", name=name, said=said if claims else ""))
    bundle.given.add("prompt_log" if merged else "ticket")


def _is_claim(text: str, start: int, value: str) -> bool:
    """Whether the words before a block announce it as what should be, or its addresses are cut short by dots."""
    before = [
        line
        for line in text[max(0, start - 400) : start].split("\n")
        if line.strip(" `*\n") and not line.startswith("```")
    ]
    said = before[-1] if before else ""
    if _ACTUAL.search(said):
        return False
    return bool(_CLAIMS.search(said)) or "://..." in value


def _merged(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Excerpts of one entry, pasted in several places, joined where they do not contradict each other."""
    merged: list[dict[str, Any]] = []
    for entry in entries:
        if merged and _agree(merged[-1], entry):
            merged[-1] = _union(merged[-1], entry)
        else:
            merged.append(entry)
    return merged


def _agree(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return all(
        _agree(one[k], two[k]) if isinstance(one[k], dict) and isinstance(two[k], dict) else one[k] == two[k]
        for k in one.keys() & two.keys()
    )


def _union(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    both = {
        k: _union(one[k], two[k])
        for k in one.keys() & two.keys()
        if isinstance(one[k], dict) and isinstance(two[k], dict)
    }
    return {**one, **two, **both}


def _observed_lines(text: str, covered: list[tuple[int, int]]) -> list[str]:
    """The ticket's log lines; a block in which one line is marked as expected is a claim as a whole."""
    kept: list[str] = []
    run: list[str] = []
    claimed, heading = False, ""
    position = 0
    inside = iter(covered)
    span = next(inside, None)
    for line in text.split("\n"):
        while span is not None and position >= span[1]:
            span = next(inside, None)
        skipped = span is not None and span[0] <= position < span[1]
        position += len(line) + 1
        if not skipped and _LOG_MARK.match(line):
            run.append(line)
            claimed = claimed or bool(_MARKED.search(line))
            continue
        if run and not line.strip():
            run.append("")
            kept.append("")
            continue
        kept += [""] * len([r for r in run if r]) if claimed or _CLAIMS.search(heading) else run
        run, claimed = [], False
        kept.append("")
        if line.strip() and not line.startswith("```"):
            heading = line
    return kept + ([] if claimed or _CLAIMS.search(heading) else run)
