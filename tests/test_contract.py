"""The log contract: what it asks for can be judged from the record alone; and OpenTelemetry's names are read as ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from diagnose import collect, explain, history, normalise, profile, schema
from diagnose.cli.contract import SNIPPET, contract
from diagnose.collect import prompt_log
from diagnose.model import Case, Diagnosis

ROOT = Path(__file__).parent.parent
CONTRACT: dict[str, Any] = json.loads((ROOT / "schemas" / "contract.schema.json").read_text(encoding="utf-8"))
VALID = jsonschema.Draft202012Validator(CONTRACT)
SEED = profile.build(profile.BUILT_IN["seed"], "seed")
URL = "https://abcdefghijklmnopqrst.supabase.co/storage/v1/object/public/public/u/face.jpg"
I2I, T2I = SEED.image_to_image, SEED.text_to_image


def cases(file: Path) -> list[Case]:
    bundle = collect.gather([], named=[("prompt_log", file)])
    return normalise.cases(bundle, SEED, normalise.Selector(), every=True)


def diagnosed(file: Path) -> Diagnosis:
    return explain.diagnose(cases(file)[-1])


def body(url: str | None) -> dict[str, Any]:
    told = {"prompt": "a portrait", "num_inference_steps": 7, "guidance_scale": 3.5}
    return {**told, "image_url": url, "image_strength": 0.5} if url else told


def run_snippet(
    file: Path,
    images: dict[str, int],
    url: str | None,
    upload: dict[str, Any] | None = None,
    decode: str | None = None,
) -> dict[str, Any]:
    """What the snippet writes when a backend does as its usage says."""
    space: dict[str, Any] = {}
    exec(SNIPPET, space)  # noqa: S102 - the very text that is handed out
    with space["generation"](str(file)) as entry:
        entry["request"]["images"] = images
        entry["decode"] = {"error": decode} if images else None
        entry["upload"] = upload
        space["decide"](entry, url, I2I, T2I)
        space["sending"](entry, body(url))
        entry["status"], entry["fal_request_id"], entry["outcome"] = 200, "0198-ab", "succeeded"
    written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])
    return written


STORED = {"bucket": "public", "path": "u/face.jpg", "status": 200, "error": None}
LOST = {
    "bucket": "public",
    "path": "u/face.jpg",
    "status": 400,
    "error": "{'statusCode': 404, 'error': 'Bucket not found', 'message': 'Bucket not found'}",
}


def test_the_snippet_is_short_and_needs_the_standard_library_alone() -> None:
    assert len(SNIPPET.splitlines()) < 40
    imported = [line for line in SNIPPET.splitlines() if line.startswith(("import ", "from "))]
    assert imported == [
        "import json, os, uuid",
        "from contextlib import contextmanager",
        "from datetime import datetime, timezone",
    ]


def test_a_sound_generation_is_told_by_its_entry_alone(tmp_path: Path) -> None:
    entry = run_snippet(tmp_path / "p.jsonl", {"face_image": 1}, URL, STORED)
    VALID.validate(entry)
    d = diagnosed(tmp_path / "p.jsonl")
    assert (d.outcome, d.generation, d.intended, d.root) == ("switched", "succeeded", True, None)
    assert entry["decision"]["reason"] == d.decision.reason == "IMAGE_TO_IMAGE_SELECTED"


def test_a_failed_upload_is_told_by_its_entry_alone(tmp_path: Path) -> None:
    entry = run_snippet(tmp_path / "p.jsonl", {"face_image": 1}, None, LOST)
    VALID.validate(entry)
    d = diagnosed(tmp_path / "p.jsonl")
    assert d.outcome == "not_switched" and d.intended is False
    assert d.root is not None and d.root.check == "bucket_missing"
    assert entry["decision"]["reason"] == d.decision.reason == "PREREQUISITE_FAILED"
    assert entry["decision"]["prerequisite"] == d.decision.prerequisite == "upload"


def test_a_picture_that_cannot_be_decoded_is_told_by_its_entry_alone(tmp_path: Path) -> None:
    broken = "cannot identify image file <_io.BytesIO object at 0x7f3b1c0>"
    entry = run_snippet(tmp_path / "p.jsonl", {"face_image": 1}, None, decode=broken)
    VALID.validate(entry)
    d = diagnosed(tmp_path / "p.jsonl")
    assert d.root is not None and d.root.check == "image_unusable"
    assert entry["decision"]["prerequisite"] == d.decision.prerequisite == "decode"


@pytest.mark.parametrize("error", ["[Errno -2] Name or service not known", "The read operation timed out"])
def test_storage_that_does_not_answer_is_told_by_its_entry_alone(tmp_path: Path, error: str) -> None:
    """The client's error names no service: the field in which it stands does."""
    lost = {"bucket": "public", "path": "u/face.jpg", "status": None, "error": error}
    entry = run_snippet(tmp_path / "p.jsonl", {"face_image": 1}, None, lost)
    VALID.validate(entry)
    d = diagnosed(tmp_path / "p.jsonl")
    assert d.root is not None and d.root.check == "storage_unavailable"
    assert entry["decision"]["prerequisite"] == d.decision.prerequisite == "upload"


