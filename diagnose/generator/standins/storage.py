"""A stand-in of a Supabase project over HTTP: its gateway, its Storage, and what a backend asks of Auth and PostgREST.

Its answers are those observed on supabase/storage 1.70.6, field by field; `tests/test_standin_storage.py` is the
contract, and holds a real server to it as well where one is at hand.
"""

from __future__ import annotations

import asyncio
import random
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from diagnose.generator.standins import keys
from diagnose.generator.standins.accounts import Accounts
from diagnose.generator.standins.rules import (
    BAD_SIGNATURE,
    NOBODY,
    SUPERUSER,
    Bucket,
    Caller,
    Outage,
    Project,
    Refusal,
    Refused,
    Store,
    bad_parameter,
    bad_token,
    denied,
    info_row,
    listing,
    malformed,
    object_row,
    tree,
)
from diagnose.generator.standins.wire import Json, json_body, served, upload_body

__all__ = ["Bucket", "Outage", "Project", "Refusal", "Supabase"]

VERSION = "1.70.6"
_PREFIX = "/storage/v1"
_UPLOAD_SECONDS = 7200
_LONGEST = 100 * 365 * 24 * 3600
_FOREVER = datetime(9999, 1, 1)
_PAGE = 1000
_COLUMNS = ("name", "updated_at", "created_at", "last_accessed_at")

_Endpoint = Callable[[Request], Awaitable[Response]]


