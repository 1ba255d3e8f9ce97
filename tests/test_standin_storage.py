"""The contract of Supabase: what its servers were observed to answer, and what the installed client makes of it.

Every test runs against the stand-in, served on the loopback. Where DIAGNOSE_TEST_SUPABASE_URL and
DIAGNOSE_TEST_SUPABASE_KEY (a service key; DIAGNOSE_TEST_SUPABASE_ANON_KEY beside it if there is one) are set, it runs
against that real server too, in buckets of its own that are removed again; what no test can bring about there is skipped.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import random
import socket
import threading
import time
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("python_multipart")
supabase = pytest.importorskip("supabase")

from storage3.exceptions import StorageApiError  # noqa: E402
from storage3.utils import StorageException  # noqa: E402
from supabase.lib.client_options import SyncClientOptions  # noqa: E402

from diagnose.generator.serving import running  # noqa: E402
from diagnose.generator.standins import keys  # noqa: E402
from diagnose.generator.standins.storage import Bucket, Outage, Project, Supabase  # noqa: E402

RLS = "new row violates row-level security policy"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
REAL_URL = os.environ.get("DIAGNOSE_TEST_SUPABASE_URL")
REAL_KEY = os.environ.get("DIAGNOSE_TEST_SUPABASE_KEY")
TRUST = httpx.create_ssl_context()
"""Made once: it is what takes the time of making a client."""
LATER, EARLIER = datetime(2035, 1, 1), datetime(2025, 12, 31)


# The service.


@dataclass
class Clock:
    """The time, and a way to make it pass."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Service:
    """A server under test."""

    url: str
    key: str
    anon: str | None
    store: Supabase | None = None
    clock: Clock = field(default_factory=Clock)
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        self.http = self.closing.enter_context(httpx.Client(timeout=30.0, verify=TRUST))

    @property
    def own(self) -> Supabase:
        """The stand-in itself, for what only it can be told."""
        if self.store is None:
            pytest.skip("no test can bring this about on a real server")
        return self.store

    @property
    def anybody(self) -> str:
        """A key with the rights of anybody."""
        if self.anon is None:
            pytest.skip("there is no anon key")
        return self.anon

    def client(self, key: str | None = None, url: str | None = None, transport: Any = None) -> Any:
        """The installed client, which is closed at the end."""
        http = self.closing.enter_context(httpx.Client(transport=transport, timeout=20.0, verify=TRUST))
        options = SyncClientOptions(httpx_client=http, auto_refresh_token=False, persist_session=False)
        return supabase.create_client(url or self.url, self.key if key is None else key, options)

    def storage(self, bucket: str, key: str | None = None) -> Any:
        return self.client(key).storage.from_(bucket)

    def call(self, method: str, path: str, key: str | None = None, **given: Any) -> Any:
        """A bare request to Storage; without a key, none is sent."""
        headers = {**({"apikey": key, "Authorization": f"Bearer {key}"} if key else {}), **given.pop("headers", {})}
        return self.http.request(method, f"{self.url}/storage/v1{path}", headers=headers, **given)

    def bucket(self, *policies: str, **settings: Any) -> str:
        """A bucket of a name that nobody has, public unless said otherwise."""
        name = f"contract-{uuid.uuid4().hex[:12]}"
        body = {"id": name, "name": name, "public": True, **settings}
        assert self.call("POST", "/bucket", self.key, json=body).json() == {"name": name}
        self.closing.callback(self._remove, name)
        if policies:
            store = self.own
            changed = replace(store.project.buckets[name], policies=frozenset(policies))
            store.project = replace(store.project, buckets={**store.project.buckets, name: changed})
        return name

    def put(self, bucket: str, path: str = "ok.png", data: bytes = PNG) -> str:
        """An object that is there before the test begins."""
        answer = self.call(
            "POST", f"/object/{bucket}/{path}", self.key, content=data, headers={"content-type": "image/png"}
        )
        assert answer.status_code == 200, answer.text
        return path

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        if self.store is None:
            time.sleep(seconds)
        else:
            self.clock.ahead += timedelta(seconds=seconds)

    def now(self, **changes: Any) -> None:
        """Changes how the stand-in stands."""
        self.own.project = replace(self.own.project, **changes)

    def _remove(self, name: str) -> None:
        if self.store is None:
            self.call("POST", f"/bucket/{name}/empty", self.key, json={})
            self.call("DELETE", f"/bucket/{name}", self.key)


@pytest.fixture(scope="module")
def standin() -> Iterator[tuple[str, Supabase, Clock]]:
    clock = Clock()
    store = Supabase(Project({}), clock, random.Random(7))
    with running(store.app) as url:
        yield url, store, clock


TARGETS = ["stand-in", *(["real"] if REAL_URL and REAL_KEY else [])]


@pytest.fixture(params=TARGETS)
def service(request: pytest.FixtureRequest, standin: tuple[str, Supabase, Clock]) -> Iterator[Service]:
    if request.param == "real":
        found = Service(str(REAL_URL).rstrip("/"), str(REAL_KEY), os.environ.get("DIAGNOSE_TEST_SUPABASE_ANON_KEY"))
    else:
        url, store, clock = standin
        store.project, clock.ahead = Project({}), timedelta()
        store.objects.clear()
        found = Service(url, keys.supabase_key("service_role"), keys.supabase_key("anon"), store, clock)
    with found.closing:
        yield found


def said(response: Any) -> tuple[int, str, str, str]:
    """HTTP status, and code, statusCode and message of the body."""
    body = response.json()
    assert isinstance(body["error"], str)
    return response.status_code, body["code"], body["statusCode"], body["message"]


def caught(call: Callable[..., Any], *given: Any) -> StorageApiError:
    with pytest.raises(StorageApiError) as found:
        call(*given)
    assert isinstance(found.value, StorageException)
    return found.value


def code_of(error: BaseException) -> str:
    """The code that the client leaves out of its exception."""
    found: BaseException | None = error
    while found is not None and not hasattr(found, "response"):
        found = found.__cause__ or found.__context__
    assert found is not None
    return str(found.response.json()["code"])


def seen(error: StorageApiError) -> tuple[str, str, str | int, str]:
    """The code behind it, and what the exception itself says."""
    return code_of(error), error.code, error.status, error.message


BAD_KEYS = {
    "garbage": ("nonsense", "Invalid Compact JWS"),
    "unknown to the gateway": ("sb_secret_" + "a" * 22 + "_" + "b" * 8, "Invalid Compact JWS"),
    "expired": (keys.supabase_key("service_role", expires=EARLIER), '"exp" claim timestamp check failed'),
    "another project's": (keys.supabase_key("service_role", secret="another's"), "signature verification failed"),
    "in quotes": (f'"{keys.supabase_key("service_role")}"', "JWS Protected Header is invalid"),
    "unsigned": (
        "eyJhbGciOiJub25lIn0." + keys.supabase_key("service_role").split(".")[1] + ".",
        '"alg" (Algorithm) Header Parameter value not allowed',
    ),
    "early": (keys.sign({"role": "anon", "nbf": keys.epoch(LATER)}), '"nbf" claim timestamp check failed'),
}
ONLY_OURS = {"expired", "early"}
"""A stranger's server cannot see these: it stops at the signature."""


def bad_keys(service: Service) -> Iterator[tuple[str, str]]:
    for name, (key, message) in BAD_KEYS.items():
        yield key, "signature verification failed" if service.store is None and name in ONLY_OURS else message


