"""Looking at Storage: the fault is named and no other, whatever is broken; nothing is written; silence proves nothing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from diagnose import collect, explain, live, normalise, profile
from diagnose.collect import settings
from diagnose.generator import faults
from diagnose.generator.demo import Stage
from diagnose.generator.serving import running
from diagnose.generator.standins import keys
from diagnose.generator.standins.storage import Bucket, Outage, Project, Supabase
from diagnose.live import storage
from diagnose.live.ask import Answer, Asker, Silence
from diagnose.live.look import Answers, look
from diagnose.live.targets import Key, Picture, Targets, object_url
from diagnose.model import FAULTS, NO_SUBJECT, Case, Diagnosis, Evidence, Status, Subject, Witness
from tests.living import PNG, Counted, black_hole, closed, talking

SEED = profile.build(profile.BUILT_IN["seed"], "seed")
SERVICE = keys.supabase_key("service_role", None)
ANON = keys.supabase_key("anon", None)
NAME = "SUPABASE_SERVICE_KEY"
PATH = "7f1d2c3a/face/3b2c9a10.jpg"


@dataclass
class World:
    """A project that is served, and every request that came to it."""

    store: Supabase
    url: str
    seen: list[tuple[str, str]]

    def now(self, **changed: Any) -> None:
        self.store.project = Project(**{"buckets": {"public": Bucket()}, **changed})

    def put(self, path: str = PATH, data: bytes = PNG, kind: str = "image/png", bucket: str = "public") -> Picture:
        import httpx

        headers = {"authorization": f"Bearer {SERVICE}", "content-type": kind, "x-upsert": "true"}
        answer = httpx.post(f"{self.url}/storage/v1/object/{bucket}/{path}", headers=headers, content=data)
        assert answer.status_code == 200, answer.text
        self.seen.clear()
        return Picture(object_url(self.url, "object/public", bucket, path), bucket, path)


@pytest.fixture(scope="module")
def serving() -> Iterator[World]:
    store = Supabase(Project({"public": Bucket()}), lambda: datetime.now(UTC))
    counted = Counted(store.app)
    with running(counted) as url:
        yield World(store, url, counted.seen)


@pytest.fixture
def world(serving: World) -> World:
    serving.now()
    serving.store.objects.clear()
    serving.seen.clear()
    return serving


def key(text: str = SERVICE, name: str = NAME) -> Key:
    """A key as the targets have it: what stood around it is stripped."""
    return Key(name, text.strip().strip('"'), settings.describe(name, text)["role"])


def told(text: str, name: str = NAME) -> Evidence:
    """What the settings say of a key."""
    fields = {"name": name, "file": ".env", **settings.told(name, text)}
    return Evidence("env.setting", f".env:{name}", Witness.LOGGED, fields)


@dataclass
class Seen:
    """What came of a look."""

    evidence: tuple[Evidence, ...]
    told: tuple[str, ...]
    case: Case
    diagnosis: Diagnosis = field(init=False)

    def __post_init__(self) -> None:
        self.diagnosis = explain.diagnose(self.case)

    @property
    def faults(self) -> set[str]:
        assert not [f for f in self.diagnosis.findings if f.status is Status.CRASH]
        return {f.check for f in self.diagnosis.findings if f.status in FAULTS}

    @property
    def root(self) -> str | None:
        return self.diagnosis.root.check if self.diagnosis.root is not None else None

    def status(self, check: str) -> str:
        found = self.diagnosis.finding(check)
        assert found is not None
        return str(found.status)

    def says(self, check: str) -> str:
        found = self.diagnosis.finding(check)
        assert found is not None
        return str(found.message)

    def of(self, kind: str) -> Evidence:
        found = next((e for e in self.evidence if e.kind == kind), None)
        assert found is not None, [e.kind for e in self.evidence]
        return found

    def silent(self, about: str) -> Evidence | None:
        return next((e for e in self.evidence if e.kind == "live.silent" and e["about"] == about), None)


def at(targets: Targets, *beside: Evidence, seconds: float = 5.0, subject: Subject = NO_SUBJECT) -> Seen:
    """A look at these targets, and the diagnosis of what it saw."""
    looked = live.at(targets, live.deadline(seconds), lambda *_: None)
    return Seen(looked.evidence, looked.told, Case(SEED, (*beside, *looked.evidence), subject))


def look_at(world: World, text: str | None = SERVICE, **changed: Any) -> Seen:
    """A look at this world with this key, that writes nothing."""
    before = world.store.snapshot()
    given = key(text) if text is not None else None
    beside = [told(text)] if text is not None else []
    seen = at(Targets(**{"storage": world.url, "storage_key": given, **changed}), *beside)
    assert world.store.snapshot() == before
    return seen


# --- the project is broken --------------------------------------------------------------------------------------------


def test_a_sound_project_passes_everywhere(world: World) -> None:
    picture = world.put()
    seen = look_at(world, picture=picture, folder="7f1d2c3a/face")
    assert (seen.faults, seen.root) == (set(), None)
    passing = ("bucket_missing", "bucket_private", "storage_key_rejected", "storage_key_role", "storage_policy_denied", "storage_unavailable", "object_refused")  # fmt: skip
    assert {check: seen.status(check) for check in passing} == dict.fromkeys(passing, "pass")
    assert seen.of("live.storage").fields == {"url": world.url, "version": "1.70.6", "status": 200, "fault": None}
    assert seen.of("live.key").fields == {"name": NAME, "role": "service_role", "accepted": True, "status": 200, "message": None, "code": None}  # fmt: skip
    bucket = seen.of("live.bucket")
    assert (bucket["exists"], bucket["public"], bucket["size_limit"], bucket["mime_types"], bucket["near"]) == (True, True, None, None, None)  # fmt: skip
    assert seen.of("live.upload")["allowed"] is True
    stored = seen.of("live.object")
    assert (stored["exists"], stored["fetchable"], stored["status"], stored["size"], stored["mime_type"]) == (True, True, 206, len(PNG), "image/png")  # fmt: skip
    assert seen.of("live.newest")["path"] == PATH


def test_the_newest_object_is_the_newest(world: World) -> None:
    for path in ("b/old.png", "c/new.png", "a/never.png"):
        world.put(path)
        time.sleep(0.01)
    assert look_at(world).of("live.newest")["path"] == "a/never.png"
    assert look_at(world, folder="c").of("live.newest")["path"] == "c/new.png"


def test_a_missing_bucket_is_missing_and_its_nearest_name_is_told(world: World) -> None:
    world.now(buckets={"Public": Bucket(), "publik": Bucket()})
    seen = look_at(world)
    assert (seen.faults, seen.root) == ({"bucket_missing"}, "bucket_missing")
    assert "'public' does not exist" in seen.says("bucket_missing") and "'Public'" in seen.says("bucket_missing")
    assert seen.status("bucket_private") == "unknown" and seen.status("storage_policy_denied") == "unknown"


@pytest.mark.parametrize(("other", "near"), [("publlic", "publlic"), ("IMAGES_UPLOAD", "IMAGES_UPLOAD")])
def test_another_spelling_or_the_only_bucket_is_told(other: str, near: str, world: World) -> None:
    world.now(buckets={other: Bucket()})
    assert f"'{near}'" in look_at(world).says("bucket_missing")


def test_without_any_bucket_there_is_no_nearest_name(world: World) -> None:
    world.now(buckets={})
    assert look_at(world).says("bucket_missing") == "the bucket 'public' does not exist"


def test_with_an_anon_key_absence_is_proved_all_the_same(world: World) -> None:
    world.now(buckets={})
    seen = look_at(world, ANON)
    assert seen.root == "bucket_missing" and seen.faults == {"bucket_missing", "storage_key_role"}
    assert seen.status("storage_key_role") == "warn" and seen.status("storage_policy_denied") == "unknown"


def test_a_bucket_that_an_anon_key_cannot_see_is_not_called_missing(world: World) -> None:
    seen = look_at(world, ANON)
    assert seen.status("bucket_missing") == seen.status("bucket_private") == "pass"
    assert seen.faults == {"storage_key_role", "storage_policy_denied"} and seen.root == "storage_key_role"


def test_a_private_bucket(world: World) -> None:
    world.now(buckets={"public": Bucket(public=False)})
    for text in (SERVICE, keys.supabase_key("authenticated", None)):
        seen = look_at(world, text)
        assert "bucket_private" in seen.faults and "bucket_missing" not in seen.faults, text
    assert look_at(world).faults == {"bucket_private"}


def test_without_a_key_private_and_missing_are_not_told_apart(world: World) -> None:
    for buckets in ({"public": Bucket(public=False)}, {}):
        world.now(buckets=buckets)
        seen = look_at(world, None)
        assert not seen.faults
        assert "private or missing" in seen.says("bucket_missing") and "private or missing" in seen.says("bucket_private")  # fmt: skip


def test_without_a_key_a_public_bucket_is_seen_to_be_one(world: World) -> None:
    seen = look_at(world, None)
    assert (seen.status("bucket_missing"), seen.status("bucket_private"), seen.faults) == ("pass", "pass", set())
    assert {method for method, _ in world.seen} == {"GET"}
    assert seen.status("storage_key_rejected") == seen.status("storage_policy_denied") == "unknown"


@pytest.mark.parametrize("policies", [(), ("select",), ("update", "select"), ("insert",), ("insert", "select")])
def test_an_anon_key_is_a_fault_only_where_no_policy_lets_it_upload(policies: tuple[str, ...], world: World) -> None:
    world.now(buckets={"public": Bucket(policies=frozenset(policies))})
    for text in (ANON, keys.publishable_key()):
        seen = look_at(world, text)
        wanted = set() if "insert" in policies else {"storage_key_role", "storage_policy_denied"}
        assert seen.faults == wanted
        assert seen.root == ("storage_key_role" if wanted else None)


def test_a_browsers_key_that_may_not_upload_is_a_warning(world: World) -> None:
    seen = look_at(world, storage_key=Key("SUPABASE_ANON_KEY", ANON, "anon"))
    assert (seen.faults, seen.root) == ({"storage_policy_denied"}, None)
    assert seen.status("storage_policy_denied") == "warn"


def test_a_key_that_states_no_role_is_told_by_what_it_sees(world: World) -> None:
    for text, role in ((ANON, "anon"), (SERVICE, None)):
        assert look_at(world, storage_key=Key("SUPABASE_KEY", text, None)).of("live.key")["role"] == role


@pytest.mark.parametrize("text", [keys.secret_key(), keys.publishable_key()])
def test_keys_of_the_newer_kind_go_through_the_gateway(text: str, world: World) -> None:
    world.now(buckets={"public": Bucket(policies=frozenset({"insert"}))})
    seen = look_at(world, text)
    assert seen.of("live.key")["accepted"] is True and not seen.faults


BAD = {
    "garbage": "sb_secret_" + "x" * 31,
    "of another project": keys.supabase_key("service_role", "ztkvmyrqhdnwbcxoeplu", secret="another"),
    "expired": keys.supabase_key("service_role", None, datetime(2025, 6, 1)),
    "cut by one": SERVICE[:-1],
    "cut by two": SERVICE[:-2],
    "cut by twenty": SERVICE[:-20],
    "text": "not-a-key",
    "of an unknown role": keys.supabase_key("superuser", None),
}


@pytest.mark.parametrize("why", BAD)
def test_a_key_that_is_no_good_is_the_only_fault_of_the_chain(why: str, world: World) -> None:
    for buckets in ({"public": Bucket()}, {"public": Bucket(public=False)}, {}):
        if why == "of an unknown role" and not buckets:
            continue  # the bucket is looked for before the role is: then both are seen
        world.now(buckets=buckets)
        seen = look_at(world, BAD[why])
        assert seen.root == "storage_key_rejected"
        assert seen.faults - {"environment_incomplete"} == {"storage_key_rejected"}
        assert seen.status("bucket_missing") in ("unknown", "pass")
        assert BAD[why][-12:] not in repr(seen.evidence)


@pytest.mark.parametrize("why", ["expired", "cut by one", "cut by twenty"])
def test_a_key_that_is_spoilt_by_its_own_text_needs_no_answer(why: str) -> None:
    with black_hole() as hole:
        seen = at(Targets(storage=hole, storage_key=key(BAD[why])), told(BAD[why]), seconds=0.5)
    assert seen.root == "storage_key_rejected" and NAME in seen.says("storage_key_rejected")
    attempt = Case(SEED, seen.case.evidence, Subject(source="prompt_log.json#/0"))
    found = explain.diagnose(attempt).finding("storage_key_rejected")
    assert found is not None and found.status is Status.UNKNOWN  # of the attempt's own key nothing is known


def test_a_key_in_white_space_or_quotes_is_the_settings_fault(world: World) -> None:
    for text in (f"{SERVICE}\n", f'"{SERVICE}"', f" {SERVICE}"):
        seen = look_at(world, text)
        assert seen.faults == {"environment_incomplete"} and seen.of("live.key")["accepted"]


@pytest.mark.parametrize("text", [f"{SERVICE[:40]}\n{SERVICE[40:]}", f"{SERVICE}é"])
def test_a_key_that_cannot_be_sent_raises_in_the_library(text: str, world: World) -> None:
    seen = look_at(world, text)
    assert seen.root == "environment_incomplete"
    assert seen.faults == {"upload_error", "environment_incomplete"}, seen.faults
    assert "because" not in seen.says("upload_error") and "carry" in seen.says("upload_error")
    assert seen.status("bucket_missing") == "pass" and text not in repr(seen.evidence)


def test_a_gateway_that_refuses_the_key(world: World) -> None:
    async def refused(_request: Request) -> Response:
        return JSONResponse({"message": "Invalid API key", "hint": "Double check your Supabase API key."}, 401)

    with serve(refused) as url:
        seen = at(Targets(storage=url, storage_key=key()))
    assert (seen.faults, seen.root) == ({"storage_key_rejected"}, "storage_key_rejected")
    assert "gateway" in seen.says("storage_unavailable") and seen.status("storage_unavailable") == "unknown"


def test_what_the_bucket_takes(world: World) -> None:
    world.now(buckets={"public": Bucket(mime_types=("application/pdf", "text/plain"))})
    seen = look_at(world)
    assert (seen.faults, seen.root) == ({"object_refused"}, "object_refused")
    assert "application/pdf" in seen.says("object_refused")
    for kinds, status in (
        (("image/png",), "unknown"),
        (("image/*",), "pass"),
        (("*",), "pass"),
        (("application/pdf", "image/jpeg"), "unknown"),
    ):
        world.now(buckets={"public": Bucket(mime_types=kinds)})
        seen = look_at(world)
        assert (seen.status("object_refused"), seen.faults) == (status, set())


def test_a_limit_below_the_size_of_the_attempts_picture(world: World) -> None:
    world.now(buckets={"public": Bucket(size_limit=1024)})
    started = Evidence("upload.started", "backend.log:3", Witness.LOGGED, {"bucket": "public", "path": PATH, "size": 5000})  # fmt: skip
    targets = Targets(storage=world.url, storage_key=key())
    assert at(targets, started).root == "object_refused"
    assert at(targets, replace(started, fields={**started.fields, "size": 900})).faults == set()
    assert at(targets).status("object_refused") == "unknown"


def test_with_its_database_down_only_storage_is_blamed(world: World) -> None:
    world.now(database_up=False)
    for text in (SERVICE, ANON, None):
        seen = look_at(world, text, picture=Picture(object_url(world.url, "object/public", "public", PATH), "public", PATH))  # fmt: skip
        assert seen.root == "storage_unavailable"
        assert seen.faults - {"storage_key_role"} == {"storage_unavailable"}
        assert "500" in seen.says("storage_unavailable")
        assert "looked now" in seen.says("bucket_missing")
    assert look_at(world, BAD["expired"]).root in ("storage_key_rejected", "storage_unavailable")


def test_an_outage_of_uploads_alone_is_seen_by_writing(world: World) -> None:
    world.now(outage=Outage(500, "InternalError", "Internal", "Internal Server Error"))
    assert look_at(world).faults == set()
    seen = look_at(world, write="diagnose-probe-0.png")
    assert (seen.faults, seen.root) == ({"storage_unavailable"}, "storage_unavailable")
    assert seen.of("live.written")["written"] is False


def test_a_slow_project_is_waited_for_and_a_slower_one_is_silence(world: World) -> None:
    world.now(delay=0.4)
    assert look_at(world).status("bucket_missing") == "pass"
    world.now(delay=1.5)
    seen = at(Targets(storage=world.url, storage_key=key()), seconds=0.6)
    assert not seen.faults and "looked now" in seen.says("bucket_missing")


# --- it is not Storage ------------------------------------------------------------------------------------------------


@contextmanager
def serve(endpoint: Any) -> Iterator[str]:
    with running(Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST", "DELETE"])])) as url:
        yield url


def answered(*args: Any, **kwargs: Any) -> Callable[[Request], Any]:
    async def answer(_request: Request) -> Response:
        return Response(*args, **kwargs)

    return answer


JSON = "application/json"
STRANGERS: dict[str, tuple[Callable[[Request], Any], str]] = {
    "a web page": (answered("<!doctype html><p>hello", 200, media_type="text/html"), "a web page"),
    "a page for every status": (answered("<html>404", 404, media_type="text/html"), "a web page"),
    "an empty 200": (answered(b"", 200), "not Storage"),
    "a plain 404": (answered("Not Found", 404), "404"),
    "a gateway without a route": (answered('{"message":"no Route matched with those values"}', 404, media_type=JSON), "no Route matched"),
    "another server of that make": (answered('{"message":"Route GET:/x not found","error":"Not Found","statusCode":404}', 404, media_type=JSON), "not Storage"),
    "PostgREST": (answered('{"code":"PGRST125","message":"Invalid path","details":null,"hint":null}', 404, media_type=JSON), "Invalid path"),
    "FastAPI": (answered('{"detail":"Not Found"}', 404, media_type=JSON), "404"),
    "a redirect": (answered("", 308, headers={"location": "https://login.example/x?y"}), "redirects to 'login.example'"),
    "a paused project": (answered('{"message":"project paused"}', 540, media_type=JSON), "paused"),
    "a restricted project": (answered("", 402), "restricted"),
    "a database that is late": (answered("timeout", 544), "544"),
    "a proxy's 502": (answered("<html>Bad Gateway", 502, media_type="text/html"), "502"),
    "too many connections": (answered('{"statusCode":"429","code":"SlowDown","error":"too_many_connections","message":"Too many connections issued to the database"}', 429, media_type=JSON), "429"),
    "JSON of wrong types": (answered('{"message":5,"code":[],"statusCode":{}}', 400, media_type=JSON), "not Storage"),
    "a list": (answered('[1, 2, {"name": 5}]', 404, media_type=JSON), "not Storage"),
    "JSON that is deep": (answered("[" * 100_000, 200, media_type=JSON), "not Storage"),
    "a huge number": (answered("9" * 5000, 200, media_type=JSON), "not Storage"),
    "bytes": (answered(bytes(range(256)) * 40, 500), "500"),
}  # fmt: skip


@pytest.mark.parametrize("who", STRANGERS)
def test_who_is_not_storage_is_said_and_nothing_else_concluded(who: str) -> None:
    endpoint, words = STRANGERS[who]
    with serve(endpoint) as url:
        picture = Picture(object_url(url, "object/public", "public", PATH), "public", PATH)
        for given in (None, key()):
            seen = at(Targets(storage=url, storage_key=given, picture=picture))
            assert (seen.faults, seen.root) == ({"storage_unavailable"}, "storage_unavailable")
            assert words in seen.says("storage_unavailable")
            kinds = {e.kind for e in seen.evidence}
            assert kinds <= {"live.storage", "live.silent"}
            assert {f.check for f in seen.diagnosis.findings if f.status is Status.PASS} == set()


def test_a_path_in_the_address_is_named(world: World) -> None:
    seen = at(Targets(storage=f"{world.url}/rest/v1", storage_key=key()))
    assert seen.root == "storage_unavailable" and "'/rest/v1'" in seen.says("storage_unavailable")


def test_http_where_tls_is_wanted_proves_nothing(world: World) -> None:
    seen = at(Targets(storage=world.url.replace("http:", "https:"), storage_key=key()))
    assert not seen.faults and "TLS" in seen.says("storage_unavailable")


@pytest.mark.parametrize("how", ["hangs up", "speaks no HTTP", "cuts the body", "floods", "dribbles"])
def test_a_server_that_misbehaves_neither_passes_nor_raises(how: str) -> None:
    def answer(one: socket.socket) -> None:
        one.recv(65536)
        if how == "speaks no HTTP":
            one.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
        elif how == "cuts the body":
            one.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n[{"name":')
        elif how == "floods":
            one.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            while True:
                one.sendall(b'[{"name":"public"},' * 4000)
        elif how == "dribbles":
            one.sendall(b"HTTP/1.1 200 OK\r\n")
            for _ in range(40):
                one.sendall(b"X-More: of it\r\n")
                time.sleep(0.1)

    with talking(answer) as url:
        seen = at(Targets(storage=url, storage_key=key(), write="diagnose-probe-0.png"), seconds=2.5)
    assert seen.faults <= {"storage_unavailable", "object_refused"}
    assert "bucket_missing" not in seen.faults
    assert not [f.check for f in seen.diagnosis.findings if f.status is Status.PASS]


# --- silence ----------------------------------------------------------------------------------------------------------


def test_nobody_is_blamed_where_nobody_answers() -> None:
    with black_hole() as hole:
        for url in (closed(), hole, "https://nowhere.invalid", "nonsense", "http://[::"):
            picture = Picture(f"{url}/storage/v1/object/public/public/{PATH}", "public", PATH)
            seen = at(
                Targets(storage=url, storage_key=key(), picture=picture, write="diagnose-probe-0.png"), seconds=2.2
            )
            assert seen.root is None and seen.faults <= {"object_refused"}, url
            assert {e.kind for e in seen.evidence} <= {"live.silent", "live.written"}, url
            assert not [f.check for f in seen.diagnosis.findings if f.status is Status.PASS]


def test_a_refusal_counts_where_another_of_its_reach_answered(world: World) -> None:
    here, there = closed(), "https://qhwzvbnkdmtyrcxaeplo.supabase.co"
    gone = Answer(200, {}, b"", True)
    targets = Targets(storage=here, backend="http://127.0.0.1:8000", fal_api="https://api.fal.ai")
    refused, unresolved = Silence("refused", "the connection was refused"), Silence("unresolved", "the name does not resolve")  # fmt: skip

    def judged(target: Targets, silence: Silence, **others: Any) -> str:
        names = {"storage version": silence, "storage public": silence}
        evidence = storage.evidence(target, Answers({**names, **{k.replace("_", " "): v for k, v in others.items()}}))
        return Seen((), (), Case(SEED, tuple(evidence))).says("storage_unavailable")

    assert "refused" in judged(targets, refused, backend_root=gone) and "does not work" in judged(targets, refused, backend_root=gone)  # fmt: skip
    assert "does not work" not in judged(targets, refused, fal_model=gone)  # the internet says nothing of this machine
    assert "does not work" not in judged(targets, refused)
    far = replace(targets, storage=there)
    assert "paused" in judged(far, unresolved, fal_model=gone)
    assert "does not work" not in judged(far, unresolved, backend_root=gone)
    assert "does not work" not in judged(far, Silence("late", "no answer within 5 s"), fal_model=gone)
    assert "does not work" not in judged(far, unresolved, fal_model=unresolved)


def test_with_another_service_that_answers(world: World) -> None:
    seen = at(Targets(storage=closed(), storage_key=key(), backend=world.url))
    assert "storage_unavailable" in seen.faults and "bucket_missing" not in seen.faults
    assert seen.root == "storage_unavailable"


# --- the attempt's picture --------------------------------------------------------------------------------------------


def addressed(url: str) -> Evidence:
    return Evidence("image_url", "backend.log:35", Witness.LOGGED, {"url": url})


HOSTED = "https://qhwzvbnkdmtyrcxaeplo.supabase.co/storage/v1/object/public/public/a.jpg"
"""An address that anybody can reach: what is looked at stands on the loopback, which fal could not."""


def picture_look(world: World, picture: Picture, text: str | None = SERVICE, **changed: Any) -> Seen:
    given = key(text) if text else None
    targets = Targets(**{"storage": world.url, "storage_key": given, "picture": picture, **changed})
    return at(targets, addressed(HOSTED))


def test_an_object_that_is_there_is_fetched(world: World) -> None:
    for text in (SERVICE, ANON, None):
        seen = picture_look(world, world.put(), text)
        assert seen.status("init_image_url_unreachable") == "pass"


def test_an_object_that_is_missing(world: World) -> None:
    gone = Picture(object_url(world.url, "object/public", "public", PATH), "public", PATH)
    for text in (SERVICE, None):
        seen = picture_look(world, gone, text)
        assert seen.faults == {"init_image_url_unreachable"} and PATH in seen.says("init_image_url_unreachable")


def test_in_a_private_bucket_only_the_bucket_is_blamed(world: World) -> None:
    picture = world.put()
    world.now(buckets={"public": Bucket(public=False)})
    seen = picture_look(world, picture)
    assert (seen.faults, seen.root) == ({"bucket_private"}, "bucket_private")
    assert (seen.of("live.object")["exists"], seen.of("live.object")["fetchable"]) == (True, False)
    assert not picture_look(world, picture, None).faults


def test_a_signed_address_needs_no_public_bucket(world: World) -> None:
    picture = world.put()
    world.now(buckets={"public": Bucket(public=False)})
    token = keys.sign({"url": f"public/{PATH}", "scope": "download", "exp": int(time.time()) + 60})
    signed = replace(picture, url=f"{object_url(world.url, 'object/sign', 'public', PATH)}?token={token}")
    signed_url = addressed("https://qhwzvbnkdmtyrcxaeplo.supabase.co/storage/v1/object/sign/public/a.jpg?token=x")
    seen = at(Targets(storage=world.url, storage_key=key(), picture=signed), signed_url)
    assert not seen.faults and seen.status("init_image_url_unreachable") == "pass"
    assert token not in repr(seen.evidence) and token not in repr(seen.told)
    late = replace(picture, url=f"{object_url(world.url, 'object/sign', 'public', PATH)}?token=expired")
    seen = at(Targets(storage=world.url, storage_key=key(), picture=late), signed_url)
    assert seen.status("init_image_url_unreachable") == "unknown" and "signature" in seen.says("init_image_url_unreachable")  # fmt: skip


def test_what_is_served_must_be_a_picture(world: World) -> None:
    seen = picture_look(world, world.put(kind="text/plain;charset=UTF-8"))
    assert seen.status("init_image_url_unreachable") == "warn" and "text/plain" in seen.says("init_image_url_unreachable")  # fmt: skip
    seen = picture_look(world, world.put("empty/0000000a.png", b""))
    assert seen.status("init_image_url_unreachable") == "fail" and "empty" in seen.says("init_image_url_unreachable")


def test_a_record_without_its_file(world: World) -> None:
    """`info` knows of it and the GET answers 500."""
    picture = world.put()

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/storage/v1/object/public/"):
            body = {"statusCode": "500", "code": "InternalError", "error": "Internal", "message": "Internal Server Error"}  # fmt: skip
            await JSONResponse(body, 500)(scope, receive, send)
        else:
            await world.store.app(scope, receive, send)

    with running(broken) as url:
        moved = replace(picture, url=object_url(url, "object/public", "public", PATH))
        seen = at(Targets(storage=url, storage_key=key(), picture=moved), addressed(HOSTED))
    assert (seen.faults, seen.root) == ({"init_image_url_unreachable"}, "init_image_url_unreachable")
    assert "on record" in seen.says("init_image_url_unreachable") and "500" in seen.says("init_image_url_unreachable")


def test_a_stranger_is_not_asked(world: World) -> None:
    stranger = addressed(object_url(world.url, "object/public", "public", PATH).replace("127.0.0.1", "images.example"))
    seen = at(Targets(stranger=stranger), stranger)
    assert not world.seen and not seen.told and not seen.faults
    assert "--allow-host images.example" in seen.says("init_image_url_unreachable")


def test_a_stranger_that_is_allowed_is_asked_on_the_public_internet_only(world: World) -> None:
    world.put()
    stranger = addressed(object_url(world.url, "object/public", "public", PATH))
    seen = at(Targets(stranger=stranger, stranger_allowed=True))
    assert not world.seen and "private network" in str((seen.silent("live.object") or {"reason": ""})["reason"])


@pytest.mark.parametrize(
    ("status", "kind", "wanted"),
    [
        (206, "image/jpeg", "pass"), (200, "image/png", "pass"), (206, "text/html", "warn"), (404, "text/html", "fail"), (410, "", "fail"),
        (403, "", "unknown"), (429, "", "unknown"), (500, "", "unknown"), (302, "", "unknown"),
    ],
)  # fmt: skip
def test_what_a_stranger_answers(status: int, kind: str, wanted: str) -> None:
    url = addressed("https://images.example/a.jpg")
    headers = {"content-type": kind, "content-range": "bytes 0-0/900", "location": "https://cdn.example/a"}
    answers = Answers({"storage stranger": Answer(status, headers, b"x", True)})
    evidence = tuple(storage.evidence(Targets(stranger=url, stranger_allowed=True), answers))
    assert evidence[0]["own"] is False
    assert Seen((), (), Case(SEED, (url, *evidence))).status("init_image_url_unreachable") == wanted


# --- nothing is written -----------------------------------------------------------------------------------------------


def test_only_these_questions_are_asked(world: World) -> None:
    picture = world.put()
    for text in (SERVICE, ANON, BAD["expired"]):
        look_at(world, text, picture=picture, folder="7f1d2c3a/face")
    posted = {path.split("/public/")[0] for method, path in world.seen if method != "GET"}
    assert posted == {"/storage/v1/object/upload/sign", "/storage/v1/object/list-v2/public"} or all(
        path.startswith(("/storage/v1/object/upload/sign", "/storage/v1/object/list-v2")) for path in posted
    )
    assert {method for method, _ in world.seen} == {"GET", "POST"}


def test_every_question_is_told(world: World) -> None:
    picture = world.put()
    seen = look_at(world, picture=picture)
    assert len(seen.told) == len(world.seen)
    for method, path in world.seen:
        assert any(line.startswith(method) and quote(path, safe="/") in line for line in seen.told), path


def test_the_token_of_the_dry_run_is_not_kept(world: World) -> None:
    targets, asker = Targets(storage=world.url, storage_key=key()), Asker(time.monotonic() + 5)
    answers = look(list(storage.questions(targets, asker)), asker.until, lambda *_: None)
    asker.close()
    token = answers["storage upload"].fields["token"]
    evidence = tuple(storage.evidence(targets, answers))
    shown = Seen(evidence, tuple(asker.told), Case(SEED, evidence))
    assert token and all(token not in repr(part) for part in (evidence, shown.told, shown.diagnosis))
    assert SERVICE not in repr((evidence, shown.told, shown.diagnosis, targets))


def test_a_server_that_echoes_the_key_shows_it_to_nobody() -> None:
    async def echo(request: Request) -> Response:
        heard = f"Invalid Compact JWS: {request.headers.get('apikey')}"
        body = {"statusCode": "403", "code": "AccessDenied", "error": "Unauthorized", "message": heard}
        return JSONResponse(body, 400)

    with serve(echo) as url:
        seen = at(Targets(storage=url, storage_key=key(), write="diagnose-probe-0.png"))
    assert seen.root == "storage_key_rejected" and SERVICE[-20:] not in repr(seen.diagnosis)


# --- one object, where that was asked for -----------------------------------------------------------------------------


def test_what_is_written_is_fetched_and_removed(world: World) -> None:
    seen = look_at(world, write="diagnose-probe-0.png")
    written = seen.of("live.written")
    assert (written["written"], written["fetchable"], written["removed"]) == (True, True, True)
    assert not world.store.objects and not seen.faults
    assert {method for method, path in world.seen if "diagnose-probe-" in path} == {"POST", "GET", "DELETE"}


def test_without_a_key_nothing_is_written(world: World) -> None:
    assert not [e for e in look_at(world, None, write="diagnose-probe-0.png").evidence if e.kind == "live.written"]
    assert {method for method, _ in world.seen} == {"GET"}


@pytest.mark.parametrize(
    ("bucket", "wanted"),
    [
        (Bucket(mime_types=("image/jpeg",)), {"object_refused"}),
        (Bucket(size_limit=10), {"object_refused"}),
        (Bucket(public=False), {"bucket_private"}),
    ],
)
def test_what_writing_finds(bucket: Bucket, wanted: set[str], world: World) -> None:
    world.now(buckets={"public": bucket})
    assert look_at(world, write="diagnose-probe-0.png").faults == wanted
    assert not world.store.objects


def test_an_object_that_could_not_be_removed_is_named(world: World) -> None:
    world.now(buckets={"public": Bucket(policies=frozenset({"insert"}))})
    seen = at(Targets(storage=world.url, storage_key=key(ANON), write="diagnose-probe-0.png"))
    [(_, path)] = world.store.objects
    assert seen.status("object_refused") == "warn" and path in seen.says("object_refused")
    assert seen.of("live.written")["removed"] is False


def test_nothing_is_written_without_the_time_to_remove_it(world: World) -> None:
    seen = at(Targets(storage=world.url, storage_key=key(), write="diagnose-probe-0.png"), seconds=1.0)
    assert not world.store.objects and "no time" in str((seen.silent("live.written") or {"reason": ""})["reason"])


def test_what_arrived_without_an_answer_is_removed(world: World) -> None:
    """The upload's answer never comes; the object stands there, and is removed all the same."""

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        async def swallow(_message: Any) -> None:
            if _message["type"] == "http.response.start":
                await send({"type": "http.response.start", "status": 200, "headers": []})
            import asyncio

            await asyncio.sleep(4)

        probe = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith(".png")
        await world.store.app(scope, receive, swallow if probe else send)

    with running(deaf) as url:
        seen = at(Targets(storage=url, storage_key=key(), write="diagnose-probe-0.png"), seconds=5)
    assert not world.store.objects and seen.of("live.written")["removed"] is True


