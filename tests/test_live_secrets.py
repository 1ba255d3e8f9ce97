"""No secret leaves while the living system is looked at: not of the environment, not echoed by a server, not in an error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from diagnose.cli import main
from diagnose.generator.serving import running
from diagnose.generator.standins import keys
from tests.living import black_hole, closed

SERVICE = keys.supabase_key("service_role", None)
ANON = keys.supabase_key("anon", None)
SECRET = keys.secret_key("planted")
PUBLISHABLE = keys.publishable_key("planted")
FAL = keys.fal_key("planted")
PASSWORD = "hunter2-Correct9Horse"
TOKEN = keys.sign({"url": "public/a.jpg", "exp": 4102444800})
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAA" + "AbCdEfGh0123456789+/" * 12
PLANTED = {
    "service": SERVICE,
    "anon": ANON,
    "secret": SECRET,
    "publishable": PUBLISHABLE,
    "fal": FAL,
    "password": PASSWORD,
    "token": TOKEN,
    "picture": PICTURE,
}


def parts(secret: str) -> Iterator[str]:
    """What would be enough of a secret to be one: the whole, its parts, its beginning."""
    yield secret
    yield from (piece for piece in re.split(r"[.:]", secret) if len(piece) >= 24 and not piece.startswith("eyJhbGci"))
    yield secret[len(secret) // 2 :]


async def echo(request: Request) -> Response:
    """A server that says whatever it was told, in every place where a server can."""
    heard = f"{request.headers.get('apikey')} {request.headers.get('authorization')} {TOKEN}"
    told: dict[str, Any] = {
        "statusCode": "403",
        "code": "AccessDenied",
        "error": f"Unauthorized {SECRET}",
        "message": f"Invalid Compact JWS: {heard}",
        "status": f"https://x.supabase.co/storage/v1/object/sign/public/a.jpg?token={TOKEN}",
        "version": FAL,
        "commit": FAL,
        "info": {"title": heard, "version": heard},
        "paths": {f"/{SECRET}": {"post": {}}},
        "fal_request": {
            "model": "fal-ai/flux/schnell",
            "prompt": heard,
            "image_url": f"data:image/png;base64,{PICTURE}",
        },
        "request": {"image_url": f"data:image/png;base64,{PICTURE}"},
        "timestamp": heard,
        "models": [{"endpoint_id": heard, "metadata": {"status": heard}}],
        "items": [{"request_id": heard, "json_input": {"key": heard}}],
        "url": f"/object/upload/sign/public/x?token={TOKEN}",
        "token": TOKEN,
    }
    headers = {
        "server": f"nginx {SECRET}",
        "location": f"https://elsewhere.example/?apikey={SERVICE}",
        "x-fal-request-id": FAL,
    }
    if request.url.path.endswith("/version"):
        return PlainTextResponse(f"1.0 {heard}", headers=headers)
    return JSONResponse(told, {"/health": 200, "/openapi.json": 200}.get(request.url.path, 400), headers)


@pytest.fixture(scope="module")
def echoing() -> Iterator[str]:
    with running(Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST", "DELETE"])])) as url:
        yield url


def evidence(folder: Path, url: str) -> None:
    """Files that hold every kind of secret."""
    (folder / "backend.log").write_text(
        f"INFO:main:Uploading with key {SERVICE}\nERROR:main:Illegal header value b'{SECRET}\\n'\n"
        f"INFO:main:✅ Image uploaded successfully: {url}/storage/v1/object/sign/public/a.jpg?token={TOKEN}\n"
        f'INFO:httpx:HTTP Request: POST https://fal.run/fal-ai/flux/schnell "HTTP/1.1 401 Unauthorized"\n'
        f"ERROR:main:connection to postgresql://postgres:{PASSWORD}@db.example:5432/postgres failed\n"
        f"INFO:main:Authorization: Key {FAL}\n",
        encoding="utf-8",
    )
    (folder / ".env").write_text(
        f'SUPABASE_URL={url}\nSUPABASE_SERVICE_KEY="{SECRET}\\n"\nSUPABASE_ANON_KEY={ANON}\nFAL_KEY=Bearer {FAL}\n'
        f"SUPABASE_DB_URL=postgresql://postgres:{PASSWORD}@db.example:5432/postgres\n"
    )
    headers = [
        {"name": "Authorization", "value": f"Bearer {SERVICE}"},
        {"name": "Cookie", "value": f"sb-access-token={TOKEN}"},
    ]
    posted = {
        "mimeType": "application/json",
        "text": json.dumps({"prompt": FAL, "face_image": f"data:image/png;base64,{PICTURE}"}),
    }
    har = {"log": {"entries": [{"request": {"method": "POST", "url": f"{url}/api/generate-image?token={TOKEN}", "headers": headers, "postData": posted},
                                "response": {"status": 500, "headers": headers, "content": {"text": f"key {SECRET} is wrong"}}}]}}  # fmt: skip
    (folder / "session.har").write_text(json.dumps(har))
    (folder / "console.txt").write_text(f"POST {url}/api/generate-image?apikey={PUBLISHABLE} net::ERR_FAILED\n")


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str) -> str:
    monkeypatch.setattr("sys.argv", ["diagnose", *args])
    with pytest.raises(SystemExit):
        main()
    out, err = capsys.readouterr()
    return out + err


def survivors(text: str) -> list[str]:
    return [name for name, secret in PLANTED.items() if any(part in text for part in parts(secret))]


COMMANDS = [
    ("checklist", ".", "--live", "--online", "--probe-upload"),
    ("checklist", ".", "--live", "-vv"),
    ("checklist", ".", "--live", "-vv", "--format", "json"),
    ("checklist", "--live", "-vv", "--lang", "id"),
    ("checklist", "--har", "session.har", "--console", "console.txt", "-v"),
    ("checklist", ".", "--all", "-v", "--live"),
    ("collect", ".", "--live", "-o", "-", "-vv"),
    ("latest-log", "backend.log", "-v"),
    ("checklist", "--backend-url", f"https://user:{PASSWORD}@127.0.0.1:9/?token={TOKEN}", "-vv"),
    ("checklist", "--supabase-url", f"http://user:{PASSWORD}@127.0.0.1:9", "-vv", "--format", "json"),
    ("checklist", "--supabase-url", f"postgresql://postgres:{PASSWORD}@db.example/x"),
    ("checklist", f"{SECRET}.log"),
    ("checklist", ".", "--profile", f"{FAL}.toml"),
    ("checklist", ".", "--at", SERVICE),
    ("checklist", ".", "--live", "--allow-host", SECRET, "-vv"),
    ("collect", ".", "-o", f"/nowhere/{SERVICE}/case.json"),
]


@pytest.mark.parametrize("environment", ["service", "secret", "newline", "quoted", "cut"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c)[:40])
def test_no_secret_survives(
    command: tuple[str, ...], environment: str, echoing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    given = {
        "service": SERVICE,
        "secret": SECRET,
        "newline": f"{SERVICE}\n",
        "quoted": f'"{SECRET}"',
        "cut": SERVICE[:-7],
    }
    evidence(tmp_path, echoing)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIAGNOSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SUPABASE_URL", echoing)
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", given[environment])
    monkeypatch.setenv("FAL_KEY", f"{FAL}\n" if environment == "newline" else FAL)
    monkeypatch.setenv("DIAGNOSE_FAL_API", echoing)
    monkeypatch.setenv("DIAGNOSE_FAL_SCHEMAS", f"{echoing}/schemas")
    text = said(capsys, monkeypatch, *command)
    assert text.strip() and not survivors(text), [line for line in text.splitlines() if survivors(line)]
    kept = "".join(p.read_text(errors="replace") for p in (tmp_path / "cache").rglob("*") if p.is_file())
    assert not survivors(kept)
    assert "internal error" not in text and "Traceback" not in text


@pytest.mark.parametrize("gone", ["hole", "closed"])
def test_no_secret_survives_a_network_that_is_gone(
    gone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with black_hole() as hole:
        url = hole if gone == "hole" else closed()
        evidence(tmp_path, url)
        monkeypatch.chdir(tmp_path)
        text = said(capsys, monkeypatch, "checklist", ".", "--live", "-vv", "--deadline", "1", "--backend-url", url)
        text += said(
            capsys, monkeypatch, "collect", ".", "--live", "-o", "case.json", "--deadline", "1", "--backend-url", url
        )
    text += (tmp_path / "case.json").read_text()
    assert not survivors(text), [line for line in text.splitlines() if survivors(line)]


def test_a_secret_has_one_pseudonym_in_every_output(
    echoing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence(tmp_path, echoing)
    monkeypatch.chdir(tmp_path)
    text = said(capsys, monkeypatch, "checklist", ".", "-v")
    document = said(capsys, monkeypatch, "checklist", ".", "--format", "json")
    said(capsys, monkeypatch, "collect", ".", "-o", "case.json")
    saved = (tmp_path / "case.json").read_text()
    found = [set(re.findall(r"<(?:jwt|supabase-key|fal-key|token|password|key):[0-9a-f]{6}>", one)) for one in (text, document, saved)]  # fmt: skip
    assert found[0] and found[0] <= found[2] and found[1] <= found[2]
