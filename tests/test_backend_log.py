"""A backend's log: every prefix, every era's lines, requests that run at once, and logs that mean harm."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.collect import backend_log
from diagnose.collect.attempts import Attempt
from diagnose.collect.lines import record
from diagnose.model import Evidence, Witness

SUPABASE = "https://oggfjisrpoxcitoklhbp.supabase.co"
UUID = "f66be726-04f6-43a7-bd37-8b7ca91fc5d4"
FAL = 'HTTP Request: POST https://fal.run/fal-ai/flux/schnell "HTTP/1.1 200 OK"'


def attempts(text: str) -> tuple[Attempt, ...]:
    return backend_log.read(text, "x.log").attempts


def evidence(text: str) -> list[Evidence]:
    return [e for attempt in attempts(text) for e in attempt.evidence]


def only(text: str, kind: str) -> Evidence:
    found = [e for e in evidence(text) if e.kind == kind]
    assert len(found) == 1, [(e.kind, dict(e.fields)) for e in evidence(text)]
    return found[0]


# --- prefixes ---------------------------------------------------------------------------------------------------------

LEVELS = [
    "INFO:httpx:{}",
    "INFO:app.services.fal_service:{}",
    "INFO:__main__:{}",
    "INFO: {}",
    "INFO:     {}",
    "[INFO] {}",
    "INFO - {}",
    "INFO | {}",
    "INFO | httpx | {}",
    "2026-11-22 20:30:00,413 [httpx] INFO: {}",
    "2026-11-22 20:30:00,413 INFO [httpx] {}",
    "2026-11-22 20:30:00,413 - httpx - INFO - {}",
    "2026-11-22 20:30:00.413 | INFO     | __main__:call:34 - {}",
    "2026-11-22 20:30:00 httpx INFO {}",
    "[2026-11-22 20:30:00 +0000] [19138] [INFO] {}",
    "[2026-11-22 20:30:00,281] INFO in app: {}",
    "[2026-11-22 20:30:00,226: INFO/MainProcess] {}",
    "[2026-11-22 20:30:00,226: INFO/ForkPoolWorker-1] tasks.generate_image[d4977a5a-088e-41cb-b87e-3e61873abad2]: {}",
    "INFO 2026-11-22 20:30:00,002 views 18658 139694025329536 {}",
    "2026-11-22T20:30:00.552351Z [info     ] {}",
    "2026-11-22T20:30:00.158Z info: {}",
    "20:30:00 INFO {}",
    "{}",
]


@pytest.mark.parametrize("form", LEVELS)
def test_every_form_of_a_record_gives_its_message(form: str) -> None:
    line = record(1, form.format(FAL))
    assert line.message == FAL
    assert line.level in ("INFO", "")
    call = only(form.format(FAL), "fal.call")
    assert (call["model"], call["status"], call.witness) == ("fal-ai/flux/schnell", 200, Witness.WIRE)


@pytest.mark.parametrize(
    ("raw", "level", "logger", "message"),
    [
        ("ERROR:supabase_service:   Error: refused", "ERROR", "supabase_service", "   Error: refused"),
        ("2026-11-22 20:30:00,413 - photobooth - WARNING - no", "WARNING", "photobooth", "no"),
        ("[2026-11-22 20:30:00,281] ERROR in app: no", "ERROR", "app", "no"),
        ("WARNING  2026-11-22 20:30:00 nothing", "WARNING", "", "nothing"),
        ("api-1  | ERROR:main:no", "ERROR", "main", "no"),
        ("api-1  | Nov 22 20:30:00 PM  ERROR:main:no", "ERROR", "main", "no"),
        ("   status: IN_QUEUE", "", "", "   status: IN_QUEUE"),
        ("error: set FAL_KEY first", "ERROR", "", "set FAL_KEY first"),
    ],
)
def test_level_logger_and_indentation_are_kept(raw: str, level: str, logger: str, message: str) -> None:
    line = record(1, raw)
    assert (line.level, line.logger, line.message) == (level, logger, message)


@pytest.mark.parametrize(
    "value",
    [
        {"levelname": "INFO", "name": "httpx", "message": FAL, "asctime": "2026-11-22 20:30:00"},
        {"level": "info", "msg": FAL, "time": "2026-11-22T20:30:00Z"},
        {"level": 30, "time": 1795385960380, "pid": 1, "hostname": "w", "msg": FAL},
        {"severity": "INFO", "textPayload": FAL},
        {"severity": "INFO", "jsonPayload": {"message": FAL}},
        {"log": f"INFO:httpx:{FAL}\n", "stream": "stderr", "time": "2026-11-22T20:30:00.1Z"},
        {
            "event": "http_exchange",
            "method": "POST",
            "url": "https://fal.run/fal-ai/flux/schnell",
            "status_code": 200,
            "level": "info",
        },
        {
            "msg": "fal submit",
            "method": "POST",
            "url": "https://fal.run/fal-ai/flux/schnell",
            "status": 200,
            "level": 30,
        },
        {
            "message": "called",
            "http": {"method": "POST", "url": "https://fal.run/fal-ai/flux/schnell", "status_code": 200},
        },
        {
            "message": "called",
            "request": {"method": "POST", "url": "https://fal.run/fal-ai/flux/schnell"},
            "response": {"statusCode": 200},
        },
    ],
)
def test_every_json_line_gives_the_same_call(value: dict[str, Any]) -> None:
    call = only(json.dumps(value), "fal.call")
    assert (call["model"], call["status"], call.witness) == ("fal-ai/flux/schnell", 200, Witness.WIRE)


def test_a_json_line_carries_its_error_its_id_and_its_access() -> None:
    error = {
        "level": "error",
        "event": "upload_failed",
        "error": {"statusCode": "404", "error": "Bucket not found", "message": "Bucket not found"},
        "request_id": "abcdef-1",
    }
    access = {
        "level": "info",
        "msg": "request completed",
        "req": {"method": "POST", "url": "/generate?x=1"},
        "res": {"statusCode": 500},
        "reqId": "abcdef-1",
    }
    attempt = attempts("\n".join(json.dumps(v) for v in (error, access)))[0]
    assert [e.kind for e in attempt.evidence] == ["storage.error", "error", "request.access"]
    assert (attempt.status, attempt.path, attempt.request_id) == (500, "/generate", "abcdef-1")


@pytest.mark.parametrize(
    "line", ['{"a": [1, 2', "{}", "[]", "null", '{"message": 3}', '{"level": null, "msg": null}', '{"log": {"x": 1}}']
)
def test_json_that_is_no_record_is_left_alone(line: str) -> None:
    assert evidence(line) == []


def test_one_json_document_is_no_log() -> None:
    document = {
        "what": "fal refused the key: 401",
        "sent": [{"model": "fal-ai/flux/dev", "status": 401, "error": "failed"}],
    }
    assert not backend_log.read(json.dumps(document, indent=1), "x.json").recognised


@pytest.mark.parametrize(
    "escaped",
    [r"\U0001f4e4 Sending image-to-image request", r"\u2705 Image uploaded successfully to Supabase Storage"],
)
def test_what_a_code_page_had_no_character_for_is_read(escaped: str) -> None:
    assert record(1, f"INFO:fal_service:{escaped}").message[0] in "📤✅"


# --- HTTP clients and servers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        'HTTP Request: POST https://fal.run/fal-ai/flux/dev "HTTP/1.1 422 Unprocessable Entity"',
        'https://fal.run:443 "POST /fal-ai/flux/dev HTTP/1.1" 422 180',
        "POST https://fal.run/fal-ai/flux/dev -> 422",
        "POST https://fal.run/fal-ai/flux/dev => 422",
        "POST https://fal.run/fal-ai/flux/dev status=422",
        "POST https://fal.run/fal-ai/flux/dev returned 422",
        "POST https://fal.run/fal-ai/flux/dev (422)",
        "called https://fal.run/fal-ai/flux/dev -> 422",
        "requests.exceptions.HTTPError: 422 Client Error: Unprocessable Entity for url: https://fal.run/fal-ai/flux/dev",
        "httpx.HTTPStatusError: Client error '422 Unprocessable Entity' for url 'https://fal.run/fal-ai/flux/dev'",
        "aiohttp.client_exceptions.ClientResponseError: 422, message='Unprocessable Entity', url='https://fal.run/fal-ai/flux/dev'",
    ],
)
def test_the_model_is_read_from_any_client(line: str) -> None:
    calls = [e for e in evidence(line) if e.kind == "fal.call"]
    assert [(c["model"], c["status"]) for c in calls] == [("fal-ai/flux/dev", 422)]


@pytest.mark.parametrize(
    "said",
    ["fal fal-ai/flux/dev responded 422 in 0.4s", "fal.ai POST fal-ai/flux/dev status=422", "fal-ai/flux/dev -> 422"],
)
def test_a_call_told_in_the_backends_own_words_is_no_wire(said: str) -> None:
    call = next(e for e in evidence(said) if e.kind == "fal.call")
    assert (call["model"], call["status"], call.witness) == ("fal-ai/flux/dev", 422, Witness.LOGGED)


@pytest.mark.parametrize(
    "said", ["Calling model fal-ai/flux/dev", "Model: fal-ai/flux/dev", "using fal-ai/flux/dev (image-to-image mode)"]
)
def test_a_model_named_before_the_call_is_a_forecast(said: str) -> None:
    found = only(said, "model")
    assert (found["model"], found.witness) == ("fal-ai/flux/dev", Witness.FORECAST)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ('INFO:     127.0.0.1:39018 - "POST /api/generate-image HTTP/1.1" 500 Internal Server Error', 500),
        ('127.0.0.1 - - [22/Nov/2026 20:30:00] "POST /generate HTTP/1.1" 200 -', 200),
        ('127.0.0.1 - - [22/Nov/2026:20:30:00 +0000] "POST /generate HTTP/1.1" 502 250 "https://app.example.org/" "Mozilla/5.0"', 502),
        ('2026-11-22 20:30:00,157 INFO [aiohttp.access] 127.0.0.1 [22/Nov/2026:20:30:00 +0000] "POST /images HTTP/1.1" 200 192 "-" "x"', 200),
        ('[22/Nov/2026 20:30:00] "POST /api/render/ HTTP/1.1" 502 10809', 502),
        ("POST /api/generate 200 236.961 ms - 63", 200),
        ("\x1b[0mPOST /api/generate \x1b[32m200\x1b[0m 236.961 ms - 63\x1b[0m", 200),
        (" POST /api/generate 504 in 1234ms", 504),
    ],
)  # fmt: skip
def test_every_servers_access_line_ends_an_attempt(line: str, status: int) -> None:
    (attempt,) = attempts("Calling model fal-ai/flux/dev\n" + line)
    assert attempt.status == status


def test_the_proxys_line_after_the_backends_is_the_same_request() -> None:
    text = (
        f'INFO:httpx:{FAL}\n127.0.0.1 - - [22/Nov/2026 20:30:00] "POST /generate HTTP/1.1" 200 -\n'
        'proxy-1  | 172.18.0.1 - - [22/Nov/2026:20:30:01 +0000] "POST /generate HTTP/1.1" 200 512 "-" "Mozilla/5.0"\n'
    )
    assert len(attempts(text)) == 1
    again = text + '127.0.0.1 - - [22/Nov/2026 20:31:00] "POST /generate HTTP/1.1" 500 -\n'
    assert [a.status for a in attempts(again)] == [200, 500]


# --- the lines of every era -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "mode"),
    [
        ("   Mode: image-to-image", "image-to-image"),
        ("   Mode: text-to-image", "text-to-image"),
        ("Generation Mode: image-to-image", "image-to-image"),
        ("   Mode: image-to-image (REQUIRED)", "image-to-image"),
        ("📤 Sending text-to-image request to Fal.ai for image 1/2", "text-to-image"),
        ("Sending image-to-image request to fal for image 1/1", "image-to-image"),
    ],
)
def test_modes(line: str, mode: str) -> None:
    text = f"INFO:fal_service:   Model: fal-ai/flux/schnell\nINFO:fal_service:{line}"
    assert next(e for e in evidence(text) if e.kind == "mode")["mode"] == mode


@pytest.mark.parametrize(
    "suffix",
    ["", " (support LoRA)", " (FLUX.2 [dev] - support LoRA)", " (FLUX.1 [dev])", " (IMAGE-TO-IMAGE PIPELINE)"],
)
def test_models_and_their_suffixes(suffix: str) -> None:
    assert (
        only(f"INFO:fal_service:   Model: fal-ai/flux-general/image-to-image{suffix}", "model")["model"]
        == "fal-ai/flux-general/image-to-image"
    )


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("Init image: NO", None),
        ("Init image URL: NO", None),
        ("Init Image URL: YES", "(said to be there)"),
        ("Init image URL: YES (REQUIRED for image-to-image pipeline)", "(said to be there)"),
        (f"   Image URL (base): {SUPABASE}/storage/v1/object/public/IMAGES_UPLOAD/u/face/{UUID}.jpg", f"{SUPABASE}/storage/v1/object/public/IMAGES_UPLOAD/u/face/{UUID}.jpg"),
        (f"   Public URL: {SUPABASE}/storage/v1/object/public/public/{UUID}.jpg", f"{SUPABASE}/storage/v1/object/public/public/{UUID}.jpg"),
        (f"📤 Image URL yang dikirim: {SUPABASE}/storage/v1/object/public/b/{UUID}.jpg", f"{SUPABASE}/storage/v1/object/public/b/{UUID}.jpg"),
        (f"📤 Image URLs yang dikirim: ['{SUPABASE}/storage/v1/object/public/b/{UUID}.jpg']", f"{SUPABASE}/storage/v1/object/public/b/{UUID}.jpg"),
        (f"input stored: {SUPABASE}/storage/v1/object/sign/b/{UUID}.jpg?token=x", f"{SUPABASE}/storage/v1/object/sign/b/{UUID}.jpg?token=x"),
        ("image_url=None", None),
        ("selfie uploaded -> https://v3.fal.media/files/b/62f60f9f_photo.jpg", "https://v3.fal.media/files/b/62f60f9f_photo.jpg"),
    ],
)  # fmt: skip
def test_addresses(line: str, url: str | None) -> None:
    text = f"INFO:fal_service:   Model: fal-ai/flux/schnell\nINFO:fal_service:{line}"
    found = [e for e in evidence(text) if e.kind == "image_url"]
    if line == "Init image: NO":
        assert not found or found[0]["url"] is None
    else:
        assert [e["url"] for e in found] == [url]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("📤 Uploading image to Supabase Storage: bucket=public, path=u/x.jpg, size=41662 bytes", "upload.started"),
        ("📤 Uploading image to Supabase Storage:", "upload.started"),
        ("📤 Uploading preprocessed face_image to Supabase Storage (size: 41662 bytes)", "upload.started"),
        ("✅ face_image uploaded to Supabase Storage successfully", "upload.done"),
        ("✅ Image uploaded successfully to Supabase Storage", "upload.done"),
        (f"✅ face_image uploaded successfully: {SUPABASE}/storage/v1/object/public/b/{UUID}.jpg", "upload.done"),
        ("🔄 Preprocessing face_image (target aspect: 9:16)...", "request.received"),
        ("📤 Received image file upload: selfie.jpg (65561 bytes)", "request.received"),
        ("✅ Input validation passed: 900x1200px, format: JPEG", "decode.done"),
        ("✅ Extracted 1 image URL(s) from Fal.ai response", "fal.result"),
        ("Successfully generated 1/1 images from Fal.ai", "fal.result"),
        ("💾 Prompt saved to debug_prompt_log.json for debugging", "record.saved"),
        ("⚠️  Failed to save prompt log: Expecting ',' delimiter: line 18", "record.save_failed"),
        ("❌ Face image preprocessing failed: Invalid image file: cannot identify image file <_io.BytesIO object at 0x1>", "decode.failed"),
    ],
)  # fmt: skip
def test_what_the_first_backend_says_of_its_work(line: str, kind: str) -> None:
    assert kind in {e.kind for e in evidence(f"INFO:main:   Model: fal-ai/flux/schnell\nINFO:main:{line}")}


@pytest.mark.parametrize("prefix", ["", "INFO:fal_service:   "])
def test_a_payload_is_one_record_or_many(prefix: str) -> None:
    body = {
        "prompt": "x",
        "image_url": "https://a.example/very...",
        "image_strength": 0.5,
        "image_url_full": f"{SUPABASE}/{UUID}.jpg",
    }
    lines = json.dumps(body, indent=2).split("\n")
    lines[0] = "INFO:fal_service:   " + lines[0]
    text = "\n".join([lines[0], *(prefix + line for line in lines[1:]), f"INFO:httpx:{FAL}"])
    payload = only(text, "payload")
    assert payload.witness is Witness.SENT
    assert payload["body"] == {"prompt": "x", "image_url": f"{SUPABASE}/{UUID}.jpg", "image_strength": 0.5}
    assert payload["model"] == "fal-ai/flux/schnell"


def test_a_line_marked_as_an_example_is_a_claim() -> None:
    assert only("INFO: Init Image URL: YES  ← should be this\nINFO: Model: a/b", "image_url").witness is Witness.CLAIMED


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_chain_of_exceptions_is_read_as_one_failure() -> None:
    text = (
        'ERROR:main:upload failed\nTraceback (most recent call last):\n  File "a.py", line 1, in f\n'
        f"httpx.HTTPStatusError: Client error '400 Bad Request' for url '{SUPABASE}/storage/v1/object/photos/{UUID}.jpg'\n"
        "For more information check: https://developer.mozilla.org/\n\nDuring handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "b.py", line 2, in g\n'
        "storage3.exceptions.StorageApiError: {'statusCode': 404, 'error': Bucket not found, 'message': Bucket not found}\n"
        f"INFO:httpx:{FAL}\n"
    )
    found = evidence(text)
    assert [e["message"] for e in found if e.kind == "storage.error"][-1] == "Bucket not found"
    assert [e["status"] for e in found if e.kind == "storage.upload"] == [400]
    assert [e["type"] for e in found if e.kind == "deployment.exception"] == ["storage3.exceptions.StorageApiError"]


@pytest.mark.parametrize(
    ("frame", "service"),
    [
        ("    sb.storage.from_('b').upload(p, raw)", "storage"),
        ("    r = await c.post(f'https://fal.run/{model}')", "fal"),
        ("    x = y()", None),
    ],
)
def test_the_frames_tell_what_was_called(frame: str, service: str | None) -> None:
    text = f'ERROR:main:it failed\nTraceback (most recent call last):\n  File "a.py", line 1, in f\n{frame}\nhttpx.ConnectTimeout: timed out\n'
    assert only(text + f"INFO:httpx:{FAL}", "error")["service"] == service


def test_a_printed_object_is_one_record() -> None:
    text = "Upload error: {\n  statusCode: '404',\n  error: 'Bucket not found',\n  message: 'Bucket not found'\n}\nCalling model fal-ai/flux/schnell\n"
    error = only(text, "storage.error")
    assert (error["status"], error["message"]) == (404, "Bucket not found")


def test_the_exception_printed_after_the_answer_is_of_that_request() -> None:
    text = (
        'INFO:     127.0.0.1:1 - "POST /generate HTTP/1.1" 500 Internal Server Error\nERROR:    Exception in ASGI application\n'
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'user'\n"
    )
    (attempt,) = attempts(text)
    assert attempt.has("deployment.exception")


def test_a_failure_after_which_it_goes_on_is_marked_until_the_end_is_known() -> None:
    warning = "WARNING:main:fal failed: Client error '429 Too Many Requests' for url 'https://fal.run/fal-ai/flux/dev', retrying\n"
    assert only(warning, "fal.call")["goes_on"]
    assert not any(e["goes_on"] for e in evidence(warning + f"INFO:httpx:{FAL}\n"))
    assert not any(
        e["goes_on"] for e in evidence(warning + 'INFO: 127.0.0.1 - "POST /generate HTTP/1.1" 502 Bad Gateway\n')
    )


def test_going_on_without_the_picture_is_said_to_be_text_to_image() -> None:
    text = "Calling model fal-ai/flux/dev/image-to-image\nimage-to-image failed, using text-to-image: Unprocessable Entity\n"
    assert [(e["mode"], e.witness) for e in evidence(text) if e.kind == "mode"] == [("text-to-image", Witness.LOGGED)]


# --- fal's queue ------------------------------------------------------------------------------------------------------


def queue(model: str, request: str, *steps: tuple[str, int]) -> str:
    app = "/".join(model.split("/")[:2])
    lines = [f'HTTP Request: POST https://queue.fal.run/{model} "HTTP/1.1 200 OK"']
    lines += [
        f'HTTP Request: GET https://queue.fal.run/{app}/requests/{request}{step} "HTTP/1.1 {code} X"'
        for step, code in steps
    ]
    return "\n".join(lines) + "\n"


def calls(text: str) -> list[tuple[str, int, bool]]:
    return [(e["model"], e["status"], e["final"]) for e in evidence(text) if e.kind == "fal.call"]


def test_a_queues_result_is_joined_to_its_submit() -> None:
    model = "fal-ai/flux-general/image-to-image"
    text = queue(model, "832d3307-aaaa", ("/status", 202), ("/status", 200), ("", 422))
    assert calls(text) == [(model, 200, False), (model, 422, True)]


def test_two_models_of_one_app_are_told_apart_by_their_request_ids() -> None:
    one, two = "fal-ai/flux-general/image-to-image", "fal-ai/flux-general"
    text = queue(one, "832d3307-aaaa", ("/status", 200), ("", 422)) + queue(
        two, "932d3307-bbbb", ("/status", 200), ("", 200)
    )
    assert [call for call in calls(text) if call[2]] == [(one, 422, True), (two, 200, True)]


def test_submits_that_wait_at_once_are_not_guessed() -> None:
    one, two = "fal-ai/flux-general/image-to-image", "fal-ai/flux-general"
    text = (
        queue(one, "-")
        + queue(two, "-")
        + 'HTTP Request: GET https://queue.fal.run/fal-ai/flux-general/requests/832d3307-aaaa "HTTP/1.1 200 OK"'
    )
    assert not [call for call in calls(text) if call[2]]


def test_a_result_whose_submit_was_cut_off_still_says_how_it_ended() -> None:
    bad = 'HTTP Request: GET https://queue.fal.run/fal-ai/flux-general/requests/832d3307-aaaa "HTTP/1.1 422 X"'
    assert only(bad, "fal.error")["status"] == 422
    assert only(bad.replace("422", "200"), "fal.result")["pictures"] == 1


def test_fals_words_are_given_the_model_of_the_refused_call() -> None:
    text = (
        'HTTP Request: POST https://fal.run/fal-ai/flux/dev/image-to-image "HTTP/1.1 422 X"\n'
        'ERROR:main:fal error: {"detail": [{"type": "file_download_error", "loc": ["body", "image_url"], "msg": "Failed to download"}]}\n'
        f"{FAL}\n"
    )
    assert only(text, "fal.error")["model"] == "fal-ai/flux/dev/image-to-image"


# --- several requests -------------------------------------------------------------------------------------------------


def test_requests_with_ids_are_kept_apart() -> None:
    lines = [
        "INFO:main: request_id=aaaaaa11 Preprocessing face_image",
        "INFO:main: request_id=bbbbbb22 no images were received",
        "ERROR:main: request_id=aaaaaa11 upload failed: {'statusCode': 404, 'error': Bucket not found, 'message': Bucket not found}",
        "INFO:main: request_id=bbbbbb22 Model: fal-ai/flux/schnell",
        'INFO:main: request_id=bbbbbb22 "POST /generate HTTP/1.1" 200',
        'INFO:main: request_id=aaaaaa11 "POST /generate HTTP/1.1" 500',
    ]
    first, second = attempts("\n".join(lines))
    assert (first.request_id, first.status, first.has("storage.error")) == ("bbbbbb22", 200, False)
    assert (second.request_id, second.status, second.has("storage.error")) == ("aaaaaa11", 500, True)


def test_without_ids_a_shared_key_tells_and_the_rest_is_left_out() -> None:
    start = "INFO:main:📥 Images received from frontend:\nINFO:main:   - Face image: Yes\n"
    other = UUID.replace("f", "a")
    lines = (
        start
        + f"INFO:s:   Path: u/face/{UUID}.jpg\nINFO:s:📤 Uploading image to Supabase Storage:\n"
        + start.replace("Yes", "No")
    )
    lines += (
        f'INFO:httpx:HTTP Request: POST {SUPABASE}/storage/v1/object/b/u/face/{UUID}.jpg "HTTP/2 400 Bad Request"\n'
    )
    lines += f"ERROR:s:{other} something failed\n"
    lines += 'INFO:     1.1.1.1:1 - "POST /api/generate-image HTTP/1.1" 200 OK\n' * 2
    found = attempts(lines)
    assert sum(a.has("storage.upload") for a in found) == 1
    assert all(not a.has("error") for a in found)


def test_an_upload_of_its_own_belongs_to_the_request_after_it() -> None:
    text = (
        "ERROR:svc:upload not stored: storage answered 403: new row violates row-level security policy\n"
        '"POST /uploads HTTP/1.1" 200 12\n'
        f"{FAL}\n"
        '"POST /images HTTP/1.1" 200 12\n'
        f"{FAL}\n"
        '"POST /images HTTP/1.1" 200 12\n'
    )
    first, second = attempts(text)
    assert first.has("storage.error") and not second.has("storage.error")


def test_work_that_goes_on_after_the_answer_belongs_to_it() -> None:
    text = f'"POST /generate HTTP/1.1" 202 12\n{FAL}\n'
    (attempt,) = attempts(text)
    assert (attempt.status, attempt.has("fal.call")) == (202, True)


def test_a_restart_ends_what_was_open() -> None:
    assert len(attempts(f"{FAL}\nINFO:     Started server process [1]\n{FAL}\n")) == 2


def test_other_paths_are_not_about_pictures() -> None:
    assert (
        attempts('"POST /api/login HTTP/1.1" 200 1\n"GET /health HTTP/1.1" 200 1\n"POST /auth/token HTTP/1.1" 401 1\n')
        == ()
    )


# --- hostile logs -----------------------------------------------------------------------------------------------------

HOSTILE = {
    "one long line": "a" * 5_000_000,
    "spaces": " " * 2_000_000,
    "brackets": "{\n" * 60_000,
    "brackets that look like JSON": '{"a":1\n' * 20_000,
    "deep JSON": '{"message":"x","a":' + "[" * 20_000 + "]" * 20_000 + "}",
    "a picture in an error": "ERROR:x: failed data:image/png;base64," + "A" * 4_000_000,
    "tracebacks without an end": "Traceback (most recent call last):\n" * 20_000,
    "frames": "Traceback (most recent call last):\n" + "  File x\n" * 60_000,
    "objects that never close": "Upload error: {\n" * 20_000,
    "nested objects": "Upload error: {\n" + "  b: {\n" * 60_000,
    "escaped quotes": '{"a": "' + '\\"' * 8_000,
    "requests that never end": "📤 Images received from frontend\n" * 8_000 + '"POST /generate HTTP/1.1" 200\n',
    "ids": "".join(f"INFO:x: request_id=abcdef{i} image_url=https://a.b/{i}.jpg\n" for i in range(6_000))
    + '"POST /generate HTTP/1.1" 200\n',
    "pairs": "a=1 " * 100_000 + "status=3 event=x",
    "NUL and control": "\0\x1b[31;\x1b]8;;\x07\x9b" * 10_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_log_is_read_in_bounded_time(name: str) -> None:
    started = time.process_time()
    backend_log.read(HOSTILE[name], "x.log")
    assert time.process_time() - started < 12


def test_time_grows_with_the_log_and_not_faster() -> None:
    block = (
        f"INFO:main:📥 Images received from frontend:\nINFO:httpx:{FAL}\nERROR:main:upload failed: no\n"
        'INFO:     1.1.1.1:1 - "POST /api/generate-image HTTP/1.1" 200 OK\n'
    )

    def seconds(times: int) -> float:
        started = time.process_time()
        backend_log.read(block * times, "x.log")
        return time.process_time() - started

    seconds(100)
    small, large = seconds(500), seconds(4000)
    assert large < 8 * small * 3 + 0.5


ALPHABET = ["fal", "https://fal.run/", "failed ", "error: ", "status ", "{", "}", "'", '"', "\\", "statusCode", ":", "\n", " ", "/requests/", "422", "type", "POST ", "base64,", "Traceback (most recent call last):\n", "INFO:", "image_url=", "null", "…", "\x1b["]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(ALPHABET) | st.text(max_size=5), max_size=60).map("".join))
def test_no_text_crashes_it(text: str) -> None:
    backend_log.read(text, "x.log")


def test_a_request_id_that_begins_with_a_letter_is_no_logger() -> None:
    """Two requests overlap; the first to end is told by its id alone."""
    one, two = "a1b2c3d4-0000-4000-8000-000000000001", "11b2c3d4-0000-4000-8000-000000000002"
    lines = [f"INFO:main:[{own}] 📥 Images received from frontend:" for own in (one, two)]
    lines += [f"INFO:main:[{own}]    - Face image: Yes" for own in (one, two)]
    lines += [f'INFO:     [{own}] 127.0.0.1:5 - "POST /api/generate-image HTTP/1.1" 200 OK' for own in (one, two)]
    read = backend_log.read("\n".join(lines), "backend.log")
    assert [sum(e.kind == "request.access" for e in attempt.evidence) for attempt in read.attempts] == [1, 1]