# The traps.


def test_the_meaning_is_in_the_body(service: Service) -> None:
    answer = service.call("POST", "/object/nobody-has-this/ok.png", service.key, content=PNG)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {
        "statusCode": "404",
        "code": "NoSuchBucket",
        "error": "Bucket not found",
        "message": "Bucket not found",
    }


def test_the_client_throws_the_code_away(service: Service) -> None:
    error = caught(service.storage("nobody-has-this").upload, "ok.png", PNG)
    assert (error.code, error.status, error.message) == ("Bucket not found", "404", "Bucket not found")
    assert error.to_dict() == {
        "name": "StorageApiError",
        "code": "Bucket not found",
        "message": "Bucket not found",
        "status": "404",
    }
    assert str(error) == "{'statusCode': 404, 'error': Bucket not found, 'message': Bucket not found}"
    assert code_of(error) == "NoSuchBucket"


def test_a_bad_key_and_a_policy_differ_in_the_message_alone(service: Service) -> None:
    bucket = service.bucket()
    by_policy = caught(service.storage(bucket, service.anybody).upload, "ok.png", PNG)
    by_key = caught(service.storage(bucket, "nonsense").upload, "ok.png", PNG)
    assert seen(by_policy) == ("AccessDenied", "Unauthorized", "403", RLS)
    assert seen(by_key) == ("AccessDenied", "Unauthorized", "403", "Invalid Compact JWS")


def test_a_public_bucket_asks_for_no_key(service: Service) -> None:
    bucket = service.bucket()
    service.put(bucket)
    for key, _ in bad_keys(service):
        storage = service.storage(bucket, key)
        assert storage.info("ok.png")["size"] == len(PNG)
        assert storage.exists("ok.png") is True
        assert storage.download("ok.png") == PNG


def test_a_private_bucket_is_missing_for_a_bad_key(service: Service) -> None:
    bucket = service.bucket(public=False)
    service.put(bucket)
    for key, _ in bad_keys(service):
        for call in (service.storage(bucket, key).info, service.storage(bucket, key).download):
            assert seen(caught(call, "ok.png")) == ("NoSuchBucket", "Bucket not found", "404", "Bucket not found")


def test_a_list_of_nothing_proves_nothing(service: Service) -> None:
    bucket = service.bucket()
    service.put(bucket)
    assert service.storage("nobody-has-this").list() == []
    assert service.storage(bucket, service.anybody).list() == []
    assert [row["name"] for row in service.storage(bucket).list()] == ["ok.png"]


def test_anybody_sees_no_bucket_and_is_told_there_is_none(service: Service) -> None:
    bucket = service.bucket()
    client = service.client(service.anybody)
    assert client.storage.list_buckets() == []
    assert seen(caught(client.storage.get_bucket, bucket)) == (
        "NoSuchBucket",
        "Bucket not found",
        "404",
        "Bucket not found",
    )


def test_a_policy_on_buckets_shows_them(service: Service) -> None:
    bucket = service.bucket()
    service.now(lists_buckets=True)
    client = service.client(service.anybody)
    assert [found.id for found in client.storage.list_buckets()] == [bucket]
    assert client.storage.get_bucket(bucket).public is True


def test_a_public_url_is_made_without_asking(service: Service) -> None:
    def nobody(request: Any) -> Any:
        raise AssertionError("a request was made")

    client = service.client(transport=httpx.MockTransport(nobody))
    url = client.storage.from_("nobody-has-this").get_public_url("a b/q?x=1.png")
    assert url == f"{service.url}/storage/v1/object/public/nobody-has-this/a%20b/q%3Fx=1.png"


def test_behind_a_public_url_a_private_bucket_is_missing(service: Service) -> None:
    bucket = service.bucket(public=False)
    service.put(bucket)
    for key in (None, service.key):
        answers = {said(service.call("GET", f"/object/public/{bucket}/ok.png", key)) for _ in range(5)}
        assert answers == {(400, "NoSuchBucket", "404", "Bucket not found")}


@pytest.mark.parametrize("missing", [True, False])
def test_a_missing_object_is_answered_at_random(service: Service, missing: bool) -> None:
    bucket = "nobody-has-this" if missing else service.bucket(public=False)
    found = {said(service.call("GET", f"/object/public/{bucket}/x.png"))[1] for _ in range(60)}
    assert found == {"NoSuchBucket", "NoSuchKey"}
    asked = {said(service.call("GET", f"/object/info/public/{bucket}/x.png"))[1] for _ in range(20)}
    assert asked == {"NoSuchBucket"}


def test_in_a_public_bucket_a_missing_object_is_never_a_missing_bucket(service: Service) -> None:
    bucket = service.bucket()
    for path in (f"/object/public/{bucket}/x.png", f"/object/info/public/{bucket}/x.png"):
        answers = {said(service.call("GET", path)) for _ in range(10)}
        assert answers == {(400, "NoSuchKey", "404", "Object not found")}


def test_head_is_blind(service: Service) -> None:
    bucket, hidden = service.bucket(), service.bucket(public=False)
    service.put(bucket)
    for path in (
        f"public/{bucket}/x.png",
        f"public/{hidden}/x.png",
        "public/nobody-has-this/x",
        f"authenticated/{bucket}/ok.png",
    ):
        answer = service.call("HEAD", f"/object/{path}")
        assert (answer.status_code, answer.content) == (400, b"")
    answer = service.call("HEAD", f"/object/public/{bucket}/ok.png")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(len(PNG)))