# --- joined with an attempt -------------------------------------------------------------------------------------------


def case_of(folder: Path) -> Case:
    return normalise.cases(collect.gather([folder]), SEED)[0]


def joined(case: Case, fault_world: faults.World, url: str, store: Supabase) -> Seen:
    """The case, and a look at the world as it stands."""
    path = next((e["path"] for e in case.of("storage.upload", "upload.started") if e["path"]), None)
    bucket = fault_world.code.profile.bucket
    picture = Picture(object_url(url, "object/public", bucket, path), bucket, path) if path else None
    given = fault_world.settings.supabase_key
    targets = Targets(
        storage=closed() if fault_world.cut else url, storage_key=key(given) if given else None, bucket=bucket, picture=picture, backend=url
    )  # fmt: skip
    asker = Asker(time.monotonic() + 5)
    answers = look(list(storage.questions(targets, asker)), asker.until, lambda *_: None)
    asker.close()
    around = Answers({**answers.by_name, "backend root": Answer(200, {}, b"", True)})
    evidence = tuple(storage.evidence(targets, around))
    return Seen(evidence, tuple(asker.told), Case(case.profile, (*case.evidence, *evidence), case.subject))


SEEDS = [fault for fault in faults.FAULTS if fault.profile == "seed"]


@pytest.mark.parametrize("fault", SEEDS, ids=lambda f: f.name)
def test_a_look_at_the_same_world_names_the_same_root(fault: faults.Fault, on_stage: Stage, tmp_path: Path) -> None:
    broken = fault.arrange(faults.sound())
    on_stage.write_world(broken, tmp_path)
    case = case_of(tmp_path)
    before = explain.diagnose(case)
    store = on_stage.services.supabase
    with running(store.app) as url:
        state = store.snapshot()
        seen = joined(case, broken, url, store)
        assert store.snapshot() == state
        assert (seen.root, seen.diagnosis.outcome) == (before.root.check if before.root else None, before.outcome)
        assert seen.diagnosis.suspects == before.suspects
        store.project = faults.sound().project
        healed = joined(case, faults.sound(), url, store)
    assert healed.root == seen.root
    lines = {"bucket_missing", "bucket_private", "storage_key_rejected", "storage_policy_denied", "storage_unavailable"}
    if fault.check in lines:
        assert "looked at from here" in healed.says(fault.check), healed.says(fault.check)
        assert healed.diagnosis.root is not None and healed.diagnosis.root.status is Status.FAIL


