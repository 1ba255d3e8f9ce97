"""The screens: what stands where, in any width, language and encoding, and whatever the evidence holds."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from diagnose import collect, explain, normalise, profile
from diagnose.generator import faults
from diagnose.model import Conflict, Diagnosis, Evidence, Finding, Link, Message, Missing, Remedy, Status, Witness
from diagnose.render import document
from diagnose.render.report import quoted
from diagnose.render.text import MARKS, PLAIN, Page, visible, wrapped
from diagnose.render.words import STATUSES, Words, shorten, shown

FAULTS = {fault.name: fault for fault in faults.FAULTS}


TAKEN_APART = ("bucket_missing", "fal_key_rejected", "image_field_unknown", "backend_stale", "strength_wrong")


def replace(value: Any, **changes: Any) -> Any:
    """A copy with other fields, of a dataclass or a named tuple."""
    return replaced(value, **changes) if is_dataclass(value) else value._replace(**changes)


@pytest.fixture(scope="module")
def answers(cases: Mapping[str, Path]) -> Mapping[str, Diagnosis]:
    """The answer to every fault of the demo, from all of its evidence and from a part."""
    found: dict[str, Diagnosis] = {}
    for name, fault in FAULTS.items():
        folder = cases[name.replace(":", "-")]
        judged = profile.build(profile.BUILT_IN[fault.profile], fault.profile)
        parts = ("backend.log", "prompt_log.json", "response.json") if name in TAKEN_APART else ()
        for chosen in ("", *parts):
            if (folder / chosen).exists():
                bundle = collect.gather([folder / chosen])
                case = normalise.cases(bundle, judged)[0]
                found[f"{name}/{chosen}"] = explain.diagnose(case, notes=bundle.notes)
    return found


def screen(
    d: Diagnosis, width: int = 80, language: str = "en", encoding: str = "utf-8", verbose: bool = False, **console: Any
) -> str:
    """The whole answer as it stands on a screen."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    page = Page(
        Console(file=file, width=width, highlight=False, markup=False, emoji=False, **console), Words(language), verbose
    )
    page.show(d, True)
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


# --- form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(
    ("language", "encoding"), [("en", "utf-8"), ("id", "utf-8"), ("en", "ascii"), ("id", "cp1252")]
)
def test_no_line_is_wider_than_the_screen_but_a_command_to_copy(
    answers: Mapping[str, Diagnosis], width: int, language: str, encoding: str
) -> None:
    for name, d in list(answers.items())[::4]:
        commands = {f.remedy.command for f in d.findings if f.remedy is not None}
        for line in screen(d, width, language, encoding, verbose=name.endswith("/")).split("\n"):
            assert cell_len(line) <= min(width, 120) or line.strip() in commands, (name, line)
            assert line == line.rstrip(), (name, line)
            assert "\x1b" not in line


def test_the_answer_comes_first_and_the_parts_in_order(answers: Mapping[str, Diagnosis]) -> None:
    parts = (
        "Checklist",
        "Proof",
        "What to do",
        "Chain",
        "Also seen",
        "Otherwise",
        "Not excluded",
        "Witnesses that disagree",
        "What could not be seen",
    )
    for d in answers.values():
        lines = screen(d).split("\n")
        assert re.match(r"(Image-to-image|Text-to-image|The wrong model|The request|Cannot tell|Nothing)", lines[0])
        titles = [line for line in lines if line in parts]
        assert titles == [part for part in parts if part in titles]
        assert [line for line in lines if line.startswith("  outcome")] == [
            f"  outcome  {d.outcome}, generation {d.generation}"
        ]


def test_the_headline_is_short(answers: Mapping[str, Diagnosis]) -> None:
    heads = {name: screen(d).split("\n  outcome")[0].count("\n") + 1 for name, d in answers.items()}
    assert max(heads.values()) <= 3
    assert sum(lines <= 2 for lines in heads.values()) > len(heads) * 0.8


def test_root_and_suspects_are_those_of_the_document(answers: Mapping[str, Diagnosis]) -> None:
    for d in answers.values():
        said, written = screen(d), document.document(d)
        assert (written["root"] or {"check": None})["check"] == (d.root.check if d.root is not None else None)
        if d.root is not None:
            assert re.search(rf"^  cause    {d.root.check}\b", said, re.M)
            assert all(e.source in re.sub(r"\s+", " ", said) for e in d.root.evidence)
        assert all(re.search(rf"\b{check}\b", said) for check in d.suspects)