class Supabase(Store):
    """The project. `project` says how it stands and may be replaced while it runs; `app` is served."""

    def __init__(self, project: Project, clock: Callable[[], datetime], chance: random.Random | None = None) -> None:
        super().__init__(project, clock, chance)
        self.app = Starlette(
            routes=[*_routes(self), *Accounts(self).routes],
            middleware=[Middleware(_Delayed, store=self)],
            exception_handlers={Refused: _refused, 404: _unrouted, 405: _unrouted, ClientDisconnect: _gone},
        )
        self.app.router.redirect_slashes = False

    def caller(self, headers: Mapping[str, str], strict: bool = True) -> Caller:
        """Whom a request's key makes of it. Where it is not asked `strict`ly, a bad key is as good as none."""
        given = _authorization(self.project, headers)
        if given is None and strict:
            raise Refused(malformed("headers must have required property 'authorization'"))
        try:
            claims = keys.verify(_token(given or ""), self.project.secret, self.now())
        except keys.Rejected as error:
            if strict:
                raise Refused(denied(str(error))) from None
            return NOBODY
        return Caller(str(claims.get("role") or "anon"), claims.get("sub"))

    # The server itself.

    async def status(self, _request: Request) -> Response:
        """It runs; this says nothing of its database."""
        return Response()

    async def version(self, _request: Request) -> Response:
        """Which version runs."""
        return PlainTextResponse(VERSION)

    async def health(self, request: Request) -> Response:
        """How its database is, with HTTP 200 in either case."""
        self.caller(request.headers)
        return Json({"healthy": self.project.database_up})

    # Buckets.

    async def list_buckets(self, request: Request) -> Response:
        """The buckets that the key sees."""
        return Json(self.buckets(self.caller(request.headers)))

    async def get_bucket(self, request: Request) -> Response:
        """One of them."""
        return Json(self.bucket_row(request.path_params["bucket"], self.caller(request.headers)))

    async def create_bucket(self, request: Request) -> Response:
        """Makes one."""
        body, caller = await json_body(request), self.caller(request.headers)
        name = _text(body, "name", required=True)
        self.save_bucket(_text(body, "id") or name, _settings(body, Bucket(public=False)), caller, new=True)
        return Json({"name": name})

    async def update_bucket(self, request: Request) -> Response:
        """Changes its settings."""
        body, caller, name = await json_body(request), self.caller(request.headers), request.path_params["bucket"]
        self.bucket_row(name, caller)
        self.save_bucket(name, _settings(body, self.bucket(name)), caller, new=False)
        return Json({"message": "Successfully updated"})

    async def delete_bucket(self, request: Request) -> Response:
        """Removes it, once it is empty."""
        self.remove_bucket(request.path_params["bucket"], self.caller(request.headers))
        return Json({"message": "Successfully deleted"})

    async def clear_bucket(self, request: Request) -> Response:
        """Removes all that is in it."""
        self.empty_bucket(request.path_params["bucket"], self.caller(request.headers))
        return Json({"message": "Successfully emptied"})

    # Objects.

    async def post_object(self, request: Request) -> Response:
        """Uploads an object, over another only where the header says so."""
        return await self._upload(request, request.headers.get("x-upsert") == "true")

    async def put_object(self, request: Request) -> Response:
        """Uploads an object, whether or not there is one."""
        return await self._upload(request, upsert=True)

    async def _upload(self, request: Request, upsert: bool) -> Response:
        bucket, path = _place(request)
        caller = self.caller(request.headers)
        self.bucket(bucket)
        kept = self.upload(bucket, path, await upload_body(request), caller, upsert)
        return Json({"Key": f"{bucket}/{path}", "Id": kept.id})

    async def get_object(self, request: Request) -> Response:
        """An object; of a public bucket whatever the key, and even for a bad one."""
        return served(request, self.object(*_place(request), self.caller(request.headers, strict=False)))

    async def get_authenticated(self, request: Request) -> Response:
        """The same, for a good key only."""
        return served(request, self.object(*_place(request), self.caller(request.headers)))

    async def get_public(self, request: Request) -> Response:
        """What is behind a public URL; no key is looked at."""
        return served(request, self.public_object(*_place(request)))

    async def info(self, request: Request) -> Response:
        """What is known of an object."""
        caller = self.caller(request.headers, strict=False)
        return Json(info_row(*_place(request), self.object(*_place(request), caller)))

    async def info_authenticated(self, request: Request) -> Response:
        """The same, for a good key only."""
        return Json(info_row(*_place(request), self.object(*_place(request), self.caller(request.headers))))

    async def info_public(self, request: Request) -> Response:
        """The same, of a public bucket, for whoever asks."""
        return Json(info_row(*_place(request), self.public_info(*_place(request))))

    async def list_objects(self, request: Request) -> Response:
        """One level of folders and objects; of a missing or a hidden bucket nothing, and no complaint."""
        body, caller = await json_body(request), self.caller(request.headers)
        prefix, search = _text(body, "prefix", required=True), _text(body, "search")
        limit, offset = _number(body, "limit", 1, 100), _number(body, "offset", 0, 0)
        column, descending = _order(body)
        found = listing(self.rows(request.path_params["bucket"], caller), prefix, search, column, descending)
        return Json(found[offset : offset + limit])

    async def list_objects_v2(self, request: Request) -> Response:
        """All objects below a prefix, by name or by the asked column, a page at a time."""
        body, caller = await json_body(request), self.caller(request.headers)
        prefix, after, limit = _text(body, "prefix"), _cursor(_text(body, "cursor")), _number(body, "limit", 1, _PAGE)
        column, descending = _order(body)
        rows = self.rows(request.path_params["bucket"], caller)
        found = list(tree(rows, prefix, body.get("with_delimiter") is True))
        if "sortBy" in body:
            order = {key: str(object_row(key, kept)[column]) for key, kept in found if kept is not None}
            found.sort(key=lambda row: (order.get(row[0], ""), row[0]), reverse=descending)
            found = found[[key for key, _ in found].index(after) + 1 if after in dict(found) else 0 :]
        found = [row for row in found if "sortBy" in body or row[0] > after]
        page, more = found[: min(limit, _PAGE)], len(found) > min(limit, _PAGE)
        answer: dict[str, Any] = {
            "hasNext": more,
            "folders": [{"key": key.rstrip("/"), "name": key} for key, kept in page if kept is None],
            "objects": [{"key": key, **object_row(key, kept)} for key, kept in page if kept is not None],
        }
        return Json({**answer, "nextCursor": urlsafe_b64encode(page[-1][0].encode()).decode()} if more else answer)

    async def delete_object(self, request: Request) -> Response:
        """Removes one object."""
        self.remove_one(*_place(request), self.caller(request.headers))
        return Json({"message": "Successfully deleted"})

    async def delete_objects(self, request: Request) -> Response:
        """Removes objects by name."""
        names, caller = (await json_body(request)).get("prefixes"), self.caller(request.headers)
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise Refused(malformed("body must have required property 'prefixes'"))
        return Json(self.remove(request.path_params["bucket"], names, caller))

    # Signed URLs.

    async def sign(self, request: Request) -> Response:
        """A URL that serves one object for a while."""
        body, caller = await json_body(request), self.caller(request.headers)
        seconds = _number(body, "expiresIn", 1)
        if seconds > _LONGEST:
            raise Refused(bad_parameter("expiresIn"))
        bucket, path = _place(request)
        self.own_object(bucket, path, caller)
        token = self._signed(f"{bucket}/{path}", seconds, scope="download")
        return Json({"signedURL": f"/object/sign/{bucket}/{path}?token={token}"})

    async def get_signed(self, request: Request) -> Response:
        """What such a URL serves."""
        claims = self._verified(request, "download")
        answer = served(request, self.own_object(*_place(request), SUPERUSER))
        del answer.headers["cache-control"]
        answer.headers["expires"] = format_datetime(datetime.fromtimestamp(claims["exp"], UTC), usegmt=True)
        return answer

    async def sign_upload(self, request: Request) -> Response:
        """A URL to upload to; it tries the policies and the place, and leaves nothing behind."""
        caller, upsert = self.caller(request.headers), request.headers.get("x-upsert") == "true"
        bucket, path = _place(request)
        self.check_upload(bucket, path, caller, upsert)
        owner = {"owner": caller.user} if caller.user else {}
        token = self._signed(f"{bucket}/{path}", _UPLOAD_SECONDS, **owner, upsert=upsert, scope="upload")
        return Json({"url": f"/object/upload/sign/{bucket}/{path}?token={token}", "token": token})

    async def put_signed(self, request: Request) -> Response:
        """Uploads to such a URL."""
        claims = self._verified(request, "upload")
        bucket, path = _place(request)
        self.bucket(bucket)
        self.upload(bucket, path, await upload_body(request), SUPERUSER, claims["upsert"])
        return Json({"Key": f"{bucket}/{path}"})

    def _signed(self, url: str, seconds: int, **claims: Any) -> str:
        now = keys.epoch(self.now())
        return keys.sign({"url": url, **claims, "iat": now, "exp": now + seconds}, self.project.secret)

    def _verified(self, request: Request, scope: str) -> dict[str, Any]:
        token = request.query_params.get("token")
        if token is None:
            raise Refused(malformed("querystring must have required property 'token'"))
        try:
            claims = keys.verify(token, self.project.secret, self.now())
        except keys.Rejected as error:
            raise Refused(bad_token(str(error))) from None
        if claims.get("scope") != scope or claims.get("url") != "/".join(_place(request)):
            raise Refused(BAD_SIGNATURE)
        return claims


