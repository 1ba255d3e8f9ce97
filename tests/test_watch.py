"""`diagnose watch`: every generation is told once, when it has ended, whatever is done to the files meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
from click.testing import CliRunner

from diagnose import explain, profile
from diagnose.cli import cli
from diagnose.model import Case
from diagnose.watch import Watch
from diagnose.watch.entries import EntryFollower
from diagnose.watch.log import AROUND, HANDOVER, PATIENCE
from diagnose.watch.tail import CHUNK, LONGEST, SETTLE, Tail

ROOT = Path(__file__).parent.parent
SEED = profile.load("seed", ROOT)
GENEROUS = 60.0
"""Seconds a line of a real process is waited for."""


def url(n: int) -> str:
    return f"https://abcdefgh.supabase.co/storage/v1/object/public/public/u/face/{uuid(n)}.jpg"


def uuid(n: int) -> str:
    return f"{'abcdef0123456789'[n % 16]}{n:07x}-1111-4222-8333-{n:012x}"


def generation(n: int, broken: bool = False, request_id: bool = False) -> list[str]:
    """The lines of one generation, its request's answer last."""
    own = f"[{uuid(n)}] " if request_id else ""
    model = "fal-ai/flux/schnell" if broken else "fal-ai/flux-general/image-to-image"
    said = [
        "INFO:main:📥 Images received from frontend:",
        "INFO:main:   - Face image: Yes",
        "INFO:main:🔄 Preprocessing face_image (target aspect: 9:16)...",
        "INFO:supabase_service:📤 Uploading image to Supabase Storage:",
        f"INFO:supabase_service:   Path: u/face/{uuid(n)}.jpg",
    ]
    if broken:
        said += [
            f'INFO:httpx:HTTP Request: POST https://abcdefgh.supabase.co/storage/v1/object/public/u/face/{uuid(n)}.jpg "HTTP/1.1 400 Bad Request"',
            "WARNING:main:Failed to upload face_image: {'statusCode': 404, 'error': 'Bucket not found', 'message': 'Bucket not found'}. Continuing without image.",
        ]
    else:
        said += [
            f'INFO:httpx:HTTP Request: POST https://abcdefgh.supabase.co/storage/v1/object/public/u/face/{uuid(n)}.jpg "HTTP/1.1 200 OK"',
            f"INFO:supabase_service:   Public URL: {url(n)}",
        ]
    said += [
        f"INFO:main:   Model: {model}",
        f"INFO:main:   Prompt: portrait number {n}",
        f'INFO:httpx:HTTP Request: POST https://fal.run/{model} "HTTP/1.1 200 OK"',
        "INFO:fal_service:✅ Extracted 1 image URL(s) from Fal.ai response",
        "INFO:main:💾 Prompt saved to prompt_log.json for debugging",
        'INFO:     127.0.0.1:50000 - "POST /api/generate-image HTTP/1.1" 200 OK',
    ]
    if request_id:
        said = [line.replace(":", f":{own}", 2).replace(f":{own}", ":", 1) for line in said[:-1]]
        said.append(f'INFO:     {own}127.0.0.1:50000 - "POST /api/generate-image HTTP/1.1" 200 OK')
    return said


def entry(n: int, broken: bool = False) -> dict[str, Any]:
    image = None if broken else url(n)
    sent: dict[str, Any] = {"prompt": f"portrait number {n}", "num_inference_steps": 7, "guidance_scale": 3.5}
    if broken:
        sent |= {"model": "fal-ai/flux/schnell", "image_size": "square_hd"}
    else:
        sent |= {"model": "fal-ai/flux-general/image-to-image", "image_url": image, "image_strength": 0.5}
    return {
        "timestamp": f"2026-01-11T06:{n // 60 % 60:02d}:{n % 60:02d}.{n:06d}",
        "request": {
            "has_product_images": False,
            "num_product_images": 0,
            "has_face_image": True,
            "has_background_image": False,
            "has_image_url": image is not None,
            "image_url": image,
            "original_prompt": f"portrait number {n}",
        },
        "enhanced_prompt": f"portrait number {n}",
        "prompt_length": 17,
        "generation_mode": "text-to-image" if broken else "image-to-image",
        "fal_request": sent,
    }