def test_the_chain_is_drawn(answers: Mapping[str, Diagnosis]) -> None:
    def drawing(encoding: str) -> str:
        return screen(answers["bucket_missing/"], encoding=encoding).partition("\nChain\n")[2].partition("\n\n")[0]

    assert re.sub(r" *\S+(?:\.\w+:\d+|#/\w+)$", "", drawing("utf-8"), flags=re.M) == (
        "  │ ✓ image received from the browser  pass\n"
        "  │ ✓ image decoded                    pass\n"
        "  ┊ ✗ image uploaded to Storage        FAIL         bucket_missing\n"
        "  ┊ · init_image_url set               not reached  upload_result_lost\n"
        "  ┊ ✓ model chosen                     pass\n"
        "  ┊ · image in the payload             not reached\n"
        "  ┊ ✓ picture made by fal              pass"
    )
    assert drawing("ascii") == "".join(PLAIN.get(c, c) for c in drawing("utf-8"))


def test_every_status_is_a_word_and_a_mark_of_its_own() -> None:
    assert set(MARKS) == set(STATUSES) == set(Status)
    assert len({PLAIN.get(mark, mark) for mark, _ in MARKS.values()}) == len(MARKS)
    assert all(PLAIN.get(mark, mark).isascii() for mark, _ in MARKS.values())


def test_colour_changes_no_character(answers: Mapping[str, Diagnosis]) -> None:
    d = answers["bucket_missing/"]
    coloured = screen(d, force_terminal=True, color_system="truecolor")
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == screen(d) and "\x1b[" in coloured


def test_a_command_to_copy_stands_alone_on_one_line(answers: Mapping[str, Diagnosis]) -> None:
    d = answers["bucket_missing/"]
    assert d.root is not None and d.root.remedy is not None and d.root.remedy.command
    assert f"     {d.root.remedy.command}\n" in screen(d, 60)


def test_without_evidence_it_says_what_to_give() -> None:
    case = normalise.cases(collect.Bundle(), profile.load("seed", Path("/")))[0]
    said = screen(explain.diagnose(case, notes=["this.txt: nothing in it was recognised"]))
    assert said.startswith("Nothing that was given tells which model was used\n")
    assert said.index("this.txt") < said.index("What could not be seen") and "backend.log" in said
    assert "\nChain\n" not in said


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_a_piece_of_evidence_is_one_line_without_repetition() -> None:
    refused = Evidence(
        "storage.error",
        "b.log:1",
        Witness.LOGGED,
        {"status": 404, "error": "Bucket not found", "message": "Bucket not found", "code": None},
    )
    assert quoted(refused) == "status: 404; error: Bucket not found"
    nothing = Evidence("request.body", "r.json", Witness.SENT, {"images": [], "params": {"a": 1}, "format": "json"})
    assert quoted(nothing) == "images: none; format: json"
    assert quoted(Evidence("image_url", "b.log:2", Witness.LOGGED, {"url": None})) == "url: none"
    assert quoted(Evidence("request.received", "b.log:2", Witness.LOGGED, {"images": 0})) == "images: 0"
    path = "7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10/face/f66be726-04f6-43a7-bd37-8b7ca91fc5d4.jpg"
    assert (
        quoted(Evidence("storage.upload", "b.log:2", Witness.WIRE, {"path": path}))
        == "path: 7f1d2c3a...3b10/face/f66be726...c5d4.jpg"
    )


def test_places_that_say_the_same_stand_together(answers: Mapping[str, Diagnosis]) -> None:
    d = answers["bucket_missing/"]
    assert d.root is not None
    twice = (
        Evidence("x", "b.log:1", Witness.WIRE, {"status": 404}),
        Evidence("x", "b.log:9", Witness.WIRE, {"status": 404}),
    )
    assert "  b.log:1, b.log:9  [wire]  status: 404\n" in screen(replace(d, root=replace(d.root, evidence=twice)))


@given(st.text(max_size=400), st.integers(24, 200))
def test_shortening_keeps_both_ends(text: str, limit: int) -> None:
    short, plain = shorten(text, limit), " ".join(text.split())
    assert len(short) <= max(limit, 24)
    assert short == plain if len(plain) <= limit else short[:8].strip()[:4] == plain[:8].strip()[:4]


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.builds(lambda: 10**5000)
    | st.just(-(10**400))
    | st.floats()
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_any_value_can_be_shown(value: Any) -> None:
    assert len(shown(value, 60)) <= 60
    fields = {"text": value, "body": value, "images": value, "url": value}
    said = quoted(Evidence("x", "y", Witness.WIRE, fields))
    assert len(said) < 8000
    json.loads(json.dumps(document._evidence(Evidence("x", "y", Witness.WIRE, fields)), allow_nan=False))


@given(st.text(max_size=300), st.integers(2, 60), st.integers(2, 60))
def test_wrapping_loses_nothing_and_keeps_to_the_width(text: str, first: int, rest: int) -> None:
    text = visible(text).strip()
    lines = list(wrapped(text, first, rest))
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cell_len(line) <= (first if index == 0 else rest) for index, line in enumerate(lines))


@given(st.text())
def test_nothing_invisible_is_left(text: str) -> None:
    assert all(c.isprintable() for c in visible(text))
    assert visible(visible(text)) == visible(text)


# --- hostile evidence -------------------------------------------------------------------------------------------------


