"""Checks of others: found, given a place in the chain, and held, whatever they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from diagnose import explain, history, normalise, plugins, profile, registry, schema
from diagnose.cli.plugins import checks_option
from diagnose.errors import UnknownName
from diagnose.model import Case, Finding, Link, Status
from diagnose.render import document

SEED = profile.build(profile.BUILT_IN["seed"], "seed")
HEAD = '''"""The bucket's region is wrong.

What it looks at
    Nothing.
"""
from diagnose.model import Evidence, Finding, Message, Remedy, Status, Witness, failed, passed, warned
link = "upload"
because = ("bucket_missing",)
reads = ("request.region",)
'''
ENTRY: dict[str, Any] = {
    "timestamp": "2026-01-11T06:35:30.766926",
    "request": {
        "has_product_images": False,
        "has_face_image": True,
        "has_background_image": False,
        "image_url": None,
        "region": "eu",
    },
    "generation_mode": "text-to-image",
    "fal_request": {"model": "fal-ai/flux/schnell", "prompt": "x", "num_inference_steps": 7},
}


@pytest.fixture(autouse=True)
def afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test leaves its checks to the next."""
    monkeypatch.setenv(plugins.VARIABLE, "")
    monkeypatch.setattr(plugins, "DEADLINE", 0.3)
    registry.refresh()
    plugins._given_up.clear()
    yield
    monkeypatch.undo()
    os.environ.pop(plugins.VARIABLE, None)
    plugins._given_up.clear()
    registry.refresh()


def case(region: str = "eu") -> Case:
    entry = json.loads(json.dumps(ENTRY))
    entry["request"]["region"] = region
    return normalise.case_of_entry(entry, True, SEED)


