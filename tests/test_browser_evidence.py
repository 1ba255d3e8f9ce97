"""What a browser recorded is evidence: HAR files of every maker, saved consoles of every browser, and what follows.

The fixtures are built here by hand, each no larger than what it shows.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from diagnose import collect, explain, normalise, profile
from diagnose.collect import browser, documents, posted
from diagnose.model import Case, Diagnosis, Evidence, Profile, Status, Witness
from diagnose.render import document
from diagnose.render.text import Page
from diagnose.render.words import Words
from tests.cases_support import IMAGE_MODEL, TEXT_MODEL

SEED = profile.build(profile.BUILT_IN["seed"], "seed")
AT_ITS_ADDRESS = profile.build({**profile.BUILT_IN["seed"], "backend": {"url": "http://localhost:8000"}}, "seed")
API = "http://127.0.0.1:8000/api/generate-image"
PAGE = "http://localhost:3000"
PICTURE = "https://v3.fal.media/files/koala/rT5bQ.png"
PHOTO = "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(296)).decode()
NGINX_413 = "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>nginx</body>\r\n</html>"

# --- a HAR, as its makers write it ------------------------------------------------------------------------------------


def named(headers: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers.items()]


def exchange(
    url: str = API,
    status: int = 200,
    posted: Any = None,
    body: Any = None,
    method: str = "POST",
    sent: Mapping[str, str] | None = None,
    got: Mapping[str, str] | None = None,
    at: str = "2026-01-11T06:35:30.000Z",
    **more: Any,
) -> dict[str, Any]:
    """One entry: `posted` is its postData, `body` what came back (JSON, text, or a HAR's own `content`)."""
    content = {} if body is None else {"mimeType": "text/html", "text": body}
    if isinstance(body, dict):
        content = body if "mimeType" in body else {"mimeType": "application/json", "text": json.dumps(body)}
    request = {"method": method, "url": url, "headers": named(sent or {})}
    if posted is not None:
        request["postData"] = posted
    response = {"status": status, "headers": named(got or {}), "content": content}
    return {"startedDateTime": at, "request": request, "response": response, **more}


def har(*entries: Any) -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": "WebInspector"}, "entries": list(entries)}}


def as_json(**fields: Any) -> dict[str, Any]:
    return {"mimeType": "application/json", "text": json.dumps({"prompt": "a knight", **fields})}


def as_form(*parts: tuple[str, str, str], boundary: str = "----WebKitFormBoundaryx9") -> dict[str, Any]:
    """A multipart body; a part is its name, its file's name or nothing, and its content."""
    text = ""
    for name, file, content in parts:
        kind = f'; filename="{file}"\r\nContent-Type: image/jpeg' if file else ""
        text += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{kind}\r\n\r\n{content}\r\n'
    return {"mimeType": f"multipart/form-data; boundary={boundary}", "text": f"{text}--{boundary}--\r\n"}


def read(*entries: Any) -> list[tuple[documents.Exchange, documents.Exchange]]:
    return list(browser.har(har(*entries), "s.har").pairs)


def sent(*entries: Any) -> Evidence:
    """The body of the newest request."""
    return read(*entries)[-1][0].evidence[0]


def answered(*entries: Any) -> Evidence:
    return next(e for e in read(*entries)[-1][1].evidence if e.kind == "answer")


def wrong(*entries: Any) -> Evidence | None:
    """What the wire shows to be wrong with the newest request."""
    return next((e for e in read(*entries)[-1][1].evidence if e.kind == "browser.error"), None)


DONE = {"images": [{"url": PICTURE}]}


# --- what was sent ----------------------------------------------------------------------------------------------------


def test_a_body_in_json_with_its_images_and_their_sizes() -> None:
    posted = as_json(face_image=PHOTO, strength=0.5)
    body = sent(exchange(posted=posted, body=DONE, sent={"content-length": "500"}))
    assert body.witness is Witness.WIRE
    assert body.source == "s.har#/log/entries/0/request/postData"
    assert body.fields["images"] == [{"name": "face_image", "carrier": "data_uri", "fault": None, "bytes": 300}]
    assert (body["format"], body["prompt"], body["size"], body["params"]["strength"]) == ("json", "a knight", 500, 0.5)
    assert body["timestamp"] == "2026-01-11T06:35:30.000Z"


@pytest.mark.parametrize(
    ("value", "carrier"),
    [
        (PHOTO, "data_uri"),
        ("/9j/" + "A" * 396, "base64"),
        ("https://example.org/me.jpg", "url"),
        ("blob:http://localhost:3000/1f2e", "blob"),
    ],
)
def test_every_form_in_which_a_field_carries_a_picture(value: str, carrier: str) -> None:
    assert sent(exchange(posted=as_json(face_image=value)))["images"][0]["carrier"] == carrier
    form = as_form(("face_image", "", value))
    assert sent(exchange(posted=form))["images"][0]["carrier"] == carrier


def test_an_upload_that_is_referred_to() -> None:
    assert sent(exchange(posted=as_json(upload_id="up_5501aa")))["images"][0]["carrier"] == "upload_id"


def test_a_form_by_its_text_alone() -> None:
    body = sent(exchange(posted=as_form(("prompt", "", "a knight"), ("photo", "me.jpg", "x" * 70))))
    assert body["format"] == "multipart"
    assert body["images"] == [{"name": "photo", "carrier": "file", "fault": None, "bytes": 70}]
    assert body["prompt"] == "a knight"


def test_a_form_by_its_list_of_fields_alone() -> None:
    params = [
        {"name": "prompt", "value": "a knight"},
        {"name": "photo", "fileName": "me.jpg", "contentType": "image/jpeg"},
    ]
    for kind in ("multipart/form-data; boundary=x", ""):
        body = sent(exchange(posted={"mimeType": kind, "params": params}))
        assert [i["name"] for i in body["images"]] == ["photo"]
        assert "bytes" not in body["images"][0]
        assert body["prompt"] == "a knight"


def test_fields_that_only_one_of_both_names_are_joined() -> None:
    posted = as_form(("prompt", "", "a knight"), ("photo", "me.jpg", "xx"))
    posted["params"] = [{"name": "photo", "fileName": "me.jpg"}, {"name": "face", "fileName": "you.jpg"}]
    assert [i["name"] for i in sent(exchange(posted=posted))["images"]] == ["photo", "face"]


def test_bytes_that_were_left_out_are_not_an_empty_file() -> None:
    posted = as_form(("photo", "me.jpg", ""))
    length = len(posted["text"])
    whole = sent(exchange(posted=posted, sent={"Content-Length": str(length + 90_000)}))
    assert whole["images"] == [{"name": "photo", "carrier": "file", "fault": None, "bytes": 90_000}]
    untold = sent(exchange(posted=posted))
    assert untold["images"] == [{"name": "photo", "carrier": "file", "fault": None}]
    entry = exchange(posted=posted)
    entry["request"]["bodySize"] = length  # Chrome counts what it kept
    assert sent(entry)["images"][0]["fault"] is None
    empty = sent(exchange(posted=posted, sent={"Content-Length": str(length)}))
    assert empty["images"][0]["fault"] == "the file is empty"


def test_two_files_whose_bytes_were_left_out_have_no_size_each() -> None:
    posted = as_form(("photo", "a.jpg", ""), ("photo", "b.jpg", ""))
    body = sent(exchange(posted=posted, sent={"content-length": "900000"}))
    assert [i.get("bytes") for i in body["images"]] == [None, None]
    assert body["size"] == 900_000


def test_a_file_input_in_which_nothing_was_chosen_is_no_picture() -> None:
    text = '--b\r\nContent-Disposition: form-data; name="image"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--b--\r\n'
    assert sent(exchange(posted={"mimeType": "multipart/form-data; boundary=b", "text": text}))["images"] == []


def test_a_form_that_was_cut_keeps_what_it_shows_and_denies_nothing() -> None:
    whole = as_form(("prompt", "", "a knight"), ("photo", "me.jpg", "x" * 500))
    cut = {**whole, "text": whole["text"][:300]}
    assert sent(exchange(posted=cut))["images"] == [{"name": "photo", "carrier": "file", "fault": None}]
    before = {**whole, "text": whole["text"][:110]}
    assert sent(exchange(posted=before))["images"] is None


def test_json_that_a_page_wrapped_in_a_blob_is_fields() -> None:
    text = (
        '--b\r\nContent-Disposition: form-data; name="payload"; filename="blob"\r\nContent-Type: application/json\r\n\r\n'
        + json.dumps({"face_image": PHOTO})
        + "\r\n--b--\r\n"
    )
    body = sent(exchange(posted={"mimeType": "multipart/form-data; boundary=b", "text": text}))
    assert [i["name"] for i in body["images"]] == ["payload.face_image"]


def test_json_that_was_cut_in_the_middle_of_a_picture() -> None:
    text = as_json(face_image=PHOTO)["text"]
    body = sent(exchange(posted={"mimeType": "application/json", "text": text[:120]}))
    assert body["images"] == [{"name": "face_image", "carrier": "data_uri", "fault": None}]
    assert body["prompt"] == "a knight"
    assert sent(exchange(posted={"mimeType": "application/json", "text": text[:20]}))["images"] is None


def test_json_from_which_somebody_took_the_picture_out() -> None:
    short = "data:image/jpeg;base64,/9j/4AAQ...(87416 base64 chars)"
    assert sent(exchange(posted=as_json(face_image=short)))["images"] == [
        {"name": "face_image", "carrier": "data_uri", "fault": None, "bytes": 65562}
    ]


def test_a_body_that_was_not_recorded_is_unknown_and_not_empty() -> None:
    heads = {"content-type": "multipart/form-data; boundary=x", "content-length": "4194304"}
    body = sent(exchange(sent=heads))
    assert (body["images"], body["format"], body["size"]) == (None, "multipart", 4194304)
    assert sent(exchange())["format"] == "unknown"
    assert sent(exchange(sent={"content-length": "0"}))["images"] == []


def test_a_form_in_the_address_manner() -> None:
    body = sent(
        exchange(
            posted={"mimeType": "application/x-www-form-urlencoded", "text": f"prompt=a+knight&image_url={PICTURE}"}
        )
    )
    assert (body["format"], [i["name"] for i in body["images"]]) == ("form", ["image_url"])
    listed = {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "image_url", "value": PICTURE}]}
    assert [i["carrier"] for i in sent(exchange(posted=listed))["images"]] == ["url"]


