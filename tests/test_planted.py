"""A corpus of planted secrets: none survives, in no dress and through no answer; and nothing that diagnoses is lost."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import shutil
import zipfile
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose import collect, explain, mask, normalise, profile
from diagnose.cli import cli
from diagnose.cli.output import FORMATS
from diagnose.errors import DiagnoseError
from diagnose.generator import faults
from diagnose.generator.demo import Stage
from diagnose.generator.faults import Fault
from diagnose.mask import strings
from diagnose.mask.documents import undone
from diagnose.model import Diagnosis
from tests import planted
from tests.planted import Planted, leaked

ONE_LINE = tuple(planted.on_one_line())
SPREAD = tuple(planted.over_lines())
BY_KIND = sorted({one.name.partition(",")[0] for one in ONE_LINE})
BY_SPREAD = sorted({one.name.partition(",")[0] for one in SPREAD})


def shown_in(text: str, secret: str) -> str | None:
    """What a reader finds of a secret in a text who undoes its escapes."""
    for _ in range(5):
        if found := leaked(text, secret):
            return found
        text = undone(text)
    return None


def check(one: Planted) -> str | None:
    """What is wrong with the masked text, in words."""
    given_ = f"INFO: before\n{one.text}\nINFO: after"
    made = mask.document(given_)
    if found := shown_in(made.text, one.secret):
        return f"{found!r} is shown"
    if made.text.count("\n") != given_.count("\n"):
        return "lines were lost"
    if not (made.text.startswith("INFO: before\n") and made.text.endswith("\nINFO: after")):
        return "other lines were changed"
    if not made.maskings or not all(made.text.split("\n")[m.line - 1].count(m.pseudonym) for m in made.maskings[:1]):
        return f"the maskings are not told: {made.maskings}"
    if left := mask.survivors(made.text, {one.secret}):
        return f"survivors: {left}"
    return None if mask.document(made.text).text == made.text else "masking again changes it"


@pytest.mark.parametrize("kind", BY_KIND)
def test_a_document_shows_no_planted_secret(kind: str) -> None:
    wrong = {one.name: said for one in ONE_LINE if one.name.startswith(f"{kind},") and (said := check(one))}
    assert not wrong


@pytest.mark.parametrize("kind", BY_SPREAD)
def test_a_document_shows_no_secret_that_stands_in_several_lines(kind: str) -> None:
    wrong = {one.name: said for one in SPREAD if one.name.partition(",")[0] == kind and (said := check(one))}
    assert not wrong


@pytest.mark.parametrize("kind", BY_KIND)
def test_a_string_shows_no_planted_secret(kind: str) -> None:
    for one in ONE_LINE:
        if one.name.startswith(f"{kind},") and not one.name.endswith(", base64"):
            assert shown_in(mask.text(one.text), one.secret) is None, one.name
            held = mask.value({"log": [one.text, {"message": one.text}]})
            assert shown_in(json.dumps(held), one.secret) is None, one.name


def test_survivors_finds_what_was_planted_and_says_nothing_of_it() -> None:
    for one in (*ONE_LINE, *SPREAD):
        found = mask.survivors(f"INFO: before\n{one.text}", {one.secret})
        assert found, one.name
        assert all(place.line >= 2 for place in found), one.name
        assert leaked(repr(found), one.secret) is None


@pytest.mark.parametrize(
    "dress",
    [str, lambda s: s[::-1], lambda s: s.encode().hex(), lambda s: s.encode().hex().upper(),
     lambda s: planted.base64.b64encode(b"x" + s.encode()).decode(), lambda s: planted.quote(planted.quote(s, safe=""), safe=""),
     lambda s: s[:9] + "\n" + s[9:], lambda s: "\n".join("api-1  | " + s[at : at + 7] for at in range(0, len(s), 7)),
     lambda s: json.dumps(json.dumps(s)), lambda s: s.replace(":", "_") + ".json"],
)  # fmt: skip
@pytest.mark.parametrize("secret", ["n0 pattern/knows:this+one", "v7Kq2mZx9Lw4", "ünïcode-sécret-1234"])
def test_a_known_secret_is_found_in_every_dress(dress, secret: str) -> None:
    text = f"first\nsecond {dress(secret)} end\nlast"
    assert [one.line for one in mask.survivors(text, {secret})][:1] == [2]
    assert not mask.survivors(mask.document(text, {secret}).text, {secret})
    assert not mask.survivors(text, {secret[:-1] + "~"})


def test_a_collector_holds_the_secrets_that_were_masked_meanwhile() -> None:
    text = f"Authorization: Key {planted.FAL}"
    mask.text(text)
    with mask.seen() as found:
        mask.text(text)
        mask.value({"apikey": planted.OPAQUE})
        mask.document(f"Bearer {planted.JWT}\nrequest key: 764cabcf-b745-4b3e-ae38-1200304cf45b")
    assert {planted.FAL, planted.OPAQUE, planted.JWT} <= found
    assert "764cabcf-b745-4b3e-ae38-1200304cf45b" not in found
    mask.text(f"Bearer {planted.SECRET_KEY}")
    assert not any(planted.SECRET_KEY in one for one in found)


def test_a_collector_does_not_grow_without_end() -> None:
    with mask.seen() as found:
        for number in range(3000):
            strings.note("key", f"{number:06}" + "aB3" * 700)
    assert sum(map(len, found)) < 3_000_000


@pytest.mark.parametrize("secret", [planted.FAL, planted.JWT, planted.SECRET_KEY])
def test_a_pseudonym_is_the_same_in_a_string_and_in_a_document(secret: str) -> None:
    assert mask.document(f"a\n{secret}\nb").text == f"a\n{mask.text(secret)}\nb"


CLEAN = """\
INFO:     127.0.0.1:37776 - "POST /api/generate-image HTTP/1.1" 200 OK
api-1  | INFO:httpx:HTTP Request: POST https://oggfjisrpoxcitoklhbp.supabase.co/storage/v1/object/IMAGES_UPLOAD/7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10/face/f66be726-04f6-43a7-bd37-8b7ca91fc5d4.jpg "HTTP/2 200 OK"
2026-01-11T06:44:32.716926Z fal request 764cabcf-b745-4b3e-ae38-1200304cf45b: 422
{"detail": "Bucket not found", "path": "7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10\\/face\\/a.jpg", "model": "fal-ai\\/flux-general\\/image-to-image"}
request_id=764cabcf-b745-4b3e-ae38-1200304cf45b status=404 size=41662 role=service_role
FAL_KEY is not configured
'SUPABASE_SERVICE_KEY' holds an anon key where a service key is needed:
INFO:fal_service:   Strength: 0.5
GET /rest/v1/profiles?select=%2A&user_id=eq.7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10
"request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b",
"image_url": "https://oggfjisrpoxcitoklhbp.supabase.co/storage/v1/object/public/IMAGES_UPLOAD/a1b2c3d4.jpg?"
Failed with key:
fal-ai/flux/schnell
3f786850e387550fdab836ed7e6dc881de23001b fal_service.py
89e6c98d92887913cadf06b2adb97f26cde4849b main.py
0123456789abcdef is a digest of 16 digits
"""


def test_what_a_reader_needs_stays_in_a_document() -> None:
    assert mask.document(CLEAN).text == CLEAN
    assert mask.document(CLEAN.replace("\n", "\r\n")).maskings == ()


PIECES = ("eyJhbGciOi", "JIUzI1NiIsInR5", planted.FAL, planted.FAL[:20], planted.JWT, "sb_secret_", "Nq7vXw2LkPz0", "token=", "FAL_KEY=", "\n", "\n", "\r\n",
          "\\n", "\\", '"', '\\"', "%22", "%", "25", "&quot;", "&", "u003c", "<", ">", "<key:", "abcdef", ": ", "Authorization", "Cookie: a=", " ", "api-1  | ",
          "INFO: ", "2026-01-11T06:44:32Z ", "-----BEGIN PRIVATE KEY-----", "-----END", "A" * 76, "aB3" * 20, "@", "x.org", "://", "u:p4ssw0rd9@", "\u2028", "é",
          "key", "value", '"name": "apikey",', '"value": "', "v7Kq2mZx9Lw4Rt8Yp3Ns6Bd1", "data:image/png;base64,", "=", ".", "ZThlZjgwNjEtMTIzNC00YWJj")  # fmt: skip
LINE_ENDS = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
ANYTHING = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=24).map("".join)


@settings(max_examples=300, deadline=None)
@given(ANYTHING)
def test_a_document_keeps_its_lines_and_holds_no_survivor(text: str) -> None:
    made = mask.document(text)
    assert made.text.count("\n") == text.count("\n")
    assert LINE_ENDS.findall(made.text) == LINE_ENDS.findall(text)
    assert mask.survivors(made.text) == ()
    assert mask.document(made.text).text == made.text
    assert bool(made.maskings) == (made.text != text)


@settings(max_examples=100, deadline=None)
@given(ANYTHING, st.lists(st.text(min_size=8, max_size=40), max_size=3))
def test_a_document_holds_no_known_secret(text: str, known: list[str]) -> None:
    given_ = "\n".join([text, *known, *(one[:5] + "\n" + one[5:] for one in known)])
    assert mask.survivors(mask.document(given_, known).text, known) == ()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["INFO: ", "image ", "0.5 ", "\n", "model: ", "fal-ai/flux/dev ", "404 ", '"', "{", "}", "\t", "é "]), max_size=60).map("".join))  # fmt: skip
def test_a_text_without_secrets_is_not_changed(text: str) -> None:
    assert mask.document(text) == mask.Masked(text, ())


@pytest.mark.parametrize("piece", ["eyJ", "key=", '"', "\\", "\\n", '\\"', "%25", "&amp;", "\\u005c", "\n", "\r", "key:\n", "A1b2C3d4e5\n", "?token=a1b2c3d4 ",
                                   "-----BEGIN PRIVATE KEY-----\n", "&lt;key:", "x_token", "a0b1c2d3-", "api-1 | "])  # fmt: skip
def test_hostile_documents_are_masked_piece_by_piece_or_not_at_all(piece: str) -> None:
    text = piece * (60_000 // len(piece))
    made = mask.document(text)
    assert made.text.count("\n") == text.count("\n")
    assert mask.survivors(made.text) == ()


# --- through the answers -------------------------------------------------------------------------------------------------

ROTATIONS = 4
"""Folders of evidence with other secrets in the same places."""
FULL = bool(os.environ.get("DIAGNOSE_PLANTED_FULL"))
"""Every command on every folder, rather than each on one."""


class Evidence(NamedTuple):
    """A folder of evidence, and the secrets in it."""

    folder: Path
    secrets: tuple[str, ...]


def plant(folder: Path, source: Path, number: int) -> Evidence:
    """Real evidence, with secrets wherever evidence can hold any."""
    texts = [one for one in ONE_LINE if one.dress != "base64"]
    random.Random(number).shuffle(texts)
    used: list[str] = []
    supply = iter(texts)

    bare = ("plain", "alone", "quoted")

    def one(*, named: bool = False) -> str:
        text, secret = next((t.text, t.secret) for t in supply if not named or (t.dress in bare and len(t.text) < 150))
        used.append(secret)
        return text

    shutil.copytree(source, folder)
    log = (source / "backend.log").read_text(encoding="utf-8").splitlines()
    middle = len(log) * 3 // 4
    over = [text for text in SPREAD if text.kind != "e-mail"]
    random.Random(number).shuffle(over)
    used += [text.secret for text in over[:6]]
    noisy = [
        *log[:middle],
        f"ERROR:main:Failed to upload to Supabase Storage: {one()}",
        f"INFO:     Prompt: {one()}",
        f"WARNING:main:{one()}",
        *(line for text in over[:6] for line in ["INFO:     next", *text.text.split("\n"), "INFO:     done"]),
        *log[middle:],
        f"ERROR:    fal.ai request failed: 401 {one()}",
        "Traceback (most recent call last):",
        '  File "fal_service.py", line 31, in call',
        f"    raise RuntimeError({one()!r})",
        f"httpx.LocalProtocolError: {one()}",
    ]
    (folder / "backend.log").write_text("\n".join(noisy) + "\n", encoding="utf-8")
    entries = json.loads((source / "prompt_log.json").read_text(encoding="utf-8"))
    entries[0] |= {"timestamp": one(), "prompt_length": one(), one(): one()}
    for entry in entries[-2:]:
        entry["request"] |= {"note": one(), "original_prompt": one(), "image_url": one(), one(): one()}
        entry.setdefault("fal_request", {}).update({"prompt": one(), "image_url": one(), "x-key": one(), one(): 1})
        entry["error"] = one()
        if number % 2:
            entry["fal_request"] |= {"model": one(), "image_strength": one()}
            entry["decision"] = {"mode": "text-to-image", "model": one(), "reason": one()}
            entry["generation_mode"] = one()
        else:
            entry["upload"] = {"status": 404, "bucket": one(), "path": one(), "error": f"Bucket not found: {one()}"}
    (folder / "prompt_log.json").write_text(json.dumps(entries, indent=2), encoding="utf-8")
    (folder / "cut.json").write_text(json.dumps(entries)[:-40], encoding="utf-8")
    request = json.loads((source / "request.json").read_text(encoding="utf-8"))
    request["headers"] = {"Authorization": one(), "X-Debug": one(), "Cookie": one()}
    request["url"] += f"?note={one()}"
    request["body"] |= {"prompt": one(), "negative_prompt": one(), "extra": {"deep": [one(), {"er": one()}]}}
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    response = {"status": 500, "headers": {"set-cookie": one()}, "body": {"detail": f"Failed to generate: {one()}"}}
    (folder / "response.json").write_text(json.dumps(response), encoding="utf-8")
    exchange = {
        "startedDateTime": "2026-01-11T06:44:32.716Z",
        "request": {
            "method": "POST", "url": request["url"], "queryString": [{"name": "note", "value": one()}],
            "headers": [{"name": "apikey", "value": one()}, {"name": "content-type", "value": "application/json"}],
            "cookies": [{"name": "sb-abcdefgh-auth-token", "value": one()}],
            "postData": {"mimeType": "application/json", "text": json.dumps(request["body"])},
        },
        "response": {
            "status": 500, "statusText": one(), "headers": [{"name": "x-note", "value": one()}],
            "content": {"mimeType": "application/json", "text": json.dumps(response["body"])},
        },
    }  # fmt: skip
    (folder / "recorded.har").write_text(json.dumps({"log": {"entries": [exchange]}}), encoding="utf-8")
    (folder / "console.txt").write_text(
        f"POST http://127.0.0.1:8000/api/generate-image 401 ({one()})\nAccess to fetch at 'x' from origin 'y' has been"
        f" blocked by CORS policy: {one()}\nUncaught (in promise) Error: {one()}\n",
        encoding="utf-8",
    )
    (folder / ".env").write_text(
        f"FAL_KEY={one()}\nSUPABASE_URL={one()}\nSUPABASE_SERVICE_KEY='{one()}'\nSUPABASE_KEY=\"{one()}\"\n",
        encoding="utf-8",
    )
    with (folder / "source" / "fal_service.py").open("a", encoding="utf-8") as file:
        file.write(f"\nIMAGE_TO_IMAGE_MODEL = {one()!r}\nKEY = {one()!r}  # {one()}\n")
    name = one(named=True).replace("/", "")
    (folder / f"{name}.json").write_text(json.dumps({"detail": one()}), encoding="utf-8")
    return Evidence(folder, tuple(used))


def fault(name: str) -> Fault:
    return next(fault for fault in faults.FAULTS if fault.name == name)


@pytest.fixture(scope="module")
def evidence(on_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, ...]:
    top = tmp_path_factory.mktemp("planted")
    for name in ("bucket_missing", "fal_key_rejected"):
        on_stage.write_case(fault(name), top / name)
    sources = (top / "bucket_missing", top / "fal_key_rejected")
    return tuple(plant(top / f"{number}", sources[number % 2], number) for number in range(ROTATIONS))


def run(*arguments: object) -> str:
    """All that a command writes, on both streams and in what it raises."""
    ran = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if ran.exception is None or isinstance(ran.exception, SystemExit):
        return ran.output
    assert isinstance(ran.exception, DiagnoseError), (arguments, ran.exception)
    return f"{ran.output}\n{mask.text(str(ran.exception))}"


WHOLE: dict[str, tuple[str, ...]] = {
    "checklist": ("checklist", "."),
    "all": ("checklist", ".", "--all"),
    "a log alone": ("checklist", "backend.log"),
    "a console alone": ("checklist", "console.txt", "recorded.har"),
    "latest": ("latest-log", "prompt_log.json"),
    "latest of a cut file": ("latest-log", "cut.json"),
    "history": ("history", "prompt_log.json"),
    "history of a log": ("history", "backend.log", "--kind", "backend_log"),
    "compare": ("compare", ".", "other"),
    "collect": ("collect", "."),
    "validate": ("validate", "prompt_log.json", "cut.json", "request.json", "response.json"),
}
"""Commands; `.` is the folder, `other` another one, and the rest are files in it."""


def forms(name: str) -> tuple[str, ...]:
    option = next(p for p in cli.commands[WHOLE[name][0]].params if "--format" in p.opts)
    assert isinstance(option.type, click.Choice)
    return tuple(form for form in option.type.choices if form in FORMATS)


def loudness(name: str, form: str) -> tuple[str, ...]:
    if name == "validate":
        return ("",)
    if FULL or (name in ("checklist", "latest") and form in ("text", "json")):
        return ("", "-v", "-vv")
    return ("-vv" if form in ("text", "json") else "-v",)


RUNS = [(name, form, more) for name in WHOLE for form in forms(name) for more in loudness(name, form)]


@pytest.mark.parametrize(("name", "form", "more"), RUNS)
def test_no_answer_shows_a_planted_secret(
    evidence: tuple[Evidence, ...], tmp_path: Path, name: str, form: str, more: str
) -> None:
    if form in ("junit", "sarif") and importlib.util.find_spec(f"diagnose.render.{form}") is None:
        pytest.skip(f"diagnose.render.{form} is not there yet")
    first = RUNS.index((name, form, more))
    for number in range(ROTATIONS) if FULL else (first % ROTATIONS,):
        here, other = evidence[number], evidence[(number + 1) % ROTATIONS]
        places = {".": here.folder, "other": other.folder}
        command, *paths = WHOLE[name]
        given_ = [places.get(path, here.folder / path if (here.folder / path).is_file() else path) for path in paths]
        to = ["-o", tmp_path / f"{number}.json"] if command == "collect" else []
        said = run(command, *given_, "--format", form, *to, *([more] if more else []))
        assert said.strip() and "Usage:" not in said, said
        said += "".join(path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
        assert leaked(said, *here.secrets, *other.secrets) is None, (
            number,
            leaked(said, *here.secrets, *other.secrets),
        )


@pytest.mark.skipif("bundle" not in cli.commands, reason="there is no command `bundle` yet")
@pytest.mark.parametrize("number", range(ROTATIONS))
def test_a_bundle_holds_no_planted_secret(evidence: tuple[Evidence, ...], tmp_path: Path, number: int) -> None:
    here = evidence[number]
    said = run("bundle", here.folder, "-o", tmp_path / "case.zip", "--format", "json")
    assert leaked(said, *here.secrets) is None
    assert (tmp_path / "case.zip").is_file(), said
    with zipfile.ZipFile(tmp_path / "case.zip") as archive:
        for name in archive.namelist():
            text = archive.read(name).decode("utf-8")
            assert leaked(name, *here.secrets) is None, name
            assert leaked(text, *here.secrets) is None, (name, leaked(text, *here.secrets))
            assert mask.survivors(text, here.secrets) == (), name


# --- what diagnoses stays ------------------------------------------------------------------------------------------------

CORPUS = Path(os.environ.get("DIAGNOSE_CORPUS", ""))
REAL = sorted(label.parent for label in CORPUS.glob("*/label.json")) if "DIAGNOSE_CORPUS" in os.environ else []
LOST = {
    "environment_incomplete": "the shape of a key in .env is gone when it is masked",
    "storage_key_role": "the role stands inside the JWT of .env",
    "storage_project_mismatch": "the project stands inside the JWT of .env",
}
"""Checks whose finding may differ once evidence is masked, and why."""
INSTEAD = {"storage_key_role": "storage_policy_denied", "storage_project_mismatch": "storage_key_rejected"}
"""What is then named as root: what the refusal itself says."""
TOLD = (
    "bucket_missing", "fal_key_rejected", "storage_key_role", "storage_project_mismatch", "image_unusable", "parameter_unknown",
)  # fmt: skip


def masked_copy(source: Path, folder: Path) -> Path:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes()
            try:
                target.write_bytes(mask.document(data.decode("utf-8")).text.encode("utf-8"))
            except UnicodeDecodeError:
                target.write_bytes(mask.document(data.decode("cp1252", "replace")).text.encode("cp1252", "replace"))
    return folder


def facts(found: Diagnosis) -> dict[str, object]:
    """What an answer comes to, without what only masked evidence cannot tell."""
    return {
        "outcome": found.outcome,
        "generation": found.generation,
        "root": found.root.check if found.root else None,
        "chain": [(link.link, link.status) for link in found.chain],
        "findings": sorted((one.check, one.status) for one in found.findings if one.check not in LOST),
    }


def answer(folder: Path, judged: str) -> dict[str, object]:
    names = [path for path in sorted(folder.iterdir()) if path.name != "label.json"]
    return facts(explain.diagnose(normalise.cases(collect.gather(names), profile.load(judged, folder))[0]))


@pytest.mark.parametrize("name", [fault.name for fault in faults.FAULTS] if FULL else TOLD)
def test_masked_evidence_gives_the_same_answer(on_stage: Stage, tmp_path: Path, name: str) -> None:
    on_stage.write_case(fault(name), tmp_path / "given")
    before, after = (
        answer(tmp_path / "given", "seed"),
        answer(masked_copy(tmp_path / "given", tmp_path / "masked"), "seed"),
    )
    assert after == before | ({"root": INSTEAD[name]} if name in INSTEAD else {})
    assert before["findings"]


@pytest.mark.skipif(not REAL, reason="DIAGNOSE_CORPUS names no folder of real runs")
@pytest.mark.parametrize("folder", REAL, ids=lambda path: path.name)
def test_masked_evidence_of_real_runs_gives_the_same_answer(folder: Path, tmp_path: Path) -> None:
    name = json.loads((folder / "label.json").read_text(encoding="utf-8"))["profile"]
    judged = str(CORPUS / f"{name}.toml") if (CORPUS / f"{name}.toml").exists() else name
    assert answer(masked_copy(folder, tmp_path / "masked"), judged) == answer(folder, judged)
