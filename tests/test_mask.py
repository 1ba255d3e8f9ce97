"""No secret leaves: not whole, not cut, in no form and through no door; and what a reader needs stays."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagnose import mask
from diagnose.cli import main
from diagnose.generator import faults
from diagnose.generator.demo import Stage

FAL = "e8ef8061-1234-4abc-9def-0123456789ab:0123456789abcdef0123456789abcdef"
JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZSIsInJlZiI6InFod3p2Ym5rZG10eXJjeGFlcGxvIn0"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
SECRET_KEY = "sb_secret_Nq7vXw2LkPz0aBcD3eFgHi_1jK4mNoP"
PUBLISHABLE = "sb_publishable_Zx9yWv8uTs7rQp6oNm5lKj_4iHgF3e"
MANAGEMENT = "sbp_0123456789abcdef0123456789abcdef01234567"
SIGNATURE = "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024"
OPAQUE = "v7Kq2mZx9Lw4Rt8Yp3Ns6Bd1"
PASSWORD = "hunter2-Correct9Horse"
BASIC = "c3ZjOmh1bnRlcjItQ29ycmVjdDlIb3JzZQ=="
SIGNED = f"https://qhwzvbnkdmtyrcxaeplo.supabase.co/storage/v1/object/sign/public/a.jpg?token={JWT}"
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAA" + "AbCdEfGh0123456789+/" * 12

# A secret, and the ways in which people's files hold it.
FORMS: tuple[tuple[str, str], ...] = (
    *((FAL, form) for form in ("{}", "Key {}", "FAL_KEY={}", 'FAL_KEY = "{}"', "using key '{}'", "https://{}@fal.run/x", "({})")),
    *((key, form) for key in (FAL, JWT, OPAQUE) for form in (
        "Authorization: Key {}", "authorization: Bearer {}", "{{'Authorization': 'Key {}'}}", '{{"authorization":"Bearer {}"}}',
        '{{\\"Authorization\\": \\"Bearer {}\\"}}', "curl -X POST -H 'Authorization: Key {}' https://fal.run/x",
        'curl -H "apikey: {}"', "{{'apikey': '{}'}}", "headers=[(b'Authorization', b'Key {}')]", '{{"name": "Authorization", "value": "Bearer {}"}}',
        "Authorization=Bearer%20{}", "Illegal header value b'Key {}\\n'", "Illegal header value b'{}\\n'", "Bearer {}",
    )),
    *((key, form) for key in (JWT, SECRET_KEY, PUBLISHABLE, MANAGEMENT) for form in ("{}", "key={}", "SUPABASE_SERVICE_ROLE_KEY='{}'", "(\"{}\")", "\\n{}")),
    *((OPAQUE, form) for form in (
        "FAL_KEY_SECRET={}", "SUPABASE_KEY: {}", '"client_secret": "{}"', '"access_token": "{}"', '"refresh_token":"{}"', "https://x.io/a?token={}",
        "https://x.io/a?b=1&apikey={}", "https://x.io/a?x=1\\u0026token={}", "https://x.io/?u=%3Ftoken%3D{}", "Cookie: session={}; theme=dark",
        "'cookie': 'sb-access-token={}'", '{{"name": "sb-access-token", "value": "{}"}}', "Set-Cookie: id={}; HttpOnly", "x-api-key: {}",
        "FAL_KEY starts with: {}", "key prefix: {}...", "api key = {}",
    )),
    *((SIGNATURE, form) for form in ("https://b.s3.amazonaws.com/k.jpg?X-Amz-Expires=60&X-Amz-Signature={}", "https://x.io/?Signature={}", "https://x.io/?sig={}")),
    *((PASSWORD, form) for form in ("postgres://postgres:{}@db.host:5432/x", "redis://:{}@host", "password={}", '"password": "{}"', "DB_PASSWORD={}")),
    *((BASIC, form) for form in ("Authorization: Basic {}", "{{'Authorization': 'Basic {}'}}", "-H 'authorization: basic {}'", "Basic {}")),
    (PICTURE, "data:image/png;base64,{}"), (PICTURE, "{}"), (PICTURE, '{{"face_image": "data:image/jpeg;base64,{}"}}'),
    ("ana.wijaya@example.org", "{}"), ("ana.wijaya@example.org", "user <{}>"), ("ana.wijaya@example.org", '"email":"{}"'),
)  # fmt: skip

KEPT = (
    "7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10/face/f66be726-04f6-43a7-bd37-8b7ca91fc5d4.jpg",
    "request_id: 764cabcf-b745-4b3e-ae38-1200304cf45b",
    "request id 764cabcf-b745-4b3e-ae38-1200304cf45b not found",
    "fal-ai/flux-general/image-to-image",
    "https://v3.fal.media/files/elephant/AbCdEf_0123456789abcdefghij_0123456789abcdef0123456789abcdef.png",
    "https://qhwzvbnkdmtyrcxaeplo.supabase.co/storage/v1/object/public/IMAGES_UPLOAD/7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10/a.jpg?",
    "http://127.0.0.1:8000/api/generate-image",
    "http://localhost:54321/storage/v1/object/public/x.jpg",
    "backend/fal_service.py:39",
    "prompt_log.json@4124",
    "prompt_log.json#/3/request/image_url",
    "IMG_20260111_064432.jpg icon@2x.png 20260111-0644",
    "FAL_KEY is not configured",
    "FAL_KEY: not configured",
    "SUPABASE_SERVICE_KEY missing, FAL_KEY: missing",
    "'SUPABASE_SERVICE_KEY' holds an anon key where a service key is needed",
    "token verification failed: token is expired",
    'Token verification failed: 403 - {"code":403,"error_code":"bad_jwt","msg":"invalid JWT"}',
    "Authorization header missing",
    "Authorization: Bearer <user access token>",
    "Access-Control-Allow-Headers: Authorization, Content-Type, apikey, x-client-info",
    "copy the service_role (or sb_secret_) key; create a key and copy it whole (id:secret)",
    "Basic authentication is required",
    "max_tokens: 1024",
    "KeyAlreadyExists: Key public/face/1.jpg",
    "Illegal header value b'<KEY>\\n'",
    "the key 'image_strength' is unknown; key: image_url",
    "2026-01-11T06:44:32.716926",
    "@fal-ai/client@1.2.3",
    "the password is wrong",
)


def leaked(text: str, secret: str) -> str | None:
    """Twelve or more characters of a secret that stand in a text, whatever was done to its white space."""
    squeezed = re.sub(r"\s+", "", text)
    secret = re.sub(r"^sb(?:p|_secret|_publishable)_", "", secret)
    parts = (secret[at : at + 12] for at in range(len(secret) - 11))
    return next((part for part in parts if part in squeezed), None)


@pytest.mark.parametrize(("secret", "form"), FORMS)
def test_a_secret_is_masked_in_every_form(secret: str, form: str) -> None:
    for around in ("{}", "INFO: before {} after it", "error: {}. Then more", "{}\nnext line", '"{}"'):
        said = around.format(form.format(secret))
        shown = mask.text(said)
        assert leaked(shown, secret) is None, shown
        assert mask.text(shown) == shown


@pytest.mark.parametrize(("secret", "form"), [(s, f) for s, f in FORMS if s not in (OPAQUE, PICTURE) and "@" not in s])
def test_the_beginning_of_a_secret_is_masked_as_well(secret: str, form: str) -> None:
    said = form.format(secret)
    start = said.index(secret)
    bare = form in ("{}", "({})")  # nothing tells that it is a key
    for end in range(start + 12, start + len(secret)):
        if bare and secret is FAL and end - start == 36:
            continue  # cut between id and secret
        for tail in ("", "...", "... (70 characters)", "'"):
            shown = mask.text(said[:end] + tail)
            assert leaked(shown, secret) is None, said[:end] + tail


@pytest.mark.parametrize("text", KEPT)
def test_what_a_reader_needs_stays(text: str) -> None:
    assert mask.text(text) == text
    assert mask.text(f"INFO: {text} and more") == f"INFO: {text} and more"


def test_the_same_secret_has_the_same_name_everywhere() -> None:
    names = {
        found
        for form in ("{}", "Key {}", "FAL_KEY={}", "'{}'")
        for found in re.findall(r"<[\w-]+:\w+>", mask.text(form.format(FAL)))
    }
    assert len(names) == 1
    assert mask.text(FAL) != mask.text(FAL.replace("e8ef", "e8ee"))


def test_a_key_printed_in_part_is_masked() -> None:
    for said in (
        "FAL_KEY starts with: e8ef8061-...",
        "key: e8ef8061...",
        "API key loaded: 'e8ef8061-12…'",
        "token = abcd1234***",
    ):
        assert not re.search(r"e8ef8061|abcd1234", mask.text(said)), said


def test_a_value_under_a_secrets_name_is_masked() -> None:
    given_ = {
        "headers": {"Authorization": f"Key {OPAQUE}", "x-api-key": OPAQUE, "Cookie": f"a={OPAQUE}"},
        "password": PASSWORD,
        "list": [{"fal_key": OPAQUE}],
    }
    shown = json.dumps(mask.value(given_))
    assert leaked(shown, OPAQUE) is None and leaked(shown, PASSWORD) is None
    assert mask.value({"model": "fal-ai/flux/schnell", "key": "image_url", "token": "is missing", "n": [1, None, True, 0.5]}) == {
        "model": "fal-ai/flux/schnell", "key": "image_url", "token": "is missing", "n": [1, None, True, 0.5]}  # fmt: skip
    deep: Any = FAL
    for _ in range(3000):
        deep = [deep]
    assert leaked(json.dumps(mask.value(deep)), FAL) is None


@given(st.integers(0, 600), st.integers(1, 700), st.sampled_from(FORMS))
def test_a_cut_never_leaves_half_a_secret(before: int, limit: int, planted: tuple[str, str]) -> None:
    secret, form = planted
    shown = mask.cut("x " * before + form.format(secret) + " y" * 300, limit)
    assert leaked(shown, secret) is None
    assert len(shown) <= limit + 30


def test_a_cut_of_a_long_text_leaves_none_either() -> None:
    for before in range((1 << 16) - 90, (1 << 16) + 8, 7):
        text = "data:image/png;base64," + "A" * (before - 30) + " " + FAL + " " + "z " * 40_000
        assert leaked(mask.cut(text, 3000), FAL) is None


@given(st.text(st.sampled_from("ab1:/=-_.@?&<>\"' eyJKkey"), max_size=80) | st.text(max_size=80))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = mask.text(text)
    assert mask.text(once) == once


PIECES = (
    *(
        "a",
        "eyJ",
        "-",
        "a-",
        "key:",
        "?token",
        "://",
        "a@",
        "data:",
        "e8ef8061-",
        "authorization",
        "cookie:",
        "A_",
        "KEY_",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "starts with ",
        "x_token",
        "header value ",
        ";token=a",
        ";x",
        "secret ",
        "sb_secret_",
    ),
    *("://a:b", '"name": "', "Bearer ", "aA0/", "sb-", "password=", "=", "%3F", "a=", "Key ", "a.", "data:a/b;c"),
)


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long(piece: str) -> None:
    def taken(characters: int) -> float:
        text = piece * (characters // len(piece))
        started = time.perf_counter()
        mask.text(text)
        return time.perf_counter() - started

    assert taken(300_000) < max(2.0, 40 * taken(30_000))
    started = time.perf_counter()
    mask.cut(piece * (5_000_000 // len(piece)), 2000)
    assert time.perf_counter() - started < 3


# --- through every door ------------------------------------------------------------------------------------------------

CASES = ("bucket_missing", "fal_key_rejected", "image_unusable")
PLANTED = tuple(dict.fromkeys(secret for secret, _ in FORMS if secret is not PICTURE))
LINES = tuple(form.format(secret) for secret, form in FORMS)


@pytest.fixture(scope="module")
def evidence(on_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("evidence")
    for name in CASES:
        fault = next(fault for fault in faults.FAULTS if fault.name == name)
        on_stage.write_case(fault, top / name)
    return top


def said_by(*arguments: str, stdin: bytes = b"") -> str:
    """Everything a command writes, to either stream."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["diagnose", *arguments], io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv, sys.stdin = before
    assert ended.value.code in (0, 1, 2, 3, 4), (arguments, err.getvalue())
    return out.getvalue() + err.getvalue()


