"""Histories: that they agree with one-by-one diagnosis, whatever the file, the ranges and the engine."""

from __future__ import annotations

import copy
import gzip
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from diagnose import history, normalise, profile, schema
from diagnose.collect import Bundle, prompt_log
from diagnose.errors import NothingReadable
from diagnose.history import Wish, engines, judge, plan, ranges, survey
from diagnose.history.blocks import Lines, Pieces
from diagnose.history.counts import Counts, Spot, add
from diagnose.history.entries import Entries, Question, usual_time
from diagnose.history.ranges import Task, count
from diagnose.history.shape import Folding, Shape
from diagnose.model import Profile
from diagnose.model.history import Place, Verdict
from tests import histories

SEED = profile.build(profile.BUILT_IN["seed"], "seed")
FLUX_2 = profile.build(profile.BUILT_IN["flux-2-edit"], "flux-2-edit")


def one_by_one(entry: dict[str, Any], wanted: Profile) -> Verdict:
    """The verdict of an entry that is alone in its file, by the way of the other commands."""
    bundle = Bundle(given={"prompt_log"})
    log = prompt_log.PromptLog((prompt_log.Entry(0, prompt_log.normalise_entry(entry)),), "array")
    bundle.prompt_logs.append(("prompt_log.json", log))
    return judge.of_case(normalise.cases(bundle, wanted, every=True)[0])


@cache
def verdict_of(shape: Shape, name: str) -> Verdict:
    return judge.of_shape(shape, SEED if name == "seed" else FLUX_2)


@cache
def exact() -> jsonschema.Draft202012Validator:
    form = schema.load("prompt_log")
    return jsonschema.Draft202012Validator({**form["$defs"]["entry"], "$defs": form["$defs"]})


@pytest.mark.parametrize("seed", range(8))
def test_20_000_mutated_entries_are_judged_as_one_by_one(seed: int) -> None:
    """Verdict for verdict, and valid exactly where jsonschema says so."""
    wanted = FLUX_2 if seed == 7 else SEED
    entries = Entries(Question(wanted))
    usual = 0
    for made in histories.mutated(2500, seed):
        line = histories.line(made)
        read = json.loads(line)
        counts = Counts()
        entries.count(Pieces([0], [line]), counts, Spot(0, 0, 0, 0))
        (shape,) = counts.cells
        assert isinstance(shape, Shape)
        assert verdict_of(shape, wanted.name) == one_by_one(copy.deepcopy(read), wanted), line
        assert shape.valid == exact().is_valid(prompt_log.normalise_entry(read)), line
        usual += shape.valid
    assert 500 < usual < 2400  # neither kind is missing


def test_the_usual_way_and_the_exact_way_make_the_same_shape() -> None:
    folding, entries = Folding(SEED), Entries(Question(SEED))
    for made in histories.mutated(3000, 99):
        line = histories.line(made)
        counts = Counts()
        entries.count(Pieces([0], [line]), counts, Spot(0, 0, 0, 0))
        nested = prompt_log.normalise_entry(json.loads(line))
        assert list(counts.cells) == [folding.shape(nested, exact().is_valid(nested))], line


def test_what_is_usual_goes_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = Entries(Question(SEED))
    lines = [histories.line(made) for made in histories.realistic(400)]
    entries.count(Pieces(range(len(lines)), lines), Counts(), Spot(0, 0, 0, 0))
    monkeypatch.setattr(entries, "_exactly", lambda line: pytest.fail(f"not the fast way: {line!r}"))
    told = entries.count(Lines(b"".join(lines), 0), Counts(), Spot(0, 0, 0, 0))
    assert told.entries == 400


# --- files ------------------------------------------------------------------------------------------------------------


def written(path: Path, entries: list[dict[str, Any]], form: str) -> Path:
    """The entries in one of the forms in which people have them."""
    lines = b"".join(map(histories.line, entries))
    body = {
        "lines": lines,
        "crlf": lines.replace(b"\n", b"\r\n"),
        "bom": b"\xef\xbb\xbf" + lines,
        "array": json.dumps(entries, indent=2, ensure_ascii=False).encode(),
        "compact": json.dumps(entries, separators=(",", ":")).encode(),
        "spaced": json.dumps(entries).encode(),
        "gzip": gzip.compress(lines),
        "gzip array": gzip.compress(json.dumps(entries, indent=2).encode()),
        "utf-16": json.dumps(entries, indent=1).encode("utf-16"),
        "objects": b"\n".join(json.dumps(entry, indent=2).encode() for entry in entries),
    }[form]
    path.write_bytes(body)
    return path


