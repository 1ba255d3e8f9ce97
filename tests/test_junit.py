"""JUnit XML: counts that are right, failures exactly where the exit code is 1, and nothing alive in it.

What may stand where is what Jenkins' schema allows (jenkinsci/xunit-plugin, junit-10.xsd).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from diagnose.cli.answers import exit_code
from diagnose.cli.history import _code as history_code
from diagnose.model import CHAIN, Finding, Link, Message, Status, Subject
from diagnose.model.history import History, Missed, Tally
from diagnose.render import ci, junit
from diagnose.render.words import LINKS, QUESTIONS, Words
from tests import test_render_history as histories
from tests.test_sarif import (
    ENGLISH,
    HOSTILE,
    INDONESIAN,
    RUNS,
    SECRET,
    answers,
    broken,
    changed,
    compared,
    hostile,
    of_run,
    undetermined,
)

SUITE = {"name", "tests", "failures", "errors", "skipped", "timestamp"}
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": ({"name", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (SUITE, {"testcase"}),
    "testcase": ({"classname", "name"}, {"failure", "error", "skipped", "system-out"}),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "skipped": ({"message"}, set()),
    "system-out": (set(), set()),
}
"""Of each element the attributes and the elements in it."""


def read(document: str) -> ElementTree.Element:
    """The document, whose form and counts are right, and whose texts are inert."""
    assert not document.endswith("\n")
    top = ElementTree.fromstring(document.encode("utf-8"))  # noqa: S314, our own
    assert top.tag == "testsuites"
    for element in top.iter():
        attributes, inside = ALLOWED[element.tag]
        assert set(element.attrib) <= attributes and {inner.tag for inner in element} <= inside
        assert all(value.isprintable() for value in element.attrib.values())
        text = element.text or ""
        assert all(c.isprintable() or c == "\n" for c in text) and (not len(element) or not text.strip())
    for element in (top, *top.findall("testsuite")):
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            if (element.tag, name) != ("testsuites", "skipped"):
                assert int(element.attrib[name]) == len(element.findall(f".//{tag}")), name
    for suite in top.findall("testsuite"):
        names = [(case.get("classname"), case.get("name")) for case in suite]
        assert len(set(names)) == len(names), "CI cannot tell cases of one name apart"
    return top


def failures(top: ElementTree.Element) -> int:
    return int(top.attrib["failures"])


def case(top: ElementTree.Element, group: str, name: str = "") -> ElementTree.Element:
    """The only case of a class, or that of this name."""
    (found,) = [c for c in top.iter("testcase") if c.get("classname") == group and name in ("", c.get("name"))]
    return found


# --- one answer


@pytest.mark.parametrize("words", [ENGLISH, INDONESIAN], ids=["en", "id"])
def test_there_are_failures_exactly_where_the_exit_code_is_1(words: Words) -> None:
    codes = set()
    for d in answers():
        code = int(exit_code(d, None, False))
        codes.add(code)
        for given in (code, None):
            assert (failures(read(junit.diagnoses([d], words, given))) > 0) == (code == 1), d
        assert ci.failing(d) == (code == 1)
    assert codes == {0, 1, 3}


@pytest.mark.parametrize("mode", ["image-to-image", "text-to-image"])
def test_what_is_expected_is_a_suite_of_its_own(mode: str) -> None:
    for d in answers()[::5]:
        code = int(exit_code(d, mode, False))
        top = read(junit.diagnoses([d], ENGLISH, code))
        assert (failures(top) > 0) == (code == 1)
        expected = [c for c in top.iter("testcase") if c.get("classname") == "diagnose.expect"]
        assert len(expected) == (code == 1 and int(exit_code(d, None, False)) != 1)


def test_a_suite_for_each_generation() -> None:
    found = [broken(), undetermined(), *answers()[:50]]
    document = junit.diagnoses(found, ENGLISH)
    assert document == junit.diagnoses(found, ENGLISH)
    top = read(document)
    assert len(top) == len(found)
    assert top[0].get("name") == "prompt_log.json#/3, 2026-01-11T06:35:30.766926"
    assert top[0].get("timestamp") == "2026-01-11T06:35:30.766926"
    for suite in top:
        groups = [c.get("classname") for c in suite]
        assert groups.count("diagnose.outcome") == 1
        assert [c.get("name") for c in suite if c.get("classname") == "diagnose.chain"] == [LINKS[x] for x in CHAIN]
        asked = [c.get("name") for c in suite if c.get("classname") == "diagnose.checklist"]
        assert asked == list(QUESTIONS.values())


def test_the_broken_link_fails_with_its_proof_and_its_remedy() -> None:
    d = broken()
    top = read(junit.diagnoses([d], ENGLISH, 1))
    assert d.root is not None and d.root.remedy is not None and d.root.remedy.command
    for group, name in (("diagnose.outcome", ""), ("diagnose.chain", LINKS[Link.UPLOAD])):
        (failure,) = case(top, group, name)
        assert (failure.tag, failure.get("type")) == ("failure", "bucket_missing")
        assert "the bucket 'IMAGES_UPLOAD' does not exist" in failure.get("message", "")
        text = failure.text or ""
        assert "backend.log:7 [logged]" in text and d.root.remedy.command in text
    (skipped,) = case(top, "diagnose.chain", LINKS[Link.PAYLOAD])
    assert (skipped.tag, skipped.get("message")) == ("skipped", "not reached")
    assert len(case(top, "diagnose.chain", LINKS[Link.REQUEST])) == 0


def test_what_is_undetermined_fails_nothing() -> None:
    d = undetermined()
    chain = tuple(s._replace(status=Status.FAIL) for s in d.chain)
    top = read(junit.diagnoses([d._replace(chain=chain)], ENGLISH, 3))
    assert failures(top) == 0 and case(top, "diagnose.outcome")[0].tag == "skipped"
    told = [c[0].get("message", "") for c in top.iter("testcase") if c.get("classname") == "diagnose.chain"]
    assert all(message.startswith("FAIL: ") for message in told)


def test_a_warning_and_a_note_pass_with_a_word() -> None:
    warned = next(
        d for d in answers() if not ci.failing(d) and any(s.status is Status.WARN for s in d.chain) and d.chain
    )
    top = read(junit.diagnoses([warned], ENGLISH, 0))
    link = next(s.link for s in warned.chain if s.status is Status.WARN)
    (out,) = case(top, "diagnose.chain", LINKS[link])
    assert out.tag == "system-out" and out.text
    by_design = [d for d in answers() if d.root is not None and d.root.status is Status.NOTE and not ci.failing(d)]
    assert by_design
    for d in by_design:
        outcome = case(read(junit.diagnoses([d], ENGLISH, 0)), "diagnose.outcome")[0]
        assert outcome.tag == "system-out" and "by design" in (outcome.text or "")


def test_a_crash_is_an_error_and_no_failure() -> None:
    sound = next(d for d in answers() if int(exit_code(d, None, False)) == 0)
    crashed = Finding(Status.CRASH, Message("the check broke"), check="backend_down", link=Link.DEPLOYMENT)
    d = sound._replace(
        findings=(*sound.findings, crashed),
        chain=(sound.chain[0]._replace(status=Status.CRASH, findings=("backend_down",)), *sound.chain[1:]),
    )
    top = read(junit.diagnoses([d], ENGLISH, 0))
    assert (top.get("failures"), top.get("errors")) == ("0", "1")
    (error,) = case(top, "diagnose.checks")
    assert (error.get("type"), error.get("message")) == ("backend_down", "the check broke")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2026-01-11T06:35:30", "2026-01-11T06:35:30"),
        ("2026-01-11 06:35:30.5Z", "2026-01-11T06:35:30.500000+00:00"),
        ("2026-01-11T06:35:30+07:00", "2026-01-11T06:35:30+07:00"),
        ("2026-13-41T06:35:30", None),
        ("11/Jan/2026 06:35", None),
        ("2026-01-11", None),
        ("٢٠٢٦-01-11T06:35:30", None),
        (HOSTILE, None),
        (None, None),
    ],
    ids=ascii,
)
def test_a_timestamp_is_the_generations_own(written: str | None, shown: str | None) -> None:
    d = broken()._replace(subject=Subject(0, written, "prompt_log.json#/0"))
    assert read(junit.diagnoses([d], ENGLISH))[0].get("timestamp") == shown


def test_hostile_evidence_is_inert_masked_and_bounded() -> None:
    for words in (ENGLISH, INDONESIAN):
        document = junit.diagnoses([hostile()], words, 1)
        top = read(document)
        assert failures(top) > 0 and int(top.attrib["errors"]) == 1
        assert SECRET not in document and "hunter22" not in document
        assert "<script" not in document and "]]>" not in document and not re.search(r"<!|<\?(?!xml )", document)
        assert len(document) < 200_000
    long = broken()._replace(subject=Subject(0, "x" * 10_000_000, "y" * 10_000_000))
    assert len(junit.diagnoses([long], ENGLISH)) < 100_000


# --- histories and comparisons


def made(**changes: object) -> History:
    return changed(histories.WHOLE, **changes)


def built() -> Sequence[History]:
    """Histories of every exit code."""
    nothing_bad = {"bad": Tally(0), "malformed": 0, "outcomes": {"switched": Tally(5)}}
    missed = (Missed(HOSTILE, 5, None, HOSTILE), Missed(HOSTILE, 9, 12, HOSTILE))
    return (
        *histories.SEVERAL.values(),
        made(**nothing_bad),
        made(**nothing_bad, not_counted=missed),
        made(**(nothing_bad | {"outcomes": {"undetermined": Tally(5)}})),
        made(bad=Tally(9000)),
        made(roots={HOSTILE: Tally(3)}, outcomes={HOSTILE: Tally(3)}),
    )


@pytest.mark.parametrize("words", [ENGLISH, INDONESIAN], ids=["en", "id"])
def test_a_history(words: Words) -> None:
    codes = set()
    for h in built():
        document = junit.history(h, words)
        assert document == junit.history(h, words) and SECRET not in document
        code = int(history_code(h))
        codes.add(code)
        assert (failures(read(document)) > 0) == (code == 1)
        assert int(read(document).attrib["errors"]) == len(h.not_counted)
    assert codes == {0, 1, 3, 4}


def test_each_root_is_a_failure_with_its_count() -> None:
    top = read(junit.history(histories.WHOLE, ENGLISH))
    assert (case(top, "diagnose.history.root", "bucket_missing")[0].get("message") or "").startswith("1,234 of 10,023")
    assert case(top, "diagnose.history.symptom", "model_not_switched")[0].tag == "failure"
    assert case(top, "diagnose.history.root", "no_image_sent")[0].tag == "system-out"
    assert case(top, "diagnose.history.outcome", "switched")[0].tag == "system-out"
    assert case(top, "diagnose.history", "not sound")[0].tag == "failure"


@pytest.mark.parametrize("words", [ENGLISH, INDONESIAN], ids=["en", "id"])
def test_a_comparison(words: Words) -> None:
    seen = set()
    for c in compared():
        document = junit.comparison(c, words)
        assert document == junit.comparison(c, words)
        top = read(document)
        assert (failures(top) > 0) == (ci.same(c) is False)
        outcome = case(top, "diagnose.compare")
        seen.add(outcome[0].tag if len(outcome) else "passed")
    assert seen == {"failure", "skipped", "passed"}
    assert failures(read(junit.comparison(compared()[0], words))) > 1


@pytest.mark.parametrize("run", RUNS, ids=lambda p: p.name)
def test_the_corpus(run: Path) -> None:
    for d in of_run(run):
        code = int(exit_code(d, None, False))
        assert (failures(read(junit.diagnoses([d], INDONESIAN, code))) > 0) == (code == 1)