def test_a_picture_that_is_the_body_itself() -> None:
    heads = {"content-type": "image/png", "content-length": "7000"}
    body = sent(exchange(method="PUT", sent=heads))
    assert body["format"] == "binary"
    assert body["images"] == [{"name": "(file)", "carrier": "file", "fault": None, "bytes": 7000}]


def test_a_body_in_base64() -> None:
    plain = as_form(("photo", "me.jpg", "\xff\xd8" * 40))
    posted = {**plain, "text": base64.b64encode(plain["text"].encode("latin-1")).decode(), "encoding": "base64"}
    assert sent(exchange(posted=posted))["images"][0]["bytes"] == 80


def test_of_a_body_over_the_limit_only_the_beginning_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posted, "MAX_BODY", 200)
    read_whole: list[int] = []
    monkeypatch.setattr(posted.loose_json, "parse", lambda text: read_whole.append(len(text)))
    body = sent(exchange(posted=as_json(face_image=PHOTO)))
    assert [i["name"] for i in body["images"]] == ["face_image"]
    assert not read_whole


def test_nothing_that_lets_its_bearer_in_is_taken_over() -> None:
    secret = "k7Qw9zXv3LmT8rBn"
    entry = exchange(
        url=f"http://user:{secret}@127.0.0.1:8000/api/generate-image?token={secret}#{secret}",
        posted=as_json(face_image=PHOTO, access_token=secret, apiKey=secret, session_id=secret),
        status=401,
        body={"detail": "no"},
        sent={"Cookie": secret, "Authorization": f"Bearer {secret}", "Origin": PAGE},
        got={"Set-Cookie": secret, "server": "uvicorn", "x-request-id": "r-1"},
    )
    pair = read(entry)[0]
    assert secret not in repr(pair)
    assert pair[0].evidence[0]["url"] == API