def numbers(cases: list[Case]) -> list[int]:
    """Which generations were told, by the prompt that the log or the entry holds."""
    found = []
    for case in cases:
        said = [e["text"] for e in case.of("prompt")]
        said += [e["value"]["fal_request"]["prompt"] for e in case.of("record.entry")]
        assert len(set(said)) <= 1, said
        found.append(int(said[0].rpartition(" ")[2]) if said else -1)
    return found


class Bench:
    """Two files, a watch, and a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.prompts, self.log = folder / "prompt_log.json", folder / "backend.log"
        self.now = 1000.0
        self.said: list[str] = []
        self.watch: Watch | None = None

    def start(self, prompts: bool = True, log: bool = True, skip: bool = True) -> Bench:
        self.watch = Watch(SEED, self.prompts if prompts else None, self.log if log else None, self.said.append)
        if skip:
            self.watch.skip(self.now)
        return self

    def cases(self, after: float = 0.5) -> list[Case]:
        assert self.watch is not None
        self.now += after
        return list(self.watch.poll(self.now))

    def told(self, after: float = 0.5) -> list[int]:
        return numbers(self.cases(after))

    def write(self, *lines: str) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def save(self, *of: int, indent: int | None = 2) -> None:
        """The prompt log rewritten whole and moved into place."""
        new = self.prompts.with_suffix(".tmp")
        new.write_text(json.dumps([entry(n) for n in of], indent=indent), encoding="utf-8")
        new.replace(self.prompts)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    if made.watch is not None:
        made.watch.close()


# --- a log alone --------------------------------------------------------------------------------------------------------


def test_only_what_ends_after_the_start_is_told(bench: Bench) -> None:
    bench.write(*generation(1), *generation(2)[:4])
    bench.start(prompts=False)
    assert bench.told() == []
    bench.write(*generation(2)[4:])
    assert bench.told() == [2]
    bench.write(*generation(3))
    assert bench.told() == [3]
    assert bench.told() == []


def test_what_is_there_already_is_told_first_on_request(bench: Bench) -> None:
    bench.write(*generation(1), *generation(2))
    bench.save(1, 2)
    bench.start(skip=False)
    assert bench.told() == [1, 2]
    bench.write(*generation(3))
    bench.save(1, 2, 3)
    assert bench.told() == [3]


def test_entries_older_than_the_log_come_before_it(bench: Bench) -> None:
    bench.write(*generation(3))
    bench.save(1, 2, 3)
    assert bench.start(skip=False).told() == [1, 2, 3]


def test_evidence_stands_where_it_is_said_to(bench: Bench) -> None:
    bench.write(*["noise of some length that says nothing at all" for _ in range(5000)])
    bench.start(prompts=False)
    bench.write(*generation(1))
    (case,) = bench.cases()
    assert case.call is not None
    assert case.call.source == "backend.log:5010"


def test_a_log_that_grows_by_parts_of_lines(bench: Bench) -> None:
    bench.log.touch()
    bench.start(prompts=False)
    data = "".join(f"{line}\r\n" for line in generation(1)).encode()
    told = []
    with bench.log.open("ab", buffering=0) as file:
        for start in range(0, len(data), 7):  # through the middle of characters
            file.write(data[start : start + 7])
            told += bench.cases(0.01)
    assert numbers(told) == [1]
    assert not any("�" in str(e.fields) for e in told[0].evidence)


def test_a_last_line_without_an_end_is_read_when_it_stays_so(bench: Bench) -> None:
    bench.log.touch()
    bench.start(prompts=False)
    bench.log.write_text("\n".join(generation(1)), encoding="utf-8")
    assert bench.told() == []
    assert bench.told(SETTLE) == [1]
    with bench.log.open("a", encoding="utf-8") as file:
        file.write("\n")
    bench.write(*generation(2))
    assert bench.told() == [2]


def test_interleaved_requests(bench: Bench) -> None:
    one, two = generation(1, request_id=True), generation(2, broken=True, request_id=True)
    bench.log.touch()
    bench.start(prompts=False)
    told = []
    for index in range(max(len(one), len(two))):
        bench.write(*one[index : index + 1], *two[index + 1 : index + 2], *(two[:1] if index == 0 else ()))
        told += bench.cases(0.1)
    assert sorted(numbers(told)) == [1, 2]
    roots = {n: explain.diagnose(case).root for n, case in zip(numbers(told), told, strict=True)}
    assert roots[1] is None
    assert roots[2] is not None and roots[2].check == "bucket_missing"


def test_requests_that_overlap_without_end_are_told_and_forgotten(bench: Bench) -> None:
    bench.log.touch()
    bench.start(prompts=False)
    told = []
    half = 6
    bench.write(*generation(1, request_id=True)[:half])
    for n in range(2, 80):
        bench.write(*generation(n, request_id=True)[:half], *generation(n - 1, request_id=True)[half:])
        told += bench.told(0.1)
    assert told == list(range(1, 79))


def test_an_attempt_under_way_is_not_judged_early(bench: Bench) -> None:
    bench.write(*generation(1))
    bench.start(prompts=False)
    bench.write(*generation(2, broken=True)[:8])
    for _ in range(5):
        assert bench.told(10) == []
    bench.write(*generation(2, broken=True)[8:])
    assert bench.told() == [2]


def test_one_that_never_ends_is_told_after_a_while(bench: Bench) -> None:
    bench.log.touch()
    bench.start(prompts=False)
    bench.write(*generation(1)[:9])
    assert bench.told() == []
    for _ in range(11):
        bench.write('INFO:     127.0.0.1:50000 - "GET /health HTTP/1.1" 200 OK')
        assert bench.told(PATIENCE / 12) == []
    assert bench.told(PATIENCE / 6) == [1]
    bench.write(*generation(1)[9:])
    assert bench.told() == []


def test_one_left_over_from_before_the_watch_is_not_told(bench: Bench) -> None:
    bench.write(*generation(1)[:9])
    bench.start(prompts=False)
    assert bench.told(PATIENCE + 1) == []
    assert bench.told(PATIENCE + 1) == []


def test_a_traceback_after_the_answer_belongs_to_it(bench: Bench) -> None:
    bench.log.touch()
    bench.start(prompts=False)
    bench.write(
        *generation(1)[:9], 'INFO:     127.0.0.1:5 - "POST /api/generate-image HTTP/1.1" 500 Internal Server Error'
    )
    assert bench.told(0.1) == []
    bench.write("ERROR:    Exception in ASGI application", "Traceback (most recent call last):")
    bench.write('  File "main.py", line 3, in generate', "KeyError: 'images'")
    assert bench.told(0.1) == []
    (case,) = bench.cases(SETTLE)
    assert any(e["type"] == "KeyError" for e in case.of("deployment.exception"))


def test_a_log_without_answers_is_told_by_the_picture(bench: Bench) -> None:
    bench.log.touch()
    bench.start(prompts=False)
    bench.write(*generation(1)[:-1])
    assert bench.told() == []
    assert bench.told(HANDOVER) == [1]  # the first one, until it is known that none will be answered
    bench.write(*generation(2)[:-1])
    bench.write(*generation(3)[:3])
    assert bench.told() == [2]
    bench.write(*generation(3)[3:-1])
    assert bench.told() == [] and bench.told(SETTLE) == [3]


def test_a_picture_stored_first_belongs_to_the_request_that_uses_it(bench: Bench) -> None:
    bench.log.touch()
    bench.start(prompts=False)
    made = generation(1)
    bench.write(*made[2:7], 'INFO:     127.0.0.1:5 - "POST /api/upload HTTP/1.1" 200 OK')
    for _ in range(4):
        assert bench.told(10) == []
    bench.write(*made[7:])
    (case,) = bench.cases()
    assert numbers([case]) == [1] and case.of("storage.upload")


def test_a_burst(bench: Bench) -> None:
    bench.log.touch()
    bench.save()
    bench.start()
    bench.write(*(line for n in range(1000) for line in generation(n)))
    bench.save(*range(990, 1000))
    assert bench.told() == list(range(1000))
    assert bench.told(SETTLE) == []


def test_noise_is_not_kept(bench: Bench) -> None:
    bench.log.touch()
    bench.start(prompts=False)
    for n in range(10):
        bench.write(*['INFO:     127.0.0.1:1 - "GET /health HTTP/1.1" 200 OK'] * 1000, *generation(n))
        assert bench.told() == [n]
    assert bench.watch is not None and bench.watch.log is not None
    assert len(bench.watch.log._lines) < 2 * AROUND


# --- what is done to a log ----------------------------------------------------------------------------------------------


def test_rotation_by_rename(bench: Bench) -> None:
    bench.write(*generation(1))
    bench.start(prompts=False)
    bench.write(*generation(2), *generation(3)[:6])
    bench.log.rename(bench.log.with_name("backend.log.1"))
    bench.write(*generation(3)[6:], *generation(4))
    cases = bench.cases()
    assert numbers(cases) == [2, 3, 4]
    assert cases[2].call is not None and cases[2].call.source == "backend.log:17"
    assert {e.source.partition(":")[0] for e in cases[1].evidence if "log" in e.source} >= {
        "backend.log",
        "backend.log (rotated)",
    }


def test_a_log_that_is_renamed_and_deleted(bench: Bench) -> None:
    bench.write(*generation(1))
    bench.start(prompts=False)
    bench.write(*generation(2))
    bench.log.unlink()
    assert bench.told() == [2]
    assert any("is gone" in line for line in bench.said)
    bench.write(*generation(3))
    assert bench.told() == [3]


def test_copied_and_cut(bench: Bench) -> None:
    bench.write(*generation(1))
    bench.start(prompts=False)
    bench.write(*generation(2))
    bench.log.with_name("backend.log.1").write_bytes(bench.log.read_bytes())
    os.truncate(bench.log, 0)
    bench.write(*generation(3))
    assert bench.told() == [2, 3]


def test_cut_and_grown_past_the_old_end(bench: Bench) -> None:
    banner = "INFO:     Started server process [1]"
    bench.write(banner, *generation(1))
    bench.start(prompts=False)
    assert bench.told() == []
    os.truncate(bench.log, 0)
    bench.write(banner, *generation(2), *generation(3))
    assert bench.told() == [2, 3]


def test_cut_under_a_writer_who_knows_its_old_length(bench: Bench) -> None:
    with bench.log.open("wb", buffering=0) as file:
        file.write("".join(f"{line}\n" for line in generation(1)).encode())
        bench.start(prompts=False)
        os.truncate(bench.log, 0)
        file.write("".join(f"{line}\n" for line in generation(2)).encode())
        assert bench.told() == [2]


def test_rewritten_whole_and_moved_into_place(bench: Bench) -> None:
    bench.write(*generation(1), *generation(2))
    bench.start(prompts=False)
    new = bench.log.with_suffix(".tmp")
    new.write_bytes(bench.log.read_bytes() + "".join(f"{line}\n" for line in generation(3)).encode())
    new.replace(bench.log)
    assert bench.told() == [3]


def test_a_log_that_appears_later(bench: Bench) -> None:
    bench.start()
    assert bench.told() == [] and bench.told() == []
    assert sorted(line.partition(": ")[2] for line in bench.said) == ["does not exist yet; waiting for it"] * 2
    bench.write(*generation(1))
    bench.save(1)
    assert bench.told() == [1]


def test_utf_16_and_colours(bench: Bench) -> None:
    bench.log.write_bytes("\ufeffINFO: ready\r\n".encode("utf-16-le"))
    bench.start(prompts=False)
    data = "".join(f"\x1b[32m{line}\x1b[0m\r\n" for line in generation(1)).encode("utf-16-le")
    told = []
    with bench.log.open("ab", buffering=0) as file:
        for start in range(0, len(data), 101):
            file.write(data[start : start + 101])
            told += bench.told(0.01)
    assert told == [1]


def test_a_line_without_end_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "backend.log"
    path.write_bytes(b"x")
    tail = Tail(path, lambda _: None)
    tail.skip()
    for _ in range(5):
        with path.open("ab") as file:
            file.write(b"y" * CHUNK)
        assert list(tail.poll()) == []
        assert len(tail.unfinished) <= LONGEST
    with path.open("ab") as file:
        file.write(b"\nafter\n")
    assert "".join(piece.text for piece in tail.poll()).endswith("after\n")
    tail.close()


def test_permission_that_is_lost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write(*generation(1))
    bench.save(1)
    bench.start()
    allowed = Path.stat

    def denied(path: Path, **options: Any) -> os.stat_result:
        if path in (bench.log, bench.prompts):
            raise PermissionError(13, "Permission denied")
        return allowed(path, **options)

    monkeypatch.setattr(Path, "stat", denied)
    bench.write(*generation(2))
    assert bench.told() == [] and bench.told() == []
    assert len([line for line in bench.said if "permission denied; still watching" in line]) == 2
    monkeypatch.undo()
    bench.save(1, 2)
    assert bench.told() == [2]


# --- a prompt log alone -------------------------------------------------------------------------------------------------


def test_a_window_that_slides(bench: Bench) -> None:
    kept = list(range(1, 11))
    bench.save(*kept)
    bench.start(log=False)
    assert bench.told() == []
    for n in range(11, 40):
        kept = [*kept, n][-10:]
        bench.save(*kept)
        assert bench.told() == [n]
    bench.save(*range(33, 43))
    assert bench.told() == [40, 41, 42]
    bench.save(*range(60, 70))
    assert bench.told() == list(range(60, 70))


def test_an_array_that_is_half_written(bench: Bench) -> None:
    bench.save(*range(1, 11))
    bench.start(log=False)
    whole = json.dumps([entry(n) for n in range(2, 12)], indent=2).encode()
    told = []
    with bench.prompts.open("wb", buffering=0) as file:
        for start in range(0, len(whole), 997):
            told += bench.told(0.02)
            file.write(whole[start : start + 997])
    told += bench.told(0.02)
    assert told == [11]


def test_one_that_stays_half_written_is_read_as_far_as_it_goes(bench: Bench) -> None:
    bench.save(1, 2)
    bench.start(log=False)
    whole = json.dumps([entry(n) for n in (1, 2, 3, 4)], indent=2)
    bench.prompts.write_text(whole[:-200], encoding="utf-8")
    assert bench.told() == []
    assert bench.told(SETTLE) == [3]
    assert len(bench.said) == 1 and "ends" in bench.said[0]
    bench.prompts.write_text(whole, encoding="utf-8")
    assert bench.told() == [4]


def test_what_slid_out_while_it_was_half_written_is_not_told_again(bench: Bench) -> None:
    bench.save(*range(1, 11))
    bench.start(log=False)
    bench.prompts.write_text(json.dumps([entry(n) for n in range(2, 7)])[:-1], encoding="utf-8")
    assert bench.told() == [] and bench.told(2 * SETTLE) == []
    bench.save(*range(2, 12))
    assert bench.told() == [11]


def test_json_lines_that_grow_by_parts(bench: Bench) -> None:
    bench.prompts = bench.prompts.with_suffix(".jsonl")
    lines = [json.dumps(entry(n)) + "\n" for n in range(1, 5)]
    bench.prompts.write_text("".join(lines[:2]), encoding="utf-8")
    bench.start(log=False)
    with bench.prompts.open("a", encoding="utf-8") as file:
        file.write(lines[2] + lines[3][:50])
        file.flush()
        assert bench.told() == [3]
        file.write(lines[3][50:])
        file.flush()
        assert bench.told() == [4]


def test_a_large_prompt_log_is_read_from_its_end(bench: Bench) -> None:
    lines = [json.dumps(entry(n)) + "\n" for n in range(2300)]
    bench.prompts.write_text("".join(lines[:2000]), encoding="utf-8")
    bench.start(log=False)
    with bench.prompts.open("a", encoding="utf-8") as file:
        file.writelines(lines[2000:2001])
    assert bench.told() == [2000]
    with bench.prompts.open("a", encoding="utf-8") as file:
        file.writelines(lines[2001:])
    assert bench.told() == list(range(2001, 2300))


def test_json_lines_that_are_rotated(bench: Bench) -> None:
    bench.prompts.write_text(json.dumps(entry(1)) + "\n" + json.dumps(entry(2)) + "\n", encoding="utf-8")
    bench.start(log=False)
    with bench.prompts.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry(3)) + "\n")
    bench.prompts.rename(bench.prompts.with_name("prompt_log.json.1"))
    bench.prompts.write_text(json.dumps(entry(4)) + "\n", encoding="utf-8")
    assert bench.told() == [3, 4]


def test_the_same_entry_twice_counts_twice_when_the_list_grew(tmp_path: Path) -> None:
    path = tmp_path / "prompt_log.json"
    path.write_text(json.dumps([entry(1)]), encoding="utf-8")
    follower = EntryFollower(path, lambda _: None)
    follower.skip(0.0)
    for length in (2, 3, 4):
        path.write_text(json.dumps([entry(1)] * length), encoding="utf-8")
        assert len(follower.poll(float(length))) == 1
    path.write_text(json.dumps([entry(1)] * 4, indent=1), encoding="utf-8")
    assert follower.poll(9.0) == []


def test_a_prompt_log_that_vanishes_and_comes_back(bench: Bench) -> None:
    bench.save(1, 2, 3)
    bench.start(log=False)
    kept = bench.prompts.read_bytes()
    bench.prompts.unlink()
    assert bench.told() == []
    bench.prompts.write_bytes(kept)
    assert bench.told() == []
    bench.save(1)  # an older copy was put back
    assert bench.told() == []
    bench.save(1, 4)
    assert bench.told() == [4]
    bench.prompts.write_text("[]", encoding="utf-8")
    assert bench.told() == []
    bench.save(5)
    assert bench.told() == [5]


def test_a_prompt_log_in_utf_16(bench: Bench) -> None:
    bench.prompts.write_text(json.dumps([entry(1)]), encoding="utf-16")
    bench.start(log=False)
    bench.prompts.write_text(json.dumps([entry(1), entry(2)]), encoding="utf-16")
    assert bench.told() == [2]


# --- both ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry_after", [0, 5, 9, 12, 13, 99])
def test_both_files_are_one_generation(bench: Bench, entry_after: int) -> None:
    bench.write(*generation(1))
    bench.save(1)
    bench.start()
    told: list[Case] = []
    for number, line in enumerate(generation(2)):
        if number == entry_after:
            bench.save(1, 2)
        bench.write(line)
        told += bench.cases(0.2)
    if entry_after >= len(generation(2)):
        bench.save(1, 2)
    for _ in range(10):
        told += bench.cases()
    assert numbers(told) == [2]
    assert told[0].call is not None and told[0].call.source.startswith("backend.log:")
    assert bool(told[0].of("record.entry"))


def test_an_entry_that_comes_much_too_late_is_not_told_again(bench: Bench) -> None:
    bench.save(1)
    bench.log.touch()
    bench.start()
    bench.write(*generation(2))
    assert bench.told() == [] and bench.told(SETTLE) == [2]
    bench.told(30)
    bench.save(1, 2)
    assert bench.told() == [] and bench.told(SETTLE) == [] and bench.told(10) == []
    bench.write(*generation(3))
    bench.save(1, 2, 3)
    assert bench.told() == [3]


def test_a_log_that_is_written_much_too_late_is_not_told_again(bench: Bench) -> None:
    bench.save(1)
    bench.log.touch()
    bench.start()
    bench.save(1, 2)
    assert bench.told() == [] and bench.told(2 * SETTLE) == [2]
    bench.told(30)
    bench.write(*generation(2), *generation(3))
    bench.save(1, 2, 3)
    assert bench.told() == [3]


def test_a_log_about_something_else_holds_nothing_up(bench: Bench) -> None:
    bench.save(1)
    bench.write("INFO:     worker ready")
    bench.start()
    bench.save(1, 2)
    bench.told()
    assert bench.told(2 * SETTLE) == [2]


def test_a_forecast_is_not_judged_while_its_request_is_under_way(bench: Bench) -> None:
    bench.write(*generation(1))
    bench.save(1)
    bench.start()
    bench.write(*generation(2)[:8])
    bench.save(1, 2)
    for _ in range(5):
        assert bench.told(10) == []
    bench.write(*generation(2)[8:])
    assert bench.told() == [2]


def test_a_request_that_leaves_no_entry(bench: Bench) -> None:
    bench.write(*generation(1))
    bench.save(1)
    bench.start()
    bench.write('INFO:     127.0.0.1:5 - "POST /api/generate-image HTTP/1.1" 422 Unprocessable Entity')
    (case,) = bench.cases()
    assert explain.diagnose(case).outcome == "refused"
    assert bench.told(10) == []


def test_many_seen_in_both(bench: Bench) -> None:
    bench.prompts.write_text("", encoding="utf-8")
    bench.log.touch()
    bench.start()
    told = []
    kept: list[int] = []
    for n in range(1, 60):
        kept = [*kept, n][-10:]
        bench.save(*kept)
        bench.write(*generation(n))
        told += bench.told() if n % 3 else []
    told += bench.told(5)
    assert told == list(range(1, 60))


# --- the command --------------------------------------------------------------------------------------------------------


class Running:
    """A real process, its lines read as they come."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "diagnose", "watch", "--interval", "0.05", "--lang", "en", *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.lines: Queue[str] = Queue()
        self.errors: Queue[str] = Queue()
        for stream, queue in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=self._read, args=(stream, queue), daemon=True).start()

    def _read(self, stream: Any, queue: Queue[str]) -> None:
        for line in stream:
            queue.put(line.rstrip("\n"))

    def line(self) -> str:
        return self.lines.get(timeout=GENEROUS)

    def error(self) -> str:
        return self.errors.get(timeout=GENEROUS)

    def rest(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.lines.get(timeout=0.3))
            except Empty:
                return found


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*options: str) -> Running:
        started.append(Running(tmp_path, *options))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.wait()
        for stream in (running.process.stdout, running.process.stderr):
            assert stream is not None
            stream.close()


