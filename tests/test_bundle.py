"""The bundle: the same answer as from the originals, nothing that nobody may see, and archives of strangers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose import bundle, mask
from diagnose.cli import cli
from diagnose.collect import archive, gather
from diagnose.errors import DiagnoseError, NothingReadable, SecretLeft
from diagnose.generator import faults
from diagnose.model import Case, Subject
from diagnose.profile import BUILT_IN, build

CORPUS = os.environ.get("DIAGNOSE_CORPUS")
PROFILES = {"imggen": "imggen.toml", "comic": "comic.toml", "head": "flux-2.toml"}
"""The profiles of the corpus, by how its cases begin."""
KEY = "9c8b7a65-4321-4abc-8def-0123456789ab:0123456789abcdef0123456789abcdef"


def run(*arguments: object) -> tuple[int, str, str]:
    ran = CliRunner().invoke(cli, [*map(str, arguments), "--lang", "en"])
    code = int(ran.exception.exit) if isinstance(ran.exception, DiagnoseError) else ran.exit_code
    return code, ran.stdout, str(ran.exception) if isinstance(ran.exception, DiagnoseError) else ran.stderr


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as opened:
        return {info.filename: opened.read(info) for info in opened.infolist()}


def zipped(files: Mapping[str, bytes], into: Path) -> Path:
    with zipfile.ZipFile(into, "w") as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return into


@pytest.fixture(scope="module")
def packed(cases: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a run that broke."""
    file = tmp_path_factory.mktemp("bundle") / "case.zip"
    assert run("bundle", cases["bucket_missing"], "-o", file)[0] == 0
    return file


# --- the same answer


@pytest.mark.parametrize("fault", [*faults.FAULTS, None], ids=lambda fault: fault.name if fault else "sound")
def test_the_answer_from_the_bundle_is_that_from_the_originals(
    fault: faults.Fault | None, cases: Mapping[str, Path], tmp_path: Path
) -> None:
    folder = cases[fault.name.replace(":", "-") if fault else "sound"]
    profile = fault.profile if fault else "seed"
    same(folder, profile, tmp_path)


@pytest.mark.skipif(not CORPUS, reason="DIAGNOSE_CORPUS names no folder")
@pytest.mark.parametrize("folder", sorted(Path(CORPUS).glob("*/")) if CORPUS else [], ids=lambda path: path.name)
def test_the_same_of_the_corpus(folder: Path, tmp_path: Path) -> None:
    begins = folder.name.partition("-")[0]
    same(folder, str(folder.parent / PROFILES[begins]) if begins in PROFILES else "seed", tmp_path)


def same(folder: Path, profile: str, tmp_path: Path) -> None:
    file = tmp_path / "case.zip"
    code, _, said = run("bundle", folder, "-o", file, "--profile", profile)
    assert code == 0, said
    here, there = (
        run("checklist", folder, "--profile", profile, "--format", "json"),
        run("checklist", file, "--format", "json"),
    )
    assert here[:2] == there[:2]
    assert json.loads(members(file)["diagnosis.json"]) == json.loads(here[1])


