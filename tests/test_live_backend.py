"""A look at the backend that runs: real processes on free ports, and what the checks make of them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from diagnose import registry
from diagnose.collect import source
from diagnose.generator.serving import running
from diagnose.live import at, backend, checkout, deadline, process
from diagnose.live.ask import Answer, Silence
from diagnose.live.look import Answers
from diagnose.live.targets import Targets
from diagnose.model import Case, Evidence, Finding, Status
from tests.cases_support import case_of, look

HTTP = """
import http.server, json, socket, sys
host, port, answers, share = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = answers.get(self.path, (404, {"detail": "Not Found"}))
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status); self.send_header("content-length", str(len(data))); self.end_headers()
        self.wfile.write(data)
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
    allow_reuse_port = bool(share)
    def server_bind(self):
        if share: self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()
server = Server((host, port), Handler)
print("ready", flush=True)
server.serve_forever()
"""
RAW = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    one = server.accept()[0]
    if sys.argv[2] == "rude":
        one.sendall(b"SSH-2.0-OpenSSH_9.6\\r\\n"); one.close()
    else:
        kept = globals().setdefault("kept", []); kept.append(one)
"""
APP = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/health")
def health(): return {"status": "ok"}
@app.get("/ready")
def ready(): return {"ready": True}
@app.post("/api/generate-image")
def generate(): return {}
"""
EVERYWHERE = "0.0.0.0"  # noqa: S104 - of a server that lives as long as its test
PICTURES = {"paths": {"/api/generate-image": {"post": {}}, "/health": {"get": {}}}}
posix = pytest.mark.skipif(os.name != "posix", reason="processes are told apart by what POSIX shows of them")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="SO_REUSEPORT and /proc")


@dataclass(frozen=True)
class Seen:
    """What a look saw, and how long it took."""

    evidence: tuple[Evidence, ...]
    seconds: float

    @property
    def case(self) -> Case:
        return case_of(*self.evidence)

    def of(self, kind: str) -> list[Evidence]:
        return [e for e in self.evidence if e.kind == kind]

    def says(self, check: str) -> Finding:
        return look(check, self.case)


def seen(url: str, *folders: Path, given: bool = True, seconds: float = 8.0) -> Seen:
    began = time.monotonic()
    targets = Targets(backend=url, backend_given=given, source=folders)
    found = at(targets, deadline(seconds), lambda _count, _open: None).evidence
    return Seen(found, time.monotonic() - began)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def started(
    *command: object, folder: Path | None = None, port: int, host: str = "127.0.0.1", **env: str
) -> Iterator[int]:
    """A process that listens; its pid."""
    child = subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env={**os.environ, **env},
        stdout=subprocess.PIPE if "ready" in str(command[1]) else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 20
        if child.stdout is not None:  # where two share a port, that one answers does not say that both do
            child.stdout.readline()
            child.stdout.close()
        while True:
            with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
                break
            assert child.poll() is None and time.monotonic() < until, "it did not start"
            time.sleep(0.02)
        yield child.pid
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def serving(
    port: int, answers: object, host: str = "127.0.0.1", *options: str, folder: Path | None = None
) -> Iterator[int]:
    command = ("-c", HTTP, host, port, json.dumps(answers), *options)
    with started(*command, folder=folder, port=port, host=host) as pid:
        yield pid


@contextlib.contextmanager
def uvicorn(folder: Path, *options: str) -> Iterator[str]:
    port = free_port()
    with started("-m", "uvicorn", "main:app", "--port", port, *options, folder=folder, port=port):
        until = time.monotonic() + 20
        while not any(e.kind == "live.backend" for e in seen(f"http://127.0.0.1:{port}", seconds=3).evidence):
            assert time.monotonic() < until
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backend"
    made.mkdir()
    write(made, "main.py", APP)
    return made


def write(folder: Path, name: str, text: str, age: float = 3600) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))
    os.utime(file, (time.time() - age, time.time() - age))
    return file


def touched(file: Path, ahead: float = 60) -> None:
    os.utime(file, (time.time() + ahead, time.time() + ahead))


# --- whether anything listens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_refused_connection_is_down(host: str) -> None:
    found = seen(f"http://{host}:{free_port()}")
    assert found.of("deployment.refused") and not found.of("live.backend")
    assert found.says("backend_down").status == "warn" and "the connection was refused" in str(
        found.says("backend_down").message
    )


def test_nothing_at_the_usual_address_is_no_fault_and_nothing_passes() -> None:
    found = seen(f"http://127.0.0.1:{free_port()}", given=False)
    down = found.says("backend_down")
    assert down.status == "unknown" and "--backend-url names another" in str(down.message.values)
    assert not [f.check for f in registry.run(found.case) if f.status in (Status.PASS, Status.FAIL, Status.WARN)]


def test_with_everything_else_gone_a_refused_port_makes_no_check_pass() -> None:
    findings = registry.run(seen(f"http://127.0.0.1:{free_port()}").case)
    assert [f.check for f in findings if f.status is Status.PASS] == []
    assert [f.check for f in findings if f.status is Status.WARN] == ["backend_down"]
    assert not [f for f in findings if f.status is Status.CRASH]


def test_four_hundred_and_four_everywhere_is_somebody() -> None:
    port = free_port()
    with serving(port, {}):
        found = seen(f"http://localhost:{port}")
    assert found.of("live.backend")[0]["status"] == 404
    assert found.says("backend_down").status == "pass"


def test_what_speaks_no_http_is_named(tmp_path: Path) -> None:
    port = free_port()
    with started("-c", RAW, port, "rude", port=port, folder=tmp_path) as pid:
        found = seen(f"http://127.0.0.1:{port}")
        usual = seen(f"http://127.0.0.1:{port}", given=False)
    said = found.says("backend_down")
    assert said.status == "warn" and "speaks no HTTP" in str(said.message) and f"pid {pid}" in str(said.message)
    assert usual.says("backend_down").status == "unknown"


def test_what_never_answers_is_silence_within_its_limit() -> None:
    port = free_port()
    with started("-c", RAW, port, "mute", port=port):
        found = seen(f"http://127.0.0.1:{port}", seconds=1.0)
    assert found.seconds < 3 and found.of("live.silent") and not found.of("live.backend")
    assert found.says("backend_down").status == "unknown"


def test_another_program_that_answers_is_named() -> None:
    port = free_port()
    with serving(port, {"/openapi.json": (200, {"info": {"title": "wiki"}, "paths": {"/pages": {"get": {}}}})}) as pid:
        said = seen(f"http://127.0.0.1:{port}").says("backend_down")
    assert (
        said.status == "warn" and "one that makes pictures" in str(said.message) and f"pid {pid}" in str(said.message)
    )


def test_a_main_that_starts_nothing_is_said_with_the_command_that_does(tmp_path: Path) -> None:
    write(tmp_path, "main.py", "from app.main import app\n")
    write(tmp_path, "app/main.py", APP)
    said = seen(f"http://127.0.0.1:{free_port()}", tmp_path).says("backend_down")
    assert "'python main.py' starts nothing" in str(said.message)
    assert said.remedy is not None and str(said.remedy.command).startswith("uvicorn main:app --host 127.0.0.1 --port ")


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        (APP, False),
        ("from app.main import app\n", False),
        (APP + "\nif __name__ == '__main__':\n    import uvicorn\n    uvicorn.run(app)\n", True),
        (APP + "\nif __name__ == '__main__':\n    print('use uvicorn')\n", False),
        (APP + "\nimport uvicorn\nuvicorn.run(app)\n", True),
        ("def broken(:\n", None),
    ],
)
def test_whether_main_starts_anything(tmp_path: Path, text: str, starts: bool | None) -> None:
    write(tmp_path, "main.py", text)
    assert source.server(tmp_path).starts is starts


# --- how many listen --------------------------------------------------------------------------------------------------


@linux
def test_two_that_share_a_port_are_two(tmp_path: Path) -> None:
    port = free_port()
    with (
        serving(port, {}, "127.0.0.1", "share", folder=tmp_path) as one,
        serving(port, {}, "127.0.0.1", "share") as two,
    ):
        found = seen(f"http://127.0.0.1:{port}")
    said = found.says("several_backends")
    assert said.status == "warn" and f"pid {one}" in str(said.message) and f"pid {two}" in str(said.message)
    assert str(tmp_path) in str(said.message) and {e["pid"] for e in found.of("live.listener")} == {one, two}
    assert said.remedy is not None and "kill" not in str(said.remedy) and str(one) in str(said.remedy)


@linux
@pytest.mark.parametrize("other", ["::1", EVERYWHERE])
def test_two_addresses_of_one_port_are_two(other: str) -> None:
    port = free_port()
    share = () if ":" in other else ("share",)
    try:
        with serving(port, {}, "127.0.0.1", *share), serving(port, {}, other, *share):
            said = seen(f"http://localhost:{port}").says("several_backends")
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert said.status == "warn", said.message


@posix
@pytest.mark.parametrize("options", [(), ("--reload",), ("--workers", "2")])
def test_a_reloader_and_its_workers_are_one_backend(folder: Path, options: Sequence[str]) -> None:
    with uvicorn(folder, *options) as url:
        found = seen(url)
    assert found.says("several_backends").status == "pass", found.says("several_backends").message
    assert {e["module"] for e in found.of("live.listener")} == {str(folder / "main.py")}
    assert len({tuple(e["family"]) for e in found.of("live.listener")}) == 1
    assert len(found.of("live.listener")) > (1 if options else 0)


def test_another_machine_is_not_looked_into() -> None:
    answers = Answers({name: Answer(200, {}, b"{}", True) for name in backend.ASKED})
    found = list(backend.evidence(Targets(backend="https://api.example.com", backend_given=True), answers))
    said = look("several_backends", case_of(*found))
    assert said.status == "unknown" and "another machine" in str(said.message)


def test_without_psutil_it_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    found = process.look("http://127.0.0.1:8000")
    assert isinstance(found, Silence) and "psutil is not installed" in found.reason


def test_what_psutil_raises_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_kind: str) -> None:
        raise RuntimeError("malformed line")

    monkeypatch.setattr("psutil.net_connections", broken)
    assert isinstance(process.look("http://127.0.0.1:8000"), Silence)


def test_a_process_that_may_not_be_seen_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    def denied(*_args: object) -> None:
        raise psutil.AccessDenied(1)

    port = free_port()
    with serving(port, {}) as pid:
        for name in ("cmdline", "cwd", "create_time", "parents", "environ"):
            monkeypatch.setattr(psutil.Process, name, denied)
        found = process.look(f"http://127.0.0.1:{port}")
    assert not isinstance(found, Silence)
    known = found[0].process
    assert known is not None and known.pid == pid
    assert (known.command, known.folder, known.started, known.variables) == (None, None, None, None)


def test_a_container_s_forwarders_are_one_backend() -> None:
    known = {n: process.Process(n, ("/usr/bin/docker-proxy", "-host-port", "8000"), ancestors=(1,)) for n in (10, 11)}
    assert set(process._families(known, [{10}, {11}]).values()) == {(10, 11)}


@pytest.mark.parametrize(
    ("command", "entry"),
    [
        (("python", "-m", "uvicorn", "--host", EVERYWHERE, "main:app"), "main:app"),
        (("/venv/bin/python3.11", "/venv/bin/uvicorn", "app.main:app", "--reload"), "app.main:app"),
        (("python", "-u", "-W", "ignore", "main.py", "--port", "1"), "main.py"),
        (("python", "-m", "backend.main"), "backend.main"),
        (("python", "-c", "import x"), None),
        (("gunicorn: master [main:app]",), "main:app"),
        (("/venv/bin/python", "/venv/bin/fastapi", "dev", "main.py"), "main.py"),
        (("node", "server.js"), None),
        (("python",), None),
        ((), None),
    ],
)
def test_what_a_command_starts(command: tuple[str, ...], entry: str | None) -> None:
    assert process.entry_of(command)[0] == entry


# --- whether it is old ------------------------------------------------------------------------------------------------


@posix
def test_a_change_after_the_start_is_stale_and_one_before_is_not(folder: Path) -> None:
    file = write(folder, "services/fal_service.py", "MODEL = 'fal-ai/flux/schnell'\n")
    with uvicorn(folder) as url:
        fresh = seen(url)
        touched(file)
        old, named = seen(url), seen(url, folder)
    said = old.says("backend_stale")
    assert fresh.says("backend_stale").status == "pass", fresh.says("backend_stale").message
    assert said.status == "warn" and "services/fal_service.py" in str(said.message)
    assert named.says("backend_stale").status == "warn"
    listener, shown = old.of("live.listener")[0], old.of("live.source")[0]
    assert listener["since"] in str(said.message) and shown["changed"] in str(said.message)


@posix
def test_a_reloaded_worker_is_new(folder: Path) -> None:
    with uvicorn(folder, "--reload") as url:
        time.sleep(2.5)
        (folder / "main.py").write_text(APP + "\n# changed\n")
        until = time.monotonic() + 20
        while seen(url).says("backend_stale").status == "warn":  # within the margin of its start it is unknown
            assert time.monotonic() < until
            time.sleep(0.3)


@posix
def test_files_that_the_backend_does_not_run_are_not_looked_at(folder: Path) -> None:
    for name in (
        "venv/lib/x.py",
        "tests/test_x.py",
        "test_main.py",
        ".git/x.py",
        "__pycache__/x.py",
        "mine/pyvenv.cfg",
    ):
        touched(write(folder, name, "x = 1\n"))
    touched(write(folder, "mine/lib/y.py", "x = 1\n"))
    assert checkout.read(folder, True)["file"] == "main.py"  # type: ignore[index]


@posix
def test_another_checkout_than_the_one_shown(folder: Path, tmp_path: Path) -> None:
    other = write(tmp_path, "other/main.py", APP).parent
    with uvicorn(folder) as url:
        said = seen(url, other).says("backend_stale")
    assert said.status == "warn" and str(folder) in str(said.message) and str(other) in str(said.message)


@posix
def test_a_route_that_the_source_has_and_the_backend_lacks(folder: Path) -> None:
    with uvicorn(folder) as url:
        write(folder, "main.py", APP + '@app.get("/api/new/{name:path}")\ndef new(): return 1\n')
        said = seen(url).says("backend_stale")
        write(folder, "main.py", APP + 'if app.debug:\n    @app.get("/api/new")\n    def new(): return 1\n')
        conditional = seen(url).says("backend_stale")
    assert said.status == "warn" and "'GET /api/new/{name}'" in str(said.message)
    assert conditional.status == "pass", conditional.message


def test_a_process_that_only_works_in_a_folder_does_not_run_its_code(tmp_path: Path) -> None:
    touched(write(tmp_path, "main.py", APP))
    port = free_port()
    with serving(port, {}, folder=tmp_path):
        assert seen(f"http://127.0.0.1:{port}", tmp_path).says("backend_stale").status == "unknown"


# --- commits ----------------------------------------------------------------------------------------------------------

SHA, OTHER = "9f1c2e4b7a60d3158c2b4e6f80a1c3d5e7f90b12", "0" * 39 + "a"


def repository(top: Path, head: str, **files: str) -> Path:
    write(top, ".git/HEAD", head)
    for name, text in files.items():
        write(top, f".git/{name.replace('__', '/').replace('_', '-')}", text)
    return write(top, "main.py", APP).parent


@pytest.mark.parametrize(
    ("head", "files", "commit"),
    [
        (SHA, {}, SHA),
        ("ref: refs/heads/main", {"refs__heads__main": SHA + "\n"}, SHA),
        ("ref: refs/heads/main", {"packed_refs": f"# pack-refs\n{OTHER} refs/heads/x\n{SHA} refs/heads/main\n"}, SHA),
        ("ref: refs/heads/../../secret", {}, None),
        ("ref: refs/heads/.invalid", {}, None),
        ("\x00" * 50, {}, None),
    ],
)
def test_git_is_read_and_not_run(tmp_path: Path, head: str, files: dict[str, str], commit: str | None) -> None:
    assert checkout.commit(repository(tmp_path, head, **files)) == commit


def test_a_worktree_has_a_commit_of_its_own(tmp_path: Path) -> None:
    repository(tmp_path / "main", f"{OTHER}\n", refs__heads__topic=SHA)
    write(tmp_path, "main/.git/worktrees/topic/HEAD", "ref: refs/heads/topic\n")
    write(tmp_path, "main/.git/worktrees/topic/commondir", "../..\n")
    write(tmp_path, "topic/.git", f"gitdir: {tmp_path}/main/.git/worktrees/topic\n")
    assert checkout.commit(write(tmp_path, "topic/main.py", APP).parent) == SHA


@pytest.mark.parametrize(
    ("health", "status"),
    [
        ({"commit": OTHER[:12]}, "warn"),
        ({"build": {"sha": OTHER}}, "warn"),
        ({"commit": SHA[:8]}, "unknown"),
        ({"version": "0.1.0"}, "unknown"),
        ({"version": "20260111"}, "unknown"),
        ({"commit": ["x"]}, "unknown"),
    ],
)
def test_the_commit_that_runs_beside_the_source_s(tmp_path: Path, health: object, status: str) -> None:
    port = free_port()
    with serving(port, {"/health": (200, health)}):
        said = seen(f"http://127.0.0.1:{port}", repository(tmp_path, SHA)).says("backend_stale")
    assert said.status == status, said.message
    if status == "warn":
        assert SHA[:12] in str(said.message)


# --- the newest entry -------------------------------------------------------------------------------------------------

ENTRY = {"timestamp": "2026-01-11T06:35:30.7", "request": {}, "fal_request": {"model": "fal-ai/flux/schnell"}}


@pytest.mark.parametrize("body", [ENTRY, {"entry": ENTRY}, {"success": True, "data": ENTRY}])
def test_the_newest_entry_as_it_was_given(body: object) -> None:
    port = free_port()
    with serving(port, {"/api/debug/last-prompt": (200, body)}):
        found = seen(f"http://127.0.0.1:{port}")
    assert backend.last_entry(found.evidence) == ENTRY
    assert found.of("live.last_prompt")[0]["model"] == "fal-ai/flux/schnell"


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_says_what_it_says(status: int) -> None:
    port = free_port()
    with serving(port, {"/api/debug/last-prompt": (status, {"error": {"code": 1, "message": "Server error: "}})}):
        found = seen(f"http://127.0.0.1:{port}")
    told = found.of("live.last_prompt")[0]
    assert (told["status"], told["message"], told["value"]) == (status, "Server error:", None)
    assert backend.last_entry(found.evidence) is None and found.says("prompt_log_stale").status == "unknown"


# --- our own backend, and hostile ones --------------------------------------------------------------------------------


def test_our_own_backend_has_no_warning(tmp_path: Path) -> None:
    from diagnose import serve
    from diagnose.profile import BUILT_IN, build

    options = serve.Options("127.0.0.1", 0, tmp_path / "data", None, None, "plain", embedded=True)
    judged = build(BUILT_IN["seed"], "seed")
    with serve.backend(options, judged, lambda _text: None, None) as built, running(built.app) as url:
        found = seen(url)
    told = found.of("live.backend")[0]
    assert told["installed"] == told.fields["source"] and told["missing"] == []
    assert not [f"{f.check}: {f.message}" for f in registry.run(found.case) if f.status in (Status.WARN, Status.FAIL)]


def test_our_own_backend_of_other_code_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    answers = {
        "/health": (200, {"source": "0123456789ab"}),
        "/openapi.json": (200, {**PICTURES, "info": {"title": backend.OURS}}),
    }
    with serving(port, answers):
        said = seen(f"http://127.0.0.1:{port}").says("backend_stale")
    assert said.status == "warn" and "0123456789ab" in str(said.message)


DEEP: Callable[[int], str] = lambda n: "[" * n + "]" * n  # noqa: E731
HOSTILE: dict[str, str] = {
    "long": '{"paths": {"/x": {"get": "' + "y" * 200_000 + '"}}}',
    "deep": '{"paths": ' + DEEP(5000) + ', "fal_request": {"a": ' + DEEP(500) + "}}",
    "types": '{"paths": [1], "info": "x", "missing": {"a": 1}, "commit": {}, "version": 7, "fal_request": {"model": [1]}, "timestamp": 5}',
    "mixed": '{"paths": {"1": 2, "/a": null, "/b": {"get": 1, "x": 2}}, "info": {"title": 5, "version": []}, "missing": [1, "\\u001b[31mX", "FAL_KEY"]}',
    "escapes": '{"info": {"title": "\\u001b[2J\\u001b]0;x\\u0007"}, "commit": "\\u001b[31m", "detail": "\\u0000\\ud800"}',
    "nothing": "",
    "numbers": '{"missing": [' + "9" * 6000 + "]}",
    "nan": '{"fal_request": {"strength": NaN}, "timestamp": "x"}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_answer_raises(name: str) -> None:
    reply = Answer(200, {"server": "\x1b[31mx" * 100}, HOSTILE[name].encode("utf-8", "surrogatepass"), True)
    targets = Targets(backend="http://127.0.0.1:1", backend_given=True)
    found = tuple(backend.evidence(targets, Answers(dict.fromkeys(backend.ASKED, reply))))
    assert not [f.message for f in registry.run(case_of(*found)) if f.status is Status.CRASH]
    assert len(str([dict(e.fields) for e in found if e.kind == "live.backend"])) < 20_000


def test_a_document_of_ten_megabytes_is_not_read_whole() -> None:
    port = free_port()
    ten = HTTP.replace("data = body.encode()", "data = body.encode() * 10_000")
    with started("-c", ten, "127.0.0.1", port, json.dumps({"/openapi.json": (200, "[" * 1000)}), port=port):
        found = seen(f"http://127.0.0.1:{port}")
    assert found.of("live.backend")[0]["routes"] is None and found.seconds < 6


def test_secrets_in_answers_are_masked_where_they_are_shown() -> None:
    from diagnose import explain
    from diagnose.render import document

    secret = "sb_secret_" + "Qw8Zx2Lk9Pv4Rt7Yn1Bc6Md3"
    port = free_port()
    with serving(port, {"/health": (200, {"commit": "abc1234", "key": secret}), "/openapi.json": (200, {"info": {"title": secret}, "paths": {"/pages": {"get": {}}}}), "/api/debug/last-prompt": (403, {"detail": f"token {secret}"})}):  # fmt: skip
        found = seen(f"http://127.0.0.1:{port}")
    assert secret not in document.dumps([explain.diagnose(found.case)], False)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("http://localhost:8000/api/generate-image", "http://localhost:8000"),
        ("https://example.com/backend/api", "https://example.com/backend"),
        ("http://0.0.0.0:8000/docs", "http://127.0.0.1:8000"),
        ("localhost:8000", "http://localhost:8000"),
        ("ftp://x", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_the_address_that_is_asked(given: str, asked: str | None) -> None:
    assert backend.base(Targets(backend=given)) == asked


def test_what_is_no_address_is_said() -> None:
    found = seen("ftp://nowhere")
    assert found.says("backend_down").status == "unknown" and "not an http(s) address" in str(
        found.of("live.silent")[0]["reason"]
    )
