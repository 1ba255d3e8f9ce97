"""The prompt log: both forms, many writers at once, writers killed, and disks that take no more."""

from __future__ import annotations

import errno
import io
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

filelock = pytest.importorskip("filelock")

from diagnose.generator import prompt_log  # noqa: E402
from diagnose.generator.prompt_log import PromptLog  # noqa: E402

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 1, 11, 6, 35, 30, 766926)
STAMP = "20260111T063530"
FORMS = ("prompt_log.json", "prompt_log.jsonl")
LONG = 600
"""Entries that make an array too long to be parsed at every entry."""

both_forms = pytest.mark.parametrize("name", FORMS)
unix = pytest.mark.skipif(os.name == "nt", reason="needs a Unix")


def strict(path: Path) -> list[Any]:
    """The entries, read as any other program would: nothing cut, nothing mended."""
    text = path.read_bytes().decode("utf-8-sig")
    if path.suffix == ".json":
        entries = json.loads(text)
        assert isinstance(entries, list)
        return entries
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def numbers(path: Path) -> list[int]:
    return [entry["n"] for entry in strict(path)]


def listing(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def with_lock(*names: str) -> set[str]:
    return {*names, f".{names[0]}.lock"}


def fill(path: Path, count: int) -> None:
    for number in range(count):
        PromptLog(path, keep=0).append({"n": number}, NOW)


def run(script: str, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, **options)


# The two forms.


@both_forms
def test_the_newest_stay_oldest_first(name: str, tmp_path: Path) -> None:
    path = tmp_path / "deep" / name
    for number in range(5):
        assert PromptLog(path, keep=3).append({"n": number}, NOW) is None
    assert numbers(path) == [2, 3, 4]
    for number in range(5, 20):
        PromptLog(path, keep=0).append({"n": number}, NOW)
    assert numbers(path) == list(range(2, 20))
    PromptLog(path, keep=4).append({"n": 20}, NOW)
    assert numbers(path) == [17, 18, 19, 20]
    PromptLog(path, keep=1).append({"n": 21}, NOW)
    assert numbers(path) == [21]
    assert listing(path.parent) == with_lock(name)


@both_forms
def test_ten_stay_unless_said_otherwise(name: str, tmp_path: Path) -> None:
    for number in range(15):
        PromptLog(tmp_path / name).append({"n": number}, NOW)
    assert numbers(tmp_path / name) == list(range(5, 15))


def test_an_array_looks_as_json_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "prompt_log.json"
    entries = [{"n": number, "größe": {"a": [1, {}]}, "leer": []} for number in range(LONG)]
    for entry in entries:
        PromptLog(path, keep=0).append(entry, NOW)
    assert path.stat().st_size > 2 * prompt_log._SHORT
    assert path.read_text(encoding="utf-8") == json.dumps(entries, indent=2, ensure_ascii=False)


@pytest.mark.parametrize("name", ["a.jsonl", "a.NDJSON", "a.json.ndjson"])
def test_the_ending_of_the_name_makes_it_json_lines(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    for number in range(2):
        PromptLog(path).append({"n": number, "größe": "1\n2"}, NOW)
    assert path.read_bytes() == '{"n": 0, "größe": "1\\n2"}\n{"n": 1, "größe": "1\\n2"}\n'.encode()


@pytest.mark.parametrize("name", ["prompt_log", "a.txt", "jsonl"])
def test_any_other_name_makes_it_an_array(name: str, tmp_path: Path) -> None:
    PromptLog(tmp_path / name).append({"n": 1}, NOW)
    assert json.loads((tmp_path / name).read_text(encoding="utf-8")) == [{"n": 1}]


@both_forms
def test_text_of_any_kind_comes_back(name: str, tmp_path: Path) -> None:
    entry = {"text": "a\u2028b\x85c\x00\\ud800 \ud83d 👍", "back": "\\", "n": -0.5, "none": None}
    for _ in range(2):
        PromptLog(tmp_path / name).append(entry, NOW)
    assert strict(tmp_path / name) == [entry, entry]
    assert PromptLog(tmp_path / name).latest() == entry


def test_a_long_array_is_not_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prompt_log.json"
    entries = [{"n": number, "text": "x" * 40_000} for number in range(3)]
    path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    encoded: list[object] = []
    real = json.dumps
    monkeypatch.setattr(json, "dumps", lambda value, **how: encoded.append(value) or real(value, **how))
    PromptLog(path, keep=0).append({"n": 3}, NOW)
    assert encoded == [{"n": 3}]
    assert numbers(path) == [0, 1, 2, 3]


@pytest.mark.parametrize("layout", ["compact", "tabs", "crlf", "bom", "numbers", "newline"])
def test_a_long_array_laid_out_otherwise_is_taken_on(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "prompt_log.json"
    entries: list[Any] = [{"n": number, "text": "x" * 100} for number in range(LONG)]
    if layout == "numbers":
        entries.append(7)
    indent = {"compact": None, "tabs": "\t"}.get(layout, 2)
    text = json.dumps(entries, indent=indent)
    text = {"crlf": text.replace("\n", "\r\n"), "bom": "\ufeff" + text, "newline": text + "\n \n"}.get(layout, text)
    path.write_bytes(text.encode())
    for number in range(2):
        assert PromptLog(path, keep=0).append({"n": LONG + number}, NOW) is None
    assert strict(path) == [*entries, {"n": LONG}, {"n": LONG + 1}]


@both_forms
@pytest.mark.parametrize("old", ["", " \n", "\n\n", "\ufeff", "\ufeff\n"])
def test_an_empty_log_is_not_corrupt(name: str, old: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(old.encode())
    log = PromptLog(path)
    assert log.latest() is None
    assert log.check(NOW) is None
    assert log.append({"n": 1}, NOW) is None
    assert log.append({"n": 2}, NOW) is None
    assert numbers(path) == [1, 2]
    assert log.check(NOW) is None
    assert log.latest() == {"n": 2}
    assert listing(tmp_path) == with_lock(name)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    array, lines = tmp_path / "a.json", tmp_path / "a.jsonl"
    array.write_bytes(b'\xef\xbb\xbf[{"n": 0}]')
    lines.write_bytes(b'\xef\xbb\xbf{"n": 0}\r\n')
    for path in (array, lines):
        log = PromptLog(path)
        assert log.latest() == {"n": 0}
        assert log.check(NOW) is None
        assert log.append({"n": 1}, NOW) is None
        assert numbers(path) == [0, 1]


@both_forms
def test_the_newest_entry_is_the_last(name: str, tmp_path: Path) -> None:
    log = PromptLog(tmp_path / name, keep=0)
    assert log.latest() is None
    for number in range(3):
        log.append({"n": number, "text": "x" * 3 * prompt_log._SHORT}, NOW)
        newest = log.latest()
        assert newest is not None
        assert newest["n"] == number


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"n": 1}'),
        ("a.json", b'[{"n": 1}'),
        ("a.json", b"[7]"),
        ("a.json", b"\xff\xfe[\0]\0"),
        ("a.json", b"[" * 100_000),
        ("a.jsonl", b'[{"n": 1}]\n'),
        ("a.jsonl", b'{"n": 1}\nnot json\n'),
        ("a.jsonl", b'{"n'),
        ("a.jsonl", b"\n\n"),
    ],
)
def test_where_there_is_no_newest_entry_there_is_none(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert PromptLog(tmp_path / name).latest() is None
    assert (tmp_path / name).read_bytes() == content


def test_where_nothing_can_be_read_there_is_no_newest_entry(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"[]")
    assert PromptLog(tmp_path).latest() is None
    assert PromptLog(tmp_path / "file" / "prompt_log.json").latest() is None


# What is corrupt.


CORRUPT = {
    "cut": b'[{"timestamp": "2026-01',
    "object": b'{"timestamp": "x",\n"n": 1}\n',
    "words": b"not json",
    "deep": b"[" * 100_000,
    "latin": b"\xe9",
    "utf-16": '[{"n": 1}]'.encode("utf-16"),
    "picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "zeros": bytes(5000),
}
"""What is neither an array nor JSON Lines."""


@both_forms
@pytest.mark.parametrize("kind", CORRUPT)
def test_what_is_corrupt_is_set_aside_at_the_start_and_never_replaced(name: str, kind: str, tmp_path: Path) -> None:
    path, log = tmp_path / name, PromptLog(tmp_path / name)
    for suffix in ("", "-1", "-2"):
        path.write_bytes(CORRUPT[kind])
        aside = log.check(NOW)
        assert aside == tmp_path / f"{name}.corrupt-{STAMP}{suffix}"
        assert aside.read_bytes() == CORRUPT[kind]
        assert not path.exists()
        assert log.check(NOW) is None
    assert len(listing(tmp_path)) == 4


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.json", kind) for kind in CORRUPT] + [("a.jsonl", kind) for kind in CORRUPT if kind != "object"],
)
def test_what_is_corrupt_is_set_aside_before_an_entry(name: str, kind: str, tmp_path: Path) -> None:
    path, asides = tmp_path / name, []
    for number in range(2):
        path.write_bytes(CORRUPT[kind])
        asides.append(PromptLog(path).append({"n": number}, NOW))
        assert numbers(path) == [number]
    assert asides == [tmp_path / f"{name}.corrupt-{STAMP}", tmp_path / f"{name}.corrupt-{STAMP}-1"]
    assert {aside.read_bytes() for aside in asides if aside} == {CORRUPT[kind]}


def test_a_log_of_the_other_form_is_set_aside(tmp_path: Path) -> None:
    array, lines = b'[\n  {\n    "n": 1\n  }\n]', b'{"n": 1}\n{"n": 2}\n'
    for name, content in (("a.json", lines), ("a.jsonl", array), ("b.jsonl", b'[{"n": 1}]')):
        (tmp_path / name).write_bytes(content)
        aside = PromptLog(tmp_path / name).append({"n": 3}, NOW)
        assert aside is not None
        assert aside.read_bytes() == content
        assert numbers(tmp_path / name) == [3]


def test_a_long_array_that_is_cut_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "prompt_log.json"
    whole = json.dumps([{"n": number, "text": "x" * 100} for number in range(LONG)], indent=2).encode()
    for cut in (whole[:-1], whole[:-4], whole[:-60] + b"]", whole[:-60] + b"\n]", whole + b"]"):
        path.write_bytes(cut)
        aside = PromptLog(path, keep=0).append({"n": 0}, NOW)
        assert aside is not None
        assert aside.read_bytes() == cut
        assert numbers(path) == [0]


def test_a_fault_within_is_found_at_the_start(tmp_path: Path) -> None:
    array, lines = tmp_path / "a.json", tmp_path / "a.jsonl"
    fill(array, LONG)
    fill(lines, LONG)
    for path in (array, lines):
        assert PromptLog(path).check(NOW) is None
        broken = path.read_bytes().replace(b'"n": 300', b'"n": 3"0')
        path.write_bytes(broken)
        aside = PromptLog(path).check(NOW)
        assert aside is not None
        assert aside.read_bytes() == broken
        assert not path.exists()


@pytest.mark.parametrize("keep", [0, 2, 10])
@pytest.mark.parametrize("rest", [b'{"n": 2, "te', b"{", b'"', b"\0\0\0", b'{"n": 2}, {', b'{"text": "\xc3'])
def test_a_cut_line_goes_aside_and_the_whole_ones_stay(rest: bytes, keep: int, tmp_path: Path) -> None:
    path, log = tmp_path / "a.jsonl", PromptLog(tmp_path / "a.jsonl", keep)
    path.write_bytes(b'{"n": 0}\n{"n": 1}\n' + rest)
    assert log.latest() == {"n": 1}
    aside = log.append({"n": 3}, NOW)
    assert aside == tmp_path / f"a.jsonl.corrupt-{STAMP}"
    assert aside.read_bytes() == rest
    assert numbers(path) == ([1, 3] if keep == 2 else [0, 1, 3])


def test_a_cut_line_goes_aside_at_the_start_too(tmp_path: Path) -> None:
    path, log = tmp_path / "a.jsonl", PromptLog(tmp_path / "a.jsonl")
    path.write_bytes(b'{"n": 0}\n{"n": 1}\n{"n')
    aside = log.check(NOW)
    assert aside is not None
    assert aside.read_bytes() == b'{"n'
    assert numbers(path) == [0, 1]
    assert log.check(NOW) is None


@pytest.mark.parametrize(("keep", "kept"), [(0, [0, 1, 2, 3]), (3, [1, 2, 3]), (2, [2, 3]), (1, [3])])
def test_a_line_that_lacks_only_its_end_is_whole(keep: int, kept: list[int], tmp_path: Path) -> None:
    path, log = tmp_path / "a.jsonl", PromptLog(tmp_path / "a.jsonl", keep)
    path.write_bytes(b'{"n": 0}\n\n{"n": 1}')
    assert log.latest() == {"n": 1}
    assert log.check(NOW) is None
    log.append({"n": 2}, NOW)
    assert log.append({"n": 3}, NOW) is None
    assert numbers(path) == kept


def test_a_very_long_line_that_is_cut_goes_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rest = b'{"text": "' + b"x" * 5 * prompt_log._SHORT
    path.write_bytes(b'{"n": 0}\n' + rest)
    assert PromptLog(path).latest() == {"n": 0}
    aside = PromptLog(path, keep=0).append({"n": 1}, NOW)
    assert aside is not None
    assert aside.read_bytes() == rest
    assert numbers(path) == [0, 1]


def test_check_touches_nothing_where_there_is_no_log(tmp_path: Path) -> None:
    assert PromptLog(tmp_path / "none" / "prompt_log.json").check(NOW) is None
    assert listing(tmp_path) == set()


# The file it is.


@unix
@both_forms
@pytest.mark.parametrize("keep", [0, 1])
def test_a_symbolic_link_stays_one(name: str, keep: int, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    link, real = tmp_path / "here" / name, tmp_path / "there" / "kept"
    link.symlink_to(real)
    log = PromptLog(link, keep)
    for number in range(2):
        log.append({"n": number}, NOW)
    assert log.latest() == {"n": 1}
    real.write_bytes(b"not json")
    assert log.check(NOW) == tmp_path / "there" / f"kept.corrupt-{STAMP}"
    log.append({"n": 2}, NOW)
    assert link.is_symlink()
    assert listing(tmp_path / "here") == {name}
    assert listing(tmp_path / "there") == with_lock("kept", f"kept.corrupt-{STAMP}")
    assert numbers(link) == [2]


@unix
@both_forms
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_the_mode_of_the_file_stays(name: str, mode: int, tmp_path: Path) -> None:
    path = tmp_path / name
    PromptLog(path).append({"n": 0}, NOW)
    path.chmod(mode)
    PromptLog(path).append({"n": 1}, NOW)
    PromptLog(path, keep=1).append({"n": 2}, NOW)
    assert path.stat().st_mode & 0o7777 == mode
    path.write_bytes(b"not json")
    aside = PromptLog(path).check(NOW)
    assert aside is not None
    assert aside.stat().st_mode & 0o7777 == mode


@both_forms
def test_what_killed_writers_left_goes_when_it_is_old(name: str, tmp_path: Path) -> None:
    old, other = (tmp_path / f".{which}.0123456789ab.tmp" for which in (name, f"x{name}"))
    young = tmp_path / f".{name}.abcdef012345.tmp"
    for file in (old, other, young):
        file.write_bytes(b"[")
    for file in (old, other):
        os.utime(file, (time.time() - 7200, time.time() - 7200))
    PromptLog(tmp_path / name).append({"n": 0}, NOW)
    assert listing(tmp_path) == with_lock(name, other.name, young.name)
    os.utime(young, (time.time() - 7200, time.time() - 7200))
    PromptLog(tmp_path / name).check(NOW)
    assert listing(tmp_path) == with_lock(name, other.name)


# What fails.


@pytest.mark.parametrize(
    ("name", "keep", "what"),
    [
        ("a.json", 0, "fsync"),
        ("a.json", 0, "replace"),
        ("a.json", 2, "fsync"),
        ("a.jsonl", 0, "fsync"),
        ("a.jsonl", 2, "fsync"),
        ("a.jsonl", 2, "replace"),
    ],
)
def test_a_write_that_fails_leaves_the_old_log_and_nothing_else(
    name: str, keep: int, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    fill(path, 2)
    old = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, what, full)
        with pytest.raises(OSError, match="No space left"):
            PromptLog(path, keep).append({"n": 2}, NOW)
        assert path.read_bytes() == old
        assert listing(tmp_path) == with_lock(name)
    PromptLog(path, keep).append({"n": 3}, NOW)
    assert numbers(path)[-2:] == [1, 3]


@both_forms
@pytest.mark.parametrize("content", [b"not json", b'{"n": 0}\n{"n'])
@pytest.mark.parametrize("what", ["fsync", "replace"])
def test_what_cannot_be_put_right_is_not_set_aside(
    name: str, content: bytes, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, what, full)
        with pytest.raises(OSError, match="No space left"):
            PromptLog(path).append({"n": 1}, NOW)
    assert path.read_bytes() == content
    assert listing(tmp_path) == with_lock(name)


def test_a_line_taken_in_part_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    fill(path, 2)
    old = path.read_bytes()
    taken: list[int] = []

    class Filling(io.FileIO):
        def write(self, data: Any, /) -> int:
            if taken:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            taken.append(super().write(bytes(data)[:4]))
            return taken[0]

    real = Path.open

    def opened(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return Filling(self, "r+") if mode == "rb+" else real(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(OSError, match="No space left"):
        PromptLog(path, keep=0).append({"n": 2}, NOW)
    assert taken == [4]
    assert path.read_bytes() == old


LIMITED = """
import json, resource, sys
from datetime import datetime
from pathlib import Path
from diagnose.generator.prompt_log import PromptLog
path, keep = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
saved = 0
try:
    while saved < 1000:
        PromptLog(path, keep).append({"n": saved, "text": "x" * 333}, datetime(2026, 1, 11))
        saved += 1
except OSError as error:
    print(json.dumps([saved, error.errno]))
"""


@unix
@both_forms
@pytest.mark.parametrize("keep", [0, 100])
def test_the_system_taking_only_a_part_costs_no_entry(name: str, keep: int, tmp_path: Path) -> None:
    done = run(LIMITED, tmp_path / name, str(keep))
    assert not done.stderr
    saved, number = json.loads(done.stdout)
    assert number == errno.EFBIG
    assert saved > 5
    assert numbers(tmp_path / name) == list(range(saved))
    assert listing(tmp_path) == with_lock(name)


@both_forms
def test_what_is_no_json_changes_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    fill(path, 1)
    with pytest.raises(TypeError):
        PromptLog(path).append({"n": object()}, NOW)
    assert numbers(path) == [0]
    assert listing(tmp_path) == with_lock(name)


@both_forms
def test_a_folder_in_its_place_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    log = PromptLog(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        log.append({"n": 1}, NOW)
    with pytest.raises(IsADirectoryError):
        log.check(NOW)
    assert listing(tmp_path) == {name}
    assert listing(tmp_path / name) == set()


@both_forms
def test_a_way_through_a_file_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    for log in (PromptLog(tmp_path / "file" / name), PromptLog(tmp_path / "file" / "deep" / name)):
        with pytest.raises(OSError):
            log.append({"n": 1}, NOW)
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert listing(tmp_path) == {"file"}


@unix
@both_forms
def test_what_is_no_regular_file_is_an_error(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    log = PromptLog(tmp_path / name)
    with pytest.raises(OSError, match="not a regular file"):
        log.append({"n": 1}, NOW)
    assert log.latest() is None
    assert listing(tmp_path) == {name}


REFUSED = """
import os, sys
from datetime import datetime
from pathlib import Path
from diagnose.generator.prompt_log import PromptLog
own, theirs = map(Path, sys.argv[1:])
# what is imported late must be imported before root gives up its rights
PromptLog(own).append({"n": 1}, datetime(2026, 1, 11))
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    PromptLog(theirs, 0).append({"n": 1}, datetime(2026, 1, 11))
except PermissionError as error:
    print(error.filename)
"""


@unix
@both_forms
@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_that_takes_nothing_is_an_error(name: str, existing: bool, tmp_path: Path) -> None:
    # not below tmp_path, which is closed to the user that root must become to be refused anything
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if existing:
            fill(folder / name, 1)
        old = {file.name: file.read_bytes() for file in folder.iterdir()}
        folder.chmod(0o555)
        done = run(REFUSED, tmp_path / name, folder / name)
        folder.chmod(0o755)
        assert not done.stderr
        assert Path(done.stdout.strip()).parent == Path(os.path.realpath(folder))
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == old


def test_a_reader_on_windows_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prompt_log.json"
    fill(path, 1)
    real, refusals = os.replace, [PermissionError(errno.EACCES, "in use")] * 3

    def replace(*places: Any) -> None:
        if refusals:
            raise refusals.pop()
        real(*places)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(PermissionError):
        PromptLog(path).append({"n": 1}, NOW)
    assert len(refusals) == 2
    monkeypatch.setattr(prompt_log, "_WINDOWS", True)
    PromptLog(path).append({"n": 2}, NOW)
    assert numbers(path) == [0, 2]
    assert listing(tmp_path) == with_lock(path.name)


# The lock.


@both_forms
def test_a_lock_that_is_never_free_is_an_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_log, "PATIENCE", 0.05)
    path = tmp_path / name
    fill(path, 1)
    with filelock.FileLock(tmp_path / f".{name}.lock"):
        with pytest.raises(OSError, match=r"other writers kept '.*' locked for 0.05 s; nothing was saved"):
            PromptLog(path).append({"n": 1}, NOW)
        with pytest.raises(OSError, match="nothing was saved"):
            PromptLog(path).check(NOW)
        assert PromptLog(path).latest() == {"n": 0}
    PromptLog(path).append({"n": 2}, NOW)
    assert numbers(path) == [0, 2]


def queued(path: Path, keep: int) -> int:
    return len(prompt_log._queues.get((path, PromptLog(path, keep)), ()))


def test_a_thread_that_never_ends_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_log, "PATIENCE", 0.05)
    path = tmp_path / "a.json"
    with prompt_log._door(path), ThreadPoolExecutor() as pool:
        assert pool.submit(PromptLog(tmp_path / "b.json").append, {"n": 1}, NOW).result() is None
        with pytest.raises(OSError, match="nothing was saved"):
            pool.submit(PromptLog(path).append, {"n": 1}, NOW).result()
    assert not path.exists()
    PromptLog(path).append({"n": 2}, NOW)
    assert numbers(path) == [2]


@both_forms
@pytest.mark.parametrize(("keep", "kept"), [(0, 11), (8, 8), (20, 11), (1, 1)])
def test_what_waits_is_written_together(
    name: str, keep: int, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, log = tmp_path / name, PromptLog(tmp_path / name, keep)
    log.append({"n": -1}, NOW)
    real, synced = os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(file) or real(file))
    with ThreadPoolExecutor(10) as pool:
        with prompt_log._door(path):
            told = [pool.submit(log.append, {"n": number}, NOW) for number in range(10)]
            while queued(path, keep) < 10:
                time.sleep(0.001)
        assert [one.result() for one in told] == [None] * 10
    assert len(synced) == 1
    found = numbers(path)
    assert len(found) == len(set(found)) == kept
    assert kept < 11 or set(found) == set(range(-1, 10))


@both_forms
def test_what_waits_fails_each_by_itself(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, log = tmp_path / name, PromptLog(tmp_path / name, 0)
    log.append({"n": -1}, NOW)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, ThreadPoolExecutor(10) as pool:
        patch.setattr(os, "fsync", full)
        with prompt_log._door(path):
            told = [pool.submit(log.append, {"n": number}, NOW) for number in range(10)]
            while queued(path, 0) < 10:
                time.sleep(0.001)
        errors = [one.exception() for one in told]
    assert [error.errno for error in errors if isinstance(error, OSError)] == [errno.ENOSPC] * 10
    assert len({id(error) for error in errors}) == 10
    log.append({"n": 10}, NOW)
    assert numbers(path) == [-1, 10]


@both_forms
def test_what_another_thread_has_taken_is_said_to_be_saved(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, log = tmp_path / name, PromptLog(tmp_path / name, 0)
    real, reached, go_on = os.fsync, threading.Event(), threading.Event()

    def slow(file: int) -> None:
        reached.set()
        go_on.wait()
        real(file)

    with ThreadPoolExecutor(2) as pool:
        with filelock.FileLock(tmp_path / f".{name}.lock"):
            first = pool.submit(log.append, {"n": 0}, NOW)
            while queued(path, 0) < 1:
                time.sleep(0.001)
            monkeypatch.setattr(os, "fsync", slow)
            monkeypatch.setattr(prompt_log, "PATIENCE", 0.1)
            second = pool.submit(log.append, {"n": 1}, NOW)
            while queued(path, 0) < 2 and not second.done():
                time.sleep(0.001)
        reached.wait()
        # long enough for the second to lose its patience while it is being written; what is said must be true anyhow
        time.sleep(0.2)
        go_on.set()
        errors = [first.exception(), second.exception()]
    assert sorted(numbers(path)) == [number for number, error in enumerate(errors) if error is None]


@both_forms
def test_without_the_package_one_process_can_still_write(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: PromptLog(tmp_path / name, 0).append({"n": number}, NOW), range(200)))
    assert sorted(numbers(tmp_path / name)) == list(range(200))
    assert listing(tmp_path) == {name}
    for path in (tmp_path / name, tmp_path / "none"):
        with pytest.raises(ImportError):
            PromptLog(path).check(NOW)


@both_forms
@pytest.mark.parametrize("keep", [0, 7])
def test_threads_lose_nothing_and_readers_see_whole_entries(name: str, keep: int, tmp_path: Path) -> None:
    path, log = tmp_path / name, PromptLog(tmp_path / name, keep)
    log.append({"n": -1, "text": "x" * 9000}, NOW)
    done, seen = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            seen.append(log.latest())

    with ThreadPoolExecutor(9) as pool:
        reader = pool.submit(read)
        try:
            list(pool.map(lambda number: log.append({"n": number, "text": "x" * 9000}, NOW), range(200)))
        finally:
            done.set()
        reader.result()
    found = numbers(path)
    assert len(found) == len(set(found)) == (keep or 201)
    assert all(entry is not None and len(entry["text"]) == 9000 for entry in seen)
    assert listing(tmp_path) == with_lock(name)


PROCESSES, THREADS, ENTRIES = 8, 8, 10_000


def write_share(path: Path, process: int) -> None:
    """What one of the processes writes, in its threads."""
    log = PromptLog(path, keep=0)

    def write(thread: int) -> None:
        for number in range(process * THREADS + thread, ENTRIES, PROCESSES * THREADS):
            assert log.append({"n": number}, NOW) is None

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS)))


@both_forms
def test_sixty_four_writers_in_eight_processes_lose_none(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_share, args=(path, number)) for number in range(PROCESSES)]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.kill()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert sorted(numbers(path)) == list(range(ENTRIES))
    assert listing(tmp_path) == with_lock(name)


# Killed.


ENDLESS = """
import itertools, sys
from datetime import datetime
from pathlib import Path
from diagnose.generator.prompt_log import PromptLog
path, begin, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
log = PromptLog(path, 0)
for number in itertools.count(begin):
    log.append({"n": number, "text": "x" * size}, datetime(2026, 1, 11))
    print(number, flush=True)
"""


def killed_writer(path: Path, begin: int, size: int, dice: random.Random) -> list[int]:
    """Starts a writer, kills it at some moment, and says which entries it was told of as saved."""
    command = [sys.executable, "-c", ENDLESS, str(path), str(begin), str(size)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        try:
            saved = [int(writer.stdout.readline()) for _ in range(dice.randrange(1, 30))]
            # only moves the moment of the kill about within an entry
            time.sleep(dice.random() / 500)
        finally:
            writer.kill()
        return saved + [int(line) for line in writer.stdout if line.endswith("\n")]


@unix
@both_forms
def test_writers_killed_at_any_moment_leave_a_log_that_parses(name: str, tmp_path: Path) -> None:
    path, dice = tmp_path / name, random.Random(7)
    saved: set[int] = set()
    begin = 0
    for _ in range(25):
        saved.update(killed_writer(path, begin, 60, dice))
        found = numbers(path)
        assert found == sorted(set(found))
        assert saved <= set(found)
        # at most the one that was on its way is there without having been told of
        assert len(found) - len(saved) <= 25
        saved.update(found)
        begin = max(found) + 1
    assert PromptLog(path).check(NOW) is None
    assert not [file for file in listing(tmp_path) if "corrupt" in file]


@unix
def test_writers_of_long_lines_killed_at_any_moment_lose_nothing_whole(tmp_path: Path) -> None:
    path, dice = tmp_path / "a.jsonl", random.Random(7)
    saved: set[int] = set()
    for attempt in range(5):
        saved.update(killed_writer(path, attempt * 1_000_000, 300_000, dice))
        PromptLog(path).check(NOW)
        found = numbers(path)
        assert len(found) == len(set(found))
        assert saved <= set(found)


MIDWAY = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from diagnose.generator.prompt_log import PromptLog
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, sys.argv[2], die)
PromptLog(Path(sys.argv[1]), 2).append({"n": 2}, datetime(2026, 1, 11))
"""


@unix
@both_forms
@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize("content", [None, b"not json", b'{"n": 0}\n{"n'])
def test_a_writer_killed_before_the_replacement_changes_nothing(
    name: str, where: str, content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is None:
        fill(path, 2)
    else:
        path.write_bytes(content)
    old = path.read_bytes()
    assert run(MIDWAY, path, where).returncode == -9
    assert path.read_bytes() == old
    left = listing(tmp_path) - with_lock(name)
    assert left
    temporary = [tmp_path / file for file in left if file.endswith(".tmp")]
    for file in temporary:
        os.utime(file, (time.time() - 7200, time.time() - 7200))
    PromptLog(path, 2).append({"n": 3}, NOW)
    assert numbers(path)[-1] == 3
    assert not [file for file in temporary if file.exists()]


def test_nothing_is_imported_before_it_is_needed() -> None:
    script = "import sys, diagnose.generator.prompt_log; print('filelock' in sys.modules)"
    assert run(script).stdout == "False\n"


def test_a_log_is_a_value(tmp_path: Path) -> None:
    log: Callable[..., PromptLog] = PromptLog
    assert log(tmp_path) == PromptLog(tmp_path, 10)
    with pytest.raises(AttributeError):
        PromptLog(tmp_path).keep = 3  # type: ignore[misc]
