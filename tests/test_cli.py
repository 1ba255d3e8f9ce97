"""The commands, as they are typed: every option, every exit code, every way to ask for nothing."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from diagnose import __version__, registry, schema
from diagnose.cli import cli, main
from diagnose.generator import faults
from diagnose.render import words

ROOT = Path(__file__).parent.parent
COMMANDS = ("latest-log", "checklist", "explain", "checks", "validate", "schema", "demo")
FAULTS = {fault.name: fault for fault in faults.FAULTS}
RUN = [sys.executable, "-c", "import sys; sys.argv[0] = 'diagnose'; from diagnose.cli import main; main()"]
IMAGE_MODEL = "fal-ai/flux-general/image-to-image"


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def first(self) -> str:
        return self.out.split("\n", 1)[0]


class Command:
    """Runs the command in this process, as `main` does for a shell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: object, stdin: bytes | None = None) -> Ran:
        self.monkeypatch.setattr(sys, "argv", ["diagnose", *map(str, arguments)])
        if stdin is not None:
            self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)


@pytest.fixture
def diagnose(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "NO_COLOR", "FORCE_COLOR", "DIAGNOSE_PROFILE", "DIAGNOSE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return Command(monkeypatch, capsys)


def in_shell(
    *arguments: object, cwd: Path | None = None, stdin: bytes | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """A process of its own, for what only a process shows."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON", "COLUMNS", "_DIAGNOSE"))
    }
    env = {**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **environment}
    return subprocess.run(
        [*RUN, *map(str, arguments)], cwd=cwd, input=stdin or b"", capture_output=True, env=env, timeout=60, check=False
    )


# --- getting help -----------------------------------------------------------------------------------------------------


def test_the_commands_are_those_of_the_readme() -> None:
    assert set(COMMANDS) <= set(cli.commands)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_says_everything(diagnose: Command, command: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        ran = diagnose(*command, flag)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith("Usage: ")
        assert max(map(len, ran.out.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_a_help_text(name: str) -> None:
    command = cli.commands[name]
    assert command.help
    assert [p.name for p in command.params if p.param_type_name == "option" and not getattr(p, "help", None)] == []


def test_the_version(diagnose: Command) -> None:
    assert diagnose("--version").out == f"diagnose, version {__version__}\n"


def test_without_a_command_it_helps(diagnose: Command) -> None:
    ran = diagnose()
    assert ran.code == 2
    assert "Usage: " in ran.out + ran.err


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "diagnose", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert __version__ in ran.stdout


def test_the_shell_completes(tmp_path: Path) -> None:
    assert (
        b"_DIAGNOSE_COMPLETE=bash_complete" in in_shell(_DIAGNOSE_COMPLETE="bash_source").stdout
        or shutil.which("bash") is None
    )
    asked = in_shell(_DIAGNOSE_COMPLETE="zsh_complete", COMP_WORDS="diagnose lat", COMP_CWORD="1")
    assert b"latest-log" in asked.stdout


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("latest-lg",), "latest-log"),
        (("chekcs",), "checks"),
        (("checklist", "--formt", "json"), "--format"),
        (("latest-log", "--entri", "1"), "--entry"),
        (("explain", "bucket_mising"), "bucket_missing"),
        (("demo", "--break", "bucket_mising"), "bucket_missing"),
        (("latest-log", "--format", "jsn"), "json"),
        (("schema", "promptlog"), "prompt_log"),
        (("latest-log", "--profile", "sed"), "seed"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    diagnose: Command, arguments: tuple[str, ...], nearest: str
) -> None:
    ran = diagnose(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert nearest in ran.err
    assert ran.err.count("Did you mean") + ran.err.count("did you mean") <= 1
    assert "Traceback" not in ran.err


# --- exit codes -------------------------------------------------------------------------------------------------------

CODES = [
    ("sound", 0),
    ("no_image_sent", 0),
    ("bucket_missing", 1),
    ("fal_key_rejected", 1),
    ("wrong_target_model", 1),
    ("proxy_rejected", 1),
]


@pytest.mark.parametrize(("name", "code"), CODES)
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_exit_code_is_the_answers(
    diagnose: Command, cases: Mapping[str, Path], name: str, code: int, form: str
) -> None:
    assert diagnose("checklist", cases[name], "--format", form).code == code


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_cannot_be_told_is_3(diagnose: Command, tmp_path: Path, form: str) -> None:
    (tmp_path / "b.log").write_text('INFO:     127.0.0.1:5000 - "POST /api/generate-image HTTP/1.1" 200 OK\n')
    assert diagnose("checklist", "--backend-log", "b.log", "--format", form).code == 3


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"nothing of interest", b"{}", b"[]", b"\x7fELF\x00\x01\xff" * 99, b'[{"timestamp": "2026'],
)
def test_nothing_readable_is_4(diagnose: Command, tmp_path: Path, content: bytes, form: str) -> None:
    (tmp_path / "prompt_log.json").write_bytes(content)
    for command in ("latest-log", "checklist"):
        ran = diagnose(command, "prompt_log.json", "--format", form)
        said = ran.document["findings"] if form == "json" else ran.out + ran.err
        assert ran.code == 4 or (ran.code == 1 and "prompt_log_corrupt" in str(said)), (command, ran)
        assert ran.code != 4 or "Traceback" not in ran.err
        assert form == "json" or ran.err or ran.out


def test_a_fault_of_its_own_is_70_and_one_line(
    diagnose: Command, cases: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("FAL_KEY=e8ef8061-1234-4abc-9def-0123456789ab:0123456789abcdef0123456789abcdef \x1b[31m")

    monkeypatch.setattr("diagnose.explain.diagnose", broken)
    for form in ("text", "json"):
        ran = diagnose("latest-log", cases["sound"] / "prompt_log.json", "--format", form)
        assert (ran.code, ran.out) == (70, "")
        assert "ValueError" in ran.err and "Traceback" not in ran.err and "\x1b" not in ran.err
        assert "0123456789ab" not in ran.err
    monkeypatch.setenv("DIAGNOSE_DEBUG", "1")
    ran = diagnose("latest-log", cases["sound"] / "prompt_log.json")
    assert "Traceback" in ran.err and "0123456789ab" not in ran.err


def test_an_interrupt_is_130(diagnose: Command, monkeypatch: pytest.MonkeyPatch, cases: Mapping[str, Path]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("diagnose.collect.gather", interrupted)
    ran = diagnose("latest-log", cases["sound"] / "prompt_log.json")
    assert (ran.code, ran.out, ran.err.strip()) == (130, "", "interrupted")


@pytest.mark.skipif(os.name == "nt", reason="a console's Ctrl-C is no signal there")
def test_ctrl_c_while_it_waits_for_input_is_130() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*RUN, "latest-log", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        start_new_session=True,
    )
    patience = threading.Timer(30, process.kill)
    patience.start()
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    patience.cancel()
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err


@pytest.mark.skipif(os.name == "nt", reason="no pipes of this kind")
@pytest.mark.parametrize(("name", "code"), [("bucket_missing", 1), ("sound", 0)])
def test_a_reader_that_leaves_does_not_change_the_exit_code(cases: Mapping[str, Path], name: str, code: int) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for form in ("text", "json"):
        command = [*RUN, "checklist", str(cases[name]), "--all", "-v", "--format", form]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            err = process.stderr.read()
            assert (process.wait(timeout=60), err) == (code, b"")


@pytest.mark.skipif(os.name == "nt", reason="no pipes of this kind")
def test_a_reader_that_leaves_does_not_make_a_file_valid(tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text(json.dumps([{"timestamp": number} for number in range(3000)]))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*RUN, "validate", "wrong.json"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait(timeout=60)) == (b"", 1)


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["prompt_log.json", "backend/prompt_log.json"])
def test_without_a_file_the_usual_places_are_looked_at(
    diagnose: Command, cases: Mapping[str, Path], tmp_path: Path, place: str
) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    shutil.copy(cases["sound"] / "prompt_log.json", tmp_path / place)
    assert diagnose("latest-log").code == diagnose("checklist").code == 0


def test_the_profile_names_another_place(diagnose: Command, cases: Mapping[str, Path], tmp_path: Path) -> None:
    (tmp_path / "diagnose.toml").write_text(
        f'name = "ours"\n[models]\nimage_to_image = "{IMAGE_MODEL}"\ntext_to_image = "fal-ai/flux/schnell"\n[record]\nprompt_log = "logs/p.json"\n'
    )
    missing = diagnose("latest-log")
    assert missing.code == 4 and "logs/p.json" in missing.err
    (tmp_path / "logs").mkdir()
    shutil.copy(cases["sound"] / "prompt_log.json", tmp_path / "logs" / "p.json")
    ran = diagnose("latest-log", "--format", "json")
    assert (ran.code, ran.document["profile"]) == (0, "ours")


def test_where_it_looked_is_said(diagnose: Command, tmp_path: Path) -> None:
    for command in ("latest-log", "checklist"):
        ran = diagnose(command)
        assert (ran.code, ran.out) == (4, "")
        assert all(
            part in ran.err.replace("\n", "")
            for part in (tmp_path.name, "prompt_log.json", "backend/prompt_log.json", "diagnose latest-log")
        )


def test_a_log_beside_the_prompt_log_is_read_too(diagnose: Command, cases: Mapping[str, Path], tmp_path: Path) -> None:
    for name in ("prompt_log.json", "backend.log"):
        shutil.copy(cases["bucket_missing"] / name, tmp_path / name)
    assert "backend.log:" in diagnose("checklist").out


def test_standard_input_is_read(diagnose: Command, cases: Mapping[str, Path]) -> None:
    record = (cases["sound"] / "prompt_log.json").read_bytes()
    log = (cases["bucket_missing"] / "backend.log").read_bytes()
    assert diagnose("latest-log", "-", stdin=record).code == 0
    ran = diagnose("checklist", "-", "--format", "json", stdin=log)
    assert ran.document["root"]["check"] == "bucket_missing"
    assert ran.document["root"]["evidence"][0]["source"].startswith("stdin:")
    assert diagnose("validate", "-", stdin=record).code == 0
    assert diagnose("latest-log", "-", stdin=b"").code == 4


def test_a_folder_is_searched_and_a_mixture_is_recognised(diagnose: Command, cases: Mapping[str, Path]) -> None:
    folder = cases["bucket_missing"]
    whole = diagnose("checklist", folder, "--format", "json")
    mixed = diagnose(
        "checklist",
        *(folder / name for name in ("response.json", "backend.log", "prompt_log.json", "request.json")),
        "--format",
        "json",
    )
    named = diagnose(
        "checklist", "--backend-log", folder / "backend.log", "--prompt-log", folder / "prompt_log.json", "--request", folder / "request.json",
        "--response", folder / "response.json", "--source", folder / "source", "--format", "json",
    )  # fmt: skip
    assert (
        whole.document["root"]["check"]
        == mixed.document["root"]["check"]
        == named.document["root"]["check"]
        == "bucket_missing"
    )


@pytest.mark.parametrize(
    "command",
    [("latest-log",), ("checklist",), ("checklist", "--backend-log"), ("checklist", "--source"), ("validate",)],
)
def test_a_file_that_is_not_there_is_named(diagnose: Command, command: tuple[str, ...]) -> None:
    ran = diagnose(*command, "not-there.json")
    assert (ran.code, ran.out) == (4, "")
    assert "not-there.json" in ran.err and "no such file" in ran.err.lower()


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is unreadable here"
)
@pytest.mark.parametrize("command", ["latest-log", "checklist", "validate"])
def test_a_file_that_may_not_be_read_is_named(diagnose: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "locked.json").write_text("[]")
    (tmp_path / "locked.json").chmod(0)
    ran = diagnose(command, "locked.json")
    assert ran.code == 4 and "locked.json" in ran.err


def test_a_folder_that_cannot_be_made_is_said(diagnose: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = diagnose("demo", "--break", "bucket_missing", "--keep", "file/below")
    assert ran.code == 2 and "file/below" in ran.err


def test_a_folder_where_a_file_should_be_is_said(diagnose: Command, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for arguments in (
        ("checklist", "--prompt-log", "folder"),
        ("checklist", "--backend-log", "folder"),
        ("validate", "folder"),
    ):
        ran = diagnose(*arguments)
        assert ran.code == 4 and "folder" in ran.err, arguments


# --- which attempt ----------------------------------------------------------------------------------------------------


def test_an_attempt_is_picked_by_number_time_and_text(diagnose: Command, cases: Mapping[str, Path]) -> None:
    record = cases["no_image_sent"] / "prompt_log.json"
    entries = json.loads(record.read_text(encoding="utf-8"))

    def entry(*arguments: object) -> object:
        ran = diagnose("latest-log", record, *arguments, "--format", "json")
        assert ran.code in (0, 1, 3), ran
        return ran.document["subject"]["entry"]

    assert entry() == len(entries) - 1
    assert [entry("--entry", n) for n in (0, 1, -1, -len(entries))] == [0, 1, len(entries) - 1, 0]
    assert entry("--at", entries[0]["timestamp"]) == 0
    assert entry("--at", "2999-01-01") == len(entries) - 1
    assert entry("--match", entries[1]["request"]["original_prompt"][:20]) in range(len(entries))


@pytest.mark.parametrize(
    "arguments", [("--entry", "99"), ("--entry", "-99"), ("--at", "1999-01-01"), ("--match", "no such words")]
)
def test_an_attempt_that_does_not_exist_is_4(
    diagnose: Command, cases: Mapping[str, Path], arguments: tuple[str, str]
) -> None:
    ran = diagnose("latest-log", cases["sound"] / "prompt_log.json", *arguments)
    assert (ran.code, ran.out) == (4, "")
    assert arguments[0] in ran.err
    ran = diagnose("latest-log", cases["sound"] / "prompt_log.json", *arguments, "--format", "json")
    assert (ran.code, ran.document["outcome"]) == (4, "undetermined")
    assert arguments[0] in ran.err and arguments[0] in str(ran.document["notes"])


def test_a_number_that_is_none_is_2(diagnose: Command, cases: Mapping[str, Path]) -> None:
    assert diagnose("latest-log", cases["sound"] / "prompt_log.json", "--entry", "newest").code == 2


def test_all_attempts_are_shown_oldest_first(diagnose: Command, cases: Mapping[str, Path]) -> None:
    record = cases["sound"] / "prompt_log.json"
    document = diagnose("latest-log", record, "--all", "--format", "json").document
    entries = [d["subject"]["entry"] for d in document["diagnoses"]]
    assert entries == sorted(entries) and len(entries) > 1
    jsonschema.Draft202012Validator(schema.load("diagnosis")).validate(document)
    assert diagnose("latest-log", record, "--all").out.count("outcome  ") == len(entries)


@pytest.mark.parametrize(
    ("name", "expected", "code"),
    [
        ("sound", "image-to-image", 0),
        ("sound", "text-to-image", 1),
        ("no_image_sent", "image-to-image", 1),
        ("no_image_sent", "text-to-image", 0),
        ("bucket_missing", "text-to-image", 1),
    ],
)
def test_what_is_expected_decides(
    diagnose: Command, cases: Mapping[str, Path], name: str, expected: str, code: int
) -> None:
    assert diagnose("checklist", cases[name], "--expect", expected).code == code
    assert diagnose("checklist", cases[name], "--expect", expected, "--format", "json").code == code


# --- the answer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [fault.replace(":", "-") for fault in FAULTS])
def test_text_and_document_give_the_same_answer(diagnose: Command, cases: Mapping[str, Path], name: str) -> None:
    profile = FAULTS.get(name, FAULTS.get(name.replace("-", ":", 1)))
    assert profile is not None
    folder = cases[name]
    for chosen in ([folder], [folder / "backend.log"], [folder / "prompt_log.json"], [folder / "response.json"]):
        if not all(path.exists() for path in chosen):
            continue
        arguments = ("checklist", *chosen, "--profile", profile.profile)
        text, ran = diagnose(*arguments), diagnose(*arguments, "--format", "json")
        document = ran.document
        jsonschema.Draft202012Validator(schema.load("diagnosis")).validate(document)
        assert text.code == ran.code and ran.err == ""
        if text.code == 4 and not text.out:
            continue
        assert f"outcome  {document['outcome']}, generation {document['generation']}" in text.out
        if document["root"] is not None:
            assert re.search(rf"^  cause +{document['root']['check']}\b", text.out, re.M)
        assert all(re.search(rf"\b{suspect}\b", text.out) for suspect in document["suspects"])
        assert text.first.split(" ")[0] in ("Image-to-image", "Text-to-image", "The", "Cannot", "Nothing")


def test_machines_get_the_document_and_nothing_else(
    diagnose: Command, cases: Mapping[str, Path], tmp_path: Path
) -> None:
    ran = diagnose("checklist", "--format", "json", "-", stdin=(cases["sound"] / "backend.log").read_bytes())
    assert ran.err == "" and ran.document["outcome"] == "switched"
    assert ran.out.isascii()
    for arguments in (("latest-log", "not-there.json"), ("latest-log",)):
        ran = diagnose(*arguments, "--format", "json")
        assert ran.code == 4 and ran.document["outcome"] == "undetermined"
        jsonschema.Draft202012Validator(schema.load("diagnosis")).validate(ran.document)


def test_the_checklist_stands_in_its_command_only(diagnose: Command, cases: Mapping[str, Path]) -> None:
    assert "Backend restarted" in diagnose("checklist", cases["sound"]).out
    assert "Backend restarted" not in diagnose("latest-log", cases["sound"] / "prompt_log.json").out


def test_verbose_shows_every_check(diagnose: Command, cases: Mapping[str, Path]) -> None:
    out = diagnose("checklist", cases["bucket_missing"], "-v").out
    assert all(re.search(rf"\b{check.id}:", out) for check in registry.checks())


def test_offline_changes_nothing_for_files(diagnose: Command, cases: Mapping[str, Path]) -> None:
    assert diagnose("checklist", cases["sound"], "--offline") == diagnose("checklist", cases["sound"])


def test_colours_are_for_terminals(
    diagnose: Command, cases: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = diagnose("checklist", cases["bucket_missing"]).out
    assert "\x1b" not in plain
    coloured = diagnose("checklist", cases["bucket_missing"], "--color", "always").out
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in diagnose("checklist", cases["bucket_missing"]).out
    assert "\x1b" not in diagnose("checklist", cases["bucket_missing"], "--color", "never").out
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in diagnose("checklist", cases["bucket_missing"]).out


def test_the_language_is_asked_for_or_the_locales(
    diagnose: Command, cases: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Yang harus dilakukan" in diagnose("checklist", cases["bucket_missing"], "--lang", "id").out
    assert "What to do" in diagnose("checklist", cases["bucket_missing"]).out
    for value, said in (
        ("id_ID.UTF-8", "Yang harus dilakukan"),
        ("id", "Yang harus dilakukan"),
        ("C", "What to do"),
        ("idle", "What to do"),
        ("de_DE.UTF-8", "What to do"),
    ):
        monkeypatch.setenv("LANG", value)
        assert said in diagnose("checklist", cases["bucket_missing"]).out, value
    assert "What to do" in diagnose("checklist", cases["bucket_missing"], "--lang", "en").out
    english = diagnose("checklist", cases["bucket_missing"], "--lang", "en", "--format", "json").out
    assert diagnose("checklist", cases["bucket_missing"], "--lang", "id", "--format", "json").out == english


def test_a_profile_is_a_name_or_a_file(diagnose: Command, cases: Mapping[str, Path], tmp_path: Path) -> None:
    for name in ("seed", "flux-2-edit"):
        assert diagnose("checklist", cases["sound"], "--profile", name, "--format", "json").document["profile"] == name
    models = f'[models]\nimage_to_image = "{IMAGE_MODEL}"\ntext_to_image = "fal-ai/flux/schnell"\n'
    (tmp_path / "ours.toml").write_text(f'name = "ours"\n{models}')
    assert (
        diagnose("checklist", cases["sound"], "--profile", "ours.toml", "--format", "json").document["profile"]
        == "ours"
    )
    (tmp_path / "wrong.toml").write_text(f'name = "ours"\nfalback = "refuse"\n{models}')
    ran = diagnose("checklist", cases["sound"], "--profile", "wrong.toml")
    assert ran.code == 2 and "falback" in ran.err and "fallback" in ran.err
    (tmp_path / "broken.toml").write_text("name = [")
    assert diagnose("checklist", cases["sound"], "--profile", "broken.toml").code == 2


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize(
    "arguments", [("checklist", "--all", "-v"), ("checklist", "--lang", "id"), ("checklist", "--format", "json")]
)
def test_any_console_can_show_it(cases: Mapping[str, Path], encoding: str, arguments: tuple[str, ...]) -> None:
    ran = in_shell(arguments[0], cases["bucket_missing"], *arguments[1:], PYTHONIOENCODING=encoding, TERM="dumb")
    assert (ran.returncode, ran.stderr) == (1, b"")
    shown = ran.stdout.decode(encoding)
    assert "bucket_missing" in shown and "\x1b" not in shown
    assert ("✓" in shown) == (encoding == "utf-8" and "json" not in arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("checks",),
        ("schema",),
        ("demo", "--list"),
        ("demo", "--break", "image_unusable"),
        ("explain", "bucket_missing"),
        ("--help",),
    ],
)
def test_any_console_can_show_the_other_commands(arguments: tuple[str, ...]) -> None:
    for encoding in ("ascii", "cp1252"):
        ran = in_shell(*arguments, PYTHONIOENCODING=encoding)
        assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names there are Unicode")
@pytest.mark.parametrize(
    "name",
    [
        b"a\x1b[31mred\x1b]52;c;AAAA\x07.log",
        b"\xff\xfe.log",
        "b\u202egpj.log".encode(),
        b"[red]{0.__class__}[bold].log",
        b"new\nline.log",
    ],
)
def test_a_file_name_cannot_command_the_terminal(
    diagnose: Command, cases: Mapping[str, Path], tmp_path: Path, name: bytes
) -> None:
    place = tmp_path / os.fsdecode(name)
    place.parent.mkdir(exist_ok=True, parents=True)
    place.write_bytes((cases["bucket_missing"] / "backend.log").read_bytes())
    for arguments in (
        ("checklist",),
        ("checklist", "-v"),
        ("checklist", "--format", "json"),
        ("validate",),
        ("validate", "--format", "json"),
        ("latest-log", "--entry", "9"),
    ):
        ran = diagnose(*arguments, place.relative_to(tmp_path))
        assert ran.code in (1, 4)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\ud800-\udfff]", ran.out + ran.err), arguments
        assert "{0.__class__}" in ran.out or b"class" not in name or arguments[0] == "latest-log"


@pytest.mark.parametrize(
    "arguments",
    [
        ("latest-log",),
        ("explain",),
        ("schema",),
        ("demo", "--break"),
        ("checklist", "x", "--profile"),
        ("latest-log", "--at"),
        ("--",),
    ],
)
def test_an_argument_cannot_command_the_terminal(
    diagnose: Command, cases: Mapping[str, Path], arguments: tuple[str, ...]
) -> None:
    for hostile in ("\x1b[31m", "\x1b]52;c;AAAA\x07", "\u202e", "\udcff", "[red]{0.__class__}"):
        ran = diagnose(*arguments, hostile)
        assert ran.code in (2, 4)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\ud800-\udfff]", ran.out + ran.err), arguments


@pytest.mark.parametrize("command", ["latest-log", "checklist", "validate", "explain", "schema"])
def test_an_argument_of_any_length_is_one_line(diagnose: Command, command: str) -> None:
    ran = diagnose(command, "x" * 5000)
    assert ran.code in (2, 4) and ran.out == ""
    assert len(ran.err.splitlines()) == 1 and len(ran.err) < 3000


# --- the other commands -----------------------------------------------------------------------------------------------


def test_the_list_of_checks(diagnose: Command) -> None:
    out = diagnose("checks").out
    rows = diagnose("checks", "--format", "json").document
    assert [row["id"] for row in rows] == [check.id for check in registry.checks()]
    assert all(f"  {row['id']} " in out and row["fault"] in " ".join(out.split()) for row in rows)


@pytest.mark.parametrize("check", [check.id for check in registry.checks()])
def test_the_page_of_a_check(diagnose: Command, check: str) -> None:
    ran = diagnose("explain", check)
    assert ran.code == 0 and ran.first.startswith(check)
    assert all(
        heading in ran.out
        for heading in ("What it looks at", "Why it matters", "How to put it right", "When it is wrong")
    )
    document = diagnose("explain", check, "--format", "json").document
    assert document["id"] == check and document["page"] in ran.out


def test_files_are_validated(diagnose: Command, cases: Mapping[str, Path], tmp_path: Path) -> None:
    good = cases["sound"] / "prompt_log.json"
    (tmp_path / "bad.json").write_text('[{"timestamp": 5}]')
    assert diagnose("validate", good).code == 0
    ran = diagnose("validate", "bad.json")
    assert ran.code == 1 and re.search(r"^bad\.json:1:\d+: /0", ran.out, re.M)
    assert diagnose("validate", good, "bad.json").code == 1
    assert diagnose("validate", good, "bad.json", "not-there.json").code == 4
    document = diagnose("validate", "bad.json", "--format", "json").document
    assert document["valid"] is False and document["errors"][0]["line"] == 1
    assert [d["valid"] for d in diagnose("validate", good, "bad.json", "--format", "json").document] == [True, False]
    assert diagnose("validate", "bad.json", "--schema", "no-such").code == 2
    assert diagnose("validate").code == 2


def test_our_own_documents_are_valid(diagnose: Command, cases: Mapping[str, Path], tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text(diagnose("checklist", cases["bucket_missing"], "--format", "json").out)
    assert diagnose("validate", "answer.json", "--schema", "diagnosis").code == 0


def test_the_schemas_are_printed(diagnose: Command) -> None:
    names = diagnose("schema").out.split()
    assert {"prompt_log", "diagnosis", "case", "profile"} <= set(names)
    for name in names:
        jsonschema.Draft202012Validator.check_schema(diagnose("schema", name).document)


def test_the_demo_breaks_one_link(diagnose: Command, tmp_path: Path) -> None:
    ran = diagnose("demo", "--break", "bucket_missing", "--keep", "kept")
    assert ran.code == 0 and ran.first.startswith("Broken: ")
    assert "bucket_missing" in ran.out and (tmp_path / "kept" / "bucket_missing" / "backend.log").is_file()
    document = diagnose("demo", "--break", "bucket_missing", "--format", "json").document
    assert document["root"]["check"] == "bucket_missing"
    listed = {line.split()[0] for line in diagnose("demo", "--list").out.splitlines()}
    assert listed == set(FAULTS) | set(faults.UNBREAKABLE)
    score = diagnose("demo", "--score", "--break", "bucket_missing", "--format", "json").document
    assert (score["top1"], score["false_blame"]) == (1.0, 0)
    assert "Top-1 1.00" in diagnose("demo", "--score", "--break", "bucket_missing").out


def test_the_demo_shows_every_fault(diagnose: Command) -> None:
    ran = diagnose("demo")
    assert ran.code == 0 and ran.out.count("Broken: ") == len(FAULTS)
    assert max(map(len, ran.out.splitlines())) <= 80
    assert all(fault.title in " ".join(ran.out.split()) for fault in FAULTS.values())


def test_the_words_are_the_same_in_every_screen() -> None:
    assert set(words.ANSWERS) | {words.Status.NOT_REACHED} == set(words.STATUSES) == set(words.Status)