STORED = ("bucket_missing", "storage_key_rejected", "storage_policy_denied", "storage_unavailable:down")


@pytest.mark.parametrize("name", STORED)
def test_where_the_log_is_cut_the_fault_of_now_is_the_root(name: str, on_stage: Stage, tmp_path: Path) -> None:
    fault = faults.named(name)
    assert fault is not None
    broken = fault.arrange(faults.sound())
    on_stage.write_world(broken, tmp_path)
    log = (tmp_path / "backend.log").read_text(encoding="utf-8")
    spoken = ("/storage/v1/", "Supabase", "supabase", "upload", "Upload", "Storage", "storage")
    kept = [line for line in log.splitlines() if not any(word in line for word in spoken)]
    (tmp_path / "backend.log").write_text("\n".join(kept) + "\n", encoding="utf-8")
    (tmp_path / "response.json").unlink()
    (tmp_path / "prompt_log.json").unlink()  # it tells why the upload failed
    case = case_of(tmp_path)
    before = explain.diagnose(case)
    assert before.root is None and before.outcome == "not_switched", before.root
    store = on_stage.services.supabase
    with running(store.app) as url:
        seen = joined(case, broken, url, store)
        assert seen.root == fault.check
        store.project = faults.sound().project
        healed = joined(case, faults.sound(), url, store)
    assert healed.root is None and fault.check in healed.diagnosis.suspects  # what is right now can be right since