def deep(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = {"a": [value]}
    return value


HOSTILE: dict[str, Any] = {
    "colour": "\x1b[31mred\x1b[0m and \x9b31m",
    "cursor": "\x1b[2J\x1b[H\rgone\x08\x08",
    "link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "bidi": "abc\u202egpj.exe\u2066\u2069\u200f",
    "markup": "[red]x[/red] [link=https://evil.example]y[/link] [/] [bold",
    "emoji": ":skull: :warning:",
    "html": "<script>alert(1)</script><img src=x onerror=y>",
    "format": "{0.__class__.__mro__} {bucket} {said} %s %(x)s ${HOME} {",
    "lines": "one\n\nChain\n  ✓ image uploaded to Storage  pass\r\nthree\u2028four\x0bfive",
    "nul": "a\0b\ufeffc\uffff",
    "surrogate": "a\ud800b\udcff",
    "wide": "漢字" * 200 + "👩‍👩‍👧‍👦" * 40 + "e" + "\u0301" * 500,
    "prompt": "very long " * 1_000_000,
    "word": "x" * 10_000_000,
    "deep": deep(10_000),
    "huge": 10**5000,
    "nan": float("nan"),
    "list": [["\x1b[31m"]] * 10_000,
}
COMMANDING = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def poisoned(d: Diagnosis, value: Any) -> Diagnosis:
    """An answer in which a hostile value stands wherever evidence can stand."""
    text = value if isinstance(value, str) else shown(value)
    evidence = tuple(
        Evidence(
            "error",
            text,
            Witness.WIRE,
            {
                "text": value,
                "message": value,
                "body": {"image_url": value, text[:50]: value},
                "images": [{"name": value}],
                "url": value,
                "status": value,
            },
        )
        for _ in range(2)
    )
    remedy = Remedy(f"Correct '{text}'", (f"fal says: {text}", text), command=f"do {text}")
    found = Finding(
        Status.FAIL,
        Message("Storage refused the object because {reason}: {text}", {"reason": value, "text": value}),
        evidence,
        remedy,
        check="object_refused",
        link=Link.UPLOAD,
    )
    warned = replace(found, status=Status.WARN, check="parameter_unknown", link=Link.PAYLOAD)
    crash = Finding(
        Status.CRASH,
        Message("the check '{check}' crashed: {error}", {"check": "x", "error": value}),
        check="upload_error",
        link=Link.UPLOAD,
    )
    return replace(
        d,
        root=found,
        findings=(found, warned, crash, *d.findings),
        decision=replace(d.decision, model=text, expected_model=text + "2"),
        subject=replace(d.subject, source=text, timestamp=text),
        profile=text,
        conflicts=(Conflict("model", ((value, evidence[0]), (text, evidence[1]))),),
        missing=(Missing(Link.DECODE, text, text),),
        notes=(text,),
        checklist=tuple(replace(question, evidence=evidence) for question in d.checklist),
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_evidence_is_shown_inert(answers: Mapping[str, Diagnosis], name: str) -> None:
    d = poisoned(answers["object_refused/"], HOSTILE[name])
    for width, encoding in ((40, "ascii"), (80, "utf-8")):
        said = screen(d, width, "en", encoding, verbose=True)
        assert not COMMANDING.search(said)
        assert len(said) < 200_000
        assert [line for line in said.split("\n") if cell_len(line) > width and not line.startswith("     do ")] == []
        assert said.count("\nChain\n") == 1
    coloured = screen(d, force_terminal=True, color_system="standard")
    assert not COMMANDING.search(re.sub(r"\x1b\[[0-9;]*m", "", coloured))
    assert set(re.findall(r"\x1b\[[^m]*m", coloured)) <= set(re.findall(r"\x1b\[[^m]*m", screen(answers["object_refused/"], force_terminal=True, color_system="standard", verbose=True))) | {"\x1b[1;31m", "\x1b[33m", "\x1b[36m", "\x1b[35m", "\x1b[2m", "\x1b[0m", "\x1b[32m"}  # fmt: skip


@pytest.mark.parametrize("name", ["markup", "html", "format", "emoji"])
def test_what_looks_like_a_template_is_quoted_as_it_is(answers: Mapping[str, Diagnosis], name: str) -> None:
    value = HOSTILE[name]
    for language in ("en", "id"):
        said = re.sub(r"\s+", " ", screen(poisoned(answers["object_refused/"], value), 120, language, verbose=True))
        assert value in said


@pytest.mark.parametrize("name", HOSTILE)
def test_the_document_is_plain_and_bounded_json(answers: Mapping[str, Diagnosis], name: str) -> None:
    d = poisoned(answers["object_refused/"], HOSTILE[name])
    written = document.dumps([d], every=True)
    assert written.isascii() and len(written) < 3_000_000
    assert json.loads(written, parse_constant=lambda word: pytest.fail(word))["diagnoses"]
