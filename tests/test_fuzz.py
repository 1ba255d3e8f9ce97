"""No input of any kind gives a traceback, a hang or exit 70: random bytes, mutated real files, hostile values."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from diagnose import collect, explain, normalise, profile
from diagnose.generator import demo, faults
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
def files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    top = tmp_path_factory.mktemp("real")
    for name in NAMES:
        fault = faults.named(name)
        assert fault is not None
        demo.write_case(fault, top / name)
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
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
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


@quick
@given(st.integers(0, 2**32), st.sampled_from(["cut", "flip", "shuffle", "repeat", "swap", "utf-16", "cp1252"]))
def test_mutated_real_files_are_survived(tmp_path: Path, files: list[bytes], seed: int, how: str) -> None:
    chance = random.Random(seed)
    data = chance.choice(files)
    lines = data.split(b"\n")
    if how == "cut":
        data = data[: chance.randrange(len(data) + 1)]
    elif how == "flip":
        spoilt = bytearray(data)
        for _ in range(chance.randint(1, 20)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        data = bytes(spoilt)
    elif how == "shuffle":
        chance.shuffle(lines)
        data = b"\n".join(lines)
    elif how == "repeat":
        data = b"\n".join(line for line in lines for _ in range(chance.choice((0, 1, 1, 2))))
    elif how == "swap":
        data = data.replace(b'"', b"'").replace(b"null", b"None")
    else:
        data = data.decode("utf-8", "replace").encode(how, "replace")
    survive(tmp_path, data)


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
    ],
)
def test_hostile_sizes_and_depths_are_survived(tmp_path: Path, text: str) -> None:
    survive(tmp_path, text.encode())
