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

import click
import pytest

from checks import object_refused
from diagnose import registry
from diagnose.cli import cli, help_texts
from diagnose.generator import faults
from diagnose.model import Message, Phrase
from diagnose.render import html, page, report
from diagnose.render.pages import page as page_of
from diagnose.render.pages import parts
from diagnose.render.words import ANSWERS, LINKS, QUESTIONS, STATUSES, Words
from tests.cases_support import examples

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "diagnose" / "locale" / "id" / "LC_MESSAGES"
SAYING = {
    **dict.fromkeys(("unknown", "passed", "noted", "failed", "warned", "symptom", "not_applicable"), 0),
    **dict.fromkeys(("report", "words", "title", "self", "Message", "Phrase", "say", "tell", "complain"), 0),
    **dict.fromkeys(("NothingReadable", "ProfileError", "UnknownName", "PortTaken", "ExtraMissing", "SecretLeft"), 0),
    **dict.fromkeys(("StrangerPackage", "DiagnoseError", "UsageError", "BadParameter", "disagreement"), 0),
    **dict.fromkeys(("LeftOut",), 1),
    **dict.fromkeys(("live_fault", "unseen", "healed"), 2),
}
"""Calls that take a template, and the place of it among their arguments."""
NOTING = frozenset({"notes", "note", "why", "hint"})
"""Names of texts that say how something was read."""
PLACEHOLDER = re.compile(r"\{\w*(?:![rs])?\}|%\(\w+\)s")
SAME = frozenset({"en", "id"})
BUILT = frozenset({"{part0} and {part1}"})
"""Templates that the program makes of others."""
BY_LIBRARY = re.compile(r"# what click says\n(.*?)(?=\n# |\Z)", re.S)


