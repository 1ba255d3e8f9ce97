"""Looking at the living system: nothing is contacted unasked, nothing hangs, nothing is written, no ignorance passes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("psutil")

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from diagnose.generator import faults
from diagnose.generator.demo import Stage
from diagnose.generator.serving import running
from diagnose.generator.standins import keys
from diagnose.generator.standins.storage import Bucket
from tests.living import (
    IMAGE_MODEL,
    PNG,
    REQUEST_ID,
    Counted,
    Living,
    black_hole,
    clean,
    closed,
    document,
    living,
    project,
    statuses,
    talking,
)

RUN = [sys.executable, "-m", "diagnose"]
CHAIN = ("request", "decode", "upload", "image_url", "selection", "payload", "generation")


@pytest.fixture(scope="module")
def system() -> Iterator[Living]:
    with living() as built:
        yield built


@pytest.fixture(autouse=True)
def sound(system: Living) -> None:
    system.supabase.project = project()
    system.supabase.objects.clear()
    system.fal.history.clear()
    system.fal.schemas.clear()
    for seen in system.requests.values():
        seen.clear()


def run(
    *args: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *args], cwd=cwd, env=clean(env or {}), capture_output=True, text=True, timeout=timeout)


def answer(*args: str, cwd: Path, env: Mapping[str, str] | None = None) -> tuple[dict[str, Any], int]:
    done = run("checklist", *args, "--format", "json", cwd=cwd, env=env)
    assert done.returncode in (0, 1, 3, 4), done.stderr
    return document(done.stdout), done.returncode


def faults_of(shown: Mapping[str, Any]) -> set[str]:
    return set(statuses(shown, "fail", "warn", "crash"))


# --- who is asked -----------------------------------------------------------------------------------------------------


def test_without_a_flag_nobody_is_asked(system: Living, tmp_path: Path) -> None:
    done = run("checklist", cwd=tmp_path, env=system.environment())
    assert done.returncode == 4
    assert system.requests == {"storage": [], "backend": [], "fal": []}


def test_offline_forbids_all_of_it(system: Living, tmp_path: Path) -> None:
    args = ("checklist", "--live", "--online", "--backend-url", system.backend_url, "--offline")
    assert run(*args, cwd=tmp_path, env=system.environment()).returncode == 4
    assert system.requests == {"storage": [], "backend": [], "fal": []}


def test_an_address_on_the_command_line_is_looked_at_without_the_environments_keys(
    system: Living, tmp_path: Path
) -> None:
    shown, code = answer("--supabase-url", system.storage_url, cwd=tmp_path, env=system.environment())
    assert code == 3
    assert system.requests["storage"] and not system.requests["fal"] and not system.requests["backend"]
    asked = {path for _, path in system.requests["storage"]}
    assert all("/object/info/public/" in path or path.endswith("/version") for path in asked), asked
    assert not faults_of(shown)


def test_the_environments_key_goes_to_no_other_address(system: Living, tmp_path: Path) -> None:
    seen: list[bytes] = []

    def listen(one: socket.socket) -> None:
        seen.append(one.recv(65536))
        one.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with talking(listen) as stranger:
        run("checklist", "--live", "--supabase-url", stranger, cwd=tmp_path, env=system.environment())
    assert seen and not any(b"ey" in heard and b"apikey" in heard.lower() for heard in seen)


def test_live_takes_the_addresses_of_environment_and_profile(system: Living, tmp_path: Path) -> None:
    (tmp_path / "diagnose.toml").write_text(
        f'[models]\nimage_to_image = "{IMAGE_MODEL}"\ntext_to_image = "fal-ai/flux/schnell"\n[backend]\nurl = "{system.backend_url}"\n'
    )
    shown, code = answer("--live", cwd=tmp_path, env=system.environment())
    assert code == 3 and all(system.requests.values())
    assert not faults_of(shown), faults_of(shown)
    passed = set(statuses(shown, "pass"))
    assert {"bucket_missing", "bucket_private", "storage_key_rejected", "storage_policy_denied", "fal_key_rejected", "fal_model_missing", "backend_down"} <= passed  # fmt: skip


def test_live_takes_the_settings_of_files_beside_it(system: Living, tmp_path: Path) -> None:
    settings = system.environment()
    (tmp_path / ".env").write_text("".join(f"{k}={settings[k]}\n" for k in ("SUPABASE_URL", "SUPABASE_SERVICE_KEY")))
    shown, _ = answer("--live", "--backend-url", system.backend_url, cwd=tmp_path)
    assert statuses(shown)["bucket_missing"] == "pass"


def test_a_live_fault_without_an_attempt_is_the_root(system: Living, tmp_path: Path) -> None:
    system.supabase.project = project(buckets={"Public": Bucket()})
    shown, code = answer("--live", "--backend-url", system.backend_url, cwd=tmp_path, env=system.environment())
    assert (code, shown["outcome"], shown["root"]["check"]) == (3, "undetermined", "bucket_missing")
    assert faults_of(shown) == {"bucket_missing"}
    assert "Public" in shown["root"]["message"]


def test_it_is_joined_to_the_files(system: Living, tmp_path: Path, cases: Mapping[str, Path]) -> None:
    """A log that ends before the upload tells no cause; the bucket that is missing now does."""
    log = (cases["sound"] / "backend.log").read_text(encoding="utf-8")
    request = json.loads((cases["sound"] / "request.json").read_text(encoding="utf-8"))
    assert request["body"]
    upset = [line.replace("image-to-image", "schnell") for line in log.splitlines() if "/storage/v1/" not in line]
    assert upset
    before, code = answer(str(cases["sound"]), cwd=tmp_path)
    assert code == 0
    system.supabase.project = project(buckets={})
    after, code = answer(
        str(cases["sound"]), "--live", "--backend-url", system.backend_url, cwd=tmp_path, env=system.environment()
    )
    assert (code, after["outcome"], after["root"]) == (0, before["outcome"], None)
    assert statuses(after)["bucket_missing"] in ("warn", "pass")


# --- silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["closed", "hole", "unresolved"])
def test_with_the_network_gone_nothing_passes_and_nobody_is_blamed(gone: str, tmp_path: Path) -> None:
    with black_hole() as hole:
        url = {"closed": closed(), "hole": hole, "unresolved": "https://nowhere.invalid"}[gone]
        env = {
            "SUPABASE_URL": url,
            "SUPABASE_SERVICE_KEY": keys.supabase_key("service_role", None),
            "FAL_KEY": keys.fal_key(),
            "DIAGNOSE_FAL_API": url,
            "DIAGNOSE_FAL_SCHEMAS": url,
        }
        began = time.monotonic()
        args = ("--live", "--online", "--backend-url", url, "--deadline", "3")
        shown, code = answer(*args, cwd=tmp_path, env=env)
        assert time.monotonic() - began < 12, "it hung; bench_live.py measures how long it takes"
    assert (code, shown["outcome"], shown["root"]) == (3, "undetermined", None)
    assert [state["status"] for state in shown["chain"]] == ["unknown"] * len(CHAIN)
    offline = {"environment_incomplete", "storage_key_role", "storage_project_mismatch"}  # answered without a network
    assert set(statuses(shown, "pass")) <= offline, statuses(shown, "pass")
    assert faults_of(shown) <= ({"backend_down"} if gone == "closed" else set())
    reasons = [f["message"] for f in shown["findings"] if f["check"] in ("bucket_missing", "storage_key_rejected")]
    assert all("looked now" in message for message in reasons), reasons


def test_a_server_that_dribbles_is_not_waited_for(tmp_path: Path) -> None:
    def dribble(one: socket.socket) -> None:
        one.recv(65536)
        one.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(600):
            one.sendall(b"X-Still: here\r\n")
            time.sleep(0.1)

    with talking(dribble) as url:
        began = time.monotonic()
        shown, code = answer("--backend-url", url, "--supabase-url", url, "--deadline", "2", cwd=tmp_path)
        assert time.monotonic() - began < 12, "it waited for what dribbles for a minute"
    assert code == 3 and not statuses(shown, "pass", "fail")


def test_an_answer_without_end_is_cut(tmp_path: Path) -> None:
    def flood(one: socket.socket) -> None:
        one.recv(65536)
        one.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            one.sendall(b"[" * 65536)

    with talking(flood) as url:
        shown, code = answer("--backend-url", url, "--supabase-url", url, "--deadline", "4", cwd=tmp_path)
    assert (code == 3 and shown["root"] is None) or shown["root"]["check"] == "storage_unavailable"


def test_the_time_is_the_slowest_answers_and_not_their_sum(system: Living, tmp_path: Path) -> None:
    system.supabase.project = project(delay=2.0)
    began = time.monotonic()
    shown, _ = answer("--live", "--backend-url", system.backend_url, cwd=tmp_path, env=system.environment())
    assert time.monotonic() - began < 12, "the answers were waited for one after the other"
    assert statuses(shown)["bucket_missing"] == "pass"


def test_what_answered_in_time_is_shown_beside_what_did_not(system: Living, tmp_path: Path) -> None:
    with black_hole() as hole:
        args = ("--live", "--backend-url", hole, "--deadline", "3")
        shown, code = answer(*args, cwd=tmp_path, env=system.environment(DIAGNOSE_FAL_API=hole))
    found = statuses(shown)
    assert (code, found["bucket_missing"], found["backend_down"], found["fal_key_rejected"]) == (3, "pass", "unknown", "unknown")  # fmt: skip


@pytest.mark.parametrize("deadline", ["0", "-1", "nan", "inf", "1e9", "soon"])
def test_a_deadline_is_a_number_of_seconds(deadline: str, tmp_path: Path) -> None:
    done = run("checklist", "--backend-url", closed(), "--deadline", deadline, cwd=tmp_path)
    assert done.returncode == 2 and "--deadline" in done.stderr


# --- interrupts -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="no SIGINT can be sent to another process there")
@pytest.mark.parametrize("seed", range(12))
def test_an_interrupt_at_any_moment_is_one_line(seed: int, tmp_path: Path) -> None:
    with black_hole() as hole:
        args = [*RUN, "checklist", "--backend-url", hole, "--supabase-url", hole]
        env = clean({})
        process = subprocess.Popen(
            args, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        time.sleep(random.Random(seed).uniform(0.12, 1.6))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    if process.returncode == -signal.SIGINT:
        pytest.skip("it came before the program's first line")
    assert process.returncode == 130, err
    assert "Traceback" not in err and err.strip().splitlines()[-1:] == ["interrupted"], err
    assert len(err.strip().splitlines()) == 1, err
    if seed in (1, 5):
        assert out == "" or "undetermined" in out or "Cannot tell" in out or "Nothing" in out


@pytest.mark.skipif(os.name != "posix", reason="no SIGINT can be sent to another process there")
def test_an_interrupted_look_shows_what_is_known(system: Living, tmp_path: Path) -> None:
    with black_hole() as hole:
        args = [*RUN, "checklist", "--live", "--backend-url", hole, "--format", "json"]
        env = clean(system.environment())
        process = subprocess.Popen(
            args, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        time.sleep(2.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err.strip()) == (130, "interrupted")
    shown = document(out)
    assert statuses(shown)["bucket_missing"] == "pass"
    down = next(f for f in shown["findings"] if f["check"] == "backend_down")
    assert "interrupted" in down["message"]


# --- nothing is written -----------------------------------------------------------------------------------------------


def _hash(folder: Path) -> str:
    parts = [
        f"{p.relative_to(folder)}:{p.stat().st_mtime_ns}:{hashlib.sha256(p.read_bytes()).hexdigest()}"
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    ]
    return "\n".join(parts)


def test_nothing_is_written(system: Living, tmp_path: Path, on_stage: Stage) -> None:
    on_stage.write_world(faults.sound(), tmp_path)
    system.supabase.objects.clear()
    before, state = _hash(tmp_path), system.supabase.snapshot()
    done = run(
        "checklist", ".", "--live", "--backend-url", system.backend_url, "-vv", cwd=tmp_path, env=system.environment()
    )
    assert done.returncode == 0, done.stderr
    assert (_hash(tmp_path), system.supabase.snapshot()) == (before, state)
    written = {(method, path.split("/storage/v1/")[-1].split("/")[0:2][0]) for method, path in system.requests["storage"] if method != "GET"}  # fmt: skip
    assert all(method == "POST" for method, _ in written)
    posted = [path for method, path in system.requests["storage"] if method == "POST"]
    assert all("/object/upload/sign/" in path or "/object/list" in path for path in posted), posted


def test_one_object_is_written_and_removed_where_that_is_asked_for(system: Living, tmp_path: Path) -> None:
    state = system.supabase.snapshot()
    args = ("checklist", "--live", "--probe-upload", "--backend-url", system.backend_url, "--format", "json")
    done = run(*args, cwd=tmp_path, env=system.environment())
    assert "diagnose-probe-" in done.stderr
    assert system.supabase.snapshot() == state and not system.supabase.objects
    methods = {method for method, path in system.requests["storage"] if "diagnose-probe-" in path}
    assert {"POST", "DELETE"} <= methods
    assert not faults_of(document(done.stdout))


def test_an_upload_is_not_tried_without_the_look(system: Living, tmp_path: Path) -> None:
    done = run("checklist", "--probe-upload", cwd=tmp_path, env=system.environment())
    assert done.returncode == 2 and "--live" in done.stderr


# --- addresses in the evidence ----------------------------------------------------------------------------------------

LOCAL = ("127.0.0.1", "169.254.169.254", "[::1]", "localhost", "0.0.0.0", "10.0.0.7", "2130706433", "rebound.test")  # noqa: S104


def _log(url: str) -> str:
    return (
        "INFO:main:📥 Images received from frontend:\nINFO:main:   Face image: Yes\n"
        f"INFO:main:✅ Image uploaded successfully: {url}\nINFO:main:   Init Image URL: YES ({url})\n"
        f'INFO:httpx:HTTP Request: POST https://fal.run/{IMAGE_MODEL} "HTTP/1.1 422 Unprocessable Entity"\n'
    )


@pytest.mark.parametrize("host", LOCAL)
def test_an_address_in_the_evidence_is_not_fetched(host: str, system: Living, tmp_path: Path) -> None:
    counted = Counted(Starlette())
    with running(counted) as listener:
        port = listener.rpartition(":")[2]
        url = f"http://{host}:{port}/storage/v1/object/public/public/face/a.jpg"
        (tmp_path / "backend.log").write_text(_log(url), encoding="utf-8")
        (tmp_path / "prompt_log.json").write_text(
            json.dumps([{"timestamp": "2026-01-11T06:35:30", "request": {"image_url": url}, "fal_request": {"model": IMAGE_MODEL, "image_url": url}, "generation_mode": "image-to-image"}])
        )  # fmt: skip
        args = ("--live", "--backend-url", system.backend_url, "--allow-host", host.strip("[]"))
        shown, _ = answer(".", *args, cwd=tmp_path, env=system.environment())
        assert counted.seen == []
    finding = next(f for f in shown["findings"] if f["check"] == "init_image_url_unreachable")
    assert finding["status"] in ("fail", "unknown") and host.strip("[]") in json.dumps(finding)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    counted = Counted(Starlette())
    with running(counted) as other:

        async def away(_request: Request) -> RedirectResponse:
            return RedirectResponse(f"{other}/stolen", 307)

        with running(Starlette(routes=[Route("/{path:path}", away, methods=["GET", "POST", "HEAD"])])) as url:
            env = {"SUPABASE_URL": url, "SUPABASE_SERVICE_KEY": keys.supabase_key("service_role", None)}
            shown, code = answer("--live", "--backend-url", url, cwd=tmp_path, env=env)
    assert counted.seen == []
    assert code == 3 and "bucket_missing" not in faults_of(shown)


def test_a_name_that_resolves_to_this_machine_is_refused_although_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from diagnose.live.ask import Asker, Silence

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if host == "rebound.test" else "8.8.8.8", port))
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    reply = Asker(time.monotonic() + 2).get("http://rebound.test:9/x", public=True)
    assert isinstance(reply, Silence) and reply.cause == "forbidden"


def test_the_own_picture_is_fetched_from_the_configured_storage(system: Living, tmp_path: Path) -> None:
    url = f"{system.storage_url}/storage/v1/object/public/public/face/a.jpg"
    headers = {"authorization": f"Bearer {keys.supabase_key('service_role', None)}", "content-type": "image/jpeg"}
    httpx.post(f"{system.storage_url}/storage/v1/object/public/face/a.jpg", headers=headers, content=PNG)
    (tmp_path / "backend.log").write_text(_log(url), encoding="utf-8")
    shown, _ = answer(".", "--live", "--backend-url", system.backend_url, cwd=tmp_path, env=system.environment())
    fetched = [path for method, path in system.requests["storage"] if path.endswith("face/a.jpg") and method == "GET"]
    assert fetched
    system.supabase.project = replace(system.supabase.project, buckets={"public": Bucket(public=False)})
    shown, code = answer(".", "--live", "--backend-url", system.backend_url, cwd=tmp_path, env=system.environment())
    assert code == 1 and statuses(shown)["bucket_private"] == "fail"


# --- fal --------------------------------------------------------------------------------------------------------------


def test_fals_own_record_is_the_strongest_witness(system: Living, tmp_path: Path) -> None:
    sent = {"prompt": "p", "image_url": "https://x.supabase.co/a.jpg", "strength": 0.5, "image_strength": 0.5, "num_inference_steps": 7, "guidance_scale": 3.5}  # fmt: skip
    system.fal.history[REQUEST_ID] = {"request_id": REQUEST_ID, "endpoint_id": IMAGE_MODEL, "status_code": 200, "json_input": sent, "json_output": {}}  # fmt: skip
    entry = {
        "timestamp": "2026-01-11T06:35:30", "request_id": REQUEST_ID, "outcome": "switched", "status": 200, "fal_request_id": REQUEST_ID,
        "request": {"image_url": "https://x.supabase.co/a.jpg"}, "generation_mode": "image-to-image",
        "fal_request": {**sent, "model": IMAGE_MODEL, "strength": 0.85},
    }  # fmt: skip
    (tmp_path / "prompt_log.json").write_text(json.dumps([entry]))
    shown, _ = answer("--live", "--backend-url", system.backend_url, cwd=tmp_path, env=system.environment())
    conflict = next(c for c in shown["conflicts"] if c["fact"] == "strength")
    assert conflict["witnesses"][0] == {"value": 0.5, "source": f"fal's record of request {REQUEST_ID}", "witness": "wire"}  # fmt: skip
    assert shown["generation"] == "succeeded"
    assert ("GET", "/v1/models/requests/by-endpoint") in system.requests["fal"]


def test_fal_is_asked_for_no_picture(system: Living, tmp_path: Path) -> None:
    answer("--live", "--online", "--backend-url", system.backend_url, cwd=tmp_path, env=system.environment())
    assert {method for method, _ in system.requests["fal"]} == {"GET"}


def test_a_key_that_fal_does_not_know_is_named(system: Living, tmp_path: Path) -> None:
    env = system.environment(FAL_KEY=keys.fal_key("another"))
    shown, code = answer("--live", "--backend-url", system.backend_url, cwd=tmp_path, env=env)
    assert (code, shown["root"]["check"], faults_of(shown)) == (3, "fal_key_rejected", {"fal_key_rejected"})


def test_a_model_that_nobody_published_is_named(system: Living, tmp_path: Path) -> None:
    (tmp_path / "diagnose.toml").write_text(
        f'[models]\nimage_to_image = "fal-ai/invented/edit"\ntext_to_image = "fal-ai/flux/schnell"\n[backend]\nurl = "{system.backend_url}"\n'
    )
    shown, _ = answer("--live", cwd=tmp_path, env=system.environment())
    assert shown["root"]["check"] == "fal_model_missing" and "fal-ai/invented/edit" in shown["root"]["message"]


OPENAPI = {
    "paths": {f"/{IMAGE_MODEL}": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}}}}},
    "components": {"schemas": {"In": {"required": ["prompt", "image_url"], "properties": {
        "prompt": {"type": "string"}, "image_url": {"type": "string"}, "image_strength": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}], "default": 0.85},
        "num_inference_steps": {"type": "integer", "default": 28}, "guidance_scale": {"type": "number", "default": 3.5},
    }}}},
}  # fmt: skip


def test_schemas_are_refreshed_where_that_is_asked_for_and_kept_with_their_date(system: Living, tmp_path: Path) -> None:
    """fal's own page knows `image_strength` now: what the bundled schema calls unknown is known."""
    system.fal.schemas[IMAGE_MODEL] = OPENAPI
    entry = {"timestamp": "2026-01-11T06:35:30", "request": {"image_url": "https://x.supabase.co/a.jpg"}, "generation_mode": "image-to-image",
             "fal_request": {"model": IMAGE_MODEL, "image_url": "https://x.supabase.co/a.jpg", "image_strength": 0.5, "num_inference_steps": 7, "guidance_scale": 3.5, "prompt": "p"}}  # fmt: skip
    (tmp_path / "prompt_log.json").write_text(json.dumps([entry]))
    env = {**system.environment(FAL_KEY=None), "DIAGNOSE_CACHE": str(tmp_path / "cache")}
    before, _ = answer(cwd=tmp_path, env=env)
    assert statuses(before)["parameter_unknown"] == "warn" and not system.requests["fal"]
    after, _ = answer("--online", cwd=tmp_path, env=env)
    assert statuses(after)["parameter_unknown"] == "pass"
    asked = len(system.requests["fal"])
    again, _ = answer("--online", cwd=tmp_path, env=env)
    assert statuses(again)["parameter_unknown"] == "pass"
    assert len(system.requests["fal"]) < 2 * asked  # what was fetched today is not fetched again
    kept = json.loads(next((tmp_path / "cache" / "fal").glob("*image-to-image.json")).read_text())
    assert kept["x-date"] and kept["x-model"] == IMAGE_MODEL


