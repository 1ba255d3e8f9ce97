"""No input of any kind gives a traceback, a hang or exit 70: random bytes, mutated real files, hostile values."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from diagnose import collect, explain, normalise, profile
from diagnose.cli import main
from diagnose.generator import faults
from diagnose.generator.demo import Stage
from diagnose.model import Status
from diagnose.render import document
from diagnose.render.text import Page
from diagnose.render.words import Words

SEED = profile.build(profile.BUILT_IN["seed"], "seed")
NAMES = ("bucket_missing", "fal_key_rejected", "no_image_sent", "backend_stale", "image_unusable")
KINDS = (None, "prompt_log", "backend_log", "request", "response")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = [
    "timestamp",
    "request",
    "fal_request",
    "model",
    "image_url",
    "image_urls",
    "has_face_image",
    "generation_mode",
    "status",
    "body",
    "detail",
    "error",
    "loc",
    "images",
    "debug_info",
    "prompt",
    "strength",
    "num_inference_steps",
    "method",
    "url",
    "content_type",
    "message",
    "level",
    "request_id",
    "path",
    "type",
    "msg",
]
shaped = st.recursive(
    json_values,
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def files(on_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    top = tmp_path_factory.mktemp("real")
    for name in NAMES:
        fault = faults.named(name)
        assert fault is not None
        on_stage.write_case(fault, top / name)
    return [path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()]


def survive(folder: Path, data: bytes) -> None:
    """Everything the two commands do with a file, in process; a check that crashes is a failure as well."""
    path = folder / "evidence"
    path.write_bytes(data)
    for kind in KINDS:
        bundle = collect.gather([path]) if kind is None else collect.gather([], [(kind, path)])
        for case in normalise.cases(bundle, SEED, every=True)[:5]:
            found = explain.diagnose(case, notes=bundle.notes)
            assert not [f for f in found.findings if f.status is Status.CRASH]
            json.loads(document.dumps([found], False))
            Page(Console(file=io.StringIO(), width=80), Words("en"), True).show(found, True)


quick = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quick
@given(st.binary(max_size=400))
def test_any_bytes_are_survived(tmp_path: Path, data: bytes) -> None:
    survive(tmp_path, data)


@quick
@given(shaped)
def test_any_json_is_survived(tmp_path: Path, value: object) -> None:
    survive(tmp_path, json.dumps(value).encode())


@quick
@given(st.lists(shaped, max_size=4))
def test_any_entries_are_survived(tmp_path: Path, values: list[object]) -> None:
    entries = [
        {"timestamp": "2026-01-11T06:35:30", "request": v, "fal_request": v, "generation_mode": v} for v in values
    ]
    survive(tmp_path, json.dumps(entries).encode())


MUTATIONS = (
    "cut",
    "head",
    "flip",
    "shuffle",
    "repeat",
    "swap",
    "drop",
    "escape",
    "blow up",
    "join",
    "utf-16",
    "cp1252",
    "cp037",
)


def mutated(data: bytes, how: str, chance: random.Random) -> bytes:
    """A real file as accidents leave it."""
    lines = data.split(b"\n")
    at = chance.randrange(len(data) + 1)
    if how == "cut":
        return data[:at]
    if how == "head":
        return data[at:]
    if how == "flip":
        spoilt = bytearray(data or b"x")
        for _ in range(chance.randint(1, 20)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        return bytes(spoilt)
    if how == "shuffle":
        chance.shuffle(lines)
        return b"\n".join(lines)
    if how == "repeat":
        return b"\n".join(line for line in lines for _ in range(chance.choice((0, 1, 1, 2))))
    if how == "swap":
        return data.replace(b'"', b"'").replace(b"null", b"None")
    if how == "drop":
        return bytes(byte for byte in data if byte not in chance.choice((b'"', b"{}", b":,", b"\n", b" ")))
    if how == "escape":
        return data.replace(
            b" ", chance.choice((b"\x1b[31m", b"\xe2\x80\xae", b"\x00", b"[red]", b"{0.__class__}", b"\xff"))
        )
    if how == "blow up":
        return data[:at] + data[at : at + 40] * 500 + data[at:]
    if how == "join":
        return data.replace(b"\n", b" ")
    return data.decode("utf-8", "replace").encode(how, "replace")


@quick
@given(st.integers(0, 2**32), st.sampled_from(MUTATIONS))
def test_mutated_real_files_are_survived(tmp_path: Path, files: list[bytes], seed: int, how: str) -> None:
    chance = random.Random(seed)
    survive(tmp_path, mutated(chance.choice(files), how, chance))


class Folder(dict[str, bytes]):
    """The files of a folder, by name."""

    def __repr__(self) -> str:
        return f"Folder({sorted(self)})"


@pytest.fixture(scope="module")
def folders(on_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> list[Folder]:
    """The evidence of some faults, by name."""
    top = tmp_path_factory.mktemp("whole")
    for name in NAMES:
        fault = faults.named(name)
        assert fault is not None
        on_stage.write_case(fault, top / name)
    return [
        Folder(
            (path.relative_to(folder).as_posix(), path.read_bytes())
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        )
        for folder in sorted(top.iterdir())
    ]


def spoil(folder: Path, files: Folder, chance: random.Random) -> None:
    """Evidence of one request of which some files are damaged, exchanged for each other's content, or gone."""
    for old in folder.rglob("*"):
        if old.is_file():
            old.unlink()
    names = sorted(files)
    for name in names:
        if chance.random() < 0.15:
            continue
        data = files[name if chance.random() < 0.9 else chance.choice(names)]
        if chance.random() < 0.6:
            data = mutated(data, chance.choice(MUTATIONS), chance)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@quick