# --- which requests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://www.google-analytics.com/g/collect?dl=/generate",
        "https://o1.ingest.sentry.io/api/5/envelope/",
        "http://127.0.0.1:8000/auth/v1/token",
        "http://127.0.0.1:8000/api/login",
        "https://abc.supabase.co/storage/v1/object/images/me.jpg",
        "http://127.0.0.1:8000/api/events",
        "https://fal.run/fal-ai/flux-general/image-to-image",
    ],
)
def test_telemetry_and_signing_in_do_not_count(url: str) -> None:
    assert not browser.har(har(exchange(url=url, posted=as_json(face_image=PHOTO))), "s.har").pairs


def test_what_makes_the_picture_comes_before_what_only_names_one() -> None:
    entries = [
        exchange(url="http://127.0.0.1:8000/api/upload-image", posted=as_form(("image", "a.jpg", "x"))),
        exchange(url="http://127.0.0.1:8000/api/generate-prompt", posted=as_json()),
        exchange(url="http://127.0.0.1:8000/api/generate", posted=as_json(upload_id="up_5501aa"), body=DONE),
    ]
    assert [pair[0].evidence[0]["url"] for pair in read(*entries)] == ["http://127.0.0.1:8000/api/generate"]


def test_where_no_path_tells_the_only_one_that_carries_an_image_counts() -> None:
    other = exchange(url="http://127.0.0.1:8000/v1/run", posted=as_json(n=1))
    one = exchange(url="http://127.0.0.1:8000/v1/run", posted=as_json(face_image=PHOTO))
    assert len(read(other, one)) == 1
    assert read(other, one, one) == []
    notes = browser.har(har(other, one, one), "s.har").notes
    assert notes == ("no request in it asks for a picture",)


def test_several_generations_are_in_the_order_they_were_sent() -> None:
    late = exchange(posted=as_json(n=2), at="2026-01-11T06:36:00.000Z", body=DONE)
    early = exchange(posted=as_json(n=1), at="2026-01-11T13:35:00.000+07:00", body=DONE)
    assert [pair[0].evidence[0]["params"]["n"] for pair in read(late, early)] == [1, 2]
    assert read(late, early)[1][1].time == "2026-01-11T06:36:00.000Z"


def test_an_answer_stands_beside_its_own_request() -> None:
    pairs = read(
        exchange(posted=as_json(n=1), status=500, body={"detail": "x"}), exchange(posted=as_json(n=2), body=DONE)
    )
    assert [got.status for _, got in pairs] == [500, 200]


def test_a_request_that_a_service_worker_repeated_counts_once() -> None:
    page = exchange(posted=as_json(n=1), _fetchedViaServiceWorker=True, status=0)
    worker = exchange(posted=as_json(n=1), at="2026-01-11T06:35:30.200Z", body=DONE)
    assert [got.status for _, got in read(page, worker)] == [200]
    assert [got.status for _, got in read({**page, "response": exchange(body=DONE)["response"]})] == [200]


def test_a_socket_and_a_page_are_no_generation() -> None:
    socket = exchange(url="ws://127.0.0.1:8000/api/generate", method="GET", _webSocketMessages=[])
    assert not browser.har(har(socket, exchange(method="GET")), "s.har").pairs


@pytest.mark.parametrize("code", [307, 308])
def test_a_redirect_that_keeps_the_body_is_followed(code: int) -> None:
    first = exchange(posted=as_json(face_image=PHOTO), status=code, got={"Location": "/api/generate-image/"})
    then = exchange(url=f"{API}/", body=DONE, at="2026-01-11T06:35:31.000Z")
    pair = read(first, then)[0]
    assert pair[1].status == 200
    assert pair[0].evidence[0]["images"]
    assert wrong(first, then) is None


def test_a_redirect_that_loses_the_body_is_told() -> None:
    first = exchange(
        posted=as_json(face_image=PHOTO), status=301, got={"Location": "https://127.0.0.1:8000/api/generate-image"}
    )
    then = exchange(url="https://127.0.0.1:8000/api/generate-image", method="GET", status=405, body={"detail": "x"})
    error = wrong(first, then)
    assert error is not None
    assert error["code"] == "redirect"
    assert error["url"] == API


def test_redirects_in_a_circle_end() -> None:
    there = exchange(status=307, got={"Location": f"{API}/"})
    back = exchange(url=f"{API}/", status=307, got={"Location": API})
    assert [got.status for _, got in read(there, back)]


# --- what came back ---------------------------------------------------------------------------------------------------


def test_the_answer_and_its_request_id() -> None:
    answer = answered(exchange(body=DONE, got={"X-Request-ID": "req-7", "Server": "uvicorn"}))
    assert (answer["status"], answer["urls"], answer["request_id"]) == (200, [PICTURE], "req-7")
    assert (answer["server"], answer["content"]) == ("uvicorn", "json")
    assert answer.source == "s.har#/log/entries/0/response/content"
    page = exchange(status=502, body="<html><title>502 Bad Gateway</title>", got={"x-request-id": "req-8"})
    assert "req-8" in read(page)[0][1].keys


def test_an_answer_in_base64_and_in_another_alphabet() -> None:
    text = json.dumps({"detail": "größe"}, ensure_ascii=False)
    for charset in ("utf-8", "iso-8859-1"):
        coded = base64.b64encode(text.encode(charset)).decode()
        content = {"mimeType": f"application/json; charset={charset}", "encoding": "base64", "text": coded}
        told = [e for e in read(exchange(status=400, body=content))[0][1].evidence if e.kind == "error"]
        assert "größe" in told[0]["text"]