def test_an_error_of_decoding_in_unknown_words_is_one_of_decoding(tmp_path: Path) -> None:
    run_snippet(tmp_path / "p.jsonl", {"face_image": 1}, None, decode="gefaulted")
    d = diagnosed(tmp_path / "p.jsonl")
    assert d.root is not None and (d.root.check, d.decision.prerequisite) == ("image_unusable", "decode")


@pytest.mark.parametrize(("status", "generation"), [(200, "succeeded"), (500, "failed")])
def test_fals_answer_counts_without_an_id(tmp_path: Path, status: int, generation: str) -> None:
    """fal's own clients do not show the header."""
    file = tmp_path / "p.jsonl"
    entry = run_snippet(file, {"face_image": 1}, URL, STORED)
    entry |= {"status": status, "fal_request_id": None, "outcome": generation}
    VALID.validate(entry)
    file.write_text(json.dumps(entry), encoding="utf-8")
    d = diagnosed(file)
    assert (d.outcome, d.generation) == ("switched", generation)


@pytest.mark.parametrize("form", [None, "application/json", "multipart/form-data; boundary=x"])
def test_no_picture_is_by_design_whatever_the_format(tmp_path: Path, form: str | None) -> None:
    file = tmp_path / "p.jsonl"
    entry = run_snippet(file, {}, None)
    entry["request"]["request_format"] = form
    VALID.validate(entry)
    file.write_text(json.dumps(entry), encoding="utf-8")
    d = diagnosed(file)
    assert (d.outcome, d.intended, d.decision.reason) == ("not_switched", True, "NO_IMAGE_SENT")


def test_a_crash_after_the_decision_is_still_written(tmp_path: Path) -> None:
    space: dict[str, Any] = {}
    exec(SNIPPET, space)  # noqa: S102
    file = tmp_path / "p.jsonl"
    with pytest.raises(TimeoutError), space["generation"](str(file)) as entry:
        space["decide"](entry, None, I2I, T2I)
        space["sending"](entry, body(None))
        raise TimeoutError
    VALID.validate(json.loads(file.read_text(encoding="utf-8")))
    assert diagnosed(file).outcome == "not_switched"


def test_the_contract_asks_for_no_less_than_the_prompt_log_schema(tmp_path: Path) -> None:
    """Whatever validates is an entry that the other schema accepts too."""
    for images, url, upload in (({"face_image": 1}, URL, STORED), ({"photo": 1}, None, LOST), ({}, None, None)):
        entry = run_snippet(tmp_path / "p.jsonl", images, url, upload)
        assert schema.entry_fault(prompt_log.normalise_entry(entry)) is None


@pytest.mark.parametrize(
    "key", ["timestamp", "request_id", "request", "upload", "decision", "sent", "status", "outcome", "fal_request_id"]
)
def test_what_the_contract_asks_for_cannot_be_left_out(tmp_path: Path, key: str) -> None:
    entry = run_snippet(tmp_path / "p.jsonl", {"face_image": 1}, URL, STORED)
    del entry[key]
    assert not VALID.is_valid(entry)