def put(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    registry.use(folder)
    return folder


def finding(name: str, of: Case | None = None) -> Finding:
    found = explain.diagnose(of or case()).finding(name)
    assert found is not None, [c.id for c in registry.checks()]
    return found


def ours() -> tuple[tuple[str, str, str], ...]:
    """What our own checks come to."""
    return tuple(
        (f.check, f.status, str(f.message)) for f in registry.run(case()) if not registry.by_id()[f.check].plugin
    )


SAYS = HEAD + 'def look(case):\n    return passed("the region is {region}", region="eu")\n'


def test_a_folders_check_stands_where_its_link_says(tmp_path: Path) -> None:
    before = ours()
    put(tmp_path, region_wrong=SAYS)
    check = registry.by_id()["region_wrong"]
    assert (check.link, check.because, check.reads) == (Link.UPLOAD, ("bucket_missing",), ("request.region",))
    assert check.fault == "The bucket's region is wrong."
    links = [c.link for c in registry.checks()]
    assert links == sorted(links, key=list(Link).index)
    found = finding("region_wrong")
    assert (found.status, str(found.message), found.link) == (Status.PASS, "the region is eu", Link.UPLOAD)
    assert ours() == before


def test_a_plugins_fault_can_be_the_root(tmp_path: Path) -> None:
    text = HEAD + (
        "def look(case):\n    return failed('the region is {r}', case.evidence[0], r='eu',"
        " remedy=Remedy('Move it', ('Take {r}',), 'supabase move', True, {'r': 'eu'}))\n"
    )
    put(tmp_path, region_wrong=text.replace('("bucket_missing",)', "()"))
    d = explain.diagnose(case())
    assert d.root is not None and d.root.check == "region_wrong"
    assert not schema.validate(document.dumps([d], False).encode(), "diagnosis").errors


CRASHES = {
    "syntax": ("def look(:", "SyntaxError"),
    "missing_module": (SAYS + "import nobody_has_this_module", "ModuleNotFoundError"),
    "no_page": ("link = 'upload'\nbecause = reads = ()\ndef look(case): ...", "no docstring"),
    "no_link": (SAYS.replace('link = "upload"', ""), "declares no `link`"),
    "no_reads": (SAYS.replace("reads =", "red ="), "declares no `reads`"),
    "no_look": (HEAD, "declares no `look`"),
    "strange_link": (SAYS.replace('"upload"', '"sideways"'), "its `link` is none of"),
    "because_a_word": (SAYS.replace('("bucket_missing",)', '"bucket_missing"'), "no tuple of strings"),
    "because_unknown": (SAYS.replace("bucket_missing", "bucket_of_gold"), "bucket_of_gold"),
    "exits_at_import": (SAYS + "import sys; sys.exit(0)", "sys.exit"),
    "loops_at_import": (SAYS + "while True: pass", "not done after"),
    "raises": (HEAD + "def look(case):\n    raise ValueError('no {braces} %s')\n", "ValueError: no {braces} %s"),
    "exits": (HEAD + "import sys\ndef look(case):\n    sys.exit(3)\n", "sys.exit"),
    "loops": (
        HEAD
        + "def look(case):\n    while True:\n        try:\n            pass\n        except Exception:\n            pass\n",
        "not done after",
    ),
    "returns_none": (HEAD + "def look(case):\n    return None\n", "no Finding"),
    "returns_a_word": (HEAD + "def look(case):\n    return 'fail'\n", "no Finding"),
    "not_reached": (HEAD + "def look(case):\n    return Finding(Status.NOT_REACHED, Message('x'))\n", "status"),
    "no_message": (HEAD + "def look(case):\n    return Finding(Status.PASS, 'x')\n", "no Message"),
    "lacks_a_value": (HEAD + "def look(case):\n    return passed('{a} {b}', a=1)\n", "KeyError"),
    "no_evidence": (HEAD + "def look(case):\n    return passed('x', {'kind': 'x'})\n", "no Evidence"),
    "fault_without_remedy": (HEAD + "def look(case):\n    return Finding(Status.FAIL, Message('x'))\n", "ValueError"),
    "recursion": (HEAD + "def look(case):\n    return look(case)\n", "RecursionError"),
    "no_str": (
        HEAD + "class E(Exception):\n    def __str__(self): raise OSError\ndef look(case):\n    raise E\n",
        "E: ",
    ),
    "own_base": (HEAD + "def look(case):\n    raise BaseException('odd')\n", "BaseException: odd"),
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "DEADLINE", 0.1)


@pytest.mark.parametrize("name", CRASHES)
@pytest.mark.usefixtures("quick")
def test_whatever_a_plugin_does_the_answer_stands(name: str, tmp_path: Path) -> None:
    text, said = CRASHES[name]
    before, answer = ours(), explain.diagnose(case())
    put(tmp_path, **{name: text, "region_wrong": SAYS})
    found = finding(name)
    assert (found.status, found.link) == (Status.CRASH, Link.ENVIRONMENT)
    assert said in str(found.message) and name in str(found.message) and f"{name}.py" in str(found.message)
    assert ours() == before
    assert finding("region_wrong").status is Status.PASS
    d = explain.diagnose(case())
    assert (d.outcome, d.root and d.root.check, d.intended) == (
        answer.outcome,
        answer.root and answer.root.check,
        answer.intended,
    )
    assert set(d.suspects) - {"region_wrong"} == set(answer.suspects)
    assert not schema.validate(document.dumps([d], False).encode(), "diagnosis").errors


def test_ctrl_c_is_not_held(tmp_path: Path) -> None:
    put(tmp_path, region_wrong=HEAD + "def look(case):\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        registry.run(case())


def test_what_a_plugin_prints_is_not_in_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "print('at import')\n" + 'def look(case):\n    print("in look")\n    return passed("x")\n'
    put(tmp_path, region_wrong=HEAD + text)
    registry.run(case())
    out, err = capsys.readouterr()
    assert out == "" and "at import" in err and "in look" in err


def test_what_its_processes_write_is_not_in_the_document(tmp_path: Path) -> None:
    """In a process of its own: the descriptors are the whole process's."""
    text = (
        "import os\nimport sys\nos.write(1, b'at import ')\n"
        "def look(case):\n    os.system('echo from a shell')\n    print('past us', file=sys.__stdout__)\n"
        "    return passed('x')\n"
    )
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "region_wrong.py").write_text(HEAD + text, encoding="utf-8")
    (tmp_path / "prompt_log.json").write_text(json.dumps([ENTRY]), encoding="utf-8")
    command = [sys.executable, "-m", "diagnose", "latest-log", "--format", "json"]
    done = subprocess.run(
        [*command, "--checks", str(tmp_path / "checks"), str(tmp_path / "prompt_log.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    found = {f["check"]: f["status"] for f in json.loads(done.stdout)["findings"]}
    assert found["region_wrong"] == "pass"
    assert all(said in done.stderr for said in ("at import", "from a shell", "past us"))


def test_what_a_plugin_changes_is_its_own(tmp_path: Path) -> None:
    text = (
        "def look(case):\n    for e in case.evidence:\n        e.fields.clear()\n"
        "    case.profile.payload.clear()\n    case.__dict__.clear()\n    return passed('x')\n"
    )
    put(tmp_path, aaa=(HEAD + text).replace('link = "upload"', 'link = "request"').replace('("bucket_missing",)', "()"))
    one = case()
    before = [(e.kind, dict(e.fields)) for e in one.evidence]
    assert registry.checks()[0].id == "aaa"
    registry.run(one)
    assert [(e.kind, dict(e.fields)) for e in one.evidence] == before
    assert one.profile.payload == SEED.payload and one.evidence


def test_one_that_does_not_end_is_not_waited_for_again(tmp_path: Path) -> None:
    put(tmp_path, loops=HEAD + "ran = []\ndef look(case):\n    ran.append(1)\n    while True: pass\n")
    finding("loops")
    finding("loops")
    assert sys.modules["_diagnose_checks.loops"].ran == [1]


def test_a_name_that_is_taken_is_said_and_changes_nothing(tmp_path: Path) -> None:
    before = ours()
    put(tmp_path, bucket_missing=SAYS, bucket_missing_plugin=SAYS)
    assert ours() == before
    taken = [f for f in registry.run(case()) if f.status is Status.CRASH]
    assert {f.check for f in taken} == {"bucket_missing_plugin", "bucket_missing_plugin_plugin"}
    assert all("has a check of this name already" in str(f.message) for f in taken)
    assert len({c.id for c in registry.checks()}) == len(registry.checks())


@pytest.mark.parametrize("name", ["Zähler", "a-b", "9lives", "a.b", "A"])
def test_a_file_whose_name_is_no_id_gets_one(name: str, tmp_path: Path) -> None:
    put(tmp_path, **{name: SAYS})
    strange = [c for c in registry.checks() if c.plugin]
    assert len(strange) == 1 and plugins.is_id(strange[0].id)
    assert finding(strange[0].id).status is Status.CRASH


def test_secrets_in_an_error_are_masked(tmp_path: Path) -> None:
    secret = "sb_secret_abcdefghijklmnopqrstuvwxyz012345"
    put(tmp_path, region_wrong=HEAD + f"def look(case):\n    raise OSError('{'x' * 250} key {secret}')\n")
    assert "sb_secret_abcdefgh" not in str(finding("region_wrong").message)


def test_a_page_commands_no_terminal(tmp_path: Path) -> None:
    put(tmp_path, region_wrong=SAYS.replace("The bucket's", "The\\x1b[31m \\u202e bucket's"))
    assert "\x1b" not in registry.by_id()["region_wrong"].page and "\u202e" not in registry.by_id()["region_wrong"].page


def test_helpers_are_imported_relatively_and_are_no_checks(tmp_path: Path) -> None:
    put(
        tmp_path,
        _words="REGION = 'us'",
        region_wrong=HEAD + "from . import _words\ndef look(case):\n    return passed(_words.REGION)\n",
    )
    assert str(finding("region_wrong").message) == "us"
    assert [c.id for c in registry.checks() if c.plugin] == ["region_wrong"]
    assert not list(tmp_path.rglob("*.pyc"))
    other = tmp_path / "other"
    other.mkdir()
    put(other, region_wrong=SAYS)
    assert str(finding("region_wrong").message) == "the region is eu"


def test_two_plugins_that_blame_each_other_do_no_harm(tmp_path: Path) -> None:
    text = HEAD + "def look(case):\n    return failed('x', case.evidence[0], remedy=Remedy('y'))\n"
    put(tmp_path, one=text.replace("bucket_missing", "two"), two=text.replace("bucket_missing", "one"))
    d = explain.diagnose(case())
    assert d.root is not None and d.root.check in ("one", "two")


def test_a_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="no such folder"):
        registry.use(tmp_path / "missing")
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path / "gone"))
    registry.refresh()
    crash = [f for f in registry.run(case()) if f.status is Status.CRASH]
    assert [f.check for f in crash] == ["diagnose_checks"] and "gone" in str(crash[0].message)


def test_nothing_is_loaded_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path)
    monkeypatch.setenv(plugins.VARIABLE, "")
    (tmp_path / "region_wrong.py").write_text(SAYS, encoding="utf-8")
    install(tmp_path, "region_wrong = region_wrong")
    monkeypatch.chdir(tmp_path)
    for first in ("", str(tmp_path)):
        monkeypatch.setattr(sys, "path", [first, *(p for p in sys.path if p not in ("", str(tmp_path)))])
        registry.refresh()
        assert not [c for c in registry.checks() if c.plugin]


