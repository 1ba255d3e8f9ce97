"""Looks at Supabase Storage: single calls that change nothing, and what each of them proves.

Which call proves what was observed on the real server (supabase/storage 1.70.6). The obvious ones lie: `list_buckets()` with an
anon key is empty, a private bucket says "Bucket not found" at its public address, HEAD and `info` see only the database.
HTTP statuses are nearly always 400, so the body's `code` and message are read instead.
"""

from __future__ import annotations

import atexit
import base64
import difflib
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

from diagnose import mask
from diagnose.live.ask import Answer, Asker, Silence
from diagnose.live.look import Answers, Question, silent
from diagnose.live.targets import Key, Picture, Targets, is_here, object_url
from diagnose.model import Evidence, Phrase, Witness

PIXEL = base64.b64decode(
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""The smallest picture that every decoder opens."""
WRITE_SECONDS = 12.0
NO_TIME = "there was no time left to write, and to remove it again"
_LEAST = 2.0
"""Seconds without which nothing is written: it could not be removed again."""
_VERSION = re.compile(r"v?\d+\.\d+(?:\.\d+)?[\w.+-]{0,30}")
_RANGE = re.compile(r"bytes \d{1,15}-\d{1,15}/(\d{1,15})")
_KEY = re.compile(
    r"JWS|signature verification failed|claim timestamp check failed|base64url decode|\"(?:alg|nbf|iat|exp)\"|JWT"
    r"|Invalid API key|No API key|jwt malformed|invalid signature|code: 22023",
    re.I,
)
"""What servers say of a key; the last is a role that the database does not know."""
_POLICY = "row-level security"
_WORDS = {
    "Bucket not found": "NoSuchBucket",
    "Object not found": "NoSuchKey",
    "The resource was not found": "NoSuchKey",
}
"""What servers that give no code mean by their words."""
_GONE = ("NoSuchKey", "NoSuchBucket")
_SPECIAL = {
    402: "it answers 402: the project is restricted, its quota used up or a bill open",
    429: "it answers 429: its database takes no more connections",
    540: "it answers 540: the project is paused",
    544: "it answers 544: the project's database did not answer in time",
}
"""Statuses of Supabase's own (Supabase facts, section 8)."""
_FIRST_BYTE = {"Range": "bytes=0-0"}
"""Only a GET proves that an object is served (Supabase facts, section 1), and one byte of it is enough."""
_OF_DATABASE = ("storage public", "storage key", "storage bucket", "storage settings")
"""Questions that Storage cannot answer without its database."""


# --- questions --------------------------------------------------------------------------------------------------------


def questions(targets: Targets, asker: Asker) -> Iterator[Question]:
    """Each asks one thing, and none needs another's answer."""
    url, key, bucket = targets.storage, targets.storage_key, targets.bucket
    if targets.stranger is not None and targets.stranger_allowed:
        stranger = str(targets.stranger["url"])
        yield Question("storage stranger", lambda: asker.get(stranger, _FIRST_BYTE, public=True))
    if url is None:
        return
    nobody = f"diagnose-{uuid.uuid4()}"
    yield Question("storage version", lambda: asker.get(f"{url}/storage/v1/version"))
    yield Question("storage public", lambda: asker.get(object_url(url, "object/info/public", bucket, nobody)))
    picture = targets.picture
    if picture is not None:
        public = object_url(url, "object/info/public", picture.bucket, picture.path)
        yield Question("storage fetch", lambda: asker.get(picture.url, _FIRST_BYTE))
        yield Question("storage object", lambda: asker.get(public))
    if key is not None:
        yield from _keyed(targets, asker, url, key, nobody)


def _keyed(targets: Targets, asker: Asker, url: str, key: Key, nobody: str) -> Iterator[Question]:
    headers, bucket, picture = _headers(key), targets.bucket, targets.picture
    named, posted = quote(bucket, safe=""), {**headers, "Content-Type": "application/json"}
    exists = object_url(url, "object/info/authenticated", bucket, nobody)
    # policies can speak of folders, so the dry run stands where the pictures go
    dry = object_url(url, "object/upload/sign", bucket, f"{targets.folder}/{nobody}" if targets.folder else nobody)
    newest = {
        "prefix": f"{targets.folder}/" if targets.folder else "",
        "limit": 1,
        "sortBy": {"column": "created_at", "order": "desc"},
    }
    body = json.dumps(newest).encode()
    yield Question("storage key", lambda: asker.get(f"{url}/storage/v1/bucket", headers))
    yield Question("storage bucket", lambda: asker.get(exists, headers))
    yield Question("storage settings", lambda: asker.get(f"{url}/storage/v1/bucket/{named}", headers))
    yield Question("storage upload", lambda: asker.ask("POST", dry, posted, b"{}"))
    yield Question(
        "storage newest", lambda: asker.ask("POST", f"{url}/storage/v1/object/list-v2/{named}", posted, body)
    )
    if picture is not None:
        own = object_url(url, "object/info/authenticated", picture.bucket, picture.path)
        yield Question("storage own object", lambda: asker.get(own, headers))
    name = targets.write
    if name is not None:
        yield Question("storage write", lambda: _write(asker, url, headers, bucket, name), WRITE_SECONDS)


def _headers(key: Key) -> dict[str, str]:
    """As the clients send it; the gateway reads keys of the newer kind from `apikey` alone."""
    return {"apikey": key.text, "Authorization": f"Bearer {key.text}"}


class Written(NamedTuple):
    """An object that was written to be removed again."""

    path: str
    post: object
    fetch: object
    delete: object


def _write(asker: Asker, url: str, headers: Mapping[str, str], bucket: str, path: str) -> Written | Silence:
    """Writes, fetches and removes one object. Each has its share of the time, so that there is some left to remove."""
    began = time.monotonic()
    left = min(WRITE_SECONDS, asker.until - began)
    if left < _LEAST:
        return Silence("late", NO_TIME)
    done = threading.Event()
    atexit.register(done.wait, left)  # whoever interrupts the look leaves no object behind
    place = object_url(url, "object", bucket, path)
    post = fetch = delete = None
    # connections of its own: those of the look are given back at its end, which can come in the middle
    first, second, last = (
        replace(asker, until=began + left * share, _clients={}, _lock=threading.Lock()) for share in (0.4, 0.6, 1.0)
    )
    try:
        post = first.ask("POST", place, {**headers, "Content-Type": "image/png"}, PIXEL)
        if isinstance(post, Answer) and post.status == 200:
            fetch = second.get(object_url(url, "object/public", bucket, path), _FIRST_BYTE)
    finally:
        if not (isinstance(post, Answer) and 400 <= post.status < 500):
            delete = last.ask("DELETE", place, headers)  # what was not refused can stand there
        for one in (first, second, last):
            one.close()
        done.set()
        atexit.unregister(done.wait)
    return Written(path, post, fetch, delete)


# --- what was said ----------------------------------------------------------------------------------------------------


class _Said(NamedTuple):
    """Storage's refusal, read from its body."""

    status: int
    code: str
    message: str

    @property
    def of_key(self) -> bool:
        """Whether it is about the key: "AccessDenied" is said of a key and of a policy alike."""
        return bool(_KEY.search(self.message))

    @property
    def of_policy(self) -> bool:
        return _POLICY in self.message


def _said(reply: object) -> _Said | None:
    """A refusal in Storage's form; None for anything else, also for a refusal that somebody else formed."""
    if not isinstance(reply, Answer) or reply.status < 400:
        return None
    body = reply.fields
    message, code, error, status = (body.get(name) for name in ("message", "code", "error", "statusCode"))
    if not isinstance(message, str) or not isinstance(status, str) or not isinstance(error or code, str):
        return None  # a number there is another server's
    if message.startswith("Route "):
        return None  # so says every server of that make, of a path that it does not know
    known = code if isinstance(code, str) else _WORDS.get(message, "")
    number = int(status) if re.fullmatch(r"[1-5]\d\d", status) else reply.status
    return _Said(number, known[:60], mask.cut(message, 300))


def _by_gateway(reply: object) -> str | None:
    """What a gateway says of a key that it does not know, in words of its own."""
    message = reply.fields.get("message") if isinstance(reply, Answer) and reply.status == 401 else None
    return mask.cut(message, 300) if isinstance(message, str) and _KEY.search(message) else None


def _server_error(reply: object) -> bool:
    """Whether a server failed; what only this key's role brings about is the key's fault."""
    said = _said(reply)
    failed = isinstance(reply, Answer) and (reply.status >= 500 or reply.status in _SPECIAL)
    failed = failed or (said is not None and said.status >= 500)
    return failed and not (said is not None and said.of_key)


def _listed(reply: object) -> list[Any] | None:
    value = reply.json if isinstance(reply, Answer) and reply.status == 200 else None
    return value if isinstance(value, list) else None


def _regular(reply: object) -> bool:
    """Whether Storage answered this from its database."""
    said = _said(reply)
    if said is not None:
        return bool(said.code) and not said.of_key and not _server_error(reply)
    row = reply.fields if isinstance(reply, Answer) and reply.status == 200 else {}
    return bool(_listed(reply)) or isinstance(row.get("public"), bool)


# --- evidence ---------------------------------------------------------------------------------------------------------


def evidence(targets: Targets, answers: Answers) -> Iterator[Evidence]:
    """What the answers prove."""
    yield from _stranger(targets, answers)
    url, key = targets.storage, targets.storage_key
    if url is None:
        return
    server = _server(targets, answers, url)
    yield server
    unsendable = key is not None and not _sendable(key.text)
    if key is not None and unsendable:
        said = "it holds characters that no HTTP header can carry"
        fields = {"name": key.name, "role": key.role, "accepted": None, "status": None, "message": said}
        yield Evidence("live.key", f"the key in '{key.name}'", Witness.OBSERVED, {**fields, "code": "unsendable"})
    if server.kind == "live.storage" and server["fault"]:
        about = ["live.bucket", *(["live.key", "live.upload"] if key is not None else [])]
        about += ["live.object"] if targets.picture is not None else []
        for kind in about:
            yield silent(kind, server.source, Silence("broken", f"nothing was learned there: {server['fault']}"))
        return
    if key is not None and not unsendable:
        yield from _key(key, answers, url)
    bucket = _bucket(targets, answers, url)
    yield bucket
    if key is not None:
        yield from _upload(targets, answers, url, bucket)
        yield from _newest(targets, answers, url)
    if targets.picture is not None:
        yield _object(targets.picture, targets.storage_key, answers)
    if answers["storage write"] is not None:
        yield _written(targets, answers["storage write"], url)


def _sendable(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.strip()


# Storage itself.


def _server(targets: Targets, answers: Answers, url: str) -> Evidence:
    """Whether Storage answers at this address."""
    where = f"GET {url}/storage/v1/version"
    ours = {n: r for n, r in answers.by_name.items() if n.startswith("storage ") and n not in _ELSEWHERE}
    first = ours.get("storage version")
    heard = [reply for reply in (first, *ours.values()) if isinstance(reply, Answer)]
    if not heard:
        return _unheard(targets, answers, url, where, first)
    text = first.text.strip() if isinstance(first, Answer) and first.status == 200 and first.whole else ""
    version = text if _VERSION.fullmatch(text) else None
    regular = any(_regular(ours.get(name)) for name in _OF_DATABASE)
    failed = [ours[name] for name in _OF_DATABASE if _server_error(ours.get(name))]
    failed = failed or ([first] if not version and _server_error(first) else [])
    fault = None
    if regular:  # one failure among good answers is that question's, unless it is the upload's own
        dry = ours.get("storage upload")
        lasting = _server_error(dry) and isinstance(dry, Answer) and dry.status not in (429, 544)
        fault = f"a dry run of an upload fails: {_failure(dry)}" if lasting else None
    elif failed:
        fault = _failure(failed[0])
    elif version is None and not any(_said(reply) for reply in heard):
        wanted = [said for reply in heard if (said := _by_gateway(reply)) is not None]
        if wanted:  # whoever asks for a key before anything else has not shown what stands behind
            return silent("live.storage", where, Silence("broken", f"its gateway answered 401: {wanted[0]}"))
        fault = _other(heard[0]) + _path(url)
    fields = {"url": url, "version": version, "status": heard[0].status, "fault": fault}
    return Evidence("live.storage", where, Witness.OBSERVED, fields)


_ELSEWHERE = ("storage stranger", "storage write")
"""Answers that do not tell how this server stands."""


def _failure(reply: object) -> str:
    assert isinstance(reply, Answer)
    said = _said(reply)
    status = reply.status if reply.status in _SPECIAL or said is None else said.status
    return _SPECIAL.get(status) or f"it answers {status}{f': {said.message}' if said is not None else ''}"


def _other(reply: Answer) -> str:
    """What somebody who is not Storage answered."""
    if 300 <= reply.status < 400:
        return f"it redirects to {_target(reply)}, which was not followed"
    message = reply.fields.get("message")
    if isinstance(message, str) and message:
        return f"what answers there is not Storage (HTTP {reply.status}: {mask.cut(message, 80)})"
    page = "html" in reply.headers.get("content-type", "") or reply.body[:200].lstrip()[:1] == b"<"
    return f"what answers there is not Storage ({'a web page, ' if page else ''}HTTP {reply.status})"


def _target(reply: Answer) -> str:
    try:
        return f"'{mask.text(urlsplit(reply.headers.get('location', '')).hostname or 'another path')[:100]}'"
    except ValueError:
        return "another address"


def _path(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return f"; the address has the path '{mask.cut(path, 60)}', and a project's address has none" if path else ""


def _unheard(targets: Targets, answers: Answers, url: str, where: str, reply: object) -> Evidence:
    """Nobody answered. That proves something only where the network is known to be there: somebody else of the same
    reach answered, and this address refused or has no name."""
    heard = _silence(reply)
    if heard.cause in ("refused", "unresolved") and _network(targets, answers, is_here(url)):
        paused = " (a paused or deleted project is reported so)" if heard.cause == "unresolved" else ""
        fields = {"url": url, "version": None, "status": None, "fault": heard.reason + paused}
        return Evidence("live.storage", where, Witness.OBSERVED, fields)
    return silent("live.storage", where, heard)


def _network(targets: Targets, answers: Answers, here: bool) -> bool:
    reach = {"fal": targets.fal_api or targets.fal_schemas}
    if here:
        reach["backend"] = targets.backend  # one on a local network says nothing of the internet
    elif getproxies():
        return False  # who refused can have been the proxy
    return any(
        isinstance(reply, Answer) and (place := reach.get(name.partition(" ")[0])) and is_here(place) == here
        for name, reply in answers.by_name.items()
    )


# Key, bucket, policies.


def _key(key: Key, answers: Answers, url: str) -> Iterator[Evidence]:
    """`GET /bucket` looks at the key before anything else; `info`, `exists` and `download` of a public bucket do not."""
    reply, where = answers["storage key"], f"GET {url}/storage/v1/bucket"
    if key.altered:
        yield silent(
            "live.key", where, Silence("unsendable", f"'{key.name}' was tried without what stands around its key")
        )
        return
    said, gateway = _said(reply), _by_gateway(reply)
    refused = gateway is not None or (said is not None and said.of_key)
    if not refused and _listed(reply) is None:
        yield _none("live.key", where, reply)
        return
    fields = {
        "name": key.name,
        "role": key.role or (_anon_level(answers) if not refused else None),
        "accepted": not refused,
        "status": said.status if said is not None else reply.status,
        "message": said.message if said is not None else gateway,
        "code": said.code if said is not None else None,
    }
    yield Evidence("live.key", where, Witness.OBSERVED, fields)


def _anon_level(answers: Answers) -> str | None:
    """A bucket that is there, and whose settings are hidden from this key: policies bind it."""
    info, settings = _said(answers["storage bucket"]), _said(answers["storage settings"])
    hidden = info is not None and settings is not None and (info.code, settings.code) == _GONE
    return "anon" if hidden else None


def _bucket(targets: Targets, answers: Answers, url: str) -> Evidence:
    """Exists: `info/authenticated` of a name that nobody has tells it to any valid key, an anon key too. Public:
    `info/public` of such a name tells it to nobody in particular; "Bucket not found" there is private or missing."""
    asked, public, settings = (answers[f"storage {name}"] for name in ("bucket", "public", "settings"))
    row = settings.fields if isinstance(settings, Answer) and settings.status == 200 else {}
    keyed, open_to_all = _said(asked), _said(public)
    exists = {"NoSuchKey": True, "NoSuchBucket": False}.get(keyed.code) if keyed is not None else None
    is_public = row["public"] if isinstance(row.get("public"), bool) else None
    if is_public is not None or (open_to_all is not None and open_to_all.code == "NoSuchKey"):
        exists = True
    if is_public is None and open_to_all is not None and exists:
        is_public = {"NoSuchKey": True, "NoSuchBucket": False}.get(open_to_all.code)
    route = "authenticated" if keyed is not None and keyed.code in _GONE else "public"
    where = f"GET {url}/storage/v1/object/info/{route}/{targets.bucket}/<random>"
    if exists is None:
        if open_to_all is not None and open_to_all.code == "NoSuchBucket":
            why = Phrase(
                "'{bucket}' is private or missing; without a key that is taken nobody can tell which",
                bucket=targets.bucket,
            )
            return silent("live.bucket", where, Silence("broken", why))
        return _none("live.bucket", where, asked if asked is not None and _said(asked) is None else public)
    limit, kinds, created = row.get("file_size_limit"), row.get("allowed_mime_types"), row.get("created_at")
    fields = {
        "bucket": targets.bucket,
        "exists": exists,
        "public": is_public,
        "size_limit": limit if isinstance(limit, int) and not isinstance(limit, bool) else None,
        "mime_types": [str(kind)[:80] for kind in kinds[:50]] if isinstance(kinds, list) else None,
        "near": None if exists else _nearest(targets.bucket, _listed(answers["storage key"]) or []),
        "created": created[:40] if isinstance(created, str) else None,
    }
    return Evidence("live.bucket", where, Witness.OBSERVED, fields)


def _nearest(bucket: str, rows: Sequence[Any]) -> str | None:
    """The existing name that is most like it, as far as this key may see names; the only one is the nearest."""
    names = [row["name"][:100] for row in rows[:1000] if isinstance(row, dict) and isinstance(row.get("name"), str)]
    same = next((name for name in names if name.casefold() == bucket.casefold()), None)
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(bucket.casefold()[:100], folded, 1)
    return same or (folded[close[0]] if close else names[0] if len(names) == 1 else None)


def _upload(targets: Targets, answers: Answers, url: str, bucket: Evidence) -> Iterator[Evidence]:
    """The dry run inserts and rolls back; the token it gives out is not looked at. To an anon key a missing bucket is
    refused in the policies' words, so that these are only believed of a bucket that is there."""
    reply = answers["storage upload"]
    where = f"POST {url}/storage/v1/object/upload/sign/{targets.bucket}/<random>"
    said = _said(reply)
    fields: dict[str, Any] = {"bucket": targets.bucket, "allowed": None, "message": None, "code": None}
    if isinstance(reply, Answer) and reply.status == 200 and isinstance(reply.fields.get("url"), str):
        yield Evidence("live.upload", where, Witness.OBSERVED, {**fields, "allowed": True})
    elif said is not None and said.of_policy and bucket["exists"]:
        fields |= {"allowed": False, "message": said.message, "code": said.code}
        yield Evidence("live.upload", where, Witness.OBSERVED, fields)
    else:
        yield _none("live.upload", where, reply)


def _newest(targets: Targets, answers: Answers, url: str) -> Iterator[Evidence]:
    """An empty list proves nothing: a missing bucket and a hidden one have it too."""
    reply = answers["storage newest"]
    rows = reply.fields.get("objects") if isinstance(reply, Answer) and reply.status == 200 else None
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    path, created = row.get("key") or row.get("name"), row.get("created_at")
    if isinstance(path, str) and isinstance(created, str):
        fields = {"bucket": targets.bucket, "path": path[:500], "created": created[:40]}
        where = f"POST {url}/storage/v1/object/list-v2/{targets.bucket}"
        yield Evidence("live.newest", where, Witness.OBSERVED, fields)


# Objects.


def _object(picture: Picture, key: Key | None, answers: Answers) -> Evidence:
    """The case's picture: `info` says whether it is on record, and only a GET whether it is served."""
    fetch, public, own = (answers[f"storage {name}"] for name in ("fetch", "object", "own object"))
    where = f"GET {picture.url.partition('?')[0]}"
    rows = [r.fields for r in (public, own) if isinstance(r, Answer) and r.status == 200 and r.fields.get("id")]
    # a public bucket hides nothing from anybody, and no bucket anything from the service
    everywhere = (_said(public), _said(own) if key is not None and key.role == "service_role" else None)
    served, refusal = _served(fetch), _said(fetch)
    exists: bool | None = None
    if rows or served:
        exists = True
    elif any(said is not None and said.code == "NoSuchKey" for said in everywhere):
        exists = False
    if served is None and refusal is not None and not _server_error(fetch):
        served = False
    elif served is None and exists and isinstance(fetch, Answer) and fetch.status == 500:
        served = False  # on record, and its file is gone
    if exists is None and served is None:
        return _none("live.object", where, fetch)
    size = next((row["size"] for row in rows if isinstance(row.get("size"), int)), None)
    fields = {
        "bucket": picture.bucket,
        "path": picture.path,
        "exists": exists,
        "fetchable": served,
        "status": fetch.status if isinstance(fetch, Answer) else None,
        "size": _size(fetch) if served else size,
        "mime_type": _kind(fetch) if served else None,
        "message": refusal.message if refusal is not None and not served else None,
        "code": refusal.code if refusal is not None and not served else None,
        "own": picture.tried,
    }
    return Evidence("live.object", where, Witness.OBSERVED, fields)


def _served(reply: object) -> bool | None:
    """True where whoever asks gets the object; of an empty one there is no first byte, and that is said."""
    if not isinstance(reply, Answer):
        return None
    said = _said(reply)
    if reply.status in (200, 206) or reply.status == 416 or (said is not None and said.code == "InvalidRange"):
        return True
    return None


def _size(reply: object) -> int | None:
    """The whole object's size: a range tells it in its header."""
    if not isinstance(reply, Answer):
        return None
    if reply.status not in (200, 206):
        return 0
    total = _RANGE.fullmatch(reply.headers.get("content-range", ""))
    told = total[1] if total is not None else reply.headers.get("content-length", "") if reply.status == 200 else ""
    return int(told) if told.isdecimal() and len(told) < 16 else None


def _kind(reply: object) -> str | None:
    given = reply.headers.get("content-type") if isinstance(reply, Answer) and reply.status in (200, 206) else None
    return mask.cut(given, 80) if given else None


def _stranger(targets: Targets, answers: Answers) -> Iterator[Evidence]:
    """A picture that stands somewhere else: fetched only where that was allowed, and never from a private network."""
    if targets.stranger is None:
        return
    url = str(targets.stranger["url"])
    where = f"GET {url.partition('?')[0]}"
    if not targets.stranger_allowed:
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            host = ""
        known = "is not the configured Storage" if targets.storage else "is not one that was given"
        reason = f"its host '{host}' {known}; --allow-host {host} lets it be fetched"
        yield silent("live.object", where, Silence("forbidden", reason))
        return
    reply = answers["storage stranger"]
    if not isinstance(reply, Answer):
        yield silent("live.object", where, _silence(reply))
        return
    served, said = _served(reply), _said(reply)
    # another server can refuse us and serve fal; that there is nothing is said to all alike
    gone = reply.status in (404, 410) or (said is not None and said.code in (*_GONE, "InvalidJWT"))
    redirect = f"it redirects to {_target(reply)}, which was not followed" if 300 <= reply.status < 400 else None
    fields = {
        "bucket": None,
        "path": None,
        "exists": True if served else None,
        "fetchable": served if served else False if gone else None,
        "status": reply.status,
        "size": _size(reply) if served else None,
        "mime_type": _kind(reply) if served else None,
        "message": said.message if said is not None and not served else redirect,
        "code": said.code if said is not None and not served else None,
        "own": False,
    }
    yield Evidence("live.object", where, Witness.OBSERVED, fields)


def _written(targets: Targets, reply: object, url: str) -> Evidence:
    """What became of the object that was written; what was not answered can stand there all the same."""
    place = f"POST {url}/storage/v1/object/{targets.bucket}"
    if isinstance(reply, Silence) and reply.cause in ("late", "interrupted") and reply.reason != NO_TIME:
        # how far it came is not known, so what is known is its name
        lost = {"bucket": targets.bucket, "path": targets.write, "written": None, "fetchable": None, "removed": False}
        return Evidence(
            "live.written", place, Witness.OBSERVED, {**lost, "status": None, "message": None, "code": None}
        )
    if not isinstance(reply, Written):
        return _none("live.written", place, reply)
    posted, fetched, deleted = _said(reply.post), _said(reply.fetch), _said(reply.delete)
    written = isinstance(reply.post, Answer) and reply.post.status == 200
    removed = isinstance(reply.delete, Answer) and reply.delete.status == 200
    served = _served(reply.fetch)
    said = (
        posted if not written else fetched if not served and fetched is not None else deleted if not removed else None
    )
    fields = {
        "bucket": targets.bucket,
        "path": reply.path,
        "written": True if written or removed else False if posted is not None else None,
        "fetchable": served if served else False if fetched is not None and not _server_error(reply.fetch) else None,
        "removed": removed if written or removed or not isinstance(reply.post, Answer) else None,
        "status": posted.status if posted is not None else None,
        "message": said.message if said is not None else None,
        "code": said.code if said is not None else None,
    }
    where = f"POST {object_url(url, 'object', targets.bucket, reply.path)}"
    return Evidence("live.written", where, Witness.OBSERVED, fields)


def _silence(reply: object) -> Silence:
    return reply if isinstance(reply, Silence) else Silence("late", "it was not asked")


def _none(about: str, source: str, reply: object) -> Evidence:
    """Something answered, and it tells nothing of this."""
    if not isinstance(reply, Answer):
        return silent(about, source, _silence(reply))
    said, gateway = _said(reply), _by_gateway(reply)
    words = said.message if said is not None else gateway or ""
    status = said.status if said is not None else reply.status
    return silent(about, source, Silence("broken", f"it answered {status}{f': {words}' if words else ''}"))