def test_the_snippet_writes_the_zone(tmp_path: Path) -> None:
    entry = run_snippet(tmp_path / "p.jsonl", {"face_image": 1}, URL, STORED)
    assert entry["timestamp"].endswith("+00:00")
    assert not VALID.is_valid({**entry, "timestamp": "yesterday"})


def test_the_generator_keeps_the_contract(tmp_path: Path) -> None:
    from diagnose.generator import faults
    from diagnose.generator.demo import stage

    wanted = {"bucket_missing", "image_unusable", "fal_key_rejected", "no_image_sent"}
    with stage() as on:
        for fault in [f for f in faults.FAULTS if f.name in wanted]:
            on.write_case(fault, tmp_path / fault.name)
    files = list(tmp_path.rglob("prompt_log.json"))
    assert files
    for file in files:
        for entry in json.loads(file.read_text(encoding="utf-8")):
            VALID.validate(entry)


def test_the_command_prints_what_it_is_asked_for() -> None:
    run = CliRunner().invoke
    assert json.loads(run(contract, ["--schema"]).output) == CONTRACT
    assert run(contract, ["--snippet"]).output == SNIPPET
    whole = json.loads(run(contract, ["--format", "json"]).output)
    assert whole["schema"] == CONTRACT and whole["snippet"] == SNIPPET and "with generation()" in whole["usage"]
    text = run(contract, []).output
    assert "fal_request_id" in text and "def decide(" in text
    assert CONTRACT["$id"].startswith("urn:") and CONTRACT["$schema"].endswith("2020-12/schema")


# --- OpenTelemetry ----------------------------------------------------------------------------------------------------

FLAT: dict[str, Any] = {
    "timestamp": "2026-02-03T10:00:00Z",
    "gen_ai.operation.name": "image_to_image",
    "gen_ai.provider.name": "fal",
    "gen_ai.request.model": I2I,
    "gen_ai.request.image_url": URL,
    "gen_ai.request.image_strength": 0.5,
    "gen_ai.request.num_inference_steps": 7,
    "gen_ai.request.guidance_scale": 3.5,
    "gen_ai.response.id": "0198-ab",
    "http.response.status_code": 200,
    "server.address": "fal.run",
}


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in flat.items():
        *outer, last = name.split(".")
        place = made
        for each in outer:
            place = place.setdefault(each, {})
        place[last] = value
    return made


def otlp(flat: dict[str, Any]) -> dict[str, Any]:
    def told(value: Any) -> dict[str, Any]:
        if isinstance(value, int):
            return {"intValue": str(value)}
        return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}

    listed = [{"key": key, "value": told(value)} for key, value in flat.items() if key != "timestamp"]
    return {
        "name": "image_to_image",
        "spanId": "00f067aa0ba902b7",
        "startTimeUnixNano": "1770112800000000000",
        "attributes": listed,
    }


FORMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "flat": lambda flat: flat,
    "nested": nested,
    "otlp": otlp,
    "attributes": lambda flat: {"start_time": flat["timestamp"], "attributes": flat},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_span_is_the_same_entry(tmp_path: Path, form: str) -> None:
    entry = prompt_log.normalise_entry(FORMS[form](FLAT))
    assert entry["fal_request"] == {
        "model": I2I,
        "image_url": URL,
        "image_strength": 0.5,
        "num_inference_steps": 7,
        "guidance_scale": 3.5,
    }
    assert (entry["status"], entry["fal_request_id"], entry["outcome"]) == (200, "0198-ab", "succeeded")
    assert entry["timestamp"] == "2026-02-03T10:00:00Z"
    file = tmp_path / "spans.jsonl"
    file.write_text("\n".join(json.dumps(FORMS[form](FLAT)) for _ in range(3)), encoding="utf-8")
    d = diagnosed(file)
    assert (d.outcome, d.generation) == ("switched", "succeeded")


def test_older_names_and_errors_are_read() -> None:
    entry = prompt_log.normalise_entry(
        {
            "gen_ai.system": "fal",
            "gen_ai.response.model": T2I,
            "http.status_code": 503,
            "error.type": "503",
            "time": "2026-02-03 10:00",
        }
    )
    assert entry["fal_request"]["model"] == T2I
    assert (entry["status"], entry["outcome"]) == (503, "failed")