# --- whose settings ---------------------------------------------------------------------------------------------------


def test_settings_that_were_found_in_a_folder_of_evidence_name_nobody_to_ask(system: Living, tmp_path: Path) -> None:
    """Somebody else's .env leads nowhere; the same file in the place one looks from, or named by hand, does."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    settings = system.environment()
    (theirs / ".env").write_text("".join(f"{k}={settings[k]}\n" for k in ("SUPABASE_URL", "SUPABASE_SERVICE_KEY")))
    own = {k: v for k, v in settings.items() if k.startswith("DIAGNOSE_")}
    answer("theirs", "--live", "--backend-url", system.backend_url, cwd=tmp_path, env=own)
    assert not system.requests["storage"]
    shown, _ = answer("theirs/.env", "--live", "--backend-url", system.backend_url, cwd=tmp_path, env=own)
    assert statuses(shown)["bucket_missing"] == "pass"
    shown, _ = answer(".", "--live", "--backend-url", system.backend_url, cwd=theirs, env=own)
    assert statuses(shown)["bucket_missing"] == "pass"


def test_the_own_key_is_not_sent_to_an_address_of_a_given_file(system: Living, tmp_path: Path) -> None:
    seen: list[bytes] = []

    def listen(one: socket.socket) -> None:
        seen.append(one.recv(65536))
        one.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with talking(listen) as stranger:
        (tmp_path / "their.env").write_text(f"SUPABASE_URL={stranger}\nSUPABASE_BUCKET=public\n")
        env = system.environment(SUPABASE_URL=None)
        run("checklist", "their.env", "--live", "--backend-url", system.backend_url, cwd=tmp_path, env=env)
    assert seen and not any(b"apikey" in heard.lower() or b"authorization" in heard.lower() for heard in seen)


@pytest.mark.parametrize(
    "path",
    [
        "public/../../../victim/x/y.png",
        "%2e%2e/%2e%2e/%2e%2e/functions/v1/charge",
        "../u/face/a.png",
        "public/%252e%252e/a.png",
    ],
)
def test_a_path_of_the_evidence_leads_nowhere_else(path: str, system: Living, tmp_path: Path) -> None:
    """Old clients really upload such paths; asked about with the user's key they would reach another place."""
    (tmp_path / "backend.log").write_text(
        f'INFO:httpx:HTTP Request: POST {system.storage_url}/storage/v1/object/{path} "HTTP/1.1 400 Bad Request"\n'
        f"INFO:main:   Init Image URL: YES ({system.storage_url}/storage/v1/object/public/{path})\n"
        'INFO:httpx:HTTP Request: POST https://fal.run/fal-ai/flux/schnell "HTTP/1.1 200 OK"\n',
        encoding="utf-8",
    )
    state = system.supabase.snapshot()
    answer("backend.log", "--live", "--backend-url", system.backend_url, cwd=tmp_path, env=system.environment())
    assert system.supabase.snapshot() == state and not system.supabase.objects
    posted = [asked for method, asked in system.requests["storage"] if method != "GET"]
    assert all("/object/upload/sign/" in asked or "/object/list" in asked for asked in posted), posted
    assert not any("charge" in asked or "victim" in asked for _, asked in system.requests["storage"])