def test_without_a_photo_a_fault_of_now_is_a_warning(on_stage: Stage, tmp_path: Path) -> None:
    fault = faults.named("no_image_sent")
    assert fault is not None
    on_stage.write_case(fault, tmp_path)
    case = case_of(tmp_path)
    store = on_stage.services.supabase
    store.project = replace(store.project, buckets={})
    with running(store.app) as url:
        seen = joined(case, faults.sound(), url, store)
    assert seen.status("bucket_missing") == "warn" and seen.root == "no_image_sent"
    assert explain.sound(seen.diagnosis)


def attempt(*evidence: tuple[str, Mapping[str, Any]]) -> tuple[Evidence, ...]:
    return tuple(Evidence(k, f"backend.log:{n}", Witness.LOGGED, f) for n, (k, f) in enumerate(evidence, 1))


LOST = attempt(
    ("request.received", {"images": 1, "names": ["face_image"], "by": "log"}),
    ("decode.done", {"name": "face_image"}),
    ("upload.started", {"bucket": "public", "path": PATH, "size": 900}),
    ("image_url", {"url": None, "origin": "log"}),
)
ATTEMPT = Subject(source="backend.log:1")


def test_the_object_that_the_attempt_named_proves_its_upload(world: World) -> None:
    picture = replace(world.put(), tried=True)
    seen = at(Targets(storage=world.url, storage_key=key(), picture=picture), *LOST, subject=ATTEMPT)
    assert seen.root == "upload_result_lost" and PATH in seen.says("upload_result_lost")
    world.store.objects.clear()
    seen = at(Targets(storage=world.url, storage_key=key(), picture=picture), *LOST, subject=ATTEMPT)
    assert seen.root is None and "upload_result_lost" in seen.diagnosis.suspects