@pytest.mark.parametrize(
    ("asked", "first", "last"), [("bytes=-5", 103, 107), ("bytes=100-", 100, 107), ("bytes=9-999", 9, 107)]
)
def test_parts_of_an_object(service: Service, asked: str, first: int, last: int) -> None:
    bucket = service.bucket()
    service.put(bucket)
    answer = service.call("GET", f"/object/public/{bucket}/ok.png", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, PNG[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(PNG)}"


def test_the_first_byte_proves_that_an_object_can_be_fetched(service: Service) -> None:
    bucket = service.bucket()
    service.put(bucket)
    answer = service.call("GET", f"/object/public/{bucket}/ok.png", headers={"Range": "bytes=0-0"})
    assert (answer.status_code, answer.content) == (206, PNG[:1])
    assert answer.headers["content-range"] == f"bytes 0-0/{len(PNG)}"
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize("options", [{}, {"content_type": "image/png"}])
def test_without_a_content_type_a_picture_is_text(service: Service, options: dict[str, str]) -> None:
    bucket, picky = service.bucket(), service.bucket(allowed_mime_types=["image/png"])
    service.storage(bucket).upload("ok.png", PNG, options)
    assert service.call("GET", f"/object/public/{bucket}/ok.png").headers["content-type"] == "text/plain;charset=UTF-8"
    error = caught(service.storage(picky).upload, "ok.png", PNG, options)
    assert seen(error) == ("InvalidMimeType", "invalid_mime_type", "415", "mime type text/plain is not supported")


def test_nothing_at_all_can_be_uploaded(service: Service) -> None:
    bucket = service.bucket()
    service.storage(bucket).upload("empty.png", b"", {"content-type": "image/png"})
    service.storage(bucket).upload("odd.png", PNG, {"content-type": "png"})
    answer = service.call("GET", f"/object/public/{bucket}/empty.png")
    assert (answer.status_code, answer.headers["content-length"]) == (200, "0")
    assert service.storage(bucket).info("empty.png")["size"] == 0
    assert service.call("GET", f"/object/public/{bucket}/odd.png").headers["content-type"] == "png"


@pytest.mark.parametrize("end", ["\n", " "])
def test_a_key_that_no_header_can_hold_is_quoted_whole_by_httpx(service: Service, end: str) -> None:
    with pytest.raises(httpx.LocalProtocolError, match="Illegal header value") as found:
        service.storage(service.bucket(), service.key + end).upload("ok.png", PNG)
    assert service.key in str(found.value)


TABLE = [
    (("insert",), "ok", RLS, RLS, 0),
    (("insert", "select"), "ok", "ok", RLS, 1),
    (("insert", "update"), "ok", RLS, RLS, 0),
    (("insert", "select", "update"), "ok", "ok", "ok", 1),
    (("update", "select"), RLS, RLS, RLS, 1),
    (("select",), RLS, RLS, RLS, 1),
    ((), RLS, RLS, RLS, 0),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: "+".join(row[0]) or "none")
def test_what_a_policy_allows(service: Service, row: tuple[Any, ...]) -> None:
    policies, new, upsert_new, upsert_old, listed = row
    bucket = service.bucket(*policies)
    service.put(bucket, "old.png")
    storage = service.storage(bucket, service.anybody)

    def outcome(path: str, **options: str) -> str:
        try:
            storage.upload(path, PNG, {"content-type": "image/png", **options})
        except StorageApiError as error:
            assert seen(error)[:3] == ("AccessDenied", "Unauthorized", "403")
            return str(error.message)
        return "ok"

    assert len(storage.list()) == listed
    assert outcome("new.png") == new
    assert outcome("newer.png", upsert="true") == upsert_new
    assert outcome("old.png", upsert="true") == upsert_old
    assert service.call("GET", f"/object/public/{bucket}/old.png").status_code == 200


@pytest.mark.parametrize("row", TABLE, ids=lambda row: "+".join(row[0]) or "none")
def test_a_dry_run_finds_the_same_and_leaves_nothing(service: Service, row: tuple[Any, ...]) -> None:
    policies, new, upsert_new, upsert_old, _ = row
    bucket = service.bucket(*policies)
    service.put(bucket, "old.png")
    before = service.own.snapshot()
    for path, headers, meant in (
        ("new.png", {}, new),
        ("new.png", {"x-upsert": "true"}, upsert_new),
        ("old.png", {"x-upsert": "true"}, upsert_old),
    ):
        answer = service.call("POST", f"/object/upload/sign/{bucket}/{path}", service.anybody, headers=headers)
        if meant == "ok":
            assert answer.status_code == 200
        else:
            assert said(answer) == (400, "AccessDenied", "403", RLS)
    assert service.own.snapshot() == before


def test_the_status_says_nothing_of_the_database(service: Service) -> None:
    answer = service.call("GET", "/status")
    assert (answer.status_code, answer.content) == (200, b"")
    assert service.call("GET", "/health", service.key).json() == {"healthy": True}
    service.now(database_up=False)
    assert service.call("GET", "/status").status_code == 200
    answer = service.call("GET", "/health", service.key)
    assert (answer.status_code, answer.json()) == (200, {"healthy": False})


def test_what_is_no_storage_at_all_looks_like_a_missing_object(service: Service) -> None:
    def html(status: int) -> Any:
        transport = httpx.MockTransport(lambda _: httpx.Response(status, html="<html>hello</html>"))
        return service.client(transport=transport).storage.from_("b")

    assert html(404).exists("ok.png") is False
    with pytest.raises(json.JSONDecodeError):
        html(200).exists("ok.png")


def test_a_policy_comes_before_a_duplicate(service: Service) -> None:
    bucket = service.bucket()
    service.put(bucket)
    assert caught(service.storage(bucket, service.anybody).upload, "ok.png", PNG).message == RLS


def test_case_matters_in_the_name_of_a_bucket(service: Service) -> None:
    bucket = service.bucket()
    assert code_of(caught(service.storage(bucket.upper()).upload, "ok.png", PNG)) == "NoSuchBucket"


def test_a_dry_run_in_a_missing_bucket(service: Service) -> None:
    path = "/object/upload/sign/nobody-has-this/ok.png"
    related = "The related resource does not exist"
    for headers in ({}, {"x-upsert": "true"}):
        answer = service.call("POST", path, service.key, headers=headers)
        assert said(answer) == (400, "InvalidRequest", "404", related)
    assert said(service.call("POST", path, service.anybody)) == (400, "AccessDenied", "403", RLS)


# The table of results.


def test_an_upload_and_what_is_served(service: Service) -> None:
    bucket = service.bucket()
    stored = service.storage(bucket).upload("a/ok.png", PNG, {"content-type": "image/png"})
    assert (stored.path, stored.full_path, stored.fullPath) == ("a/ok.png", f"{bucket}/a/ok.png", f"{bucket}/a/ok.png")
    answer = service.call(
        "GET", urlsplit(service.storage(bucket).get_public_url("a/ok.png")).path.removeprefix("/storage/v1")
    )
    assert (answer.status_code, answer.content) == (200, PNG)
    wanted = {
        "content-type": "image/png",
        "cache-control": "max-age=3600",
        "accept-ranges": "bytes",
        "x-robots-tag": "none",
    }
    assert wanted.items() <= dict(answer.headers).items()
    assert {"content-length", "etag", "last-modified"} <= set(answer.headers)


def test_the_answer_to_an_upload(service: Service) -> None:
    bucket = service.bucket()
    answer = service.call("POST", f"/object/{bucket}/ok.png", service.key, content=PNG)
    assert answer.status_code == 200
    assert answer.json() == {"Key": f"{bucket}/ok.png", "Id": str(uuid.UUID(answer.json()["Id"]))}


@pytest.mark.parametrize(
    ("call", "code", "error", "message"),
    [
        (lambda c, b: c.storage.from_(b).upload("x", PNG), "NoSuchBucket", "Bucket not found", "Bucket not found"),
        (lambda c, b: c.storage.get_bucket(b), "NoSuchBucket", "Bucket not found", "Bucket not found"),
        (lambda c, b: c.storage.from_(b).download("x"), "NoSuchBucket", "Bucket not found", "Bucket not found"),
        (lambda c, b: c.storage.from_(b).info("x"), "NoSuchBucket", "Bucket not found", "Bucket not found"),
        (lambda c, b: c.storage.from_(b).exists("x"), "NoSuchBucket", "Bucket not found", "Bucket not found"),
        (lambda c, b: c.storage.from_(b).create_signed_url("x", 60), "NoSuchKey", "not_found", "Object not found"),
    ],
)
def test_a_missing_bucket(service: Service, call: Any, code: str, error: str, message: str) -> None:
    assert seen(caught(call, service.client(), "nobody-has-this")) == (code, error, "404", message)


def test_a_missing_object(service: Service) -> None:
    storage = service.storage(service.bucket())
    for call in (storage.download, storage.info):
        assert seen(caught(call, "x.png")) == ("NoSuchKey", "not_found", "404", "Object not found")
    assert storage.exists("x.png") is False


def test_what_anybody_may_not_do(service: Service) -> None:
    bucket = service.bucket()
    service.put(bucket)
    storage = service.storage(bucket, service.anybody)
    for call in (
        lambda: storage.upload("x.png", PNG),
        lambda: storage.upload("x.png", PNG, {"upsert": "true"}),
        lambda: storage.update("ok.png", PNG),
    ):
        assert seen(caught(call)) == ("AccessDenied", "Unauthorized", "403", RLS)
    assert storage.remove(["ok.png"]) == []
    assert service.storage(bucket).exists("ok.png") is True


STRICT: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/bucket", {}),
    ("GET", "/bucket/{b}", {}),
    ("POST", "/object/{b}/x.png", {"content": PNG}),
    ("PUT", "/object/{b}/x.png", {"content": PNG}),
    ("GET", "/object/authenticated/{b}/x.png", {}),
    ("GET", "/object/info/authenticated/{b}/x.png", {}),
    ("POST", "/object/upload/sign/{b}/x.png", {}),
    ("POST", "/object/list/{b}", {"json": {"prefix": ""}}),
    ("DELETE", "/object/{b}/x.png", {}),
]