# The gateway.


def _authorization(project: Project, headers: Mapping[str, str]) -> str | None:
    """What Storage gets to see: the gateway puts a token in the place of a key of the newer kind that it knows."""
    given, apikey = headers.get("authorization"), headers.get("apikey")
    if given is not None and not given.startswith("Bearer sb_"):
        return given
    if apikey in project.secret_keys:
        return keys.supabase_key("service_role", project.ref, _FOREVER, project.secret)
    if apikey in project.publishable_keys:
        return keys.supabase_key("anon", project.ref, _FOREVER, project.secret)
    return apikey or given


def _token(authorization: str) -> str:
    kind, space, rest = authorization.partition(" ")
    return rest.strip() if space and kind.lower() == "bearer" else authorization


class _Delayed:
    """Waits before every answer for as long as the project says."""

    def __init__(self, app: Any, store: Store) -> None:
        self._app = app
        self._store = store

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._store.project.delay:
            await asyncio.sleep(self._store.project.delay)
        await self._app(scope, receive, send)


# Answers without an object.


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    refusal = error.refusal
    return Response(status_code=refusal.http) if request.method == "HEAD" else Json(refusal.body, refusal.http)


async def _unrouted(request: Request, _error: Exception) -> Response:
    path = request.url.path
    if not f"{path}/".startswith((f"{_PREFIX}/", "/auth/v1/", "/rest/v1/")):
        return Json({"message": "no Route matched with those values"}, 404)
    query = f"?{request.url.query}" if request.url.query else ""
    message = f"Route {request.method}:{path.removeprefix(_PREFIX) or '/'}{query} not found"
    return Json({"statusCode": "404", "error": "Not Found", "message": message}, 404)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)


# Requests.


def _place(request: Request) -> tuple[str, str]:
    return request.path_params["bucket"], request.path_params["path"]


def _text(body: Mapping[str, Any], key: str, required: bool = False) -> str:
    if required and key not in body:
        raise Refused(malformed(f"body must have required property '{key}'"))
    value = body.get(key)
    if not isinstance(value, str | None):
        raise Refused(malformed(f"body/{key} must be string"))
    return value or ""