def test_a_secret_that_is_no_key_is_sent_to_nobody(system: Living, tmp_path: Path) -> None:
    env = system.environment(
        SUPABASE_JWT_SECRET="super-secret-jwt-token-with-32-characters", SUPABASE_AUTH_EXTERNAL_GOOGLE_SECRET="GOCSPX-1"
    )
    shown, _ = answer("--live", "--backend-url", system.backend_url, cwd=tmp_path, env=env)
    assert statuses(shown)["storage_key_rejected"] == "pass" and "SUPABASE_SERVICE_KEY" in json.dumps(shown["findings"])


def test_the_own_key_stays_with_the_own_address(system: Living, tmp_path: Path) -> None:
    """An unpacked folder of evidence, in which somebody looks: its .env names an address, and the key is one's own."""
    seen: list[bytes] = []

    def listen(one: socket.socket) -> None:
        seen.append(one.recv(65536))
        one.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with talking(listen) as stranger:
        (tmp_path / ".env").write_text(f"SUPABASE_URL={stranger}\n")
        run(
            "checklist",
            ".",
            "--live",
            "--backend-url",
            system.backend_url,
            cwd=tmp_path,
            env=system.environment(SUPABASE_URL=None),
        )
    assert not any(b"apikey" in heard.lower() or b"authorization" in heard.lower() for heard in seen)