@pytest.mark.parametrize(("method", "path", "given"), STRICT)
def test_a_bad_key_is_named_where_it_is_asked_for(
    service: Service, method: str, path: str, given: dict[str, Any]
) -> None:
    bucket = service.bucket()
    for key, message in bad_keys(service):
        answer = service.call(method, path.format(b=bucket), key, **given)
        assert said(answer) == (400, "AccessDenied", "403", message)
        assert answer.json()["error"] == "Unauthorized"
    answer = service.call(method, path.format(b=bucket), **given)
    assert said(answer) == (400, "InvalidRequest", "400", "headers must have required property 'authorization'")


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 10, 20, 43])
def test_a_key_that_was_cut(service: Service, cut: int) -> None:
    message = "Failed to base64url decode the signature" if cut in (2, 10) else "signature verification failed"
    key = keys.supabase_key("service_role")[:-cut]
    assert said(service.call("GET", "/bucket", key)) == (400, "AccessDenied", "403", message)
    error = caught(service.client(key).storage.list_buckets)
    assert (error.code, error.status, error.message) == ("Unauthorized", "403", message)


def test_a_token_without_a_role_is_anybody_and_one_of_an_unknown_role_an_error(service: Service) -> None:
    bucket = service.bucket()
    service.put(bucket)
    secret = service.own.project.secret
    assert said(service.call("POST", f"/object/{bucket}/x", keys.sign({"exp": 1e11}, secret))) == (
        400,
        "AccessDenied",
        "403",
        RLS,
    )
    error = caught(service.storage(bucket, keys.sign({"role": "chief"}, secret)).upload, "x.png", PNG)
    assert (code_of(error), error.status, error.message) == ("DatabaseError", "500", "database error, code: 22023")
    assert service.call("GET", "/bucket", keys.sign({"role": "chief"}, secret)).status_code == 500


def test_an_object_is_stored_once_or_over_another(service: Service) -> None:
    bucket = service.bucket()
    storage = service.storage(bucket)
    storage.upload("ok.png", PNG, {"content-type": "image/png"})
    before = storage.info("ok.png")
    error = caught(storage.upload, "ok.png", b"other")
    assert seen(error) == ("KeyAlreadyExists", "Duplicate", "409", "The resource already exists")
    for options in ({"upsert": "true"}, {"x-upsert": "true"}):
        storage.upload("ok.png", b"other", options)
        after = storage.info("ok.png")
        assert (after["id"], after["size"]) == (before["id"], 5)
        assert after["version"] != before["version"]
        before = after
    storage.update("fresh.png", PNG)
    assert storage.exists("fresh.png") is True


def test_upsert_is_a_word_and_no_boolean(service: Service) -> None:
    with pytest.raises((AttributeError, TypeError)):
        service.storage(service.bucket()).upload("ok.png", PNG, {"upsert": True})


TOO_LARGE = ("EntityTooLarge", "Payload too large", "413", "The object exceeded the maximum allowed size")


def test_an_object_larger_than_its_bucket_allows(service: Service) -> None:
    storage = service.storage(service.bucket(file_size_limit=1024 * 1024))
    assert seen(caught(storage.upload, "big.png", bytes(2 * 1024 * 1024))) == TOO_LARGE
    storage.upload("fits.png", bytes(1024 * 1024))


def test_an_object_larger_than_the_project_allows(service: Service) -> None:
    bucket = service.bucket()
    assert seen(caught(service.storage(bucket).upload, "big.png", bytes(51 * 1024 * 1024))) == TOO_LARGE
    bare = service.call("POST", f"/object/{bucket}/big.png", service.key, content=bytes(51 * 1024 * 1024))
    assert said(bare) == (400, "EntityTooLarge", "413", TOO_LARGE[3])
    assert service.storage(bucket).list() == []


def test_a_media_type_that_the_bucket_does_not_take(service: Service) -> None:
    storage = service.storage(service.bucket(allowed_mime_types=["image/*", "text/csv"]))
    error = caught(storage.upload, "a.pdf", PNG, {"content-type": "application/pdf"})
    assert seen(error) == ("InvalidMimeType", "invalid_mime_type", "415", "mime type application/pdf is not supported")
    storage.upload("a.png", PNG, {"content-type": "image/png"})
    storage.upload("a.csv", PNG, {"content-type": "text/csv;charset=utf-8"})


def test_a_signed_url(service: Service) -> None:
    bucket = service.bucket(public=False)
    service.put(bucket), service.put(bucket, "other.png")
    signed = service.storage(bucket).create_signed_url("ok.png", 2)["signedURL"]
    path, token = urlsplit(signed).path.removeprefix("/storage/v1"), urlsplit(signed).query.removeprefix("token=")
    assert service.call("GET", path, params={"token": token}).content == PNG
    head, claims, signature = token.split(".")
    tampered = f"{head}.{claims[:-1]}{'A' if claims[-1] != 'A' else 'Q'}.{signature}"
    other = path.replace("ok.png", "other.png")
    assert said(service.call("GET", path, params={"token": tampered}))[1:] == (
        "InvalidJWT",
        "400",
        "signature verification failed",
    )
    assert said(service.call("GET", other, params={"token": token}))[:3] == (400, "InvalidSignature", "400")
    assert said(service.call("GET", path))[:3] == (400, "InvalidRequest", "400")
    service.wait(3)
    expired = service.call("GET", path, params={"token": token})
    assert said(expired) == (400, "InvalidJWT", "400", '"exp" claim timestamp check failed')


def test_a_url_to_upload_to(service: Service) -> None:
    bucket = service.bucket()
    storage = service.storage(bucket)
    signed = storage.create_signed_upload_url("ok.png")
    assert storage.exists("ok.png") is False
    anybody = service.storage(bucket, "nonsense")
    stored = anybody.upload_to_signed_url("ok.png", signed["token"], PNG, {"content-type": "image/png"})
    assert stored.full_path == f"{bucket}/ok.png"
    assert storage.download("ok.png") == PNG
    assert code_of(caught(anybody.upload_to_signed_url, "ok.png", signed["token"], PNG)) == "KeyAlreadyExists"
    assert code_of(caught(anybody.upload_to_signed_url, "no.png", signed["token"], PNG)) == "InvalidSignature"