# --- entry points -----------------------------------------------------------------------------------------------------


def install(folder: Path, line: str, name: str = "their_checks", group: str = plugins.GROUP) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    text = f"[console_scripts]\nx = y:z\n\n[{group}]\n# a comment\n{line}\n\n[other]\nregion_odd = no:no\n"
    (info / "entry_points.txt").write_text(text, encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    yield tmp_path
    for name in [n for n in sys.modules if n.startswith("their_")]:
        del sys.modules[name]


def test_an_entry_point_is_a_check(site: Path) -> None:
    (site / "their_region.py").write_text(SAYS, encoding="utf-8")
    install(
        site, "region_wrong = their_region [extra]\nregion_gone=their_nothing\nregion_odd = their_region:missing.name"
    )
    registry.refresh()
    assert {c.id for c in registry.checks() if c.plugin} == {"region_wrong", "region_gone", "region_odd"}
    assert registry.by_id()["region_wrong"].plugin == "their-checks (their_region)"
    assert finding("region_wrong").status is Status.PASS
    assert "ModuleNotFoundError" in str(finding("region_gone").message)
    assert "AttributeError" in str(finding("region_odd").message)


def test_the_first_installed_of_a_distribution_counts(site: Path) -> None:
    second = site / "second"
    second.mkdir()
    (site / "their_region.py").write_text(SAYS, encoding="utf-8")
    install(site, "region_wrong = their_region")
    install(second, "region_other = their_region", "Their.Checks")
    sys.path.append(str(second))
    assert [named.id for named in plugins.installed()] == ["region_wrong"]


def test_another_group_is_none_of_ours(site: Path) -> None:
    install(site, "region_wrong = their_region", group="diagnose.checks.extra")
    assert plugins.installed() == []


def test_damaged_metadata_does_no_harm(site: Path) -> None:
    install(site, "= x\nnoequals\n region_wrong = their_region")
    (site / "b-1.dist-info").write_text("a file", encoding="utf-8")
    (site / "c-1.dist-info").mkdir()
    (site / "c-1.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[diagnose.checks]\n\x00 = \x00")
    assert "region_wrong" in [named.id for named in plugins.installed()]


# --- the command line, and history ------------------------------------------------------------------------------------


def test_the_option_is_read_before_all_others(tmp_path: Path) -> None:
    (tmp_path / "region_wrong.py").write_text(SAYS, encoding="utf-8")

    @click.command()
    @click.option("--only", callback=lambda _c, _p, value: value in registry.by_id())
    @checks_option
    def command(only: bool) -> None:
        click.echo(str(only))

    run = CliRunner().invoke
    assert run(command, ["--only", "region_wrong", "--checks", str(tmp_path)]).output == "True\n"
    missing = run(command, ["--checks", str(tmp_path / "missing")])
    assert isinstance(missing.exception, UnknownName)


BLAMES = HEAD.replace('("bucket_missing",)', "()") + (
    "def look(case):\n    entry = case.best('record.entry')\n    region = entry['value']['request'].get('region')\n"
    "    if region == 'us':\n        return failed('the region is us', entry, remedy=Remedy('Move it'))\n    return passed('fine')\n"
)


@pytest.mark.parametrize("jobs", [1, 2])
def test_history_counts_what_a_plugin_reads(tmp_path: Path, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checks").mkdir()
    put(tmp_path / "checks", region_wrong=BLAMES)
    rows = []
    for region in ["us"] * 3 + ["eu"] * 2:
        entry = json.loads(json.dumps(ENTRY))
        entry["request"]["region"] = region
        rows.append(json.dumps(entry))
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = history.survey([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")], SEED, history.Wish(jobs=jobs))
    assert found.roots["region_wrong"].count == 6


def test_a_worker_that_knows_nothing_of_the_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster's worker does not inherit the environment."""
    from diagnose.history import plan
    from diagnose.history.entries import Question
    from diagnose.history.ranges import count

    (tmp_path / "checks").mkdir()
    put(tmp_path / "checks", region_wrong=BLAMES)
    question = Question(SEED, checks=registry.folder())
    monkeypatch.setenv(plugins.VARIABLE, "")
    registry.refresh()
    file = tmp_path / "a.jsonl"
    file.write_text(
        "\n".join(json.dumps({**ENTRY, "request": {**ENTRY["request"], "region": r}}) for r in ("us", "eu")) + "\n",
        encoding="utf-8",
    )
    planned = plan.look(str(file), 0)
    assert planned is not None
    assert len(count(next(iter(plan.tasks(planned, question)))).cells) == 2
    assert "region_wrong" in registry.by_id()


def test_the_page_of_one_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    put(tmp_path, quits=SAYS + "import sys; sys.exit(0)")
    check = registry.by_id()["quits"]
    assert check.fault == registry.UNUSABLE
    assert "quits.py" in check.page and "sys.exit" in check.page