def planted(folder: Path, source: Path, line: str) -> Iterator[list[str]]:
    """Commands on copies of real evidence in which a line with a secret stands wherever one can stand."""
    folder.mkdir(exist_ok=True)
    quoted = json.dumps(line)[1:-1]
    log = (source / "backend.log").read_text(encoding="utf-8").splitlines()
    middle = len(log) * 3 // 4
    noisy = [
        *log[:middle], f"ERROR:main:Failed to upload to Supabase Storage: {line}", f"INFO:     Prompt: {line}",
        f"❌ Error converting base64 to image bytes: {line}", f"httpx.LocalProtocolError: {line}", *log[middle:],
        "Traceback (most recent call last):", '  File "fal_service.py", line 3, in x', f"RuntimeError: {line}",
    ]  # fmt: skip
    (folder / "backend.log").write_text("\n".join(noisy), encoding="utf-8")
    (folder / "alone.log").write_text(
        f"INFO:     {line}\nERROR:    fal.ai request failed: 401 {line}\nhttpx.LocalProtocolError: {line}\n",
        encoding="utf-8",
    )
    record = (source / "prompt_log.json").read_text(encoding="utf-8")
    entries = json.loads(record)
    for entry in entries[-2:]:
        entry["request"] = {
            **entry.get("request", {}),
            "note": line,
            "image_url": line,
            "original_prompt": line,
            line: line,
        }
        entry["fal_request"] = {
            **entry.get("fal_request", {}),
            "prompt": line,
            "model": line,
            "image_strength": line,
            line: 1,
        }
        entry["timestamp"] = line
    (folder / "prompt_log.json").write_text(json.dumps(entries), encoding="utf-8")
    (folder / "cut.json").write_text(json.dumps(entries)[:-40], encoding="utf-8")
    (folder / "broken.json").write_text(f"[{{{line}]", encoding="utf-8")
    (folder / "request.json").write_text(
        f'{{"method": "POST", "url": "{quoted}", "headers": {{"Authorization": "{quoted}", "apikey": "{quoted}"}}, "body": {{"prompt": "{quoted}", "face_image": "{quoted}", "photo": "{quoted}"}}}}',
        encoding="utf-8",
    )
    (folder / "response.json").write_text(
        f'{{"status": 500, "headers": {{"set-cookie": "{quoted}"}}, "body": {{"detail": "Failed: {quoted}"}}}}',
        encoding="utf-8",
    )
    (folder / "plain.json").write_text(f'{{"detail": "{quoted}"}}', encoding="utf-8")
    (folder / ".env").write_text(
        f"FAL_KEY={line}\nSUPABASE_URL={line}\nSUPABASE_SERVICE_KEY='{line}'\nSUPABASE_KEY={line}\n", encoding="utf-8"
    )
    (folder / "ticket.md").write_text(
        f"# Why?\n\nIt says `{line}`\n\n```json\n{json.dumps(entries[-1], indent=1)}\n```\n\n```\nERROR: {line}\n```\n",
        encoding="utf-8",
    )
    (folder / "console.txt").write_text(
        f"POST http://127.0.0.1:8000/api/generate-image 401 ({line})\nAccess to fetch at 'x' has been blocked by CORS policy: {line}\nnet::ERR_CONNECTION_REFUSED {line}\n",
        encoding="utf-8",
    )
    every = [str(folder / name) for name in ("backend.log", "prompt_log.json", "request.json", "response.json", ".env")]
    for form in (["-v"], ["--format", "json"]):
        yield ["checklist", *every, *form]
        yield ["checklist", "--all", *every, *form]
        for name in (
            "alone.log",
            "prompt_log.json",
            "request.json",
            "response.json",
            "plain.json",
            ".env",
            "ticket.md",
            "console.txt",
        ):
            yield ["checklist", str(folder / name), *form]
        yield ["latest-log", str(folder / "cut.json"), *form]
        yield ["latest-log", str(folder / "broken.json"), *form]
        yield [
            "validate",
            str(folder / "prompt_log.json"),
            str(folder / "cut.json"),
            str(folder / "broken.json"),
            str(folder / "plain.json"),
            *form[:-1],
            *(form[-1:] if form[0] != "-v" else []),
        ]
    for name in (line, f"{line}.json"):
        yield ["latest-log", name]
        yield ["checklist", "--match", line, *every]
    yield ["explain", line]
    yield ["schema", line]
    yield ["validate", line]
    yield ["demo", "--break", line]
    yield ["checklist", "x", "--profile", line]