@given(st.integers(0, 2**32))
def test_folders_of_mutated_files_are_survived(tmp_path: Path, folders: list[Folder], seed: int) -> None:
    chance = random.Random(seed)
    folder = tmp_path / "spoilt"
    folder.mkdir(exist_ok=True)
    spoil(folder, chance.choice(folders), chance)
    bundle = collect.gather([folder])
    for case in normalise.cases(bundle, SEED, every=chance.random() < 0.3)[:5]:
        found = explain.diagnose(case, notes=bundle.notes)
        assert not [f for f in found.findings if f.status is Status.CRASH]
        assert document.dumps([found], False).isascii()
        for language in ("en", "id"):
            Page(Console(file=io.StringIO(), width=80), Words(language), True).show(found, True)


COMMANDS = (
    ("checklist",),
    ("checklist", "--all", "-v"),
    ("checklist", "--format", "json"),
    ("checklist", "--match", "image"),
    ("checklist", "--entry", "-2", "--format", "json"),
    ("checklist", "--at", "2026-01-11T06:40", "--profile", "flux-2-edit"),
)


@quick
@given(st.integers(0, 2**32), st.sampled_from(COMMANDS))
def test_the_command_survives_them_too(
    tmp_path: Path, folders: list[Folder], seed: int, command: tuple[str, ...]
) -> None:
    chance = random.Random(seed)
    folder = tmp_path / "spoilt"
    folder.mkdir(exist_ok=True)
    spoil(folder, chance.choice(folders), chance)
    files = [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".py"]
    for arguments in ([*command, str(folder)], *([[kind, *files[:1]] for kind in ("latest-log", "validate") if files])):
        out, err, before = io.StringIO(), io.StringIO(), sys.argv
        sys.argv = ["diagnose", *arguments]
        try:
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
                main()
        finally:
            sys.argv = before
        assert ended.value.code in (0, 1, 3, 4), (arguments, err.getvalue())
        assert "Traceback (most" not in err.getvalue()
        if "json" in arguments:
            json.loads(out.getvalue())


@pytest.mark.parametrize("seed", range(3))
def test_a_process_of_its_own_survives_them(tmp_path: Path, folders: list[Folder], seed: int) -> None:
    spoil(tmp_path, folders[seed], random.Random(seed))
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-W", "error", "-m", "diagnose", "checklist", str(tmp_path), "--all", "-v"]
    ran = subprocess.run(command, capture_output=True, env=env, timeout=30, check=False)
    assert ran.returncode in (0, 1, 3, 4) and b"Traceback (most" not in ran.stderr


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{" * 100_000,
        '{"a":' * 20_000,
        '[{"timestamp": 1' + "0" * 6000 + "}]",
        "INFO:main:" + "x" * 2_000_000,
        "{\n" * 20_000,
        "Traceback (most recent call last):\n" * 5_000,
        "INFO:httpx:HTTP Request: POST https://fal.run/" + "a/" * 50_000 + ' "HTTP/1.1 200 OK"',
        "\x00" * 100_000,
        "\x1b]52;c;AAAA\x07" * 1_000,
        json.dumps(
            [{"timestamp": "2026", "request": {}, "fal_request": {"model": "m", "prompt": "very long " * 1_000_000}}]
        ),
    ],
    ids=[
        "arrays",
        "objects",
        "nested",
        "a huge number",
        "one long line",
        "open braces",
        "tracebacks",
        "a long url",
        "nul",
        "osc",
        "a prompt of 10 MB",
    ],
)
def test_hostile_sizes_and_depths_are_survived(tmp_path: Path, text: str) -> None:
    survive(tmp_path, text.encode())