def test_a_url_to_read_is_none_to_upload_to(service: Service) -> None:
    service.own  # noqa: B018 - read in the source, not observed
    storage = service.storage(bucket := service.bucket())
    service.put(bucket)
    token = storage.create_signed_url("ok.png", 60)["signedURL"].partition("token=")[2]
    assert code_of(caught(storage.upload_to_signed_url, "ok.png", token, PNG)) == "InvalidSignature"
    answer = service.call("POST", f"/object/sign/{bucket}/ok.png", service.key, json={"expiresIn": 10**14})
    assert said(answer)[1] == "InvalidParameter"


def test_buckets(service: Service) -> None:
    bucket = service.bucket(file_size_limit=1000, allowed_mime_types=["image/png"])
    storage = service.client().storage
    found = storage.get_bucket(bucket)
    assert (found.id, found.name, found.public) == (bucket, bucket, True)
    assert (found.file_size_limit, found.allowed_mime_types) == (1000, ["image/png"])
    assert bucket in {one.id for one in storage.list_buckets()}
    error = caught(storage.create_bucket, bucket)
    assert seen(error) == ("BucketAlreadyExists", "Duplicate", "409", "The resource already exists")
    assert "message" in storage.update_bucket(bucket, {"public": False})
    assert storage.get_bucket(bucket).public is False
    service.put(bucket)
    assert code_of(caught(storage.delete_bucket, bucket)) == "ResourceNotEmpty"
    assert "message" in storage.empty_bucket(bucket)
    if service.store is not None:  # elsewhere it empties in its own time
        assert "message" in storage.delete_bucket(bucket)
        assert code_of(caught(storage.get_bucket, bucket)) == "NoSuchBucket"


def test_a_bucket_made_private_is_so_at_once(service: Service) -> None:
    bucket = service.bucket()
    service.put(bucket)
    for public, status in ((False, 400), (True, 200)):
        service.client().storage.update_bucket(bucket, {"public": public})
        assert service.call("GET", f"/object/public/{bucket}/ok.png").status_code == status


def test_the_database_is_down(service: Service) -> None:
    bucket = service.bucket()
    service.put(bucket)
    service.now(database_up=False)
    storage = service.storage(bucket)
    for call in (lambda: storage.upload("x.png", PNG), storage.list, lambda: storage.info("ok.png")):
        assert seen(caught(call)) == ("InternalError", "Internal", "500", "Internal Server Error")
    assert said(service.call("GET", f"/object/public/{bucket}/ok.png"))[0] == 500
    assert said(service.call("GET", "/bucket", "nonsense")) == (400, "AccessDenied", "403", "Invalid Compact JWS")
    assert service.own.public(bucket, "ok.png") is None


def test_a_path_that_is_no_route(service: Service) -> None:
    answer = service.call("GET", "/objects/x?y=1", service.key)
    assert answer.status_code == 404
    assert answer.json()["error"] == "Not Found"
    assert str(answer.json()["statusCode"]) == "404"
    assert answer.json()["message"] == "Route GET:/objects/x?y=1 not found"
    assert service.call("PATCH", "/bucket", service.key).json()["message"] == "Route PATCH:/bucket not found"


def test_a_url_that_ends_in_a_path_misses_the_gateway(service: Service) -> None:
    service.own  # noqa: B018 - the wording is the gateway's, and theirs differ
    storage = service.client(url=f"{service.url}/somewhere").storage.from_("b")
    error = caught(storage.upload, "x.png", PNG)
    assert (error.code, error.status) == ("InternalError", 404)
    assert error.message == 'Unable to parse error message: {"message":"no Route matched with those values"}'


def test_nothing_listens(service: Service) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        client = service.client(url=f"http://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(httpx.ConnectError, match=r"\[Errno 111\]|refused"):
            client.storage.list_buckets()


def test_no_answer_in_time(service: Service) -> None:
    service.now(delay=1.0)
    with httpx.Client(timeout=0.2, verify=TRUST) as http, pytest.raises(httpx.ReadTimeout):
        http.get(f"{service.url}/storage/v1/status")


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("http://localhost", "", "supabase_key is required"),
        ("", "k", "supabase_url is required"),
        ("localhost", "k", "Invalid URL"),
    ],
)
def test_the_client_asks_for_an_address_and_a_key(url: str, key: str, message: str) -> None:
    with pytest.raises(supabase.SupabaseException, match=message):
        supabase.create_client(url, key)


# What can be uploaded, and under which names.


def test_what_the_client_takes_as_a_file(service: Service, tmp_path: Path) -> None:
    bucket = service.bucket()
    storage = service.storage(bucket)
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    storage.upload("bytes.png", PNG)
    storage.upload("str.png", str(file))
    storage.upload("path.png", file)
    with file.open("rb") as opened:
        opened.read()
        storage.upload("read.png", opened)
    assert {row["metadata"]["size"] for row in storage.list()} == {len(PNG)}
    for wrong in (io.BytesIO(PNG), bytearray(PNG), memoryview(PNG), None):
        with pytest.raises(TypeError, match=r"expected str, bytes or os\.PathLike object"):
            storage.upload("x.png", wrong)
    with pytest.raises(FileNotFoundError):
        storage.upload("x.png", "data:image/png;base64,AAAA")


@pytest.mark.parametrize("name", ["a b.png", "a+b&c:d?e*f'g,h.png", ".hidden.png", "a/b/c.png", "(x)!$=@;.png"])
def test_names_that_are_allowed(service: Service, name: str) -> None:
    bucket = service.bucket()
    storage = service.storage(bucket)
    storage.upload(name, PNG)
    assert service.http.get(storage.get_public_url(name)).content == PNG
    if service.store is not None:
        assert service.store.public(bucket, quote(name)) == PNG


@pytest.mark.parametrize("name", ["ä.png", "日本.png", "😀.png", *(f"a{c}b.png" for c in '#%~[]{}|\\"<>\n')])
def test_names_that_are_refused(service: Service, name: str) -> None:
    answer = service.call("POST", f"/object/{service.bucket()}/{quote(name)}", service.key, content=PNG)
    assert said(answer) == (400, "InvalidKey", "400", f"Invalid key: {name}")


@pytest.mark.parametrize("name", ["../x.png", "a/../x.png", "./x.png", "a/%2e%2e/x.png"])
def test_the_client_lets_no_name_leave_its_bucket(service: Service, name: str) -> None:
    with pytest.raises(ValueError, match="dot segments"):
        service.storage(service.bucket()).upload(name, PNG)


@pytest.mark.parametrize("name", ["", "folder/"])
def test_a_name_that_ends_before_it_begins_has_no_content(service: Service, name: str) -> None:
    error = caught(service.storage(service.bucket()).upload, name, PNG)
    assert (code_of(error), error.message) == ("InvalidRequest", "No content provided")


def test_slashes_too_many_are_dropped(service: Service) -> None:
    stored = service.storage(bucket := service.bucket()).upload("/a//b.png", PNG)
    assert stored.full_path == f"{bucket}/a/b.png"


def test_the_reserved_name_holds_nothing(service: Service) -> None:
    storage = service.storage(service.bucket())
    assert seen(caught(storage.upload, "a/.emptyFolderPlaceholder", PNG)) == TOO_LARGE


# Without a trace.