def test_an_object_of_a_name_that_is_used_again_proves_nothing(world: World) -> None:
    evidence = tuple(replace(e, fields={**e.fields, "path": "face.jpg"}) if e.kind == "upload.started" else e for e in LOST)  # fmt: skip
    picture = replace(world.put("face.jpg"), tried=True)
    assert at(Targets(storage=world.url, storage_key=key(), picture=picture), *evidence, subject=ATTEMPT).root is None


def test_an_object_that_is_gone_does_not_explain_a_balance_that_is_used_up(world: World) -> None:
    called = attempt(
        ("request.received", {"images": 1, "names": ["face_image"], "by": "log"}),
        ("image_url", {"url": HOSTED}),
        ("fal.call", {"model": SEED.image_to_image, "status": 403, "final": True}),
        ("fal.error", {"status": 403, "message": "User is locked. Reason: Exhausted balance."}),
    )
    gone = Picture(object_url(world.url, "object/public", "public", PATH), "public", PATH)
    seen = at(Targets(storage=world.url, storage_key=key(), picture=gone), *called, subject=ATTEMPT)
    assert seen.root == "fal_balance_exhausted" and seen.status("init_image_url_unreachable") == "warn"


def test_a_fault_of_another_project_does_not_explain_this_one(world: World) -> None:
    """The log is of a hosted project, and what is looked at runs on this machine."""
    world.now(buckets={})
    elsewhere = attempt(
        ("request.received", {"images": 1, "names": ["face_image"], "by": "log"}),
        ("storage.upload", {"host": "qhwzvbnkdmtyrcxaeplo.supabase.co", "bucket": "public", "path": PATH, "status": None}),
        ("image_url", {"url": None}),
    )  # fmt: skip
    seen = at(Targets(storage=world.url, storage_key=key()), *elsewhere, subject=ATTEMPT)
    assert seen.status("bucket_missing") == "warn" and seen.root is None