def test_a_picture_that_is_the_answer_itself() -> None:
    answer = answered(exchange(body={"mimeType": "image/png", "size": 90_000}))
    assert (answer["pictures"], answer["content"]) == (1, "picture")


def test_the_last_event_of_a_stream_is_the_answer() -> None:
    stream = 'data: {"progress": 1}\n\ndata: ' + json.dumps(DONE) + "\n\n"
    assert answered(exchange(body={"mimeType": "text/event-stream", "text": stream}))["pictures"] == 1


def test_an_answer_that_was_not_recorded_has_no_count_of_pictures() -> None:
    answer = answered(exchange(body={"mimeType": "application/json", "size": 812}))
    assert (answer["pictures"], answer["content"]) == (None, "unseen")
    assert answered(exchange(status=413, got={"content-length": "0"}))["content"] == "empty"


# --- what went wrong on the wire --------------------------------------------------------------------------------------


def failing(**more: Any) -> dict[str, Any]:
    return exchange(posted=as_json(face_image=PHOTO), status=0, **more)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (failing(_error="net::ERR_CONNECTION_REFUSED"), "ERR_CONNECTION_REFUSED"),
        ({**failing(), "response": {"status": 0, "_error": "net::ERR_NAME_NOT_RESOLVED"}}, "ERR_NAME_NOT_RESOLVED"),
        (
            {**failing(), "response": {"status": -1, "_failureText": "NS_ERROR_CONNECTION_REFUSED"}},
            "NS_ERROR_CONNECTION_REFUSED",
        ),
    ],
)
def test_a_connection_that_failed_and_never_arrived(entry: dict[str, Any], code: str) -> None:
    error = wrong(entry)
    assert error is not None
    assert (error["code"], error["reached"], error["url"], error.witness) == (code, False, API, Witness.WIRE)
    asked, got = read(entry)[0]
    assert not asked.arrived
    assert not got.arrived
    assert [e.kind for e in got.evidence] == ["browser.error"]


def test_a_connection_that_broke_may_have_arrived() -> None:
    error = wrong(failing(_error="net::ERR_CONNECTION_RESET"))
    assert error is not None
    assert error["reached"] is None
    pending = wrong(failing())
    assert pending is not None
    assert pending["code"] == "no_answer"


ORIGIN = {"Origin": PAGE}