def test_an_address_names_the_model_where_nothing_else_does() -> None:
    known = {"gen_ai.operation.name": "generate_content", "url.full": f"https://queue.fal.run/{I2I}?x=1"}
    assert prompt_log.normalise_entry(known)["fal_request"]["model"] == I2I
    status = {"gen_ai.operation.name": "x", "url.full": "https://queue.fal.run/fal-ai/flux-general/requests/ab/status"}
    assert prompt_log.normalise_entry(status) == status


def test_another_providers_span_is_no_entry() -> None:
    span = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
    assert not prompt_log.looks_like_entry(span)
    assert prompt_log.looks_like_entry(FLAT)


@pytest.mark.parametrize(
    "hostile",
    [
        {"attributes": [{"key": "gen_ai.request.model"}, {"key": 3}, 7, None]},
        {"attributes": [{"key": "gen_ai.request.model", "value": {"arrayValue": {"values": 3}}}]},
        {"attributes": {"gen_ai": "x", "gen_ai.request": {"model": {"model": {}}}}},
        {"gen_ai.request.model": ["x"], "startTimeUnixNano": True},
        {"gen_ai.request.model": "m", "startTimeUnixNano": "9" * 19, "context": 3},
        {"gen_ai.request.model": "m", "http.response.status_code": "2" * 5000},
        {"gen_ai": None, "attributes": "x" * 10},
    ],
)
def test_hostile_records_do_no_harm(tmp_path: Path, hostile: dict[str, Any]) -> None:
    prompt_log.normalise_entry(hostile)
    file = tmp_path / "p.json"
    file.write_text(json.dumps([hostile]), encoding="utf-8")
    assert diagnosed(file).outcome in ("undetermined", "not_switched", "switched", "wrong_model")


def test_a_record_with_endless_attributes_is_cut() -> None:
    wide = {"gen_ai.request.model": "fal-ai/x", **{f"gen_ai.request.k{n}": n for n in range(5000)}}
    assert len(prompt_log.normalise_entry(wide)["fal_request"]) <= 300


def test_history_counts_them_as_they_are_diagnosed_one_by_one(tmp_path: Path) -> None:
    """The fast decoder refuses what has none of our names, and what was written after the fact."""
    file = tmp_path / "p.jsonl"
    run_snippet(file, {"face_image": 1}, URL, STORED)
    run_snippet(file, {"face_image": 1}, None, LOST)
    run_snippet(file, {}, None)
    run_snippet(file, {"face_image": 1}, None, {**LOST, "status": None, "error": "timed out"})
    run_snippet(file, {"face_image": 1}, None, decode="gefaulted")
    lines = file.read_text(encoding="utf-8").splitlines()
    multipart, unnamed = json.loads(lines[2]), json.loads(lines[0])
    unnamed["fal_request_id"] = None
    multipart["request"]["request_format"] = "multipart/form-data"
    text = {**{k: v for k, v in FLAT.items() if "image" not in k}, "gen_ai.request.model": T2I}
    failed = {**FLAT, "http.response.status_code": 500, "error.type": "500"}
    spans = [form(each) for each in (FLAT, text, failed) for form in FORMS.values()]
    file.write_text("\n".join([*lines, *map(json.dumps, [multipart, unnamed, *spans])]) + "\n", encoding="utf-8")
    one_by_one = [explain.diagnose(case) for case in cases(file)]
    found = history.survey([str(file)], SEED)
    for told in ("switched", "not_switched", "undetermined", "wrong_model"):
        counted = found.outcomes[told].count if told in found.outcomes else 0
        assert counted == sum(1 for d in one_by_one if d.outcome == told), told
    bad = [d for d in one_by_one if not explain.sound(d)]
    assert found.bad.count == len(bad)
    roots = [d.root.check for d in one_by_one if d.root is not None]
    assert {name: tally.count for name, tally in found.roots.items()} == {name: roots.count(name) for name in roots}
    assert {"bucket_missing", "storage_unavailable"} <= set(roots)