def _number(body: Mapping[str, Any], key: str, least: int, default: int | None = None) -> int:
    """A whole number; one in quotes will do."""
    if key not in body and default is None:
        raise Refused(malformed(f"body must have required property '{key}'"))
    value = body.get(key, default)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(malformed(f"body/{key} must be integer"))
    if value < least:
        raise Refused(malformed(f"body/{key} must be >= {least}"))
    return min(value, 10**15)


def _order(body: Mapping[str, Any]) -> tuple[str, bool]:
    """Column and direction of a list."""
    asked = body.get("sortBy", {"column": "name"})
    if not isinstance(asked, dict):
        raise Refused(malformed("body/sortBy must be object"))
    if "column" not in asked:
        raise Refused(malformed("body/sortBy must have required property 'column'"))
    if asked["column"] not in _COLUMNS:
        raise Refused(malformed("body/sortBy/column must be equal to one of the allowed values"))
    if asked.get("order", "asc") not in ("asc", "desc"):
        raise Refused(malformed("body/sortBy/order must be equal to one of the allowed values"))
    return asked["column"], asked.get("order") == "desc"


def _cursor(text: str) -> str:
    try:
        return urlsafe_b64decode(text).decode()
    except ValueError:
        raise Refused(bad_parameter("cursor")) from None


def _settings(body: Mapping[str, Any], old: Bucket) -> Bucket:
    """A bucket's settings with what a request changes; the policies are the database's, and no request's."""
    public, kinds = body.get("public", old.public), body.get("allowed_mime_types", old.mime_types)
    if not isinstance(public, bool):
        raise Refused(malformed("body/public must be boolean"))
    if kinds is not None and not (isinstance(kinds, list | tuple) and all(isinstance(kind, str) for kind in kinds)):
        raise Refused(malformed("body/allowed_mime_types must be array"))
    limited = body.get("file_size_limit", old.size_limit) is not None
    size = _number(body, "file_size_limit", 0, old.size_limit) if limited else None
    return Bucket(public, tuple(kinds) if kinds is not None else None, size, old.policies)


def _routes(store: Supabase) -> list[Route]:
    """All routes of Storage; the first that fits is taken, so that fixed words come before names."""
    table: list[tuple[str, str, _Endpoint]] = [
        ("GET", "/status", store.status),
        ("GET", "/version", store.version),
        ("GET", "/health", store.health),
        ("GET", "/bucket", store.list_buckets),
        ("POST", "/bucket", store.create_bucket),
        ("GET", "/bucket/{bucket}", store.get_bucket),
        ("PUT", "/bucket/{bucket}", store.update_bucket),
        ("DELETE", "/bucket/{bucket}", store.delete_bucket),
        ("POST", "/bucket/{bucket}/empty", store.clear_bucket),
        ("POST", "/object/list/{bucket}", store.list_objects),
        ("POST", "/object/list-v2/{bucket}", store.list_objects_v2),
        ("POST", "/object/upload/sign/{bucket}/{path:path}", store.sign_upload),
        ("PUT", "/object/upload/sign/{bucket}/{path:path}", store.put_signed),
        ("POST", "/object/sign/{bucket}/{path:path}", store.sign),
        ("GET", "/object/sign/{bucket}/{path:path}", store.get_signed),
        ("GET", "/object/public/{bucket}/{path:path}", store.get_public),
        ("GET", "/object/authenticated/{bucket}/{path:path}", store.get_authenticated),
        ("GET", "/object/info/public/{bucket}/{path:path}", store.info_public),
        ("GET", "/object/info/authenticated/{bucket}/{path:path}", store.info_authenticated),
        ("GET", "/object/info/{bucket}/{path:path}", store.info),
        ("DELETE", "/object/{bucket}", store.delete_objects),
        ("POST", "/object/{bucket}/{path:path}", store.post_object),
        ("PUT", "/object/{bucket}/{path:path}", store.put_object),
        ("GET", "/object/{bucket}/{path:path}", store.get_object),
        ("DELETE", "/object/{bucket}/{path:path}", store.delete_object),
    ]
    return [_route(method, path, endpoint) for method, path, endpoint in table]


def _route(method: str, path: str, endpoint: _Endpoint) -> Route:
    route = Route(_PREFIX + path, endpoint, methods=[method])
    # a line break may stand in a name, which is then refused as one
    route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z", re.DOTALL)
    return route