def preflight(status: int = 200, got: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    sent = {**ORIGIN, "Access-Control-Request-Headers": "content-type"}
    return exchange(method="OPTIONS", status=status, sent=sent, got=got or {"server": "uvicorn"}, **more)


@pytest.mark.parametrize(
    ("status", "got", "says"),
    [
        (400, {"server": "uvicorn"}, "was answered 400"),
        (200, {"server": "uvicorn"}, "without access-control-allow-origin for http://localhost:3000"),
        (204, {"Access-Control-Allow-Origin": "https://other.example"}, "for https://other.example, not for"),
        (204, {"Access-Control-Allow-Origin": PAGE}, "without content-type in access-control-allow-headers"),
    ],
)
def test_a_preflight_that_was_refused(status: int, got: dict[str, str], says: str) -> None:
    asked = preflight(status, got)
    for entries in ((asked, failing(_error="net::ERR_FAILED")), (failing(_error="net::ERR_FAILED"), asked), (asked,)):
        error = wrong(*entries)
        assert error is not None
        assert (error["code"], error["reached"]) == ("cors", False)
        assert says in error["text"]


def test_a_preflight_that_was_granted_is_no_error() -> None:
    granted = preflight(204, {"Access-Control-Allow-Origin": PAGE, "Access-Control-Allow-Headers": "Content-Type"})
    error = wrong(granted, failing(_error="net::ERR_TIMED_OUT"))
    assert error is not None
    assert error["code"] == "ERR_TIMED_OUT"
    assert not browser.har(har(granted), "s.har").pairs


def test_an_earlier_preflight_does_not_speak_for_a_later_request() -> None:
    refused = preflight(400, at="2026-01-11T06:00:00.000Z")
    granted = preflight(204, {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"})
    error = wrong(refused, granted, failing(_error="net::ERR_CONNECTION_RESET"))
    assert error is not None
    assert error["code"] == "ERR_CONNECTION_RESET"


def test_an_answer_that_the_browser_keeps_from_the_page() -> None:
    error = wrong(exchange(sent=ORIGIN, got={"server": "uvicorn"}))
    assert error is not None
    assert (error["code"], error["status"], error["reached"]) == ("cors", 200, None)


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (ORIGIN, {"Access-Control-Allow-Origin": PAGE}),
        (ORIGIN, {"access-control-allow-origin": "*"}),
        (ORIGIN, {}),  # the headers were not recorded
        ({}, {"server": "uvicorn"}),
        ({"Origin": "http://127.0.0.1:8000"}, {"server": "uvicorn"}),
        ({**ORIGIN, "Sec-Fetch-Mode": "navigate"}, {"server": "uvicorn"}),
    ],
)
def test_an_answer_that_the_page_can_read(sent: dict[str, str], got: dict[str, str]) -> None:
    assert wrong(exchange(sent=sent, got=got, body=DONE)) is None


# --- a saved console --------------------------------------------------------------------------------------------------


def lines(text: str) -> list[Evidence]:
    return browser.console(text, "console.log")


@pytest.mark.parametrize(
    ("line", "code", "status", "url"),
    [
        # Chrome
        (f"main.js:10 POST {API} net::ERR_CONNECTION_REFUSED", "ERR_CONNECTION_REFUSED", None, API),
        (
            f"localhost/:1 Access to fetch at '{API}?k=1' from origin '{PAGE}' has been blocked by CORS policy: No 'Access-Control-Allow-Origin' header is present",
            "cors",
            None,
            API,
        ),
        (
            f"Access to fetch at 'https://x.example/in' (redirected from '{API}') from origin '{PAGE}' has been blocked by CORS policy",
            "cors",
            None,
            API,
        ),
        (f"main.js:10 POST {API} net::ERR_FAILED 413 (Request Entity Too Large)", "cors", 413, API),
        (f"page.tsx:88 POST {API} 500 (Internal Server Error)", "http", 500, API),
        (
            "127.0.0.1:8000/api/generate-image:1 Failed to load resource: the server responded with a status of 500 ()",
            "http",
            500,
            "127.0.0.1:8000/api/generate-image",
        ),
        ("Uncaught (in promise) TypeError: Failed to fetch", "failed", None, None),
        (
            f"Refused to connect to '{API}' because it violates the following Content Security Policy directive",
            "csp",
            None,
            API,
        ),
        # Chrome, as Playwright hands its messages on
        (
            f"{PAGE}/:0 Access to fetch at '{API}' from origin '{PAGE}' has been blocked by CORS policy: No header",
            "cors",
            None,
            API,
        ),
        (f"{API}:0 Failed to load resource: net::ERR_FAILED", "ERR_FAILED", None, API),
        # Firefox
        (
            f"Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at {API}. (Reason: CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 413.",
            "cors",
            413,
            API,
        ),
        (
            f"Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at {API}. (Reason: CORS request did not succeed). Status code: (null).",
            "failed",
            None,
            API,
        ),
        ("TypeError: NetworkError when attempting to fetch resource.", "failed", None, None),
        # Firefox in German
        (
            f"Quellübergreifende (Cross-Origin) Anfrage blockiert: Die Gleiche-Quelle-Regel verbietet das Lesen der externen Ressource auf {API}. (Grund: CORS-Kopfzeile 'Access-Control-Allow-Origin' fehlt). Statuscode: 504.",
            "cors",
            504,
            API,
        ),
        # Firefox in Indonesian
        (f"Permintaan Lintas-Asal Diblokir: {API}. (Alasan: permintaan CORS gagal). Kode status: 502.", "cors", 502, API),
        # Safari
        (f"[Error] Origin {PAGE} is not allowed by Access-Control-Allow-Origin. Status code: 500", "cors", 500, None),
        (f"[Error] Fetch API cannot load {API} due to access control checks.", "cors", None, API),
        ("[Error] Failed to load resource: Could not connect to the server. (generate-image, line 0)", "ECONNREFUSED", None, None),
        ("[Error] TypeError: Load failed", "failed", None, None),
        # Node, React and their like
        ("  cause: Error: connect ECONNREFUSED 127.0.0.1:8000", "ECONNREFUSED", None, "127.0.0.1:8000"),
        ("AxiosError: Request failed with status code 413", "http", 413, None),
        ("""SyntaxError: Unexpected token '<', "<html>" is not valid JSON""", "not_json", None, None),
        ("page.tsx:9 Uncaught TypeError: Cannot read properties of undefined (reading 'url')", "exception", None, None),
    ],
)  # fmt: skip
def test_an_error_line(line: str, code: str, status: int | None, url: str | None) -> None:
    found = lines(f"page.tsx:12 generating\n{line}")
    assert [e.source for e in found] == ["console.log:2"]
    assert (found[0]["code"], found[0]["status"], found[0]["url"]) == (code, status, url)
    assert found[0]["text"] == line.strip()[:300]


def test_firefox_prints_the_answer_on_the_line_after_the_request() -> None:
    found = lines(f"XHRPOST{API}\n[HTTP/1.1 413 Request Entity Too Large 12ms]\n\nXHRGET{PAGE}/me\n[HTTP/1.1 401  5ms]")
    assert [(e.source, e["status"], e["url"]) for e in found] == [("console.log:2", 413, API)]


@pytest.mark.parametrize(
    "line",
    [
        "react-dom.development.js:2 Download the React DevTools for a better development experience",
        "DevTools failed to load source map: Could not load content for http://localhost:3000/a.js.map: HTTP error: status code 404, net::ERR_HTTP_RESPONSE_CODE_FAILURE",
        "favicon.ico:1 Failed to load resource: the server responded with a status of 404 (Not Found)",
        f"GET {PAGE}/static/logo.png 404 (Not Found)",
        f"GET {PAGE}/api/me 401 (Unauthorized)",
        "chrome-extension://abc/content.js:1 Uncaught (in promise) Error: x",
        "Uncaught (in promise) Error: Could not establish connection. Receiving end does not exist.",
        "[HMR] Waiting for update signal from WDS... net::ERR_FAILED",
        "WebSocket connection to 'ws://localhost:3000/_next/webpack-hmr' failed: net::ERR_CONNECTION_REFUSED",
        "POST https://www.google-analytics.com/g/collect?v=2 net::ERR_BLOCKED_BY_CLIENT",
        "POST https://cdn.example.org/a net::ERR_BLOCKED_BY_CLIENT",
        "    at async generate (http://localhost:3000/main.js:10:5) Failed to fetch",
        "generate @ main.js:10",
        "generate@http://localhost:3000/main.js:10:5",
        "Warning: Each child in a list should have a unique key",
        "CORS is enabled for this origin",
    ],
)  # fmt: skip
def test_noise_is_no_error(line: str) -> None:
    assert not lines(line)


def test_an_ad_blocker_that_blocked_the_request_itself_counts() -> None:
    assert [e["code"] for e in lines(f"POST {API} net::ERR_BLOCKED_BY_CLIENT")] == ["ERR_BLOCKED_BY_CLIENT"]


# --- end to end -------------------------------------------------------------------------------------------------------

HOST = "qhwzvbnkdmtyrcxaeplo.supabase.co"
ARRIVED = f"""\
INFO:main:Received image file upload: face.jpg
INFO:image_preprocessor:Input validation passed: 640x800px, format: JPEG
INFO:httpx:HTTP Request: POST https://{HOST}/storage/v1/object/public/u/face/1.jpg "HTTP/1.1 200 OK"
INFO:main:   Public URL: https://{HOST}/storage/v1/object/public/public/u/face/1.jpg
"""
NONE_ARRIVED = """\
INFO:main:📥 Images received from frontend:
INFO:main:   - Product images: 0
INFO:main:   - Face image: No
"""


def called(model: str, status: str = "200 OK") -> str:
    return f'INFO:httpx:HTTP Request: POST https://fal.run/{model} "HTTP/1.1 {status}"\n'


def closed(status: str = "200 OK") -> str:
    return f'INFO:     127.0.0.1:39018 - "POST /api/generate-image HTTP/1.1" {status}\n'


def gathered(folder: Path, recorded: Any = None, console: str | None = None, log: str | None = None) -> collect.Bundle:
    files = []
    for kind, name, text in (
        ("har", "s.har", None if recorded is None else json.dumps(recorded)),
        ("console", "console.log", console),
        ("backend_log", "backend.log", log),
    ):
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
            files.append((kind, folder / name))
    return collect.gather([], files)


def case_of(bundle: collect.Bundle, judged: Profile = SEED) -> Case:
    return normalise.cases(bundle, judged)[0]


def diagnosed(
    folder: Path, recorded: Any = None, console: str | None = None, log: str | None = None, judged: Profile = SEED
) -> Diagnosis:
    bundle = gathered(folder, recorded, console, log)
    found = explain.diagnose(case_of(bundle, judged), notes=bundle.notes)
    assert not [f for f in found.findings if f.status is Status.CRASH]
    return found


def root(found: Diagnosis) -> str | None:
    return found.root.check if found.root else None


def status(found: Diagnosis, check: str) -> str:
    finding = found.finding(check)
    assert finding is not None
    return str(finding.status)


def question(found: Diagnosis, name: str) -> str:
    return next(str(q.status) for q in found.checklist if q.id == name)


def test_a_wrong_field_is_named_from_the_recording_alone(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, har(exchange(posted=as_form(("foto_saya", "me.jpg", "x" * 90)), body={"ok": True})))
    assert root(found) == "image_field_unknown"
    assert found.root is not None
    assert "'foto_saya'" in str(found.root.message)
    assert found.root.evidence[0].witness is Witness.WIRE


def test_a_picture_that_is_the_body_has_no_field_to_be_wrong(tmp_path: Path) -> None:
    recorded = har(exchange(sent={"content-type": "image/png", "content-length": "7000"}, body={"ok": True}))
    assert status(diagnosed(tmp_path, recorded), "image_field_unknown") == "not_applicable"


@pytest.mark.parametrize(
    ("code", "body", "got"),
    [
        (413, NGINX_413, {"server": "nginx"}),
        (413, None, {"server": "nginx/1.25", "content-length": "0"}),
        (504, {"mimeType": "text/plain", "text": "error code: 504"}, {"server": "cloudflare"}),
        (504, {"mimeType": "text/html", "size": 0}, {"server": "awselb/2.0"}),
        (502, {"mimeType": "text/html", "text": "<html><title>502 Bad Gateway</title></html>"}, {}),
    ],
)
def test_a_proxy_that_answered_instead(tmp_path: Path, code: int, body: Any, got: dict[str, str]) -> None:
    for origin in ({}, ORIGIN):
        entry = exchange(posted=as_json(face_image=PHOTO), status=code, body=body, sent=origin, got=got)
        if isinstance(body, dict) and "text" not in body and not origin:
            continue  # neither a body nor missing headers: undecided, see below
        found = diagnosed(tmp_path, har(entry))
        assert root(found) == "proxy_rejected", (origin, root(found))
        assert question(found, "console_clean") == "fail"


@pytest.mark.parametrize(
    ("body", "got"),
    [
        ({"mimeType": "text/html", "size": 0}, {"server": "awselb/2.0"}),
        (None, {"content-length": "0"}),
        ({"mimeType": "text/plain", "text": "Bad Gateway"}, {}),
    ],
)
def test_an_answer_that_nobody_signed_blames_nobody(tmp_path: Path, body: Any, got: dict[str, str]) -> None:
    found = diagnosed(tmp_path, har(exchange(posted=as_json(face_image=PHOTO), status=502, body=body, got=got)))
    assert status(found, "proxy_rejected") == "unknown"
    assert root(found) is None
    assert "proxy_rejected" in found.suspects


@pytest.mark.parametrize(
    "body",
    [{"detail": "Image is larger than 10 MB"}, {"mimeType": "text/plain", "text": "your photo exceeds ten megabytes"}],
)
def test_a_size_that_the_backend_itself_refused_is_not_the_proxys(tmp_path: Path, body: Any) -> None:
    entry = exchange(posted=as_json(face_image=PHOTO), status=413, body=body, got={"server": "nginx"})
    assert status(diagnosed(tmp_path, har(entry)), "proxy_rejected") == "pass"
    assert root(diagnosed(tmp_path, har(entry))) not in ("proxy_rejected", "browser_error")


def test_a_refused_preflight_is_the_browsers_error(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, har(preflight(400), failing(_error="net::ERR_FAILED")))
    assert root(found) == "browser_error"
    assert found.root is not None
    assert "preflight" in str(found.root.message)
    assert found.root.evidence[0].witness is Witness.WIRE
    assert root(diagnosed(tmp_path, har(preflight(400)))) == "browser_error"


def test_a_refused_connection_is_a_backend_that_is_down(tmp_path: Path) -> None:
    recorded = har(failing(_error="net::ERR_CONNECTION_REFUSED"))
    assert root(diagnosed(tmp_path, recorded)) == "backend_down"
    console = f"main.js:10 POST {API} net::ERR_CONNECTION_REFUSED\nUncaught (in promise) TypeError: Failed to fetch\n"
    assert root(diagnosed(tmp_path, console=console)) == "backend_down"


def test_a_refused_connection_is_not_excused_by_an_older_attempt(tmp_path: Path) -> None:
    log = ARRIVED + called(IMAGE_MODEL) + closed()
    found = diagnosed(tmp_path, har(failing(_error="net::ERR_CONNECTION_REFUSED")), log=log)
    assert status(found, "backend_down") == "warn"
    assert root(found) == "backend_down"


def test_an_image_that_was_sent_and_did_not_arrive(tmp_path: Path) -> None:
    recorded = har(exchange(posted=as_json(face_image=PHOTO), body={"model": TEXT_MODEL, **DONE}))
    found = diagnosed(tmp_path, recorded, log=NONE_ARRIVED + called(TEXT_MODEL) + closed())
    assert root(found) == "image_not_received"
    assert found.root is not None
    assert found.root.evidence[0].witness is Witness.WIRE


def test_a_body_that_was_not_recorded_says_nothing_of_its_images(tmp_path: Path) -> None:
    recorded = har(exchange(sent={"content-type": "application/json", "content-length": "3000000"}, body=DONE))
    found = diagnosed(tmp_path, recorded, log=NONE_ARRIVED + called(TEXT_MODEL) + closed())
    assert status(found, "image_not_received") == "unknown"
    assert status(found, "image_field_unknown") == "unknown"


def test_a_healthy_recording_and_a_healthy_log(tmp_path: Path) -> None:
    recorded = har(exchange(posted=as_json(face_image=PHOTO), body=DONE))
    found = diagnosed(tmp_path, recorded, log=ARRIVED + called(IMAGE_MODEL) + closed())
    assert (found.outcome, found.generation, root(found)) == ("switched", "succeeded", None)
    assert question(found, "console_clean") == "pass"
    assert question(found, "image_uploaded") == "pass"


def test_an_empty_console_beside_a_log_is_a_clean_one(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, console="", log=ARRIVED + called(IMAGE_MODEL) + closed())
    assert question(found, "console_clean") == "pass"
    assert question(diagnosed(tmp_path, console=""), "console_clean") == "unknown"


def test_of_several_lines_the_most_telling_is_quoted(tmp_path: Path) -> None:
    console = f"{API}:0 Failed to load resource: net::ERR_FAILED\nAccess to fetch at '{API}' … CORS policy: No header"
    found = diagnosed(tmp_path, har(failing(_error="net::ERR_FAILED")), console=console)
    assert root(found) == "browser_error"
    assert found.root is not None
    assert "CORS policy" in str(found.root.message)
    assert [e.witness for e in found.root.evidence] == [Witness.LOGGED, Witness.WIRE]


@pytest.mark.parametrize(
    "console",
    [
        f"Cross-Origin Request Blocked: … at {API}. (Reason: CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 413.",
        f"Access to fetch at '{API}' from origin '{PAGE}' has been blocked by CORS policy: No header\nmain.js:1 POST {API} net::ERR_FAILED 504 (Gateway Timeout)",
    ],
)
def test_a_proxys_status_without_cors_headers_is_the_proxys(tmp_path: Path, console: str) -> None:
    found = diagnosed(tmp_path, console=console)
    assert root(found) == "proxy_rejected"
    assert status(found, "browser_error") == "fail"
    assert "proxy_rejected" in found.because


def test_the_backends_own_access_line_clears_the_proxy(tmp_path: Path) -> None:
    console = f"Access to fetch at '{API}' from origin '{PAGE}' has been blocked by CORS policy\nPOST {API} net::ERR_FAILED 413 ()"
    found = diagnosed(tmp_path, console=console, log=closed("413 Request Entity Too Large"))
    assert status(found, "proxy_rejected") == "pass"
    assert root(found) != "browser_error"


def test_the_consoles_echo_of_the_backends_own_failure_is_not_the_cause(tmp_path: Path) -> None:
    log = ARRIVED + called(IMAGE_MODEL, "401 Unauthorized") + closed("500 Internal Server Error")
    for console in (
        f"POST {API} 500 (Internal Server Error)",
        f"Access to fetch at '{API}' from origin '{PAGE}' has been blocked by CORS policy",
        "Uncaught (in promise) TypeError: Failed to fetch",
    ):
        found = diagnosed(tmp_path, console=console, log=log)
        assert (root(found), status(found, "browser_error")) == ("fal_key_rejected", "warn")
    recorded = har(exchange(posted=as_json(face_image=PHOTO), status=500, body={"detail": "fal.ai: 401"}))
    assert root(diagnosed(tmp_path, recorded, log=log)) == "fal_key_rejected"


def test_a_status_in_the_console_alone_names_no_culprit(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, console=f"POST {API} 500 (Internal Server Error)")
    assert root(found) is None
    assert {"browser_error", "backend_error"} <= set(found.suspects)


@pytest.mark.parametrize(
    "console",
    ["POST https://stats.example.org/t net::ERR_CONNECTION_REFUSED", f"Access to fetch at '{API}/me' … CORS policy"],
)
def test_errors_of_other_addresses_are_not_counted(tmp_path: Path, console: str) -> None:
    recorded = har(exchange(url="http://127.0.0.1:8000/api/generate", posted=as_json(face_image=PHOTO), body=DONE))
    found = diagnosed(tmp_path, recorded, console=console)
    assert status(found, "browser_error") == "pass"
    assert status(found, "backend_down") == "pass"


def test_the_declared_backend_tells_which_errors_count(tmp_path: Path) -> None:
    other = "POST https://stats.example.org/t net::ERR_CONNECTION_REFUSED"
    assert status(diagnosed(tmp_path, console=other, judged=AT_ITS_ADDRESS), "backend_down") == "unknown"
    assert status(diagnosed(tmp_path, console=other, judged=AT_ITS_ADDRESS), "browser_error") == "unknown"
    own = f"POST {API} net::ERR_CONNECTION_REFUSED"  # declared as localhost
    assert root(diagnosed(tmp_path, console=own, judged=AT_ITS_ADDRESS)) == "backend_down"
    assert root(diagnosed(tmp_path, console="TypeError: Load failed", judged=AT_ITS_ADDRESS)) == "browser_error"


# --- files that are not what they are said to be ----------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"log": 5}', '{"detail": "x"}', "INFO: hello", "\x00\x01"])
def test_a_file_that_is_no_recording_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.har").write_text(text)
    bundle = collect.gather([], [("har", tmp_path / "x.har")])
    assert bundle.empty
    assert any("x.har: is not a HAR" in note for note in bundle.notes)


def test_a_recording_without_the_request_says_so(tmp_path: Path) -> None:
    for entries in ([], {}, None, [5, {"request": 5}]):
        bundle = gathered(tmp_path, {"log": {"entries": entries}})
        assert bundle.given == {"har"}
        assert bundle.notes
        assert status(explain.diagnose(case_of(bundle)), "browser_error") == "unknown"


def test_a_recording_that_was_cut_off_gives_its_whole_entries(tmp_path: Path) -> None:
    text = json.dumps(har(exchange(posted=as_json(face_image=PHOTO), body=DONE), exchange(method="GET")))
    (tmp_path / "s.har").write_text(text[:-150])
    bundle = collect.gather([], [("har", tmp_path / "s.har")])
    assert len(bundle.requests) == 1
    assert any("cut off; 1 whole" in note for note in bundle.notes)


def test_a_console_without_an_error_is_given_and_says_so(tmp_path: Path) -> None:
    bundle = gathered(tmp_path, console="page.tsx:12 generating\n")
    assert bundle.given == {"console"}
    assert bundle.notes == ["console.log: no line in it is an error"]


def test_a_recording_that_was_given_as_the_console_is_read_as_one(tmp_path: Path) -> None:
    bundle = gathered(tmp_path, console=json.dumps(har(exchange(posted=as_json(), body=DONE))))
    assert len(bundle.requests) == 1


def test_both_are_recognised_by_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(json.dumps(har(exchange(posted=as_json(), body=DONE))))
    (tmp_path / "b").write_text(f"main.js:10 POST {API} net::ERR_CONNECTION_REFUSED\n")
    bundle = collect.gather([tmp_path / "a", tmp_path / "b"])
    assert bundle.given == {"har", "request", "response", "console"}


# --- hostile recordings -----------------------------------------------------------------------------------------------

KEYS = [
    "request",
    "response",
    "method",
    "url",
    "postData",
    "mimeType",
    "text",
    "params",
    "name",
    "value",
    "fileName",
    "contentType",
    "headers",
    "status",
    "content",
    "encoding",
    "size",
    "bodySize",
    "startedDateTime",
    "_error",
    "redirectURL",
    "time",
    "cookies",
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["POST", "OPTIONS", "PUT", API, f"{API}?t=1", "base64", "image/png", "application/json", "413", PHOTO]
    )
    | st.sampled_from(
        ["multipart/form-data; boundary=b", '--b\r\nname="x"; filename="y"\r\n\r\nz', "2026-01-11T06:35:30Z"]
    )
)
boxes = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=20,
)