def test_read_only_calls_prove_what_they_prove(service: Service) -> None:
    public, private = service.bucket(), service.bucket(public=False)
    service.put(public), service.put(private)
    before = service.store.snapshot() if service.store else ""
    free = uuid.uuid4().hex
    service_key, anon = service.key, service.anybody

    assert service.call("GET", "/status").status_code == 200
    assert service.call("GET", "/version").text.count(".") == 2
    assert service.call("GET", "/health", anon).json() == {"healthy": True}
    assert service.call("GET", "/bucket", service_key).status_code == 200
    assert service.call("GET", "/bucket", anon).json() == []
    for key in (service_key, anon):
        for bucket, code in ((public, "NoSuchKey"), (private, "NoSuchKey"), ("nobody-has-this", "NoSuchBucket")):
            assert said(service.call("GET", f"/object/info/authenticated/{bucket}/{free}", key))[1] == code
    for bucket, code in ((public, "NoSuchKey"), (private, "NoSuchBucket"), ("nobody-has-this", "NoSuchBucket")):
        assert said(service.call("GET", f"/object/info/public/{bucket}/{free}"))[1] == code
    assert said(service.call("GET", f"/bucket/{public}", anon))[1] == "NoSuchBucket"
    settings = service.call("GET", f"/bucket/{private}", service_key).json()
    assert {"public": False, "file_size_limit": None, "allowed_mime_types": None}.items() <= settings.items()
    known = service.call("GET", f"/object/info/public/{public}/ok.png").json()
    assert {
        "id",
        "version",
        "size",
        "content_type",
        "etag",
        "cache_control",
        "metadata",
        "created_at",
        "last_modified",
    } <= set(known)
    assert service.call("GET", f"/object/info/authenticated/{private}/ok.png", service_key).status_code == 200
    assert said(service.call("GET", f"/object/info/authenticated/{private}/ok.png", anon))[1] == "NoSuchKey"
    first = {"Range": "bytes=0-0"}
    assert service.call("GET", f"/object/public/{public}/ok.png", headers=first).status_code == 206
    may = f"/object/upload/sign/{private}"
    assert service.call("POST", f"{may}/{free}", service_key).json().keys() == {"url", "token"}
    assert said(service.call("POST", f"{may}/{free}", anon)) == (400, "AccessDenied", "403", RLS)
    assert said(service.call("POST", f"{may}/ok.png", service_key))[1] == "KeyAlreadyExists"
    assert service.call("POST", f"{may}/{quote('bäd.png')}", service_key).status_code == 200
    for key, message in bad_keys(service):
        assert said(service.call("GET", "/bucket", key))[3] == message
        assert said(service.call("POST", f"{may}/{free}", key))[3] == message

    if service.store:
        assert service.store.snapshot() == before
    assert said(service.call("GET", f"/object/info/authenticated/{private}/{free}", service_key))[1] == "NoSuchKey"


def test_lists(service: Service) -> None:
    storage = filled(service)
    top = storage.list()
    assert {(row["name"], row["id"] is None) for row in top} == {("booth", True), ("top.png", False)}
    rows = [row for row in storage.list("booth", {"sortBy": {"column": "created_at", "order": "desc"}}) if row["id"]]
    assert [row["name"] for row in rows] == ["b.png", "a.png"]
    assert {"size", "mimetype", "eTag"} <= set(rows[0]["metadata"])
    assert storage.list("booth/a.png") == []
    found = storage.list_v2({"prefix": "booth/", "sortBy": {"column": "name", "order": "asc"}})
    assert [row.name for row in found.objects] == ["booth/a.png", "booth/b.png", "booth/deep/c.png"]


def test_a_list_of_all_levels_can_begin_with_the_newest(service: Service) -> None:
    bucket = service.bucket()
    for path in ("b/1.png", "c/2.png", "a/3.png"):
        service.put(bucket, path)
        service.wait(1.1)
    order = {"sortBy": {"column": "created_at", "order": "desc"}}
    body = {"prefix": "", "limit": 2, **order}
    first = service.call("POST", f"/object/list-v2/{bucket}", service.key, json=body).json()
    assert [row["key"] for row in first["objects"]] == ["a/3.png", "c/2.png"] and first["hasNext"]
    rest = service.call(
        "POST", f"/object/list-v2/{bucket}", service.key, json={**body, "cursor": first["nextCursor"]}
    ).json()
    assert [row["key"] for row in rest["objects"]] == ["b/1.png"] and not rest["hasNext"]


def test_lists_in_pages(service: Service) -> None:
    service.own  # noqa: B018 - read in the source, not observed
    storage = filled(service)
    assert [row["name"] for row in storage.list("booth", {"limit": 1, "offset": 1})] == ["a.png"]
    assert [row["name"] for row in storage.list("booth", {"search": "b"})] == ["b.png"]
    page = storage.list_v2({"prefix": "", "limit": 1, "with_delimiter": True})
    assert (page.hasNext, len(page.folders), len(page.objects)) == (True, 1, 0)
    rest = storage.list_v2({"prefix": "", "with_delimiter": True, "cursor": page.nextCursor})
    assert (rest.hasNext, [row.name for row in rest.objects]) == (False, ["top.png"])


def filled(service: Service) -> Any:
    bucket = service.bucket()
    for path in ("booth/a.png", "booth/b.png", "booth/deep/c.png", "top.png"):
        service.put(bucket, path)
        service.wait(0.01)
    return service.storage(bucket)


def test_removal(service: Service) -> None:
    bucket = service.bucket()
    service.put(bucket), service.put(bucket, "b.png")
    storage = service.storage(bucket)
    assert [row["name"] for row in storage.remove(["ok.png", "never.png"])] == ["ok.png"]
    assert storage.exists("ok.png") is False
    assert service.call("DELETE", f"/object/{bucket}/b.png", service.key).json() == {"message": "Successfully deleted"}
    assert said(service.call("DELETE", f"/object/{bucket}/b.png", service.key))[1] == "NoSuchKey"


def test_who_may_not_remove_is_told_so_of_one_object(service: Service) -> None:
    service.own  # noqa: B018 - read in the source, not observed
    bucket = service.bucket("select")
    service.put(bucket)
    answer = service.call("DELETE", f"/object/{bucket}/ok.png", service.anybody)
    assert said(answer) == (400, "AccessDenied", "403", "Access denied")
    assert service.storage(bucket).exists("ok.png") is True


# Keys.


def claims(key: str) -> dict[str, Any]:
    part = key.split(".")[1]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_keys_have_the_form_of_real_ones() -> None:
    made = keys.supabase_key("service_role")
    assert claims(made) == {
        "iss": "supabase",
        "ref": keys.REF,
        "role": "service_role",
        "iat": 1735689600,
        "exp": keys.epoch(LATER),
    }
    assert len(made.split(".")[2]) == 43
    assert claims(keys.supabase_key("anon", ref=None)).keys() == {"iss", "role", "iat", "exp"}
    assert claims(keys.user_token(LATER))["role"] == "authenticated"
    for key, kind in ((keys.secret_key(), "sb_secret"), (keys.publishable_key(), "sb_publishable")):
        body, check = key[len(kind) + 1 : -9], key[-9:]
        assert key.startswith(f"{kind}_") and check.startswith("_")
        assert (len(body), len(check[1:])) == (22, 8)
    assert len(keys.fal_key()) == 69


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "Invalid Compact JWS"),
        ("a.b", "Invalid Compact JWS"),
        ("a.b.c.d.e", "Invalid Compact JWS"),
        ("a.b.c", "JWS Protected Header is invalid"),
        ("..", 'JWS "alg" (Algorithm) Header Parameter missing or invalid'),
        ("e30.e30.", 'JWS "alg" (Algorithm) Header Parameter missing or invalid'),
        (keys.sign({"exp": "soon"}), '"exp" claim must be a number'),
        (keys.sign({"exp": keys.epoch(datetime(2030, 1, 1))}), '"exp" claim timestamp check failed'),
        (keys.sign({"exp": 1}, "another's"), "signature verification failed"),
    ],
)
def test_why_a_token_is_rejected(token: str, message: str) -> None:
    with pytest.raises(keys.Rejected) as found:
        keys.verify(token, keys.SECRET, datetime(2030, 1, 1))
    assert str(found.value) == message