def test_a_line_a_generation_and_an_answer_where_one_broke(bench: Bench, run: Callable[..., Running]) -> None:
    bench.write(*generation(1))
    bench.save(1)
    running = run("--prompt-log", "prompt_log.json", "--backend-log", "backend.log")
    assert running.error() == "watching prompt_log.json and backend.log; Ctrl-C ends it"
    bench.write(*generation(2))
    bench.save(1, 2)
    assert running.line().startswith("06:00:02  ! Image-to-image was used, but strength 0.85 takes effect")
    bench.write(*generation(3, broken=True))
    first = running.line()
    assert "✗ Text-to-image was used, without the photo" in first
    assert first.endswith("fal-ai/flux/schnell  bucket_missing")
    assert "Proof" in running.rest()


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupt_is_one_line(bench: Bench, run: Callable[..., Running]) -> None:
    bench.write(*generation(1))
    running = run("--backend-log", "backend.log", "--from-start")
    running.line()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(GENEROUS) == 130
    assert running.error().startswith("watching")
    assert [line for line in (running.error(), running.error()) if line] == ["interrupted"]


def test_json_is_a_document_a_line(bench: Bench, run: Callable[..., Running]) -> None:
    bench.write(*generation(1), *generation(2, broken=True))
    running = run("--backend-log", "backend.log", "--from-start", "--count", "3", "--format", "json")
    documents = [json.loads(running.line()) for _ in range(2)]
    bench.write(*generation(3))
    documents.append(json.loads(running.line()))
    assert [d["outcome"] for d in documents] == ["switched", "not_switched", "switched"]
    assert running.process.wait(GENEROUS) == 1
    assert running.rest() == []


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_it_ends_when_its_reader_leaves(bench: Bench, tmp_path: Path) -> None:
    bench.write(*generation(1))
    command = f"{sys.executable} -m diagnose watch --backend-log backend.log --from-start --interval 0.05 | head -n 1"
    ran = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=GENEROUS,
        check=False,
    )
    assert ran.stdout.splitlines()[-1] == "0"
    assert "Error" not in ran.stderr and "Traceback" not in ran.stderr