def odd(**usual: Any) -> st.SearchStrategy[dict[str, Any]]:
    """An object with the usual keys, each usual, or anything."""
    return st.fixed_dictionaries({}, optional={key: st.just(value) | boxes for key, value in usual.items()})


entries = st.fixed_dictionaries(
    {
        "request": odd(method="POST", url=API, headers=named(ORIGIN), postData=as_json(face_image=PHOTO), bodySize=9),
        "response": odd(status=413, headers=named({"server": "nginx"}), content={"text": NGINX_413}, redirectURL=API),
    },
    optional={"startedDateTime": boxes, "_error": boxes, "time": boxes, "_fetchedViaServiceWorker": boxes},
)
quick = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def survive(folder: Path, value: object) -> None:
    for case in normalise.cases(gathered(folder, value), SEED, every=True)[:4]:
        found = explain.diagnose(case)
        assert not [f for f in found.findings if f.status is Status.CRASH]
        json.loads(document.dumps([found], False))
        Page(Console(file=io.StringIO(), width=80), Words("en"), True).show(found, True)


@quick
@given(st.lists(entries | boxes, max_size=4))
def test_any_entries_are_survived(tmp_path: Path, value: list[object]) -> None:
    survive(tmp_path, {"log": {"entries": value}})


@quick
@given(
    st.lists(
        st.sampled_from(
            [
                "net::ERR_FAILED",
                "CORS",
                "POST",
                "http://",
                "(",
                ")",
                "(null)",
                "'x'",
                "413",
                "origin",
                "XHRPOST",
                "at",
                ":",
                "\n",
                "é",
            ]
        ),
        max_size=30,
    )
)
def test_any_console_is_survived(words: list[str]) -> None:
    for error in browser.console(" ".join(words), "console.log"):
        assert error["text"]


@pytest.mark.parametrize("depth", [150, 5000])
def test_a_recording_nested_deeply(tmp_path: Path, depth: int) -> None:
    inner = '{"a":' * depth + "1" + "}" * depth
    text = json.dumps(
        har(exchange(posted={"mimeType": "application/json", "text": inner}, body={"mimeType": "", "text": inner}))
    )
    (tmp_path / "s.har").write_text(text)
    assert normalise.cases(collect.gather([], [("har", tmp_path / "s.har")]), SEED)
    (tmp_path / "s.har").write_text('{"log": {"entries": ' + "[" * depth + "]" * depth + "}}")
    assert collect.gather([], [("har", tmp_path / "s.har")]).notes


def test_of_very_many_generations_the_newest_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "MAX_GENERATIONS", 3)
    recording = browser.har(har(*(exchange(posted=as_json(n=n)) for n in range(9))), "s.har")
    assert [pair[0].evidence[0]["params"]["n"] for pair in recording.pairs] == [6, 7, 8]
    assert recording.notes == ("only the newest 3 of 9 requests for pictures were read",)