def test_a_token_is_verified() -> None:
    now = datetime(2030, 1, 1)
    assert keys.verify(keys.supabase_key("anon"), keys.SECRET, now)["role"] == "anon"
    assert keys.verify(keys.sign({}), keys.SECRET, now) == {}


@pytest.mark.parametrize("headers", ["apikey", "Authorization", "both"])
def test_where_a_key_may_stand(service: Service, headers: str) -> None:
    def asked(key: str) -> Any:
        both = {"apikey": key, "Authorization": f"Bearer {key}"}
        return service.call("GET", "/bucket", headers=both if headers == "both" else {headers: both[headers]})

    assert asked(service.key).status_code == 200
    service.own.bucket(bucket := service.bucket())
    if headers == "Authorization":
        assert said(asked(keys.secret_key()))[3] == "Invalid Compact JWS"
    else:
        assert [row["id"] for row in asked(keys.secret_key()).json()] == [bucket]
        assert asked(keys.publishable_key()).json() == []


def test_the_client_judges_no_key(service: Service) -> None:
    bucket = service.bucket()
    service.own.bucket(bucket)
    service.storage(bucket, keys.secret_key()).upload("ok.png", PNG)
    assert caught(service.storage(bucket, keys.publishable_key()).upload, "b.png", PNG).message == RLS
    for key, message in bad_keys(service):
        assert caught(service.client(key).storage.list_buckets).message == message


def test_a_trailing_slash_of_the_address_does_not_matter(service: Service) -> None:
    assert isinstance(service.client(url=f"{service.url}/").storage.list_buckets(), list)


def test_a_signed_in_caller_has_the_rights_of_the_policies(service: Service) -> None:
    bucket = service.bucket("insert")
    token = keys.user_token(LATER)
    headers = {"apikey": service.anybody, "Authorization": f"Bearer {token}"}
    assert service.call("POST", f"/object/{bucket}/x.png", headers=headers, content=PNG).status_code == 200
    assert service.own.objects[bucket, "x.png"].owner == keys.USER


# What can be broken.


def test_an_outage_is_the_answer_to_every_upload(service: Service) -> None:
    bucket = service.bucket()
    service.now(outage=Outage(500, "InternalError", "Internal", "Internal Server Error"))
    error = caught(service.storage(bucket).upload, "ok.png", PNG)
    assert seen(error) == ("InternalError", "Internal", "500", "Internal Server Error")
    service.now(outage=Outage(544, "DatabaseTimeout", "DatabaseTimeout", "The connection to the database timed out"))
    assert service.call("POST", f"/object/{bucket}/x", service.key).status_code == 544
    service.now(outage=None)
    service.put(bucket)


def test_damage_takes_the_end(service: Service) -> None:
    bucket = service.bucket()
    service.now(damages=True)
    service.put(bucket, data=bytes(range(100)))
    served = service.http.get(service.storage(bucket).get_public_url("ok.png"))
    assert (served.status_code, served.content) == (200, bytes(range(75)))


def test_a_bucket_may_have_the_name_of_a_route(service: Service) -> None:
    service.now(buckets={"public": Bucket()})
    service.storage("public").upload("u/1.jpg", PNG)
    assert service.http.get(service.storage("public").get_public_url("u/1.jpg")).content == PNG
    assert service.own.public("public", "u/1.jpg") == PNG


def test_memory_is_bounded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diagnose.generator.standins.rules.KEPT", 250)
    bucket = service.bucket()
    for name in "abc":
        service.put(bucket, name, bytes(100))
    assert [path for _, path in service.own.objects] == ["b", "c"]


# The caller's account.


def account(service: Service, method: str, path: str, token: str | None = None, **given: Any) -> Any:
    service.own  # noqa: B018 - a real project has no such user
    headers = {
        "apikey": service.key,
        **({"Authorization": f"Bearer {token}"} if token else {}),
        **given.pop("headers", {}),
    }
    return service.http.request(method, f"{service.url}{path}", headers=headers, **given)


def test_who_the_caller_is(service: Service) -> None:
    answer = account(service, "GET", "/auth/v1/user", keys.user_token(LATER))
    assert answer.status_code == 200
    assert {"id": keys.USER, "aud": "authenticated", "role": "authenticated"}.items() <= answer.json().items()
    user = service.client().auth.get_user(keys.user_token(LATER))
    assert user.user.id == keys.USER


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (keys.user_token(EARLIER), "token has invalid claims: token is expired"),
        (keys.user_token(LATER, secret="another's"), "token signature is invalid: signature is invalid"),
        ("nonsense", "token is malformed: token contains an invalid number of segments"),
    ],
)
def test_a_token_that_auth_refuses(service: Service, token: str, why: str) -> None:
    answer = account(service, "GET", "/auth/v1/user", token)
    assert answer.status_code == 403
    assert answer.json() == {
        "code": 403,
        "error_code": "bad_jwt",
        "msg": f"invalid JWT: unable to parse or verify signature, {why}",
    }


def test_a_caller_without_a_token(service: Service) -> None:
    assert account(service, "GET", "/auth/v1/user").status_code == 401


def test_the_profile_holds_the_coins(service: Service) -> None:
    mine = f"/rest/v1/profiles?select=%2A&user_id=eq.{keys.USER}"
    assert account(service, "GET", mine, service.key).json() == [{"user_id": keys.USER, "coins": 500}]
    assert account(service, "GET", "/rest/v1/profiles?user_id=eq.nobody", service.key).json() == []
    assert account(service, "PATCH", mine, service.key, json={"coins": 425}).status_code == 204
    whole = {"Prefer": "return=representation"}
    answer = account(service, "PATCH", mine, service.key, json={"coins": 350}, headers=whole)
    assert (answer.status_code, answer.json()) == (200, [{"user_id": keys.USER, "coins": 350}])
    assert account(service, "PATCH", mine, service.key, json={"coins": "many"}).json()["code"] == "22P02"
    assert account(service, "GET", "/rest/v1/photos", service.key).json()["code"] == "PGRST205"
    service.now(coins=None)
    table = service.client().table("profiles")
    assert table.select("*").eq("user_id", keys.USER).execute().data == [{"user_id": keys.USER, "coins": None}]


# Hostile requests.

