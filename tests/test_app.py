"""The backend over HTTP: its answers, its records, its page, and what becomes of everything that can go wrong."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from diagnose import profile, serve
from diagnose.generator import app, entrance
from diagnose.generator.embedded import Breaker
from diagnose.generator.faults import data_url, photo
from diagnose.generator.serving import listen, running

SEED = profile.build(profile.BUILT_IN["seed"], "seed")
I2I, T2I = SEED.image_to_image, SEED.text_to_image
BREAKABLE = Breaker(None, None, None, SEED).breakable  # type: ignore[arg-type]  # they depend on the profile alone
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass
class Served:
    """A backend that answers."""

    http: httpx.Client
    built: serve.Built
    data: Path
    said: list[str]

    def generate(self, **fields: Any) -> httpx.Response:
        return self.http.post("/api/generate-image", json={"prompt": "a red chair", **fields})

    def entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.data / "prompt_log.json").read_text(encoding="utf-8"))
        return found

    def log(self) -> str:
        return (self.data / "backend.log").read_text(encoding="utf-8")

    def break_(self, name: str) -> None:
        assert self.http.post("/break", data={"name": name}).status_code == 303


@contextlib.contextmanager
def serving(data: Path, **options: Any) -> Iterator[Served]:
    said: list[str] = []
    given = {"host": "127.0.0.1", "port": 0, "prompt_log": None, "keep": None, "log_format": "plain", "embedded": True}
    chosen = serve.Options(**{**given, "data": data, **options})
    with serve.backend(chosen, SEED, said.append, None) as built:
        journal = built.backend.journal
        with running(built.app, journal.enter) as origin, httpx.Client(base_url=origin, timeout=30) as http:
            yield Served(http, built, data, said)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def served(kept: Served) -> Iterator[Served]:
    """A sound backend; whatever a test broke is mended behind it, and no test leaves an unhandled exception in the log."""
    yield kept
    assert kept.built.backend.switch is not None
    kept.built.backend.switch.apply(None)
    assert "Exception in ASGI application" not in kept.log()


def picture(served: Served, url: str) -> Any:
    from PIL import Image

    found = served.http.get("/pictures", params={"url": url})
    assert (found.status_code, found.headers["content-type"]) == (200, "image/png")
    return Image.open(io.BytesIO(found.content)).convert("RGB")


def likeness(one: Any, other: Any) -> float:
    """0 for the same picture, 255 for black and white."""
    from PIL import ImageChops, ImageStat

    difference = ImageChops.difference(one, other.resize(one.size))
    return sum(ImageStat.Stat(difference).mean) / 3


# What it answers.


def test_a_photo_is_seen_in_the_picture(served: Served) -> None:
    from PIL import Image

    answer = served.generate(face_image=photo(900, 1200))
    body = answer.json()
    assert answer.status_code == 200
    assert (body["debug_info"]["generation_mode"], body["debug_info"]["model"]) == ("image-to-image", I2I)
    assert body["request_id"] == answer.headers["x-request-id"]
    given = Image.open(io.BytesIO(base64.b64decode(photo(900, 1200).partition(",")[2]))).convert("RGB")
    drawn = {
        strength: picture(
            served, served.generate(face_image=photo(900, 1200), image_strength=strength).json()["images"][0]
        )
        for strength in (0.1, 0.5, 0.9)
    }
    assert likeness(drawn[0.1], given) < likeness(drawn[0.5], given) < likeness(drawn[0.9], given)
    assert likeness(drawn[0.5], picture(served, body["images"][0])) == 0, "0.5 is what the profile says"


def test_bare_base64_and_every_field_are_taken(served: Served) -> None:
    bare = photo(900, 1200).partition(",")[2]
    served.generate(face_image=photo(300, 300), product_images=[bare, bare], background_image=bare)
    newest = served.entries()[-1]
    assert newest["request"]["num_product_images"] == 2
    assert newest["request"]["has_face_image"] and newest["request"]["has_background_image"]
    assert re.search(rf"/local/face/{UUID}\.jpg$", newest["fal_request"]["image_url"]), "the face comes first"


def test_no_photo_makes_a_picture_of_the_words_alone(served: Served) -> None:
    answer = served.generate().json()
    assert (answer["debug_info"]["generation_mode"], answer["debug_info"]["model"]) == ("text-to-image", T2I)
    again = served.generate().json()
    assert likeness(picture(served, answer["images"][0]), picture(served, again["images"][0])) == 0
    other = served.generate(prompt="a blue chair").json()
    assert likeness(picture(served, answer["images"][0]), picture(served, other["images"][0])) > 0


def test_a_form_is_taken_as_well(served: Served) -> None:
    file = ("../../selfie\x1b[2J.jpg", base64.b64decode(photo(900, 1200).partition(",")[2]), "image/jpeg")
    answer = served.http.post("/api/generate-image", data={"prompt": "p"}, files={"image": file})
    assert answer.json()["debug_info"]["generation_mode"] == "image-to-image"
    newest = served.entries()[-1]
    assert newest["request"]["request_format"] == "multipart/form-data"
    assert "selfie" not in newest["upload"]["path"]
    assert "\x1b" not in served.log()


@pytest.mark.parametrize(
    ("content", "kind", "status", "detail"),
    [
        (b"{", "application/json", 422, "the body is not a JSON object"),
        (b"[1]", "application/json", 422, "the body is not a JSON object"),
        (b"[" * 100_000, "application/json", 422, "the body is not a JSON object"),
        (b"\xff\xfe", "application/json", 422, "the body is not a JSON object"),
        (b"{}", "application/json", 422, "Missing required field: prompt"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "send the request as application/json or multipart"),
        (b"{}", "", 415, "send the request as application/json or multipart"),
        (b"", "multipart/form-data", 400, "Missing boundary in multipart"),
        (b"--x\r\n", "multipart/form-data; boundary=x", 422, "Missing required field: prompt"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    served: Served, content: bytes, kind: str, status: int, detail: str
) -> None:
    answer = served.http.post("/api/generate-image", content=content, headers={"content-type": kind} if kind else {})
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(detail)
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (data_url(b"GIF89a" + bytes(50)), "Unsupported image format: GIF"),
        ("data:image/jpeg;base64,!!!", "Failed to convert base64 to image bytes"),
        (photo(100, 100), "Image too small: 100x100px"),
        ({"url": "x"}, "not a string but an object"),
        ("x" * (16 * 2**20), "Image file too large"),
    ],
)
def test_a_photo_that_cannot_be_used_is_named(served: Served, image: object, said: str) -> None:
    answer = served.generate(face_image=image)
    assert answer.json()["debug_info"]["generation_mode"] == "text-to-image"
    assert said in served.entries()[-1]["upload"]["error"]
    shown = served.http.get(f"/batches/{answer.json()['request_id']}").text
    assert "image_unusable" in shown


# Who may ask.


def test_the_newest_prompt_is_for_this_machine_or_for_the_token(served: Served) -> None:
    served.generate(prompt="a secret plan")
    path = "/api/debug/last-prompt"
    assert served.http.get(path).json()["enhanced_prompt"] == "a secret plan"
    for headers, status in (
        ({"x-forwarded-for": "203.0.113.9"}, 403),
        ({"via": "1.1 proxy"}, 403),
        ({"origin": "http://localhost:3000"}, 403),
        ({"host": "rebound.example"}, 421),
    ):
        refused = served.http.get(path, headers=headers)
        assert refused.status_code == status
        assert "secret" not in refused.text
    served.built.backend.token = "t0ken"
    told = served.http.get(path, headers={"via": "1.1 proxy", "authorization": "Bearer t0ken"})
    wrong = served.http.get(path, headers={"via": "1.1 proxy", "authorization": "Bearer token"})
    served.built.backend.token = None
    assert (told.status_code, wrong.status_code) == (200, 403)


def test_a_strangers_page_cannot_act_here(served: Served) -> None:
    before = len(served.entries()) if (served.data / "prompt_log.json").exists() else 0
    for path, origin, status in (
        ("/api/generate-image", "https://evil.example", 403),
        ("/break", "null", 403),
        ("/break", "http://[", 403),
        ("/api/browser-errors", "https://evil.example", 403),
        ("/api/browser-errors", "http://localhost:3000", 204),
    ):
        answer = served.http.post(path, json={"prompt": "p"}, headers={"origin": origin})
        assert answer.status_code == status, path
    assert len(served.entries()) == before
    allowed = served.http.options(
        "/api/generate-image",
        headers={"origin": "http://localhost:3000", "access-control-request-method": "POST"},
    )
    assert allowed.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_health_names_the_build_and_ready_what_is_missing(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = served.http.get("/health").json()
    assert health["status"] == "ok"
    assert re.fullmatch(r"[0-9a-f]{12}", health["source"])
    assert served.http.get("/ready").json() == {"ready": True, "missing": [], "embedded": True}
    monkeypatch.setenv("FAL_KEY", "a-value-that-is-never-shown")
    with serving(tmp_path, embedded=False) as bare:
        ready = bare.http.get("/ready")
        refused = bare.generate(face_image=photo(300, 300))
        assert "settings are missing: SUPABASE_URL, SUPABASE_SERVICE_KEY" in " ".join(bare.said)
    assert ready.status_code == 503
    assert ready.json()["missing"] == ["SUPABASE_URL", "SUPABASE_SERVICE_KEY"]
    assert (refused.status_code, refused.json()["detail"]) == (503, "SUPABASE_URL is not configured")
    assert "a-value" not in ready.text + refused.text + bare.log()


# What it keeps.


def test_every_line_of_a_request_carries_its_id(served: Served) -> None:
    answer = served.generate(face_image=photo(300, 300))
    request_id = answer.headers["x-request-id"]
    lines = [line for line in served.log().splitlines() if request_id in line]
    for said in (
        "Images received from frontend",
        "Init Image URL: YES",
        "HTTP Request: POST https://qhwzvbnkdmtyrcxaeplo.supabase.co/storage/v1/object/public/local/face/",
        f'HTTP Request: POST https://fal.run/{I2I} "HTTP/1.1 200 OK"',
        '"POST /api/generate-image HTTP/1.1" 200 OK',
    ):
        assert any(said in line for line in lines), said
    newest = served.entries()[-1]
    assert newest["request_id"] == request_id
    assert newest["decision"]["reason"] == "IMAGE_TO_IMAGE_SELECTED"
    assert newest["fal_request_id"]


def test_the_tool_reads_what_the_backend_wrote(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.break_("bucket_missing")
    served.generate(face_image=photo(300, 300))
    command = [sys.executable, "-m", "diagnose", "checklist", str(served.data), "--format", "json"]
    ran = subprocess.run(command, capture_output=True, check=False)
    document = json.loads(ran.stdout)
    assert (ran.returncode, document["root"]["check"]) == (1, "bucket_missing")


def test_a_corrupt_prompt_log_is_set_aside_and_said_so(tmp_path: Path) -> None:
    (tmp_path / "prompt_log.json").write_text('[{"timestamp": "2026', encoding="utf-8")
    with serving(tmp_path) as served:
        assert any("set aside as prompt_log.json.corrupt-" in line for line in served.said)
        served.generate()
        assert len(served.entries()) == 1
    assert [p.read_text() for p in tmp_path.glob("prompt_log.json.corrupt-*")] == ['[{"timestamp": "2026']
    assert "set aside" in served.log()


def test_a_prompt_log_of_lines_keeps_what_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    with serving(tmp_path, prompt_log=file, keep=0) as served:
        for _ in range(12):
            served.generate()
    assert len([json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]) == 12


def test_what_cannot_be_saved_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with serving(tmp_path, prompt_log=tmp_path / "file" / "prompt_log.json") as served:
        assert served.generate().status_code == 200
    assert "Failed to save prompt log:" in served.log()


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "backend.log").mkdir()
    with serving(tmp_path) as served:
        answer = served.generate(face_image=photo(300, 300))
        assert answer.status_code == 200
        assert any("cannot be written" in line for line in served.said)
        assert served.http.get(f"/batches/{answer.json()['request_id']}").status_code == 200


def test_a_restart_goes_on_where_it_ended(tmp_path: Path) -> None:
    for _ in range(2):
        with serving(tmp_path) as served:
            served.generate()
    assert len(served.entries()) == 2


# What can break.


@pytest.mark.parametrize("fault", BREAKABLE, ids=lambda fault: fault.name)
def test_a_link_that_the_page_breaks_is_the_one_it_explains(served: Served, fault: Any) -> None:
    served.break_(fault.name)
    answer = served.generate(face_image=photo(600, 800), prompt="a chair, gore")
    shown = served.http.get(f"/batches/{answer.json()['request_id']}", headers={"accept-language": "en"})
    assert shown.status_code == 200
    assert f"<code>{fault.check}</code>" in shown.text
    served.break_("")
    assert served.generate(face_image=photo(600, 800)).json()["debug_info"]["generation_mode"] == "image-to-image"


@pytest.mark.parametrize("name", ["storage_project_mismatch", "storage_key_role", "bucket_missing", "bucket_private"])
def test_storage_is_not_blamed_for_a_photo_that_nobody_sent(served: Served, name: str) -> None:
    served.break_(name)
    shown = served.http.get(f"/batches/{served.generate().json()['request_id']}").text
    assert "By design" in shown
    assert "Photo not used" not in shown


def test_what_cannot_be_broken_is_refused(served: Served) -> None:
    assert served.http.post("/break", data={"name": "no_such_fault"}).status_code == 422
    assert served.http.get("/batches/none").status_code == 404


def test_an_error_in_the_browser_reaches_the_checklist(served: Served) -> None:
    request_id = served.generate(face_image=photo(300, 300)).json()["request_id"]
    told = {"request_id": request_id, "kind": "error", "message": "Failed to fetch <b>x</b>", "source": "page.js:1"}
    assert served.http.post("/api/browser-errors", json=told).status_code == 204
    shown = served.http.get(f"/batches/{request_id}").text
    assert "browser_error" in shown
    assert "<b>x</b>" not in shown
    for content in (b"[", b"7", b'"x"'):
        refused = served.http.post("/api/browser-errors", content=content, headers={"content-type": "application/json"})
        assert refused.status_code == 422


def test_the_diagnosis_is_of_the_very_batch(served: Served) -> None:
    """Though all write one log, and whatever is broken or mended meanwhile."""
    photo_, broken = photo(300, 300), data_url(b"GIF89a" + bytes(50))
    kinds: list[tuple[dict[str, Any], str]] = [
        ({"face_image": photo_}, "Photo used"),
        ({}, "By design"),
        ({"face_image": broken}, "Photo not used"),
        ({"face_image": photo_, "num_images": 9}, "Refused"),
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: served.generate(**kinds[n % 4][0]), range(32)))
    served.break_("storage_project_mismatch")
    for n, answer in enumerate(answers):
        shown = served.http.get(f"/batches/{answer.headers['x-request-id']}").text
        verdict = re.search(r'class="pill[^>]*>.*?</svg>([^<]*)', shown, re.S)
        assert verdict is not None
        assert verdict[1].strip() == kinds[n % 4][1], answer.text


# What strangers send.


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "p", "a": json.loads("[" * 400 + "]" * 400)},
        {"prompt": "p", **{f"key{n}": "x" * 300 for n in range(5000)}},
        {"prompt": "p", "a": "data:" + "x" * 2**20 + ","},
        {"prompt": "p", "aspect_ratio": "\ud800", "note": "\ud800"},
        {"prompt": "\ud800"},
    ],
    ids=["deep", "many", "long head", "half a character", "nothing but half a character"],
)
def test_odd_requests_are_answered_and_shown(served: Served, body: dict[str, Any]) -> None:
    headers = {"content-type": "application/json"}
    answer = served.http.post("/api/generate-image", content=json.dumps(body), headers=headers)
    assert answer.status_code == 200
    assert served.http.get(f"/batches/{answer.headers['x-request-id']}").status_code == 200
    kept = served.built.backend.batches[answer.headers["x-request-id"]]
    assert len(json.dumps(kept.request.body)) < 100_000
    shown = served.http.post("/", content=json.dumps(body), headers=headers)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_a_body_that_never_ends_is_not_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "BODY_SECONDS", 0.3)
    host, port = served.http.base_url.host, served.http.base_url.port
    with socket.create_connection((host, port or 80), timeout=10) as slow:
        slow.sendall(
            f"POST /api/generate-image HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            "Content-Length: 1000\r\n\r\n{".encode()
        )
        assert b" 408 " in slow.recv(1000)


def test_a_small_address_takes_small_bodies(served: Served) -> None:
    content = b"[" + b"1," * 100_000 + b"1]"
    answer = served.http.post("/api/browser-errors", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (413, "the request is larger than 64 KiB")
    assert served.http.get("/pictures", params={"url": "http://["}).status_code == 404
    assert served.http.get("/pictures").json()["request_id"]


def test_what_nobody_caught_is_answered_and_logged(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_request: Any) -> Any:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(served.built.backend, "run", broken)
        answer = served.http.post(
            "/api/generate-image", json={"prompt": "p"}, headers={"origin": "http://localhost:3000"}
        )
    request_id = answer.headers["x-request-id"]
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error", "request_id": request_id})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "ZeroDivisionError: a bug" in served.log()
    log = served.data / "backend.log"
    log.write_text(served.log().replace("Exception in ASGI application", "(told above)"), encoding="utf-8")


def test_a_body_without_end_is_refused(served: Served) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"prompt": "'
        for _ in range(100):
            yield b"x" * 2**20

    kind = {"content-type": "application/json"}
    with contextlib.suppress(httpx.WriteError):  # the server may hang up before all is sent
        answer = served.http.post("/api/generate-image", content=chunks(), headers=kind)
        assert (answer.status_code, answer.json()["detail"]) == (413, "the request is larger than 48 MiB")
    with contextlib.suppress(httpx.WriteError):
        whole = served.http.post("/api/generate-image", content=b"x" * (100 * 2**20), headers=kind)
        assert whole.status_code == 413
    assert served.http.get("/health").status_code == 200


def test_a_client_that_leaves_in_the_middle_disturbs_nobody(served: Served) -> None:
    host, port = served.http.base_url.host, served.http.base_url.port
    for kind in ("application/json", "multipart/form-data; boundary=x"):
        with socket.create_connection((host, port or 80)) as gone:
            head = f"POST /api/generate-image HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n"
            gone.sendall(f"{head}Content-Length: 1000000\r\n\r\n--x\r\n".encode())
    with socket.create_connection((host, port or 80)) as gone:
        gone.sendall(b"\x16\x03\x01 not HTTP at all\r\n\r\n")
    assert served.generate().status_code == 200


def test_the_newest_batches_are_kept_and_no_more(served: Served) -> None:
    first = served.generate().json()["request_id"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: served.generate(prompt=f"chair {n}"), range(app.KEPT)))
    assert served.http.get(f"/batches/{first}").status_code == 404
    assert len(served.built.backend.batches) == app.KEPT
    assert len(served.entries()) == SEED.keep


def test_slow_pictures_hold_up_nothing_else(served: Served) -> None:
    assert served.built.backend.site is not None
    services = served.built.backend.site.breaker.services  # type: ignore[attr-defined]
    services.fal.account = replace(services.fal.account, delay=1.0)
    limits = httpx.Limits(max_connections=40)
    with httpx.Client(base_url=served.http.base_url, timeout=60, limits=limits) as http, ThreadPoolExecutor(30) as pool:
        under_way = [pool.submit(http.post, "/api/generate-image", json={"prompt": f"p {n}"}) for n in range(30)]
        time.sleep(0.3)
        assert http.get("/health").status_code == 200
        assert not all(one.done() for one in under_way), "health answered while pictures were being made"
        assert {one.result().status_code for one in under_way} == {200}


def test_a_server_that_stops_tells_whoever_waits(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, serving(tmp_path) as served:
        services = served.built.backend.site.breaker.services  # type: ignore[union-attr]
        services.fal.account = replace(services.fal.account, delay=30)
        # by a client of its own, since the other closes before the answer comes
        url = str(served.http.base_url.join("/api/generate-image"))
        waiting = pool.submit(httpx.post, url, json={"prompt": "p"}, timeout=60)
        while "Sending text-to-image request" not in served.log():
            time.sleep(0.05)
    assert waiting.result().status_code == 503
    assert waiting.result().json()["detail"].startswith("the backend is stopping")


# The command.


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}


@contextlib.contextmanager
def started(data: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the address that it printed."""
    command = [sys.executable, "-m", "diagnose", "serve", "--embedded", "--data", str(data), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        try:
            yield (
                process,
                next(m[1] for m in (re.search(r"serving (http://\S+)", line) for line in process.stdout) if m),
            )
        finally:
            process.kill()


def test_the_command_serves_and_stops(tmp_path: Path) -> None:
    with started(tmp_path / "backend", "--port", "0", "--log-format", "json") as (process, address):
        assert "<html" in httpx.get(address).text
        assert httpx.post(f"{address}/api/generate-image", json={"prompt": "p"}).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    lines = [json.loads(line) for line in (tmp_path / "backend" / "backend.log").read_text().splitlines()]
    assert any(line["message"] == "GENERATION SUMMARY:" for line in lines)
    ran = subprocess.run([sys.executable, "-m", "diagnose", "latest-log"], cwd=tmp_path, env=ENVIRONMENT, check=False)
    assert ran.returncode == 0, "the prompt log is found where it stands"


def test_a_killed_server_leaves_a_prompt_log_that_parses(tmp_path: Path) -> None:
    answered = 0
    with (
        started(tmp_path, "--port", "0", "--prompt-log-keep", "0") as (process, address),
        contextlib.suppress(httpx.HTTPError),
        ThreadPoolExecutor(4) as pool,
        httpx.Client(base_url=address) as http,
    ):
        for answer in pool.map(lambda n: http.post("/api/generate-image", json={"prompt": f"p {n}"}), range(40)):
            answered += answer.status_code == 200
            if answered == 20:
                process.kill()
    entries = json.loads((tmp_path / "prompt_log.json").read_text(encoding="utf-8"))
    assert len(entries) >= answered >= 20


def test_a_taken_port_is_one_clear_line_with_who_holds_it(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        command = [sys.executable, "-m", "diagnose", "serve", "--port", str(port), "--data", str(tmp_path)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ran.stderr
    assert f"pid {os.getpid()}" in ran.stderr