# --- robustness -------------------------------------------------------------------------------------------------------

NAMES = ("version", "public", "key", "bucket", "settings", "upload", "object", "own object", "fetch", "newest", "write", "stranger")  # fmt: skip
HOSTILE: tuple[Any, ...] = (
    None, 5, "text", Silence("late", "no answer"), Answer(200, {}, b"", True), Answer(200, {}, b"[" * 5000, True), Answer(200, {}, b"null", True),
    Answer(200, {}, b'[{"name":5},null,[]]', True), Answer(200, {}, b'{"public":"yes","file_size_limit":[],"allowed_mime_types":[5,{}],"created_at":7,"url":5,"objects":{"a":1},"id":1,"size":"x"}', True),
    Answer(400, {}, b'{"statusCode":"404","code":"NoSuchBucket","error":"x","message":"Bucket not found"}', True),
    Answer(400, {}, b'{"statusCode":"9999999","code":7,"error":7,"message":7}', True), Answer(400, {}, b'{"statusCode":"-1","error":"x","message":"y"}', False),
    Answer(206, {"content-range": "bytes 0-0/" + "9" * 400, "content-type": "x" * 5000}, b"x", True), Answer(206, {"content-range": "bytes */*"}, b"", True),
    Answer(302, {"location": "//[bad"}, b"", True), Answer(999, {}, b"\xff\xfe", True),
    storage.Written("p", None, None, None), storage.Written("p", Silence("late", "x"), 5, "y"),
)  # fmt: skip