@settings(max_examples=24, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.sampled_from(LINES), case=st.sampled_from(CASES), chosen=st.data())
def test_no_command_shows_a_secret(evidence: Path, tmp_path: Path, line: str, case: str, chosen: st.DataObject) -> None:
    commands = list(planted(tmp_path / "planted", evidence / case, line))
    for arguments in chosen.draw(st.lists(st.sampled_from(commands), min_size=8, max_size=8)):
        said = said_by(*arguments)
        for secret in PLANTED:
            assert secret not in line or leaked(said, secret) is None, (arguments, leaked(said, secret), line)


@pytest.mark.parametrize("distance", range(0, 170, 9))
def test_a_message_cut_in_the_middle_of_a_secret_shows_nothing_of_it(tmp_path: Path, distance: int) -> None:
    for secret, form in (
        (FAL, "{}"),
        (FAL, "Key {}"),
        (JWT, "{}"),
        (SECRET_KEY, "{}"),
        (PASSWORD, "postgres://u:{}@h/x"),
    ):
        line = "m" * distance + " " + form.format(secret)
        (tmp_path / "backend.log").write_text(
            f'INFO: Images received from frontend: 1\nERROR: Error uploading to Supabase Storage: {line}\nRuntimeError: {line}\nINFO: "POST /api/generate-image HTTP/1.1" 500\n'
        )
        (tmp_path / "response.json").write_text(json.dumps({"status": 500, "body": {"detail": line}}))
        for form_ in ("text", "json"):
            for file in ("backend.log", "response.json"):
                said = said_by("checklist", str(tmp_path / file), "--format", form_)
                assert leaked(said, secret) is None, (distance, form, leaked(said, secret))
