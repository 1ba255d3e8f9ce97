"""A long log gives the same newest attempt as its whole, and the same attempts where only its telling parts are read."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest

from diagnose import collect, explain, normalise, profile
from diagnose.collect import backend_log, long_log
from diagnose.generator import demo, faults

SEED = profile.build(profile.BUILT_IN["seed"], "seed")


def attempt(tmp_path: Path, name: str) -> str:
    fault = faults.named(name)
    assert fault is not None
    demo.write_case(fault, tmp_path / name)
    return (tmp_path / name / "backend.log").read_text(encoding="utf-8")


def noise(lines: int) -> str:
    made = random.Random(7)
    kinds = (
        'INFO:     127.0.0.1:{0} - "GET /health HTTP/1.1" 200 OK',
        "INFO:app.request:request path=/api/items/{0} took=0.01s",
        'INFO:     10.0.0.1:{0} - "POST /api/login HTTP/1.1" 200 OK',
    )
    return "".join(made.choice(kinds).format(made.randint(30000, 60000)) + "\n" for _ in range(lines))


def answer(path: Path, every: bool = False) -> list[tuple[str, str | None]]:
    bundle = collect.gather([path], every=every)
    found = [explain.diagnose(case) for case in normalise.cases(bundle, SEED, every=every)]
    return [(d.outcome, d.root.check if d.root else None) for d in found]


@pytest.mark.parametrize("name", ["bucket_missing", "fal_key_rejected", "image_unusable", "no_image_sent"])
@pytest.mark.parametrize("after", [0, 400, 4000])
def test_the_newest_attempt_of_a_long_log_is_found_from_its_end(tmp_path: Path, name: str, after: int) -> None:
    text = attempt(tmp_path, name)
    path = tmp_path / "long.log"
    path.write_text(noise(9000) + text + noise(after), encoding="utf-8")
    assert path.stat().st_size > collect.LONG_LOG
    short = tmp_path / "short.log"
    short.write_text(text, encoding="utf-8")
    assert answer(path) == answer(short)


def test_every_attempt_of_a_long_log_is_found_between_the_noise(tmp_path: Path) -> None:
    names = ["bucket_missing", "no_image_sent", "fal_key_rejected"]
    texts = [attempt(tmp_path, name) for name in names]
    path = tmp_path / "long.log"
    path.write_text("".join(noise(4000) + text for text in texts), encoding="utf-8")
    whole = backend_log.read(path.read_text(encoding="utf-8"), "long.log")
    parts = long_log.whole(path, "long.log")
    assert [a.status for a in parts.attempts] == [a.status for a in whole.attempts]
    assert [[e.kind for e in a.evidence] for a in parts.attempts] == [
        [e.kind for e in a.evidence] for a in whole.attempts
    ]


def test_the_parts_of_a_log_cover_every_anchor_whatever_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = attempt(tmp_path, "bucket_missing")
    path = tmp_path / "long.log"
    path.write_text((noise(300) + text) * 6, encoding="utf-8")
    for block in (20_000, 50_000, 200_000):
        monkeypatch.setattr(long_log, "BLOCK", block)
        with path.open("rb") as file:
            read = b"".join(stretch.data for stretch in long_log.stretches(file)).decode()
        assert read.count("https://fal.run/") == text.count("https://fal.run/") * 6


@pytest.mark.parametrize("density", [0.0005, 0.002, 0.01, 0.2])
@pytest.mark.parametrize("block", [1_000, 7_000, 1 << 22])
def test_the_stretches_of_ranges_are_those_of_the_whole(
    density: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = random.Random(5)
    telling = b'INFO:x - "POST /api/generate-image HTTP/1.1" 200 OK\n'
    lines = (
        telling
        if made.random() < density
        else b"INFO:     GET /health %d\n" % made.randint(1, 10 ** made.randint(1, 40))
        for _ in range(6000)
    )
    data = b"".join(lines)
    monkeypatch.setattr(long_log, "LARGEST", 60_000)
    monkeypatch.setattr(long_log, "BLOCK", block)
    whole = list(long_log.stretches(io.BytesIO(data)))
    assert sum(stretch.data.count(telling) for stretch in whole) == data.count(telling) > 0
    for step in (5_000, 33_333, 100_000):
        ranges = [s for at in range(0, len(data), step) for s in long_log.stretches(io.BytesIO(data), at, at + step)]
        assert ranges == whole


def test_places_in_a_long_log_name_the_byte_from_which_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_text(noise(9000) + attempt(tmp_path, "bucket_missing"), encoding="utf-8")
    bundle = collect.gather([path])
    found = explain.diagnose(normalise.cases(bundle, SEED)[0])
    assert found.root is not None
    place, line = found.root.evidence[0].source.removeprefix("long.log@").split(":")
    shown = path.read_bytes()[int(place) :].decode().split("\n")[int(line) - 1]
    assert "Bucket not found" in shown