@pytest.mark.parametrize("one", range(len(HOSTILE)))
def test_no_answer_makes_it_raise(one: int) -> None:
    targets = Targets(
        storage="http://127.0.0.1:9", storage_key=key(), picture=Picture(HOSTED, "public", PATH), write="diagnose-probe-0.png",
        stranger=addressed("https://images.example/x"), stranger_allowed=True,
    )  # fmt: skip
    for two in range(len(HOSTILE)):
        answers = {f"storage {name}": HOSTILE[(one + two * n) % len(HOSTILE)] for n, name in enumerate(NAMES)}
        evidence = tuple(storage.evidence(targets, Answers(answers)))
        assert not [f for f in explain.diagnose(Case(SEED, evidence)).findings if f.status is Status.CRASH]
        assert json.dumps([dict(e.fields) for e in evidence])


def test_a_bucket_whose_name_is_odd_is_asked_for_as_it_is(world: World) -> None:
    world.now(buckets={"a b&c": Bucket()})
    seen = look_at(world, bucket="a b&c")
    assert seen.status("bucket_missing") == "pass" and not seen.faults


# --- keys by their own text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "role", "project", "fault"),
    [
        (keys.supabase_key("service_role"), "service_role", keys.REF, None),
        (SERVICE, "service_role", None, None),
        (f"{SERVICE}\n", "service_role", None, "white space"),
        (f'"{SERVICE}"', "service_role", None, "quotation marks"),
        (f"“{SERVICE}”", "service_role", None, "quotation marks"),
        (f"Bearer {SERVICE}", "service_role", None, "Bearer"),
        (SERVICE[:-1], "service_role", None, "cut off"),
        (SERVICE[:60], None, None, None),
        (keys.supabase_key("service_role", None, datetime(2025, 6, 1)), "service_role", None, "expired"),
        (keys.user_token(datetime(2035, 1, 1)), "authenticated", keys.REF, "signed-in user"),
        (keys.sign({"iss": "supabase", "exp": 2051222400}), "anon", None, "names no role"),
        (keys.supabase_key("superuser"), "superuser", keys.REF, "'superuser'"),
        (f"eyJhbGciOiJub25lIn0.{SERVICE.split('.')[1]}.", "service_role", None, "not signed"),
        (keys.secret_key(), "service_role", None, None),
        (keys.publishable_key(), "anon", None, None),
        ("sb_secret_abc", "service_role", None, "cut off"),
        ("sbp_0123456789abcdef", None, None, "management token"),
        ("your-service-role-key", None, None, "placeholder"),
        ("<paste it here>", None, None, "placeholder"),
        ("eyJhbGciOi...", None, None, "placeholder"),
        ("", None, None, "empty"),
        (f"{SERVICE[:50]}\n{SERVICE[50:]}", None, None, "no HTTP header"),
    ],
)  # fmt: skip
def test_what_a_key_says_of_itself(text: str, role: str | None, project: str | None, fault: str | None) -> None:
    found = settings.describe(NAME, text)
    if fault == "no HTTP header":
        assert fault in str(found["fault"])
        return
    assert (found["role"], found["project"]) == (role, project)
    assert (fault in str(found["fault"])) if fault else found["fault"] is None
    assert not text[10:] or text[10:] not in repr(found)


def test_a_token_of_another_algorithm_has_another_length() -> None:
    head = "eyJhbGciOiJFUzI1NiJ9"
    found = settings.describe("SUPABASE_JWT", f"{head}.{SERVICE.split('.')[1]}.{'a' * 20}")
    assert found["fault"] is None


@pytest.mark.parametrize(
    ("url", "project"),
    [
        (f"https://{keys.REF}.supabase.co", keys.REF), (f"https://{keys.REF}.storage.supabase.co", keys.REF), (f"https://{keys.REF}.supabase.in/", keys.REF),
        ("https://api.example.com", None), (f"https://{keys.REF[:-1]}.supabase.co", None), ("http://127.0.0.1:54321", None),
    ],
)  # fmt: skip
def test_the_project_of_an_address(url: str, project: str | None) -> None:
    assert settings.describe("SUPABASE_URL", url)["project"] == project


def test_expiry_is_judged_by_this_machines_clock() -> None:
    for hours, expired in ((-1, True), (1, False)):
        text = keys.supabase_key("service_role", None, datetime.now(UTC) + timedelta(hours=hours))
        assert settings.describe(NAME, text)["expired"] is expired
