"""The Indonesian catalogue: complete, compiled, with the same placeholders, and never in the way.

After a change of texts: add them to `diagnose/locale/id/LC_MESSAGES/diagnose.po`, then
`pybabel compile -d diagnose/locale -D diagnose`.
"""

from __future__ import annotations

import ast
import gettext
import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from diagnose import registry
from diagnose.generator import faults
from diagnose.model import Message
from diagnose.render import page
from diagnose.render.words import ANSWERS, LINKS, QUESTIONS, STATUSES, Words

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "diagnose" / "locale" / "id" / "LC_MESSAGES"
SAYING = frozenset(
    {
        "unknown",
        "passed",
        "noted",
        "failed",
        "warned",
        "symptom",
        "not_applicable",
        "report",
        "words",
        "title",
        "self",
        "Message",
    }
)
"""Calls whose first argument is a template."""
PLACEHOLDER = re.compile(r"\{\w*\}")


@cache
def templates() -> frozenset[str]:
    """Every text of ours that can be said in another language: constants only, for an f-string has no template."""
    found = set(QUESTIONS.values()) | set(LINKS.values()) | set(STATUSES.values()) | set(ANSWERS.values())
    folders = (ROOT / "diagnose" / "render", ROOT / "diagnose" / "model", ROOT / "checks")
    for file in (file for folder in folders for file in folder.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found |= set(_said(node))
    for table in (page.LABELS, page.SPOKEN, page.REASONS, page.VERDICTS, page.GENERATIONS):
        found |= set(table.values())
    found |= {fault.title for fault in faults.FAULTS}
    found |= {check.fault for check in registry.checks()}
    found |= {text for name in ("_PIECES", "_LOG", "_CHANGES") for text in _table(name)}
    return frozenset(text for text in found if re.search(r"[A-Za-z]{2}", text))


def _said(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "Remedy":
        arguments = [*call.args, *(k.value for k in call.keywords if k.arg in ("title", "steps"))]
        for argument in arguments[:2]:
            yield from _constants(argument)
    elif name in SAYING and call.args:
        yield from _constants(call.args[0])
    elif name in ("live_fault", "unseen", "healed"):  # the case, and what it is about, stand before the text
        yield from (text for argument in call.args[2:3] for text in _constants(argument))


def _constants(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, (ast.Tuple, ast.List)):
        for inner in node.elts:
            yield from _constants(inner)
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)


def _table(name: str) -> Iterator[str]:
    """The texts of one table of `explain` or `coverage`."""
    for file in ("explain.py", "coverage.py"):
        for node in ast.walk(ast.parse((ROOT / "diagnose" / file).read_text(encoding="utf-8"))):
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                yield from (
                    n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant) and isinstance(n.value, str)
                )  # type: ignore[attr-defined]


@cache
def catalogue() -> dict[str, str]:
    """The `.po` file, read by its few rules."""
    entries: dict[str, str] = {}
    for block in (FOLDER / "diagnose.po").read_text(encoding="utf-8").split("\n\n"):
        parts: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith(("msgid ", "msgstr ")):
                name, _, line = line.partition(" ")
            if name and line.startswith('"'):
                parts[name] = parts.get(name, "") + str(ast.literal_eval(line))
        if parts.get("msgid"):
            assert parts["msgid"] not in entries, f"twice: {parts['msgid']}"
            entries[parts["msgid"]] = parts["msgstr"]
    return entries


def test_nearly_every_text_is_translated_and_nothing_else() -> None:
    known, wanted = set(catalogue()), templates()
    assert len(wanted - known) <= len(wanted) // 20, "\n".join(sorted(wanted - known))
    assert len(known - wanted) <= len(wanted) // 20, "\n".join(sorted(known - wanted))
    assert not [text for text, said in catalogue().items() if not said.strip()]


@pytest.mark.parametrize("text", sorted(catalogue()))
def test_a_translation_has_the_same_placeholders_and_edges(text: str) -> None:
    said = catalogue()[text]
    assert sorted(set(PLACEHOLDER.findall(said))) == sorted(set(PLACEHOLDER.findall(text)))
    assert (
        said.format_map(dict.fromkeys([p[1:-1] for p in PLACEHOLDER.findall(text)], "x"))
        if PLACEHOLDER.search(text)
        else True
    )
    assert (said[0].isspace(), said[-1].isspace(), said.endswith("?")) == (
        text[0].isspace(),
        text[-1].isspace(),
        text.endswith("?"),
    )


def test_names_and_commands_stay_as_they_are() -> None:
    kept = re.compile(
        r"init_image_url|image_strength|prompt_log\.json|request\.json|backend\.log|fal\.run|--\w+|`[^`]+`|FAL_KEY|diagnose checklist|\bHAR\b|\b4\d\d\b"
    )
    for text, said in catalogue().items():
        assert set(kept.findall(text)) <= set(kept.findall(said)), text


def test_the_compiled_catalogue_says_the_same() -> None:
    with (FOLDER / "diagnose.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    assert {text: compiled.gettext(text) for text in catalogue()} == catalogue()


def test_the_compiled_catalogue_is_what_the_compiler_makes_of_it() -> None:
    pofile = pytest.importorskip("babel.messages.pofile")
    mofile = pytest.importorskip("babel.messages.mofile")
    made = io.BytesIO()
    mofile.write_mo(made, pofile.read_po(io.BytesIO((FOLDER / "diagnose.po").read_bytes())))
    made.seek(0)
    compiled = gettext.GNUTranslations(made)  # bytes are not compared: the compiler writes the time into them
    assert {text: compiled.gettext(text) for text in catalogue()} == catalogue()


def test_a_language_without_a_catalogue_is_english() -> None:
    for language in ("en", "xx", ""):
        assert Words(language)("What to do") == "What to do"


def test_a_text_without_a_translation_is_english() -> None:
    words = Words("id")
    assert words("Proof") == "Bukti"
    assert words("never written {n}", n=3) == "never written 3"
    assert words.message(Message("nor {this}", {"this": "that"})) == "nor that"
    assert words("") == ""


def test_a_value_is_never_read_as_a_template() -> None:
    words = Words("id")
    assert (
        words.message(Message("the bucket '{bucket}' does not exist", {"bucket": "{0.__class__} {bucket} %s"})).count(
            "{0.__class__} {bucket} %s"
        )
        == 1
    )