@cache
def templates() -> frozenset[str]:
    """Every text of ours that can be said in another language: constants only, for an f-string has no template."""
    found = set(QUESTIONS.values()) | set(LINKS.values()) | set(STATUSES.values()) | set(ANSWERS.values())
    for file in (*(ROOT / "diagnose").rglob("*.py"), *(ROOT / "checks").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            found |= set(_said(node))
    for table in (page.LABELS, page.SPOKEN, page.GENERATIONS, html.LABELS, report.TITLES, report.REASONS):
        found |= set(table.values())
    found |= {fault.title for fault in faults.FAULTS} | set(faults.UNBREAKABLE.values())
    for check in registry.checks():
        found |= {text for part in parts(check.page) for text in part}
    found |= {text for name in ("_PIECES", "_LOG", "_CHANGES") for text in _table(name)}
    found |= {text for _, *told in object_refused.REASONS for text in told}
    found |= set(_helps())
    return frozenset(text for text in found if re.search(r"[A-Za-z]{2}", text))


def _said(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Attribute(attr="append", value=kept), args=[first]) if _name(kept) in NOTING:
            yield from _constants(first)
        case ast.Call(func=function, args=arguments, keywords=keywords):
            name = _name(function)
            if name == "Remedy":
                given = [*arguments[:2], *(k.value for k in keywords if k.arg in ("title", "steps"))]
                yield from (text for argument in given for text in _constants(argument))
            elif name in SAYING:
                place = SAYING[name]
                yield from (text for argument in arguments[place : place + 1] for text in _constants(argument))
                if name == "Phrase":
                    yield from (text for keyword in keywords for text in _constants(keyword.value))
            yield from (text for k in keywords if k.arg in NOTING for text in _constants(k.value))
        case ast.AugAssign(target=target, value=value) if _name(target) in NOTING:
            yield from _constants(value)
        case ast.Assign(targets=[*found], value=value) if any(_name(target) in NOTING for target in found):
            yield from _constants(value)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _constants(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Tuple(elts=inner) | ast.List(elts=inner) | ast.BoolOp(values=inner):
            yield from (text for each in inner for text in _constants(each))
        case ast.IfExp(body=body, orelse=other):
            yield from (*_constants(body), *_constants(other))
        case ast.Starred(value=inner):
            yield from _constants(inner)


def _table(name: str) -> Iterator[str]:
    """The texts of one table of `explain` or `coverage`."""
    for file in ("explain.py", "coverage.py"):
        for node in ast.walk(ast.parse((ROOT / "diagnose" / file).read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(_name(target) == name for target in targets):
                    inside = (n for n in ast.walk(node.value) if isinstance(n, ast.Constant))
                    yield from (n.value for n in inside if isinstance(n.value, str))


def _helps() -> Iterator[str]:
    """The help of every command and option, in English."""
    for told in help_texts.told(cli):
        yield help_texts.english(told)


@cache
def catalogue() -> dict[str, str]:
    """The `.po` file, read by its few rules."""
    entries: dict[str, str] = {}
    for block in (FOLDER / "diagnose.po").read_text(encoding="utf-8").split("\n\n"):
        parts_: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith(("msgid ", "msgstr ", "msgstr[0] ", "msgid_plural ")):
                name, _, line = line.partition(" ")
                name = name.removesuffix("[0]")
            if name and line.startswith('"'):
                parts_[name] = parts_.get(name, "") + str(ast.literal_eval(line))
        if parts_.get("msgid"):
            assert parts_["msgid"] not in entries, f"twice: {parts_['msgid']}"
            entries[parts_["msgid"]] = parts_["msgstr"]
    return entries


@cache
def written() -> frozenset[str]:
    """Every text that stands in the program: one can reach its call by way of a name."""
    files = (*(ROOT / "diagnose").rglob("*.py"), *(ROOT / "checks").glob("*.py"))
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    return frozenset(n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))


@cache
def plural() -> frozenset[str]:
    """The texts that have a form for several; Indonesian has one for both."""
    found = re.findall(r"^msgid (\".*\")\nmsgid_plural", (FOLDER / "diagnose.po").read_text(encoding="utf-8"), re.M)
    return frozenset(str(ast.literal_eval(text)) for text in found)


@cache
def of_click() -> frozenset[str]:
    """The texts of click, which it takes from our catalogue."""
    part = BY_LIBRARY.search((FOLDER / "diagnose.po").read_text(encoding="utf-8"))
    assert part is not None
    return frozenset(str(ast.literal_eval(text)) for text in re.findall(r"^msgid (\".*\")$", part[1], re.M))


def test_every_text_is_translated_and_nothing_else() -> None:
    known, wanted = set(catalogue()), templates()
    assert not wanted - known, "\n".join(sorted(map(repr, wanted - known)))
    useless = known - wanted - of_click() - written() - BUILT
    assert not useless, "\n".join(sorted(map(repr, useless)))
    assert not [text for text, said in catalogue().items() if not said.strip()]


@pytest.mark.parametrize("text", sorted(catalogue()))
def test_a_translation_has_the_same_placeholders_and_edges(text: str) -> None:
    said = catalogue()[text]
    assert sorted(set(PLACEHOLDER.findall(said))) == sorted(set(PLACEHOLDER.findall(text)))
    assert (said[0].isspace(), said[-1].isspace()) == (text[0].isspace(), text[-1].isspace())
    if text not in of_click():
        assert said.endswith("?") == text.endswith("?")


def test_names_and_commands_stay_as_they_are() -> None:
    kept = re.compile(r"init_image_url|image_strength|prompt_log\.json|request\.json|backend\.log|fal\.run|`diagnose [^`]+`|FAL_KEY|\bHAR\b|\b4\d\d\b")  # fmt: skip
    for text, said in catalogue().items():
        assert set(kept.findall(text)) <= set(kept.findall(said)), text


def test_the_compiled_catalogue_says_the_same() -> None:
    with (FOLDER / "diagnose.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    assert {
        text: compiled.ngettext(text, "", 1) if text in plural() else compiled.gettext(text) for text in catalogue()
    } == catalogue()


def test_the_compiled_catalogue_is_what_the_compiler_makes_of_it() -> None:
    pofile = pytest.importorskip("babel.messages.pofile")
    mofile = pytest.importorskip("babel.messages.mofile")
    made = io.BytesIO()
    mofile.write_mo(made, pofile.read_po(io.BytesIO((FOLDER / "diagnose.po").read_bytes())))
    made.seek(0)
    compiled = gettext.GNUTranslations(made)  # bytes are not compared: the compiler writes the time into them
    assert {
        text: compiled.ngettext(text, "", 1) if text in plural() else compiled.gettext(text) for text in catalogue()
    } == catalogue()


@pytest.mark.parametrize("check", sorted(registry.by_id()))
def test_a_check_says_nothing_in_english_alone(check: str) -> None:
    for example in examples(check):
        found = example.finding()
        said = [found.message, *(Message(text) for r in [found.remedy] if r for text in (r.title, *r.steps))]
        inside = [value for message in said for value in message.values.values() if isinstance(value, Message)]
        for message in (*said, *inside):
            assert message.template in catalogue() or not re.search(r"[A-Za-z]{3}", message.template), example.name
    told = page_of(registry.by_id()[check].page, Words("id"))
    assert all(f"\n{heading}\n" in told for heading in ("Yang dilihat", "Mengapa penting", "Cara memperbaikinya"))


# --- the language of a run


def test_help_is_said_in_the_language_and_back_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    def helped(*arguments: str) -> str:
        return CliRunner().invoke(cli, [*arguments]).output

    english = helped("checklist", "--help")
    assert "Jawab tujuh pertanyaan" in helped("checklist", "--help", "--lang", "id")
    assert "Perintah:" in helped("--lang=id", "--help") and "Pemakaian:" in helped("--lang", "id", "--help")
    monkeypatch.setenv("DIAGNOSE_LANG", "id")
    assert "Jawab tujuh pertanyaan" in helped("checklist", "--help")
    assert helped("checklist", "--help", "--lang", "en") == english
    monkeypatch.setenv("DIAGNOSE_LANG", "en")
    monkeypatch.setenv("LC_ALL", "id_ID.UTF-8")
    assert helped("checklist", "--help") == english
    monkeypatch.delenv("DIAGNOSE_LANG")
    assert "Jawab tujuh pertanyaan" in helped("checklist", "--help")
    monkeypatch.setenv("LC_ALL", "C")
    assert helped("checklist", "--help") == english


def test_errors_are_said_in_the_language(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from diagnose.cli import main

    for arguments, told in (
        (["checklist", "/nowhere", "--lang", "id"], "file atau folder ini tidak ada"),
        (["checklist", "--lang", "id", "--entry"], "membutuhkan nilai"),
        (["--lang", "id", "nothing"], "Tidak ada perintah"),
        (["explain", "bucket_mising", "--lang", "id"], "apakah maksud Anda 'bucket_missing'?"),
    ):
        monkeypatch.setattr("sys.argv", ["diagnose", *arguments])
        with pytest.raises(SystemExit):
            main()
        assert told in capsys.readouterr().err


def test_every_command_has_a_help_text() -> None:
    for told in help_texts.told(cli):
        assert (told.help or "").strip() or (isinstance(told, click.Option) and told.hidden), told.name


# --- words


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
    hostile = "{0.__class__} {bucket} %s"
    assert words.message(Message("the bucket '{bucket}' does not exist", {"bucket": hostile})).count(hostile) == 1
    assert words.say(Phrase("'{path}': no such file or folder", path=hostile)).count(hostile) == 1


def test_a_phrase_is_its_english_text_and_translates_what_stands_in_it() -> None:
    note = Phrase("{name}: {note}", name="a.log", note=Phrase("only the last {limit} bytes were read", limit=5))
    assert note == "a.log: only the last 5 bytes were read"
    assert Words("id").say(note) == "a.log: hanya 5 byte terakhir yang dibaca"
    assert Phrase.joined("; ", ["{a}", note]) == f"{{a}}; {note}"
    assert Words("id").say(Phrase.joined("; ", [note, "JSON Lines read"])).endswith("dibaca; dibaca sebagai JSON Lines")
