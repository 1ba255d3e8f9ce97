"""Histories of backend logs: every attempt, judged as one by one, whatever the ranges."""

from __future__ import annotations

import gzip
import io
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diagnose import collect, normalise, profile
from diagnose.collect import long_log
from diagnose.generator import demo, faults
from diagnose.history import Wish, backend_logs, judge, plan, survey
from diagnose.model.history import Verdict

SEED = profile.build(profile.BUILT_IN["seed"], "seed")
NAMES = ("bucket_missing", "no_image_sent", "fal_key_rejected", "image_unusable", "wrong_target_model")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What backends wrote that broke in different ways."""
    texts = []
    for name in NAMES:
        fault = faults.named(name)
        assert fault is not None
        folder = tmp_path_factory.mktemp(name)
        demo.write_case(fault, folder)
        texts.append((folder / "backend.log").read_text(encoding="utf-8"))
    return texts


def noise(lines: int, seed: int) -> str:
    made = random.Random(seed)
    kinds = (
        'INFO:     127.0.0.1:{0} - "GET /health HTTP/1.1" 200 OK',
        'INFO:     10.0.0.1:{0} - "GET /api/items/{0} HTTP/1.1" 200 OK',
    )
    return "".join(made.choice(kinds).format(made.randint(30000, 60000)) + "\n" for _ in range(lines))


def one_by_one(path: Path) -> Counter[Verdict]:
    bundle = collect.gather([path], named=[("backend_log", path)], every=True)
    bundle.logs = bundle.logs[:1]  # it was named twice, so that its kind is not guessed
    return Counter(judge.of_case(case) for case in normalise.cases(bundle, SEED, every=True))


def counted(found: Any) -> tuple[Any, ...]:
    return found.entries, found.outcomes, found.roots, found.checks, found.bad


@pytest.fixture
def long(tmp_path: Path, logs: list[str]) -> Path:
    path = tmp_path / "backend.log"
    made = random.Random(4)
    path.write_text("".join(noise(500, n) + made.choice(logs) for n in range(14)) + noise(300, 99), encoding="utf-8")
    return path


def test_every_attempt_is_judged_as_one_by_one(long: Path) -> None:
    expected = one_by_one(long)
    found = survey([str(long)], SEED)
    assert found.entries == sum(expected.values()) > 10
    told: Counter[str] = Counter()
    roots: Counter[str] = Counter()
    for verdict, count in expected.items():
        told[verdict.outcome] += count
        roots[verdict.root or ""] += count
    del roots[""]
    assert {name: tally.count for name, tally in found.outcomes.items()} == told
    assert {name: tally.count for name, tally in found.roots.items()} == roots


@pytest.mark.parametrize("size", [20_000, 70_001, 300_000])
def test_the_ranges_of_a_log_add_up(long: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = survey([str(long)], SEED)
    monkeypatch.setattr(plan, "RANGE", size)
    monkeypatch.setattr(long_log, "BLOCK", size // 2)
    assert counted(survey([str(long)], SEED)) == counted(whole)
    assert counted(survey([str(long)], SEED, Wish(jobs=2))) == counted(whole)


def test_a_compressed_log_comes_to_the_same(long: Path, tmp_path: Path) -> None:
    packed = tmp_path / "backend.log.1.gz"
    packed.write_bytes(gzip.compress(long.read_bytes()))
    one, other = survey([str(long)], SEED), survey([str(packed)], SEED)
    assert (one.entries, {n: t.count for n, t in one.roots.items()}) == (
        other.entries,
        {n: t.count for n, t in other.roots.items()},
    )


def test_the_example_opens_where_it_says(long: Path) -> None:
    from diagnose.collect import place

    found = survey([str(long)], SEED)
    for name, tally in found.roots.items():
        assert tally.example is not None
        bundle = place.read(place.Spot(str(long), byte=tally.example.byte))
        assert judge.of_case(normalise.cases(bundle, SEED)[0]).root == name


def test_attempts_of_one_kind_are_one_shape(tmp_path: Path, logs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[object] = []
    real: Callable[..., Verdict] = judge.of_attempt

    def of_attempt(*given: Any) -> Verdict:
        judged.append(given)
        return real(*given)

    monkeypatch.setattr(judge, "of_attempt", of_attempt)
    path = tmp_path / "backend.log"
    path.write_text("".join(logs[0] + noise(400, n) for n in range(12)), encoding="utf-8")
    found = survey([str(path)], SEED)
    assert found.entries == 36  # each holds three attempts
    assert len(judged) == 3


@pytest.mark.parametrize(
    ("field", "value"), [("model", "fal-ai/flux/schnell"), ("bucket", "IMAGES_UPLOAD"), ("fal.call.status", "401")]
)
def test_attempts_by_what_their_log_tells(long: Path, field: str, value: str) -> None:
    found = survey([str(long)], SEED, Wish(by=field))
    assert found.by is not None
    names = {bucket.name for bucket in found.by.buckets}
    assert value in names or "public" in names
    assert sum(bucket.entries for bucket in found.by.buckets) == found.entries


def test_shapes_without_end_are_judged_and_counted(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diagnose import history
    from diagnose.history import ranges

    whole = survey([str(long)], SEED, Wish(by="model"))
    for module in (ranges, history):
        monkeypatch.setattr(module, "MOST_SHAPES", 3)
    found = survey([str(long)], SEED, Wish(by="model"))
    assert counted(found) == counted(whole)
    assert found.by == whole.by


def test_attempts_of_one_shape_keep_their_own_users(tmp_path: Path, logs: list[str]) -> None:
    user = re.search(r"Path: ([\w-]+)/", logs[0])
    assert user is not None
    path = tmp_path / "backend.log"
    names = [f"{number}{user[1][1:]}" for number in range(4)]
    path.write_text("".join(logs[0].replace(user[1], name) + noise(400, 1) for name in names), encoding="utf-8")
    found = survey([str(path)], SEED, Wish(by="user-prefix"))
    assert found.by is not None
    assert {bucket.name for bucket in found.by.buckets} >= set(names)


def test_a_generation_is_not_counted_twice(long: Path, tmp_path: Path) -> None:
    from tests import histories

    (tmp_path / "prompt_log.jsonl").write_bytes(b"".join(histories.line(histories.entry(n)) for n in range(5)))
    logs_only = survey([str(long)], SEED)
    both = survey([str(tmp_path)], SEED)
    assert both.entries == logs_only.entries
    assert any("prompt_log.jsonl" in note and "--kind" in note for note in both.notes)
    assert survey([str(tmp_path)], SEED, Wish(kind="prompt_log")).entries == 5


def interleaved(texts: list[str], chance: random.Random) -> str:
    """The lines of several logs, each in its own order, as processes that write at once leave them."""
    rest = [text.splitlines(keepends=True) for text in texts]
    found: list[str] = []
    while any(rest):
        lines = chance.choice([each for each in rest if each])
        taken = chance.randint(1, 12)
        found += lines[:taken]
        del lines[:taken]
    return "".join(found)


@pytest.mark.parametrize("seed", range(6))
def test_shapes_of_lines_come_to_what_the_reader_reads(logs: list[str], seed: int) -> None:
    """Attempt by attempt: what is looked up is what would have been read, also where requests run into each other."""
    chance = random.Random(seed)
    parts = []
    for number in range(12):
        some = chance.sample(logs, chance.randint(1, 3))
        parts.append(interleaved(some, chance) if seed % 2 else "".join(some))
        parts.append(noise(chance.choice((0, 5, 300)), number))
        if seed > 3:
            parts.append("".join(chance.sample(parts[0].splitlines(keepends=True), 5)))
    data = "".join(parts).encode()
    exact = [(a.key, a.time, a.byte) for a in backend_logs.read(io.BytesIO(data), each=True).attempts]
    backend_logs._table.cache_clear()
    for _ in range(3):  # the table learns at first, and knows then
        assert [(a.key, a.time, a.byte) for a in backend_logs.read(io.BytesIO(data)).attempts] == exact
    assert len(exact) > 12


def test_a_shape_keeps_what_decides(logs: list[str]) -> None:
    """Another status, model, bucket or error is another shape; another id, time or size is none."""
    log = logs[0]

    def keys(text: str) -> list[bytes]:
        return [a.key for a in backend_logs.read(io.BytesIO(text.encode())).attempts]

    known = keys(log)
    assert keys(re.sub(r"[0-9a-f]{8}(?=-[0-9a-f]{4}-)", "0123abcd", log)) == known
    for old, new in (
        ("Bucket not found", "Object too large"),
        ("flux/schnell", "flux/dev"),
        ("HTTP/1.1 200 OK", "HTTP/1.1 500 X"),
    ):
        assert old in log
        assert keys(log.replace(old, new)) != known