NAMES = [
    "b",
    "b",
    "public",
    "nobody",
    "%00",
    "%0a",
    "%ff%fe",
    "%F0%9F%98%80",
    "a" * 300,
    "%",
    "%zz",
    "..",
    "%2e%2e",
    "",
]
PATHS = ["ok.png", "ok.png", "a//b", "a%2Fb", "%5C", "x" * 3000, *NAMES]
OBJECT = "/storage/v1/object"
ROUTES = [
    *("GET /storage/v1/bucket", "POST /storage/v1/bucket", "GET /storage/v1/bucket/{b}", "PUT /storage/v1/bucket/{b}"),
    *("DELETE /storage/v1/bucket/{b}", "POST /storage/v1/bucket/{b}/empty", "GET /storage/v1/health"),
    *(
        f"{method} {OBJECT}/{{b}}/{{p}}"
        for method in ("GET", "HEAD", "POST", "PUT", "POST", "DELETE", "PATCH", "OPTIONS")
    ),
    *(f"GET {OBJECT}/{kind}/{{b}}/{{p}}" for kind in ("public", "authenticated", "info", "info/public", "sign")),
    *(f"POST {OBJECT}/{kind}/{{b}}/{{p}}" for kind in ("sign", "upload/sign", "list", "list-v2")),
    *(f"POST {OBJECT}/{kind}/{{b}}" for kind in ("list", "list-v2", "list", "list-v2", "sign")),
    *(f"DELETE {OBJECT}/{{b}}", f"PUT {OBJECT}/upload/sign/{{b}}/{{p}}", "GET /{b}/{p}", "GET //storage/v1/{b}"),
    *("GET /auth/v1/user", "GET /rest/v1/profiles", "PATCH /rest/v1/profiles", "GET /rest/v1/{b}"),
]
BODIES = [
    *(b"", b"{", b"[]", b"null", b"{}", b"[" * 50_000, b"\xff\xfe", b'{"prefix":1}', b'{"prefix":"","limit":1e999}'),
    *(b'{"prefix":"","limit":NaN}', b'{"prefix":"","limit":' + b"9" * 5000 + b"}", b'{"prefix":"","sortBy":[]}'),
    *(b'{"prefix":"\\ud800","search":{}}', b'{"prefixes":[{}]}', b'{"prefixes":"x"}', b'{"prefixes":["\\ud800"]}'),
    *(b'{"expiresIn":1e400}', b'{"expiresIn":99999999999999999999}', b'{"expiresIn":"99999999999999"}'),
    *(b'{"name":"\\ud800","allowed_mime_types":["\\ud800"]}', b'{"name":"x","file_size_limit":-1}', b'{"name":{}}'),
    *(
        b'{"name":"b","public":"no"}',
        b'{"prefix":"","cursor":"***"}',
        b'{"coins":{}}',
        b'{"prefix":"","sortBy":{"column":[]}}',
    ),
    *(
        b"--x\r\n\r\n",
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\nContent-Type: \xff\xfe\r\n\r\nd\r\n--x--\r\n',
    ),
    b'--x\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"a":NaN}\r\n--x--\r\n',
]
KINDS = [
    "application/json",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain",
    "\x7f/\xe9",
    "",
    "image/png",
]
RANGES = [
    "bytes=0-0",
    "bytes=-",
    "bytes=-0",
    "bytes=9-1",
    "bytes=-5",
    "bytes=" + "9" * 400 + "-",
    "items=1",
    "bytes=0-0,2-3",
]


def hostile(chance: random.Random, some_keys: list[str]) -> bytes:
    """A request that nobody means well with."""
    method, path = chance.choice(ROUTES).split()
    path = path.replace("{b}", chance.choice(NAMES)).replace("{p}", chance.choice(PATHS))
    query = chance.choice(["", "", "?token=%ff", "?token=a.b.c", "?user_id=eq.%00", "?" + "x" * 2000])
    body = chance.choice(BODIES)
    headers = {
        "Host": "x",
        "Connection": "close",
        "Content-Type": "multipart/form-data; boundary=x" if body.startswith(b"--") else chance.choice(KINDS),
        "Content-Length": str(len(body)),
        "Range": chance.choice(RANGES),
        "x-upsert": chance.choice(["true", "\xff", ""]),
        "apikey": chance.choice(some_keys),
        "Authorization": chance.choice(["Bearer "] * 5 + ["Bearer", "bearer  ", ""]) + chance.choice(some_keys),
    }
    for name in chance.sample(sorted(headers), chance.randint(0, 2)):
        if name not in ("Host", "Connection", "Content-Length"):
            del headers[name]
    lines = [f"{method} {path}{query} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def exchanged(url: str, request: bytes) -> bytes:
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=10) as wire:
        with contextlib.suppress(OSError):
            wire.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := wire.recv(65536):
                answer += part
    return answer


def test_a_thousand_hostile_requests_break_nothing(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service.own  # noqa: B018 - not on somebody's real project
    sound = {"b": Bucket(public=False), "public": Bucket()}
    chief = keys.sign({"role": "chief"})
    some_keys = [service.key] * 20 + [service.anybody, chief, "nonsense", "a.b.c", '"x"', "\xe9.\xe9.\xe9", ""]
    some_keys += [keys.sign({"role": {"a": 1}, "sub": 5}), keys.sign({"exp": 1e300}), "eyJhbGciOltdfQ..", "." * 5000]
    chance = random.Random(2026)
    statuses: dict[int, int] = {}
    with caplog.at_level(logging.ERROR):
        for number in range(1000):
            if number % 20 == 0:  # some of them remove what the others ask for
                service.now(buckets=sound)
                service.own.objects.clear()
                service.put("b"), service.put("public")
            request = hostile(chance, some_keys)
            answer = exchanged(service.url, request)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 "), request
            status = int(head.split()[1])
            statuses[status] = statuses.get(status, 0) + 1
            assert b"Traceback" not in answer, request
            if status >= 500 and not request.startswith(b"HEAD"):
                assert json.loads(body)["code"] in ("DatabaseError", "InternalError"), (request, answer)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert statuses[200] > 50 and statuses[400] > 300, statuses
    assert service.call("GET", "/health", service.key).json() == {"healthy": True}


def test_a_body_without_end_is_not_kept(service: Service) -> None:
    service.own  # noqa: B018 - not on somebody's real project
    bucket = service.bucket()

    def parts() -> Iterator[bytes]:
        for _ in range(60):
            yield bytes(1024 * 1024)

    answer = service.call("POST", f"/object/{bucket}/big.png", service.key, content=parts())
    assert said(answer)[1] == "EntityTooLarge"
    assert said(service.call("POST", f"/object/list/{bucket}", service.key, content=bytes(2_000_000)))[0] == 400


def test_a_client_that_goes_away_is_no_error(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service.own  # noqa: B018 - what a real server logs is not seen here
    parts = urlsplit(service.url)
    bucket = service.bucket()
    with caplog.at_level(logging.ERROR), socket.create_connection((str(parts.hostname), int(parts.port or 80))) as wire:
        head = f"POST /storage/v1/object/{bucket}/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\napikey: {service.key}\r\n\r\n"
        wire.sendall(head.encode() + b"some")
        time.sleep(0.1)
    assert service.call("GET", "/status").status_code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_the_project_may_change_under_load(service: Service) -> None:
    bucket = service.bucket()
    failures: list[BaseException] = []

    def load() -> None:
        try:
            url = f"{service.url}/storage/v1"
            with httpx.Client(base_url=url, headers={"apikey": service.key}, verify=TRUST) as http:
                for number in range(15):
                    answer = http.post(f"/object/{bucket}/{uuid.uuid4()}-{number}", content=PNG)
                    assert answer.status_code in (200, 400, 500)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    sound = service.own.project
    for thread in threads:
        thread.start()
    for number in range(30):
        service.own.project = replace(sound, database_up=bool(number % 2))
        time.sleep(0.005)
    service.own.project = sound
    for thread in threads:
        thread.join()
    assert not failures
