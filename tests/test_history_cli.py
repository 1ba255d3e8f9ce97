"""The command `history`: what it prints, how it ends, and what it says of bad input."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from diagnose import schema
from tests import histories


def run(
    *arguments: object, stdin: bytes = b"", cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "diagnose", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={**os.environ, "COLUMNS": "100", "LC_ALL": "C.UTF-8", **environment},
        timeout=120,
        cwd=cwd,
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "prompt_log.jsonl"
    made = [histories.entry(n * 60) for n in range(8)] + [
        histories.without_photo(600),
        histories.without_photo(700, lost=True),
    ]
    path.write_bytes(b"".join(map(histories.line, made)) + b"broken\n")
    return path


def test_the_document_fits_its_schema_and_says_all(log: Path) -> None:
    done = run("history", log, "--format", "json", "--by", "model")
    document: dict[str, Any] = json.loads(done.stdout)
    jsonschema.Draft202012Validator(schema.load("history")).validate(document)
    assert (document["entries"], document["malformed"]) == (10, 1)
    assert document["outcomes"] == {"switched": 8, "not_switched": 2}
    assert document["symptoms"]["upload_result_lost"]["example"]["place"] == f"{log}#/9"
    assert document["malformed_at"][0]["byte"] == log.stat().st_size - 7
    assert (done.returncode, done.stderr) == (1, b"")


def test_every_format_ends_alike_and_stdout_is_pure(log: Path) -> None:
    for form in ("text", "json", "csv"):
        done = run("history", log, "--format", form)
        assert (done.returncode, done.stderr) == (1, b""), form
    rows = list(csv.DictReader(io.StringIO(run("history", log, "--format", "csv").stdout.decode())))
    assert {row["name"]: row["count"] for row in rows if row["section"] == "outcome"} == {
        "switched": "8",
        "not_switched": "2",
    }


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([histories.entry(1)], 0),
        ([histories.entry(1), histories.without_photo(2)], 0),
        ([histories.entry(1), histories.without_photo(2, lost=True)], 1),
        ([{"timestamp": "2026-01-11T06:35:00", "request": {}, "fal_request": {"model": "x/y"}}], 3),
    ],
)
def test_the_exit_code_is_the_worst_answers(tmp_path: Path, lines: list[dict[str, Any]], code: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(map(histories.line, lines)))
    assert run("history", path).returncode == code


def test_the_example_opens_at_its_offset(log: Path) -> None:
    document = json.loads(run("history", log, "--format", "json").stdout)
    example = document["symptoms"]["upload_result_lost"]["example"]
    shown = run("latest-log", example["source"], "--at-offset", example["byte"], "--format", "json")
    answer = json.loads(shown.stdout)
    assert answer["outcome"] == "not_switched"
    assert answer["subject"]["timestamp"] == "2026-01-11T06:46:40"
    assert shown.returncode == 1


def test_standard_input(log: Path) -> None:
    document = json.loads(run("history", "-", "--format", "json", "--jobs", "2", stdin=log.read_bytes()).stdout)
    assert (document["entries"], document["sources"][0]["name"]) == (10, "stdin")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.jsonl"], 4, "'nowhere.jsonl': no such file or folder"),
        (["*.nothing"], 4, "'*.nothing': matches no file"),
        (["{log}", "--since", "yesterday"], 2, "'yesterday' is no time"),
        (["{log}", "--only", "bucket_mising"], 2, "did you mean 'bucket_missing'?"),
        (["{log}", "--jobs", "0"], 2, "--jobs"),
        (["s3://bucket/x.jsonl", "--offline"], 4, "--offline forbids all network use"),
        (["nosuch://bucket/x.jsonl"], 4, "nosuch://bucket/x.jsonl"),
        (["{log}", "--scheduler", "tcp://127.0.0.1:9"], 2, "no scheduler answers there"),
        (["{log}", "--scheduler", "nonsense://x"], 2, "--scheduler nonsense://x"),
        (["{log}", "--kind", "backend_log"], 4, "no backend's log was found"),
        (["-", "-"], 2, "once"),
    ],
)
def test_bad_input_is_one_clear_line(log: Path, arguments: list[str], code: int, said: str) -> None:
    done = run("history", *(each.replace("{log}", str(log)) for each in arguments), cwd=log.parent)
    assert done.returncode == code, done.stderr
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr and done.stdout == b""


def test_an_empty_log_is_said(tmp_path: Path) -> None:
    path = tmp_path / "prompt_log.json"
    path.write_text("[]")
    done = run("history", path)
    assert done.returncode == 4
    assert b"0" in done.stdout or b"no" in done.stdout.lower()


def test_hostile_names_and_values_stay_inert(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m[bold]b.jsonl"
    made = histories.without_photo(1, lost=True)
    made["fal_request"]["model"] = "fal-ai/\x1b]0;owned\x07[link=http://evil]/x"
    path.write_bytes(histories.line(made) + b"\x1b[2J\n")
    for form in ("text", "json", "csv"):
        done = run("history", path, "--format", form, "--by", "model", "--color", "never")
        assert b"\x1b" not in done.stdout + done.stderr


def test_a_secret_in_a_value_is_masked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    key = "12345678-1234-1234-1234-123456789abc:0123456789abcdef0123456789abcdef"
    made = histories.entry(1)
    made["request"]["note"] = f"Authorization: Key {key}"
    path.write_bytes(histories.line(made))
    for form in ("text", "json", "csv"):
        done = run("history", path, "--format", form, "--by", "request.note")
        assert key.encode() not in done.stdout


def test_it_is_the_same_every_time_and_in_many_processes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(histories.line(made) for made in histories.realistic(12_000)))
    first = run("history", path, "--format", "json", "--jobs", "1").stdout
    assert len(first) > 1000
    assert run("history", path, "--format", "json", "--jobs", "2").stdout == first


@pytest.mark.skipif(os.name == "nt", reason="signals are not of this system")
def test_an_interrupt_ends_it_and_its_workers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    block = b"".join(histories.line(made) for made in histories.realistic(3_000))
    with path.open("wb") as file:
        for _ in range(60):
            file.write(block)
    process = subprocess.Popen(
        [sys.executable, "-m", "diagnose", "history", str(path), "--jobs", "2", "--onset"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)
    output, error = process.communicate(timeout=30)
    assert (process.returncode, output, error.strip()) == (130, b"", b"interrupted")
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.killpg(process.pid, 0)
            time.sleep(0.05)


def test_the_help_says_what_it_takes() -> None:
    done = run("history", "--help")
    assert done.returncode == 0
    for word in (b"--onset", b"--scheduler", b"Exit codes"):
        assert word in done.stdout


def test_indonesian(log: Path) -> None:
    english, indonesian = run("history", log).stdout, run("history", log, "--lang", "id").stdout
    assert english != indonesian
    assert b"upload_result_lost" in indonesian