def test_a_key_that_no_server_takes_as_it_stands_does_not_pass(system: Living, tmp_path: Path) -> None:
    key = keys.supabase_key("service_role", None)
    for spoilt in (f'"{key}"', f"Bearer {key}", f"{key}\n", f"{key} "):
        env = system.environment(SUPABASE_SERVICE_KEY=spoilt)
        shown, _ = answer("--live", "--backend-url", system.backend_url, cwd=tmp_path, env=env)
        assert statuses(shown)["storage_key_rejected"] != "pass" and statuses(shown)["environment_incomplete"] == "warn"


def test_an_object_that_could_not_be_removed_is_named(tmp_path: Path) -> None:
    with black_hole() as hole:
        env = {"SUPABASE_URL": hole, "SUPABASE_SERVICE_KEY": keys.supabase_key("service_role", None)}
        done = run(
            "checklist", "--live", "--probe-upload", "--backend-url", hole, "--deadline", "3", cwd=tmp_path, env=env
        )
    assert done.stderr.count("diagnose-probe-") == 1 and "<uuid>" not in done.stderr


def test_a_saved_case_does_not_replace_its_evidence(cases: Mapping[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "prompt_log.json"
    file.write_bytes((cases["sound"] / "prompt_log.json").read_bytes())
    before = file.read_bytes()
    done = run("collect", "prompt_log.json", "-o", "prompt_log.json", cwd=tmp_path)
    assert done.returncode == 2 and file.read_bytes() == before
