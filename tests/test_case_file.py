"""A saved case gives the answer that its originals gave, byte for byte, wherever it is opened."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose import case_file, profile, schema
from diagnose.cli import main
from diagnose.errors import DiagnoseError
from diagnose.model import Case, Evidence, Subject, Witness

CORPUS = Path(os.environ.get("DIAGNOSE_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))
RUNS = sorted(path for path in CORPUS.iterdir() if path.is_dir()) if CORPUS.is_dir() else []
SEED = profile.build(profile.BUILT_IN["seed"], "seed")


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str) -> tuple[str, str, int]:
    monkeypatch.setattr("sys.argv", ["diagnose", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return out, err, int(ended.value.code or 0)


FORMS = (("--format", "json", "-v"), ("--lang", "id", "-v"))


def repeats(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path, saved: Path, *options: str
) -> None:
    _, err, code = said(capsys, monkeypatch, "collect", str(folder), "-o", str(saved), *options)
    assert code == 0, err
    assert schema.validate(saved.read_bytes(), "case").valid
    for form in FORMS:
        first = said(capsys, monkeypatch, "checklist", str(folder), *options, *form)
        again = said(capsys, monkeypatch, "checklist", str(saved), *form)
        assert again == first


def test_every_fault_of_the_demo(
    cases: Mapping[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from diagnose.generator.faults import FAULTS

    profiles = {fault.name.replace(":", "-"): fault.profile for fault in FAULTS}
    for name, folder in cases.items():
        repeats(capsys, monkeypatch, folder, tmp_path / "case.json", "--profile", profiles.get(name, "seed"))


@pytest.mark.skipif(not RUNS, reason="the corpus is not beside this checkout")
@pytest.mark.parametrize("run", RUNS or [CORPUS], ids=lambda path: path.name)
def test_every_real_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = CORPUS / f"{run.name.partition('-')[0]}.toml"
    options = ("--profile", str(own)) if own.is_file() else ()
    repeats(capsys, monkeypatch, run, tmp_path / "case.json", *options)


def test_one_attempt_of_many_is_chosen(
    cases: Mapping[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repeats(capsys, monkeypatch, cases["sound"], tmp_path / "case.json", "--entry", "0")
    out, err, code = said(capsys, monkeypatch, "collect", str(cases["sound"]), "-o", "-", "--all")
    assert (out, code) == ("", 2) and "one generation" in err


def test_it_can_be_written_to_standard_output(
    cases: Mapping[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err, code = said(capsys, monkeypatch, "collect", str(cases["sound"]), "-o", "-")
    assert (err, code) == ("", 0) and case_file.is_case(json.loads(out))


def test_a_big_case_is_still_a_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text quotes a log, and is longer than what is read as a long log."""
    line = 'INFO:httpx:HTTP Request: POST https://fal.run/fal-ai/flux/schnell "HTTP/1.1 200 OK" message: '
    log = tuple(Evidence("error", f"backend.log:{n}", Witness.LOGGED, {"text": line * 20, "timestamp": "x"}) for n in range(400))  # fmt: skip
    file = tmp_path / "case.json"
    file.write_text(case_file.dumps(Case(SEED, log, Subject(None, None, "backend.log:1"))))
    assert file.stat().st_size > 600_000
    out, err, code = said(capsys, monkeypatch, "checklist", str(file), "--format", "json")
    assert json.loads(out)["subject"]["source"] == "backend.log:1" and (err, code) == ("", 3)


def test_another_profile_judges_it_where_one_is_named(
    cases: Mapping[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "case.json"
    said(capsys, monkeypatch, "collect", str(cases["sound"]), "-o", str(saved))
    out, _, code = said(capsys, monkeypatch, "checklist", str(saved), "--profile", "flux-2-edit", "--format", "json")
    assert (json.loads(out)["outcome"], code) == ("wrong_model", 1)


@pytest.mark.parametrize(
    ("spoil", "said_of_it"),
    [
        (lambda c: c | {"schema_version": 2}, "not a saved case of this version"),
        (lambda c: c | {"evidence": [*c["evidence"], {"kind": 3}]}, "malformed"),
        (lambda c: c | {"evidence": [*c["evidence"], {"kind": "a", "source": "b", "witness": "rumour", "fields": {}}]}, "malformed"),
        (lambda c: c | {"profile": {"models": {}}}, "models.image_to_image"),
        (lambda c: c | {"profile": None}, "models.image_to_image"),
    ],
)  # fmt: skip
def test_a_spoilt_case_is_one_line(
    spoil: Any, said_of_it: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = json.loads(case_file.dumps(Case(SEED, (Evidence("error", "a:1", Witness.LOGGED, {"text": "x"}),))))
    file = tmp_path / "case.json"
    file.write_text(json.dumps(spoil(whole)))
    out, err, code = said(capsys, monkeypatch, "checklist", str(file))
    assert (out, len(err.strip().splitlines())) == ("", 1) and said_of_it in err and code in (2, 4)


def test_a_case_stands_alone(
    cases: Mapping[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "case.json"
    said(capsys, monkeypatch, "collect", str(cases["sound"]), "-o", str(saved))
    _, err, code = said(capsys, monkeypatch, "checklist", str(saved), str(cases["sound"] / "backend.log"))
    assert code == 4 and "give it alone" in err
    _, err, code = said(capsys, monkeypatch, "checklist", str(saved), "--live")
    assert code == 2 and "originals" in err


def test_nothing_to_save_is_no_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backend.log").write_text("nothing\n")
    _, err, code = said(
        capsys, monkeypatch, "collect", str(tmp_path / "backend.log"), "-o", str(tmp_path / "case.json")
    )
    assert code == 4 and not (tmp_path / "case.json").exists() and err


@pytest.mark.parametrize("name", sorted(profile.BUILT_IN))
def test_a_profile_comes_back_as_it_was(name: str) -> None:
    built = profile.build(profile.BUILT_IN[name], name)
    assert case_file.masked(Case(built, ())).profile == built


def test_what_a_profile_leaves_out_stays_undeclared() -> None:
    built = profile.build({"models": {"image_to_image": "a/b", "text_to_image": "c/d"}}, "x")
    assert case_file.masked(Case(built, ())).profile == built


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3)
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=12), VALUES, max_size=5), st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_masking_twice_changes_nothing_more(fields: dict[str, Any], source: str) -> None:
    once = case_file.masked(Case(SEED, (Evidence("error", source, Witness.LOGGED, fields),)))
    assert case_file.dumps(case_file.masked(once)) == case_file.dumps(once)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_nothing_but_a_clear_error_comes_of_any_json(value: Any) -> None:
    with contextlib.suppress(DiagnoseError):
        case_file.loads({"schema_version": 1, "profile": value, "subject": value, "evidence": [value]}, "x")