FORMS = ("lines", "crlf", "bom", "array", "compact", "spaced", "gzip", "gzip array", "utf-16", "objects")


def total(found: Any) -> tuple[Any, ...]:
    """What must not depend on how a history was counted."""
    return (
        found.entries,
        found.malformed,
        found.bad,
        dict(found.outcomes),
        dict(found.roots),
        found.checks,
        found.timeline,
        found.by,
    )


def some(number: int, seed: int = 3) -> list[dict[str, Any]]:
    """Entries of which msgspec takes some and refuses others."""
    made = [*histories.mutated(number // 2, seed), *histories.realistic(number - number // 2, seed)]
    return [json.loads(histories.line(entry)) for entry in made if json.dumps(entry).find("Infinity") < 0]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes ranges and blocks small, so that small files have many."""

    def make(size: int) -> None:
        monkeypatch.setattr(ranges, "BLOCK", max(size // 3, 64))
        monkeypatch.setattr(plan, "RANGE", size)

    return make


@pytest.mark.parametrize("form", FORMS)
def test_every_form_comes_to_the_same(tmp_path: Path, form: str, small: Callable[[int], None]) -> None:
    entries = [entry for entry in some(240) if "NaN" not in json.dumps(entry)]
    file = written(tmp_path / "prompt_log.json", entries, form)
    small(7_001)
    found = survey([str(file)], SEED)
    expected = Counter(one_by_one(entry, SEED).outcome for entry in entries)
    assert (found.entries, found.malformed, found.not_counted) == (len(entries), 0, ())
    assert {name: tally.count for name, tally in found.outcomes.items()} == expected
    if form not in ("utf-16",):
        for tally in found.outcomes.values():
            assert tally.example is not None and tally.example.index is not None
            whole = gzip.decompress(file.read_bytes()) if form.startswith("gzip") else file.read_bytes()
            value, _ = json.JSONDecoder().raw_decode(whole[tally.example.byte :].decode())
            assert value == entries[tally.example.index]


@pytest.mark.parametrize("form", ["lines", "array", "compact", "objects"])
@pytest.mark.parametrize("size", [300, 1_000, 2_113, 5_000, 40_000])
def test_the_ranges_of_a_file_add_up(tmp_path: Path, form: str, size: int, small: Callable[[int], None]) -> None:
    file = written(tmp_path / "prompt_log.json", some(60), form)
    whole = survey([str(file)], SEED, Wish(by="model"))
    small(size)
    assert total(survey([str(file)], SEED, Wish(by="model"))) == total(whole)


def test_counts_add_up_in_any_order(tmp_path: Path, small: Callable[[int], None]) -> None:
    file = written(tmp_path / "a.jsonl", some(300), "lines")
    small(10_000)
    tasks = list(plan.plan([str(file)]).tasks(Question(SEED, by="bucket")))
    assert len(tasks) > 10
    forth, back = Counts(values={}), Counts(values={})
    for task in tasks:
        add(forth, count(task))
    for task in reversed(tasks):
        add(back, count(task))
    for counts in (forth, back):
        counts.ranges.sort()
    told = [
        {(key, time): (cell.count, cell.first, cell.last, cell.spot) for key, times in c.cells.items() for time, cell in times.items()}
        for c in (forth, back)
    ]  # fmt: skip
    assert told[0] == told[1]
    assert (forth.width, forth.values, forth.ranges) == (back.width, back.values, back.ranges)


def test_a_list_inside_an_entry_does_not_mislead_a_range(tmp_path: Path, small: Callable[[int], None]) -> None:
    """Entries that hold entries: a range that begins inside one is counted again from where the one before ended."""
    inner = [histories.entry(number) for number in range(30)]
    entries = [histories.entry(1), histories.entry(2, notes=inner), *(histories.without_photo(n) for n in range(20))]
    for form in ("compact", "array", "spaced"):
        file = written(tmp_path / f"{form}.json", entries, form)
        small(3_000)
        found = survey([str(file)], SEED)
        assert (found.entries, found.malformed) == (22, 0)
        assert found.outcomes["switched"].count == 2


def test_prompts_that_hold_json_do_not_mislead(tmp_path: Path, small: Callable[[int], None]) -> None:
    trap = 'say "}, {" and {"fal_request": {"model": "x"}}, {\n  },\n  {'
    entries = [histories.entry(n) for n in range(40)]
    for entry in entries:
        entry["fal_request"]["prompt"] = trap
    for form in ("compact", "array", "lines"):
        small(900)
        found = survey([str(written(tmp_path / f"{form}.json", entries, form))], SEED)
        assert (found.entries, found.malformed, found.outcomes["switched"].count) == (40, 0, 40)


def test_malformed_entries_are_counted_and_named_by_byte(tmp_path: Path, small: Callable[[int], None]) -> None:
    good = histories.line(histories.entry(1))
    parts = [good, b"{broken\n", good, b"\n", b'"a string"\n', b"[1]\n", good, b'{"timestamp": "2026\n']
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"".join(parts))
    starts = [sum(map(len, parts[:n])) for n in (1, 4, 5, 7)]
    for size in (200, 100_000):
        small(size)
        found = survey([str(file)], SEED)
        assert (found.entries, found.malformed) == (3, 4)
        assert [fault.byte for fault in found.malformed_at] == starts


def test_a_broken_list_is_read_on_behind_what_is_broken(tmp_path: Path) -> None:
    entries = [json.dumps(histories.entry(n), indent=2) for n in range(9)]
    entries[4] = entries[4].replace('"fal_request": {', '"fal_request": {{', 1)
    body = "[\n" + ",\n".join(entries)
    file = tmp_path / "prompt_log.json"
    file.write_text(body + "\n]\n")
    found = survey([str(file)], SEED)
    assert (found.entries, found.malformed) == (8, 1)
    assert found.malformed_at[0].byte == body.index(entries[4])
    file.write_text(body[:-500])
    found = survey([str(file)], SEED)
    assert (found.entries, found.malformed) == (7, 2)
    assert found.malformed_at[1].message == "the file ends inside an entry"


def test_a_line_larger_than_any_entry_is_one_malformed_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "LONGEST", 5_000)
    monkeypatch.setattr(ranges, "BLOCK", 1_000)
    good = histories.line(histories.entry(1))
    file = tmp_path / "a.jsonl"
    file.write_bytes(good + b"{" + b"x" * 20_000 + b"}\n" + good + good)
    found = survey([str(file)], SEED)
    assert (found.entries, found.malformed) == (3, 1)
    assert found.malformed_at[0].byte == len(good)


# --- what is asked ----------------------------------------------------------------------------------------------------


def log_of(tmp_path: Path, entries: list[dict[str, Any]]) -> str:
    return str(written(tmp_path / "prompt_log.jsonl", entries, "lines"))


def test_first_last_and_example(tmp_path: Path) -> None:
    entries = [histories.entry(n) for n in (50, 3, 90)] + [histories.without_photo(20)]
    found = survey([log_of(tmp_path, entries)], SEED)
    tally = found.outcomes["switched"]
    assert (tally.count, tally.first, tally.last) == (3, entries[1]["timestamp"], entries[2]["timestamp"])
    assert tally.example == Place(found.sources[0].name, 1, len(histories.line(entries[0])))
    assert found.roots["no_image_sent"].count == 1
    assert found.bad.count == 0


def test_since_and_until_are_included(tmp_path: Path) -> None:
    entries = [histories.entry(n * 60) for n in range(10)] + [histories.entry(1, timestamp="soon")]
    path = log_of(tmp_path, entries)
    assert survey([path], SEED).undated == 1
    assert survey([path], SEED, Wish(since="2026-01-11T06:38")).entries == 7
    assert survey([path], SEED, Wish(until="2026-01-11T06:38")).entries == 4
    found = survey([path], SEED, Wish(since="2026-01-11T06:38", until="2026-01-11T06:40"))
    assert (found.entries, found.undated, found.first) == (3, 0, "2026-01-11T06:38:00")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-11T06:35:30.5", "2026-01-11T06:35:30.5"),
        ("2026-01-11 06:35:30,5", "2026-01-11T06:35:30.5"),
        ("2026-01-11T06:35", "2026-01-11T06:35:00"),
        ("2026-01-11T06:35:30Z", "2026-01-11T06:35:30"),
        ("2026-01-11T06:35:30+07:00", "2026-01-10T23:35:30"),
        ("2026-01-11T23:35:30.25-0230", "2026-01-12T02:05:30.25"),
        ("2026-02-30T06:35:30+01:00", "?"),
        ("0001-01-01T00:00:00+07:00", "?"),
        ("yesterday", "?"),
    ],
)
def test_times_are_compared_in_utc_where_they_name_a_zone(written: str, meant: str) -> None:
    assert usual_time(written) == meant


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("model", {"fal-ai/flux-general/image-to-image": 3, "fal-ai/flux/schnell": 2}),
        ("bucket", {"IMAGES_UPLOAD": 2, "other": 1, "(absent)": 2}),
        ("user-prefix", {"anna": 1, "ben": 2, "(absent)": 2}),
        ("request_format", {"application/json": 4, "multipart/form-data": 1}),
        ("day", {"2026-01-11": 5}),
        ("hour", {"2026-01-11T06": 4, "2026-01-11T07": 1}),
        ("fal_request.image_strength", {"0.5": 2, "0.7": 1, "(absent)": 2}),
        ("request.client", {"ios": 1, "(absent)": 4}),
        ("request.has_face_image", {"true": 4, "false": 1}),
        ("version", {"7": 1, "(absent)": 4}),
        ("a.b.c", {"1": 1, "(absent)": 4}),
    ],
)
def test_by(tmp_path: Path, field: str, expected: dict[str, int]) -> None:
    entries = [histories.entry(n) for n in range(3)] + [
        histories.without_photo(4),
        histories.without_photo(5, lost=True),
    ]
    for entry, user, bucket in zip(
        entries, ("anna", "ben", "ben"), ("IMAGES_UPLOAD", "IMAGES_UPLOAD", "other"), strict=False
    ):
        entry["request"]["image_url"] = entry["fal_request"]["image_url"] = histories.url(user, 1, bucket)
    entries[1]["request"] |= {"request_format": "multipart/form-data; boundary=--1", "client": "ios"}
    entries[2]["fal_request"]["image_strength"] = 0.7
    entries[3] |= {"timestamp": "2026-01-11T07:00:00", "version": 7, "a": {"b": {"c": 1}}}
    found = survey([log_of(tmp_path, entries)], SEED, Wish(by=field))
    assert found.by is not None
    assert {bucket.name: bucket.entries for bucket in found.by.buckets} == expected
    assert sum(bucket.bad for bucket in found.by.buckets) == found.bad.count == 2


def test_a_field_of_too_many_values_is_no_breakdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diagnose.history.counts.MOST_VALUES", 10)
    path = log_of(tmp_path, [histories.entry(n) for n in range(30)])
    found = survey([path], SEED, Wish(by="fal_request.prompt"))
    assert found.by is None
    assert found.notes == ("--by fal_request.prompt: it has too many different values to count them one by one",)
    assert found.entries == 30


def test_only_a_check(tmp_path: Path) -> None:
    entries = [
        histories.entry(1),
        histories.without_photo(2),
        histories.without_photo(3, lost=True),
        histories.entry(4),
    ]
    entries[3]["fal_request"]["image_strength"] = 0.9
    path = log_of(tmp_path, entries)
    found = survey([path], SEED, Wish(only="strength_wrong"))
    assert (found.entries, found.bad.count, list(found.roots)) == (1, 1, ["strength_wrong"])
    assert survey([path], SEED, Wish(only="upload_result_lost")).symptoms["upload_result_lost"].count == 1


def test_stretches_of_time_get_longer_with_the_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "CELLS", 20)
    for gap, unit in ((60, "minute"), (3000, "hour"), (80_000, "day")):
        path = log_of(tmp_path, [histories.entry(n * gap) for n in range(20 if unit == "minute" else 15 * 20)])
        found = survey([path], SEED)
        assert found.timeline is not None
        assert found.timeline.field in ({"hour": ("hour", "day"), "day": ("day", "month", "year")}.get(unit, (unit,)))
        assert sum(bucket.entries for bucket in found.timeline.buckets) == found.entries


# --- hostile ----------------------------------------------------------------------------------------------------------


def test_shapes_without_end_are_judged_at_once_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [histories.entry(n) for n in range(60)]
    for number, entry in enumerate(entries):
        entry["fal_request"][f"key{number}"] = number
        entry["fal_request"]["model"] = f"fal-ai/made-up/{number % 50}"
    path = log_of(tmp_path, entries)
    whole = survey([path], SEED, Wish(by="model"))
    monkeypatch.setattr(ranges, "MOST_SHAPES", 5)
    monkeypatch.setattr(history, "MOST_SHAPES", 5)
    monkeypatch.setattr(ranges, "BLOCK", 2_000)
    monkeypatch.setattr(plan, "RANGE", 9_000)
    assert total(survey([path], SEED, Wish(by="model"))) == total(whole)


def test_numbers_and_addresses_make_no_new_shape() -> None:
    folding = Folding(SEED)
    shapes = set()
    for number in range(500):
        made = histories.entry(number)
        made["fal_request"] |= {
            "image_strength": 0.51 + number / 2000,
            "seed": number,
            "num_inference_steps": 51 + number,
        }
        made["request"]["request_format"] = f"multipart/form-data; boundary={number}"
        shapes.add(folding.shape(made, True))
    assert len(shapes) == 1


def test_a_hostile_file_is_counted_in_bounded_memory(tmp_path: Path) -> None:
    """Small entries, wide ones, deep ones, and none at all."""
    deep = b'{"request": ' * 5000 + b"1" + b"}" * 5000
    wide = json.dumps(
        {"timestamp": "2026-01-01T00:00:00", "request": {}, "fal_request": {f"k{n}": n for n in range(3000)}}
    )
    file = tmp_path / "a.jsonl"
    good = histories.line(histories.entry(1))
    file.write_bytes(good + b"{}\n" * 20_000 + b"x\n" * 20_000 + deep + b"\n" + wide.encode() + b"\n" + good)
    found = survey([str(file)], SEED)
    assert found.malformed == 20_001
    assert len(found.malformed_at) <= 20
    assert found.entries == 20_003


# --- files that change, processes that die ----------------------------------------------------------------------------


def test_a_file_that_grows_is_counted_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(log_of(tmp_path, [histories.entry(n) for n in range(20)]))
    size = path.stat().st_size
    meanwhile(monkeypatch, lambda: append(path, histories.line(histories.entry(99))))
    found = survey([str(path)], SEED)
    assert found.entries == 20
    assert [(m.start, m.end, m.why) for m in found.not_counted] == [
        (size, None, "it was written after the counting began")
    ]


def test_a_file_that_is_cut_says_from_where_it_was_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Callable[[int], None]
) -> None:
    path = Path(log_of(tmp_path, [histories.entry(n) for n in range(40)]))
    small(9_000)
    size = path.stat().st_size
    meanwhile(monkeypatch, lambda: os.truncate(path, size // 2))
    found = survey([str(path)], SEED)
    assert found.not_counted
    assert found.entries < 40


def test_a_file_that_vanishes_is_not_counted_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Callable[[int], None]
) -> None:
    path = Path(log_of(tmp_path, [histories.entry(n) for n in range(40)]))
    small(9_000)
    meanwhile(monkeypatch, path.unlink)
    found = survey([str(path)], SEED)
    assert found.entries < 40
    assert {missed.why for missed in found.not_counted} == {"the file has vanished"}


def test_a_list_that_is_rewritten_is_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "prompt_log.json", [histories.entry(n) for n in range(10)], "array")
    later = [histories.without_photo(n) for n in range(10)]
    meanwhile(monkeypatch, lambda: written(path, later, "array"))
    found = survey([str(path)], SEED)
    assert {name: tally.count for name, tally in found.outcomes.items()} == {"not_switched": 10}
    assert not found.not_counted


def test_a_damaged_archive_says_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    lines = b"".join(histories.line(made) for made in histories.realistic(200))
    packed = gzip.compress(lines)
    path.write_bytes(packed[: len(packed) // 2])
    found = survey([str(path)], SEED)
    assert [missed.why for missed in found.not_counted] == ["the compressed file ends early or is damaged"]


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something once, when the first range has been counted."""
    real, done = engines.count, []

    def counted(task: Task) -> Counts:
        counts = real(task)
        if not done:
            done.append(act())
        return counts

    monkeypatch.setattr(engines, "count", counted)


def _dies_once(task: Task) -> Counts:
    mark = Path(os.environ["DIAGNOSE_TEST_MARK"])
    if task.start and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return count(task)


def _dies_in_the_second(task: Task) -> Counts:
    if task.start == 9_000:
        os.kill(os.getpid(), signal.SIGKILL)
    return count(task)


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not of this system")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_worker_costs_nothing_or_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Callable[[int], None], jobs: int
) -> None:
    path = log_of(tmp_path, some(60))
    small(9_000)
    whole = survey([path], SEED)
    tasks = list(plan.plan([path]).tasks(Question(SEED)))
    assert len(tasks) > 5
    monkeypatch.setenv("DIAGNOSE_TEST_MARK", str(tmp_path / "mark"))
    monkeypatch.setattr(engines, "count", _dies_once)
    told = Counts()
    for _, part in engines.pool(tasks, jobs):
        add(told, part)
    assert sum(each.entries for each in told.ranges) == whole.entries
    assert not told.lost
    monkeypatch.setattr(engines, "count", _dies_in_the_second)
    told = Counts()
    for _, part in engines.pool(tasks, jobs):
        add(told, part)
    assert [(lost.start, lost.end, lost.why) for lost in told.lost] == [(9_000, 18_000, engines.KILLED)]
    assert sum(each.entries for each in told.ranges) < whole.entries


# --- engines ----------------------------------------------------------------------------------------------------------


def test_a_pool_comes_to_the_same(tmp_path: Path, small: Callable[[int], None]) -> None:
    path = log_of(tmp_path, some(200))
    small(20_000)
    assert total(survey([path], SEED, Wish(jobs=2))) == total(survey([path], SEED))


def test_spawned_workers_come_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Callable[[int], None]
) -> None:
    """As on Windows and macOS."""
    import multiprocessing

    path = log_of(tmp_path, some(100))
    small(40_000)
    monkeypatch.setattr(engines, "_context", lambda: multiprocessing.get_context("spawn"))
    assert total(survey([path], SEED, Wish(jobs=2))) == total(survey([path], SEED))


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    import warnings

    from distributed import LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True) as cluster:
            yield cluster.scheduler_address