def test_it_counts(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    bench.write(*generation(1), *generation(2))
    bench.save(1, 2)
    ran = CliRunner().invoke(cli, ["watch", "--from-start", "--count", "2"])
    assert ran.exit_code == 0
    assert len(ran.stdout.splitlines()) == 2


def test_a_backend_whose_prompt_log_is_not_written_yet(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    bench.write(*generation(1))
    ran = CliRunner().invoke(cli, ["watch", "--from-start", "--count", "1"])
    assert ran.exit_code == 0
    assert "prompt_log.json: does not exist yet; waiting for it" in ran.stderr


def test_a_folder_cannot_be_followed(tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli, ["watch", "--prompt-log", str(tmp_path)])
    assert ran.exit_code == 1  # the exception reaches main(), which makes it one line and 4
    assert "is a folder where a file was expected" in str(ran.exception)


def test_nothing_to_follow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(cli, ["watch"])
    assert "diagnose watch --prompt-log" in str(ran.exception)


def test_hostile_prompts_and_secrets_stay_inert(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    lines = generation(1, broken=True)
    lines[8] = "INFO:main:   Prompt: \x1b[2J[bold]x[/bold] \u202e"
    lines[6] = lines[6].replace(
        "Bucket not found'}", "Bucket not found', 'key': 'sb_secret_abcdefghijklmnopqrstuvwxyz0123'}"
    )
    bench.write(*lines)
    ran = CliRunner().invoke(cli, ["watch", "--backend-log", "backend.log", "--from-start", "--count", "1", "-v"])
    assert ran.exit_code == 1
    assert "\x1b[2J" not in ran.stdout and "\u202e" not in ran.stdout
    assert "sb_secret_abcdefghijklmnop" not in ran.stdout