def test_the_same_bytes_each_time(packed: Path, cases: Mapping[str, Path], tmp_path: Path) -> None:
    run("bundle", cases["bucket_missing"], "-o", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_the_report_inside_is_the_one_it_gives(packed: Path, tmp_path: Path) -> None:
    run("checklist", packed, "-o", tmp_path / "r.html", "-o", tmp_path / "r.md")
    assert (tmp_path / "r.html").read_bytes() == members(packed)["report.html"]
    assert (tmp_path / "r.md").read_bytes() == members(packed)["report.md"]
    assert b"<mark>" in members(packed)["report.html"]


# --- what is in it


def test_the_manifest(packed: Path) -> None:
    files = members(packed)
    manifest = json.loads(files.pop("manifest.json"))
    assert {item["name"]: (item["sha256"], item["bytes"]) for item in manifest["files"]} == {
        name: (hashlib.sha256(data).hexdigest(), len(data)) for name, data in files.items()
    }
    assert manifest["tool"]["name"] == "diagnose" and len(manifest["checks"]) >= 45
    assert manifest["answer"] == {"outcome": "not_switched", "root": "bucket_missing"}
    assert {"evidence/backend.log", "evidence/prompt_log.json", "evidence/request.json"} <= files.keys()
    assert all(set(one) == {"rule", "file", "line", "pseudonym"} for one in manifest["maskings"])


def test_lines_stay_where_they_were(packed: Path, cases: Mapping[str, Path]) -> None:
    original = (cases["bucket_missing"] / "backend.log").read_text(encoding="utf-8").split("\n")
    masked = members(packed)["evidence/backend.log"].decode().split("\n")
    assert len(masked) == len(original)
    assert sum(one != two for one, two in zip(original, masked, strict=True)) < len(original) // 4


def test_a_dry_run_writes_nothing(cases: Mapping[str, Path], tmp_path: Path) -> None:
    code, out, _ = run("bundle", cases["bucket_missing"], "--dry-run", "-o", tmp_path / "case.zip")
    assert code == 0 and "evidence/backend.log" in out and not list(tmp_path.iterdir())
    code, out, _ = run("bundle", cases["storage_key_role"], "--dry-run", "--format", "json")
    assert code == 0 and json.loads(out)["files"]
    assert [(one["name"], "holds settings" in one["why"]) for one in json.loads(out)["left_out"]] == [(".env", True)]


def test_wrong_arguments(cases: Mapping[str, Path], tmp_path: Path) -> None:
    evidence = tmp_path / "response.json"
    shutil.copy(cases["bucket_missing"] / "response.json", evidence)
    before = evidence.read_bytes()
    for arguments, code, told in (
        ((evidence,), 2, "name the archive"),
        ((evidence, "-o", evidence), 2, "is evidence itself"),
        ((evidence, "-o", tmp_path / "no" / "a.zip"), 2, "there is no folder"),
        ((tmp_path / "nothing", "-o", tmp_path / "a.zip"), 4, "no such file"),
    ):
        found = run("bundle", *arguments)
        assert found[0] == code and told in found[2], found
    assert evidence.read_bytes() == before and list(tmp_path.iterdir()) == [evidence]


def test_a_long_log_is_cut_to_what_tells(cases: Mapping[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "case"
    shutil.copytree(cases["bucket_missing"], folder)
    noise = "".join(f'INFO:     10.0.0.1:1 - "GET /health?{n} HTTP/1.1" 200 OK\n' for n in range(100_000))
    log = folder / "backend.log"
    log.write_text(noise + log.read_text(encoding="utf-8"), encoding="utf-8")
    assert run("bundle", folder, "-o", tmp_path / "case.zip")[0] == 0
    cut = next(item for item in json.loads(members(tmp_path / "case.zip")["manifest.json"])["files"] if "cut" in item)
    assert cut["name"] == "evidence/backend.log" and cut["bytes"] < 200_000 and cut["cut"].endswith("of 100,204")
    same(folder, "seed", tmp_path)


def test_two_files_of_one_name(cases: Mapping[str, Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(cases["bucket_missing"] / "backend.log", tmp_path / name)
    assert run("bundle", tmp_path / "one/backend.log", tmp_path / "two/backend.log", "-o", tmp_path / "a.zip")[0] == 0
    assert {"evidence/1/backend.log", "evidence/2/backend.log"} <= members(tmp_path / "a.zip").keys()


# --- what may not be in it


def test_a_bundle_with_a_secret_is_not_written(
    cases: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scan does not trust the masking: here it masks nothing."""
    folder = tmp_path / "case"
    shutil.copytree(cases["bucket_missing"], folder)
    log = folder / "backend.log"
    log.write_text(log.read_text(encoding="utf-8") + f"INFO:main:FAL_KEY={KEY}\n", encoding="utf-8")
    monkeypatch.setattr(mask, "document", lambda text, known=(): mask.Masked(text, ()))
    code, out, said = run("bundle", folder, "-o", tmp_path / "case.zip")
    assert code == 70 and not (tmp_path / "case.zip").exists()
    assert "evidence/backend.log, line" in said and "would hold a secret" in said
    assert KEY.rpartition(":")[2] not in said + out


def test_every_secret_that_was_seen_is_searched(cases: Mapping[str, Path]) -> None:
    case = Case(build(BUILT_IN["seed"], "seed"), (), Subject(None, None, None))
    planned = bundle.Plan((bundle.Item("evidence/a.log", "the word is plumfeathers9"),), ())
    bundle.pack(planned, case, {}, {}, ())
    with pytest.raises(SecretLeft, match=r"evidence/a\.log, line 1"):
        bundle.pack(planned, case, {}, {}, ("plumfeathers9",))


# --- archives of strangers


def test_a_strangers_archive_is_read_like_a_folder(cases: Mapping[str, Path], tmp_path: Path) -> None:
    folder = cases["bucket_missing"]
    files = {f"shop/{p.relative_to(folder).as_posix()}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    code, out, _ = run("checklist", zipped(files, tmp_path / "from-a-customer.zip"), "--format", "json")
    found = json.loads(out)
    assert (code, found["root"]["check"]) == (1, "bucket_missing")
    assert any("files of this archive" in note for note in found.get("notes", ["files of this archive"]))


@pytest.mark.parametrize(
    "name", ["../../evil.log", "/etc/evil.log", "C:\\evil.log", "..\\evil.log", "a/../../evil.log"]
)
def test_names_that_lead_outside_are_left_out(name: str, tmp_path: Path) -> None:
    found = archive.read(zipped({name: b"x", "good.log": b"y"}, tmp_path / "a.zip"), "a.zip")
    assert [member.name for member in found.members] == ["good.log"]
    assert "leads out" in found.notes[0]
    gather([tmp_path / "a.zip"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_links_and_doubles_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "w") as opened:
        link = zipfile.ZipInfo("link.log")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
        opened.writestr("twice.log", "one")
        opened.writestr("twice.log", "two")
    found = archive.read(file, "a.zip")
    assert not found.members and {note.rpartition(": it ")[2] for note in found.notes} == {
        "is a link",
        "stands in it twice",
    }


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_EACH", 1 << 20)
    monkeypatch.setattr(archive, "MOST_BYTES", 3 << 20)
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for number in range(5):
            opened.writestr(f"{number}.log", bytes(1 << 20))
    with pytest.raises(NothingReadable, match="unpacks to more"):
        archive.read(file, "a.zip")
    data = bytearray(file.read_bytes())
    monkeypatch.setattr(archive, "MOST_BYTES", 64 << 20)
    monkeypatch.setattr(archive, "MOST_EACH", 1 << 10)
    assert all("is larger than" in note for note in archive.read(io.BytesIO(bytes(data)), "a.zip").notes)
    monkeypatch.setattr(archive, "MOST_FILES", 4)
    with pytest.raises(NothingReadable, match="holds 5 files"):
        archive.read(file, "a.zip")


def test_a_changed_bundle_is_refused(packed: Path, tmp_path: Path) -> None:
    files = members(packed)
    for change, told in (
        ({"evidence/backend.log": b"INFO: nothing happened\n"}, "is not what its manifest says"),
        ({"extra.txt": b"x"}, "is not what its manifest says"),
        ({"manifest.json": b"{}"}, "give it alone"),
    ):
        code, _, said = run("checklist", zipped({**files, **change}, tmp_path / "a.zip"))
        assert code == 4 and told in said, said
    del files["evidence/backend.log"]
    assert "missing" in run("checklist", zipped(files, tmp_path / "b.zip"))[2]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_archive_breaks_the_reader(data: Any, packed: Path) -> None:
    """Bytes flipped, cut out and put in: read, or refused in a line."""
    whole = bytearray(packed.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(whole) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "put"])):
            case "flip":
                whole[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del whole[at : at + data.draw(st.integers(1, 400))]
            case _:
                whole[at:at] = data.draw(st.binary(max_size=30))
        if not whole:
            return
    try:
        found = archive.read(io.BytesIO(bytes(whole)), "a.zip")
    except NothingReadable:
        return
    assert sum(len(member.data) for member in found.members) <= archive.MOST_BYTES


# --- what a second run finds


@pytest.mark.parametrize("form", ["md", "txt", "html", "json", "sarif", "xml"])
def test_our_own_report_is_no_evidence(form: str, cases: Mapping[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "case"
    shutil.copytree(cases["image_field_unknown"], folder)
    before = json.loads(run("checklist", folder, "--format", "json")[1])
    assert run("checklist", folder, "-v", "-o", folder / f"report.{form}")[0] == 1
    after = json.loads(run("checklist", folder, "--format", "json")[1])
    assert (after["root"], after["subject"], after["chain"]) == (before["root"], before["subject"], before["chain"])
    assert run("checklist", folder, "-o", folder / f"report.{form}")[0] == 1, "it can be written anew"


@pytest.mark.parametrize("lang", ["en", "id"])
def test_our_own_report_is_known_in_both_languages(lang: str, cases: Mapping[str, Path], tmp_path: Path) -> None:
    for form in ("md", "txt"):
        report = tmp_path / f"report.{form}"
        CliRunner().invoke(cli, ["checklist", str(cases["image_field_unknown"]), "-o", str(report), "--lang", lang])
        assert any("an answer of diagnose itself" in note for note in gather([report]).notes)
    log = tmp_path / "backend.log"
    log.write_text(
        "ERROR:main: refused, upload failed\nINFO:main:  outcome unknown, request failed\n", encoding="utf-8"
    )
    assert not any("diagnose itself" in note for note in gather([log]).notes)


def test_evidence_in_a_folder_is_not_overwritten(cases: Mapping[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "case"
    shutil.copytree(cases["bucket_missing"], folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (tmp_path / "link.json").symlink_to(folder / "response.json")
    for command, target in (
        (("checklist", folder), folder / "response.json"),
        (("checklist", folder), tmp_path / "link.json"),
        (("bundle", folder), folder / "backend.log"),
        (("history", folder), folder / "backend.log"),
    ):
        code, out, said = run(*command, *(("--format", "json") if command[0] != "bundle" else ()), "-o", target)
        assert code == 2 and "is evidence itself" in said.replace("\n", " "), (command, said, out)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_that_was_unpacked_is_a_bundle(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as opened:
        opened.extractall(tmp_path / "unpacked")
    assert run("checklist", tmp_path / "unpacked", "--format", "json") == run("checklist", packed, "--format", "json")


def test_a_container_log_goes_in_under_another_name(cases: Mapping[str, Path], tmp_path: Path) -> None:
    log = tmp_path / f"{'0123456789abcdef' * 4}-json.log"
    shutil.copy(cases["bucket_missing"] / "backend.log", log)
    code, _, said = run("bundle", log, "-o", tmp_path / "a.zip")
    assert code == 0, said
    assert "evidence/masked.log" in members(tmp_path / "a.zip")


def test_archives_that_are_not_ours_or_damaged(cases: Mapping[str, Path], tmp_path: Path) -> None:
    log = (cases["bucket_missing"] / "backend.log").read_bytes()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as opened:
        opened.writestr("backend.log", log)
    files = {"manifest.json": b'{"name": "an extension"}', "inner.zip": inner.getvalue(), "backend.log": log}
    code, out, _ = run("checklist", zipped(files, tmp_path / "a.zip"), "--format", "json")
    assert code == 1 and any("'inner.zip' was left out" in note for note in json.loads(out)["notes"])
    packed = tmp_path / "b.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr("backend.log", log)
    data = bytearray(packed.read_bytes())
    data[120] ^= 0xFF
    packed.write_bytes(data)
    assert run("checklist", packed)[0] == 4