@pytest.mark.filterwarnings("default")
def test_a_cluster_comes_to_the_same(tmp_path: Path, small: Callable[[int], None], scheduler: str) -> None:
    path = log_of(tmp_path, some(200))
    small(30_000)
    whole = survey([path], SEED)
    found = survey([path], SEED, Wish(scheduler=scheduler, offline=False))
    assert total(found) == total(whole)


# --- where files are found --------------------------------------------------------------------------------------------


def test_folders_patterns_and_addresses(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        written(tmp_path / name, [histories.entry(n) for n in range(3)], "lines")
    (tmp_path / "sub").mkdir()
    written(tmp_path / "sub" / "c.json", [histories.entry(9)], "array")
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "notes.txt").write_text("nothing here\n")
    assert survey([str(tmp_path)], SEED).entries == 7
    assert survey([str(tmp_path / "*.jsonl")], SEED).entries == 6
    assert survey([f"file://{tmp_path}/a.jsonl"], SEED).entries == 3
    for path in ("nowhere.json", "*.nothing", str(tmp_path / "package.json")):
        with pytest.raises(NothingReadable):
            survey([path], SEED)


def test_addresses_go_through_fsspec_and_only_with_leave(small: Callable[[int], None]) -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    for name in ("one", "two"):
        with system.open(f"/logs/{name}.jsonl", "wb") as file:
            file.write(b"".join(histories.line(histories.entry(n)) for n in range(20)))
    small(5_000)
    found = survey(["memory://logs/*.jsonl"], SEED, Wish(offline=False))
    assert (found.entries, len(found.sources)) == (40, 2)
    assert survey(["memory://logs/one.jsonl"], SEED, Wish(offline=False)).entries == 20
    with pytest.raises(NothingReadable, match="--offline"):
        survey(["memory://logs/one.jsonl"], SEED, Wish(offline=True))


def test_a_check_that_reads_another_field_makes_shapes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new check cannot be miscounted: what it says it reads is kept."""
    from diagnose import registry

    real = registry.checks()
    more = real[0]._replace(id="made_up", reads=("request.client", "version", "a.b.c"))
    monkeypatch.setattr(registry, "checks", lambda: (*real, more))
    for extra in ({}, {"version": 1}, {"version": 2}, {"a": {"b": {"c": 3}}}):
        made = histories.entry(1, **extra)
        made["request"]["client"] = "ios"
        entries, counts = Entries(Question(SEED)), Counts()
        for _ in range(2):
            entries.count(Pieces([0], [histories.line(made)]), counts, Spot(0, 0, 0, 0))
        (shape,) = counts.cells
        assert isinstance(shape, Shape)
        kept = json.loads(shape.entry)
        assert kept["request"]["client"] == "ios"
        assert kept.get("version") == extra.get("version")
        assert kept.get("a") == extra.get("a")


def test_a_question_can_be_sent_to_another_process() -> None:
    import pickle

    asked = Question(SEED, by="model", since="2026")
    assert pickle.loads(pickle.dumps(asked)) == asked  # noqa: S301 - what this test has written
    assert replace(asked, by=None).nothing.values is None
