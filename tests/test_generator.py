"""The generator: the pipeline with each link broken, its words, its record, and every fault of the demo."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnose import schema
from diagnose.generator import events, hands, images
from diagnose.generator.broken import FalDown, FalRefused, ImageUnusable, StorageDown, StorageRefused
from diagnose.generator.demo import EvidencePaths, write_case, write_world
from diagnose.generator.faults import FAULTS, Fault, World, data_url, named, sound, user_token
from diagnose.generator.pipeline import Code, Hands, Outcome, Request, build, generate, image_fields
from diagnose.generator.records import Journal, PromptLog, entry, words
from diagnose.selection import Refused, Selected

I2I = "fal-ai/flux-general/image-to-image"
T2I = "fal-ai/flux/schnell"
NOW = datetime(2026, 1, 11, 6, 35, 30, 766926)
USER = "7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10"
RLS = "{'statusCode': 403, 'error': Unauthorized, 'message': new row violates row-level security policy}"
PHOTO = data_url(images.grey(900, 1200))


def run(world: World, **request: Any) -> tuple[Outcome, list[events.Event]]:
    """The pipeline in a world, and what it said."""
    said: list[events.Event] = []
    clock, new_id = hands.Ticks(NOW), hands.Ids("test")
    storage = hands.MemoryStorage(world.project, said.append, clock)
    accounts = hands.MemoryAccounts(world.account, world.project.url, said.append, clock)
    model = hands.MemoryFal(world.fal, storage.fetch, said.append, new_id)
    held = Hands(accounts, storage, model, said.append, clock, new_id)
    return generate(Request("r-1", world.body, world.token, **request), world.code, held), said


def broken(name: str) -> World:
    fault = named(name)
    assert fault is not None
    return fault.arrange(sound(fault.profile))


def logged(said: list[events.Event]) -> str:
    return "\n".join(line.plain() for event in said for line in words(event))


# The sound way.


def test_a_photo_makes_a_picture() -> None:
    outcome, said = run(sound())
    url = outcome.init_image_url
    assert url is not None
    assert url.startswith("https://qhwzvbnkdmtyrcxaeplo.supabase.co/storage/v1/object/public/public/")
    assert outcome.carried.path is not None
    assert outcome.carried.path.startswith(f"{USER}/face/")
    assert outcome.carried.path.endswith(".jpg")
    assert outcome.chosen == Selected("image-to-image", I2I, "IMAGE_TO_IMAGE_SELECTED")
    assert outcome.sent == {
        "prompt": sound().body["prompt"],
        "image_url": url,
        "image_strength": 0.5,
        "num_inference_steps": 7,
        "guidance_scale": 3.5,
        "strength": 0.5,
    }
    assert (outcome.status, len(outcome.pictures)) == (200, 1)
    assert outcome.answer["remaining_coins"] == 425
    assert [e.url for e in said if isinstance(e, events.Exchanged)][-2] == f"https://fal.run/{I2I}"


def test_two_pictures_are_two_calls() -> None:
    outcome, said = run(sound(), count=2)
    assert len(outcome.pictures) == 2
    assert [e.number for e in said if isinstance(e, events.Sending)] == [1, 2]


def test_a_model_that_takes_several_images_gets_three_of_four() -> None:
    world = sound("flux-2-edit")
    world = replace(world, body={**world.body, "product_images": [PHOTO, PHOTO], "background_image": PHOTO})
    outcome, _ = run(world)
    assert outcome.sent is not None
    assert outcome.sent["image_urls"] == list(outcome.carried.urls[:3])
    assert len(outcome.carried.urls) == 4


def test_the_face_comes_before_products_and_background() -> None:
    body = {"background_image": "b", "product_images": ["p", "q"], "face_image": "f", "photo": "x"}
    found = image_fields(Request("r", body), sound().code.profile)
    assert [image.name for image in found] == [
        "face_image",
        "product_image[0]",
        "product_image[1]",
        "background_image",
    ]


def test_a_multipart_file_is_an_image() -> None:
    world = sound()
    world = replace(world, body={"prompt": "p", "image": images.grey(900, 1200)})
    outcome, said = run(world, content_type="multipart/form-data; boundary=x", file_name="selfie.jpg")
    assert outcome.chosen == Selected("image-to-image", I2I, "IMAGE_TO_IMAGE_SELECTED")
    assert events.FileReceived("selfie.jpg", 4396) in said


# Each link broken.


@pytest.mark.parametrize("name", ["image_unusable", "bucket_missing", "storage_unavailable:down", "upload_error"])
def test_a_link_broken_before_the_choice_falls_back_without_failing(name: str) -> None:
    outcome, said = run(broken(name))
    assert outcome.chosen == Selected("text-to-image", T2I, "PREREQUISITE_FAILED")
    assert outcome.status == 200
    assert outcome.sent is not None
    assert "image_url" not in outcome.sent
    assert "Continuing without image." in logged(said)


def test_the_same_link_ends_the_request_where_the_profile_refuses() -> None:
    outcome, _ = run(broken("bucket_missing:insisting"))
    assert outcome.chosen == Refused("PREREQUISITE_FAILED")
    assert (outcome.status, outcome.answer) == (
        500,
        {
            "detail": "Failed to upload image to Supabase Storage: Failed to upload image to Supabase"
            " Storage:"
            " {'statusCode': 404, 'error': Bucket not found, 'message': Bucket not found}."
            " Image is required for image-to-image pipeline."
        },
    )


def test_no_image_is_refused_where_the_profile_refuses() -> None:
    outcome, _ = run(broken("no_image_sent:insisting"))
    assert outcome.chosen == Refused("NO_IMAGE_SENT")
    assert outcome.status == 422
    assert outcome.answer["detail"].startswith("Missing required image.")


def test_a_field_that_nobody_reads_is_no_image() -> None:
    outcome, _ = run(broken("image_field_unknown"))
    assert outcome.received == ()
    assert outcome.chosen == Selected("text-to-image", T2I, "NO_IMAGE_SENT")


def test_an_address_that_is_dropped_leaves_nothing_to_switch_by() -> None:
    outcome, said = run(broken("upload_result_lost"))
    assert outcome.carried.status == 200
    assert outcome.init_image_url is None
    assert "Init Image URL: NO" in logged(said)


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("bucket_private", 422, "file_download_error"),
        ("init_image_url_unreachable", 422, "file_download_error"),
        ("fal_image_unreadable", 422, "image_load_error"),
        ("payload_without_image", 422, "missing"),
        ("parameter_out_of_range", 422, "less_than_equal"),
        ("fal_parameters_rejected", 422, "greater_than_equal"),
        ("fal_content_refused", 422, "content_policy_violation"),
        ("fal_key_rejected", 401, "Cannot access application"),
        ("fal_balance_exhausted", 403, "Exhausted balance"),
        ("fal_model_missing", 404, "not found"),
        ("fal_rate_limited", 429, "concurrent_requests_limit"),
        ("fal_unavailable", 504, "request_timeout"),
        ("fal_unavailable:error", 500, "internal_server_error"),
    ],
)
def test_what_fal_refuses_reaches_the_answer(name: str, status: int, kind: str) -> None:
    outcome, said = run(broken(name))
    assert isinstance(outcome.chosen, Selected)
    assert outcome.chosen.model == I2I
    assert (outcome.status, outcome.fal_status, outcome.pictures) == (400, status, ())
    assert kind in outcome.answer["detail"]
    assert kind in logged(said)


def test_a_private_bucket_is_looked_at_after_fal_could_not_read_it() -> None:
    _, said = run(broken("bucket_private"))
    assert events.Probed(400, "NoSuchBucket") in said


def test_an_address_on_the_own_machine_works_there_and_not_for_fal() -> None:
    _, said = run(broken("init_image_url_unreachable"))
    assert events.Probed(200, None) in said


def test_a_timeout_leaves_an_empty_text() -> None:
    outcome, _ = run(broken("fal_unavailable:silent"))
    assert outcome.fal_status is None
    assert outcome.answer["detail"].endswith("Last errors: image 1: ReadTimeout - ")


def test_a_key_refused_is_not_tried_again() -> None:
    _, said = run(broken("fal_key_rejected"), count=2)
    assert [e.number for e in said if isinstance(e, events.Sending)] == [1]


def test_a_missing_setting_is_named_before_anything_is_uploaded() -> None:
    outcome, said = run(broken("environment_incomplete"))
    assert (outcome.status, outcome.answer) == (503, {"detail": "FAL_KEY is not configured"})
    assert not any(isinstance(e, events.Uploading) for e in said)


@pytest.mark.parametrize(("prompt", "status"), [(None, 422), ("  ", 422), (7, 422), ("p", 200)])
def test_a_request_without_a_prompt_is_refused(prompt: object, status: int) -> None:
    assert run(replace(sound(), body={"prompt": prompt}))[0].status == status


def test_a_bug_is_not_swallowed() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        run(broken("backend_error"))


# Images.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("data:image/jpeg;base64,abc", "Failed to convert base64 to image bytes: Incorrect padding"),
        ("blob:http://localhost:3000/7c1", "Failed to convert base64 to image bytes: "),
        (7, "Failed to convert base64 to image bytes: not a string but a number"),
        ({"url": "x"}, "Failed to convert base64 to image bytes: not a string but an object"),
    ],
)
def test_what_is_not_base64_is_said_to_be_so(value: object, text: str) -> None:
    with pytest.raises(ImageUnusable) as caught:
        images.decode(value)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"GIF89a" + bytes(40), "Unsupported image format: GIF"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "Unsupported image format: HEIC"),
        (b"<svg></svg>", "cannot identify image file"),
        (b"\xff\xd8\xff\xe0", "its JPEG header is broken"),
        (b"\xff\xd8\xff\xd9", "its JPEG header is broken"),
        (b"\x89PNG\r\n\x1a\n", "its PNG header is broken"),
        (b"RIFF\0\0\0\0WEBPVP8X", "Image too small: 1x1px. Minimum dimension: 256px"),
        (images.grey(100, 300), "Image too small: 100x300px. Minimum dimension: 256px"),
        (b"\xff\xd8\xff" + bytes(10 * 1024 * 1024), "Image file too large"),
    ],
)
def test_what_is_no_usable_picture_is_named(data: bytes, text: str) -> None:
    with pytest.raises(ImageUnusable, match=r"^Image preprocessing failed: ") as caught:
        images.inspect(data)
    assert text in str(caught.value)


def test_the_three_formats_are_told_by_their_first_bytes() -> None:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (640).to_bytes(4, "big") + (800).to_bytes(4, "big")
    webp = b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (639).to_bytes(3, "little") + (799).to_bytes(3, "little")
    lossy = b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + (640).to_bytes(2, "little") + (800).to_bytes(2, "little")
    lossless = b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + (639 | 799 << 14).to_bytes(4, "little")
    found = [images.inspect(data) for data in (images.grey(640, 800), png, webp, lossy, lossless)]
    assert {(p.width, p.height) for p in found} == {(640, 800)}
    assert [p.extension for p in found] == ["jpg", "png", "webp", "webp", "webp"]
    assert found[1].content_type == "image/png"


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8L"]),
)
def test_no_bytes_make_the_reader_crash(rest: bytes, head: bytes) -> None:
    try:
        images.inspect(head + rest)
    except ImageUnusable as error:
        assert str(error)


# The hands.


def storage(project: hands.Project) -> hands.MemoryStorage:
    return hands.MemoryStorage(project, lambda event: None, lambda: NOW)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"buckets": {}}, "{'statusCode': 404, 'error': Bucket not found, 'message': Bucket not found}"),
        (
            {"key": hands.supabase_key("anon")},
            RLS,
        ),
        (
            {"key": "sb_publishable_1"},
            RLS,
        ),
        ({"key": "nonsense"}, "{'statusCode': 403, 'error': Unauthorized, 'message': Invalid Compact JWS}"),
        (
            {"key": hands.supabase_key("service_role", ref="a" * 20)},
            "{'statusCode': 403, 'error': Unauthorized, 'message': signature verification failed}",
        ),
        (
            {"key": hands.supabase_key("service_role", expires=datetime(2026, 1, 1))},
            "{'statusCode': 403, 'error': Unauthorized, 'message': \"exp\" claim timestamp check failed}",
        ),
        (
            {"buckets": {"public": hands.Bucket(mime_types=("image/png",))}},
            ("{'statusCode': 415, 'error': invalid_mime_type, 'message': mime type image/jpeg is not supported}"),
        ),
        (
            {"buckets": {"public": hands.Bucket(size_limit=1)}},
            (
                "{'statusCode': 413, 'error': Payload too large,"
                " 'message': The object exceeded the maximum allowed size}"
            ),
        ),
    ],
)
def test_storage_refuses_in_its_own_words(change: dict[str, Any], text: str) -> None:
    with pytest.raises(StorageRefused) as caught:
        storage(replace(sound().project, **change)).upload("public", "u/face/1.jpg", b"12", "image/jpeg")
    assert str(caught.value) == text
    assert caught.value.http_status == 400


def test_storage_keeps_an_object_once() -> None:
    kept = storage(sound().project)
    kept.upload("public", "u/1.jpg", b"1", "image/jpeg")
    with pytest.raises(StorageRefused, match="The resource already exists"):
        kept.upload("public", "u/1.jpg", b"1", "image/jpeg")
    with pytest.raises(StorageRefused, match=r"Invalid key: u/ä\.jpg"):
        kept.upload("public", "u/ä.jpg", b"1", "image/jpeg")


@pytest.mark.parametrize("key", ["sb_secret_1", hands.supabase_key("service_role")])
def test_a_service_key_of_either_kind_may_upload(key: str) -> None:
    storage(replace(sound().project, key=key)).upload("public", "u/1.jpg", b"1", "image/jpeg")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "missing"),
        ({"image_url": 5}, "string_type"),
        ({"image_url": "u", "num_inference_steps": "many"}, "int_parsing"),
        ({"image_url": "u", "num_inference_steps": 7.5}, "int_parsing"),
        ({"image_url": "u", "strength": "x"}, "float_parsing"),
        ({"image_url": "u", "strength": 0}, "greater_than_equal"),
        ({"image_url": "u", "output_format": "gif"}, "literal_error"),
        ({"image_url": "u", "loras": 1}, "list_type"),
    ],
)
def test_fal_judges_a_body_by_the_schema(body: dict[str, Any], kind: str) -> None:
    known = schema.fal_input(I2I)
    assert known is not None
    assert [fault["type"] for fault in hands.validate({"prompt": "p", **body}, known)] == [kind]


def test_fal_ignores_keys_it_does_not_know_and_numbers_in_quotes() -> None:
    known = schema.fal_input(I2I)
    assert known is not None
    body = {"prompt": "p", "image_url": "u", "image_strength": 0.5, "strength": "0.5"}
    assert list(hands.validate(body, known)) == []


@pytest.mark.parametrize(
    ("url", "reachable"),
    [
        ("https://qhwzvbnkdmtyrcxaeplo.supabase.co/x", True),
        ("http://127.0.0.1:54321/x", False),
        ("http://localhost:54321/x", False),
        ("http://192.168.1.4/x", False),
        ("http://[::1]/x", False),
        ("http://kong:8000/x", False),
        ("http://box.local/x", False),
        ("http://8.8.8.8/x", True),
    ],
)
def test_addresses_that_nobody_outside_can_reach(url: str, reachable: bool) -> None:
    assert hands._reachable(url) is reachable


# The words, typed out.


def text_of(event: events.Event) -> list[str]:
    return [line.plain() for line in words(event)]


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (
            events.ImagesReceived(2, True, False),
            [
                "INFO:main:📥 Images received from frontend:",
                "INFO:main:   - Product images: 2",
                "INFO:main:   - Face image: Yes",
                "INFO:main:   - Background image: No",
            ],
        ),
        (
            events.FileReceived("selfie.jpg", 65561),
            ["INFO:main:📤 Received image file upload: selfie.jpg (65561 bytes)"],
        ),
        (
            events.Preprocessing("face_image", "9:16"),
            ["INFO:main:🔄 Preprocessing face_image (target aspect: 9:16)..."],
        ),
        (
            events.Preprocessed("face_image", "JPEG", 900, 1200, 41662),
            [
                "INFO:image_preprocessor:✅ Input validation passed: 900x1200px, format: JPEG",
                "INFO:main:✅ Face image preprocessing complete:",
                "INFO:main:   Final: 900x1200 (1.080 MP), 0.04 MB",
            ],
        ),
        (
            events.Uploading("face_image", "public", "u/face/1.jpg", 41662, "image/jpeg"),
            [
                "INFO:main:📤 Uploading preprocessed face_image to Supabase Storage (size: 41662 bytes)",
                "INFO:supabase_service:📤 Uploading image to Supabase Storage:",
                "INFO:supabase_service:   Bucket: public",
                "INFO:supabase_service:   Path: u/face/1.jpg",
                "INFO:supabase_service:   File size: 41662 bytes (0.04 MB)",
                "INFO:supabase_service:   Content-Type: image/jpeg",
            ],
        ),
        (
            events.Uploaded("face_image", "public", "u/1.jpg", "https://x/u/1.jpg"),
            [
                (
                    "INFO:supabase_service:   Supabase upload response: UploadResponse(path='u/1.jpg',"
                    " full_path='public/u/1.jpg', fullPath='public/u/1.jpg')"
                ),
                "INFO:supabase_service:✅ Image uploaded successfully to Supabase Storage",
                "INFO:supabase_service:   Public URL: https://x/u/1.jpg",
                "INFO:main:✅ face_image uploaded to Supabase Storage successfully",
            ],
        ),
        (
            events.ImageLost(
                "face_image",
                "public",
                "u/1.jpg",
                StorageDown("ConnectError", "[Errno 111] Connection refused"),
            ),
            [
                "ERROR:supabase_service:❌ Supabase upload failed:",
                "ERROR:supabase_service:   Bucket: public",
                "ERROR:supabase_service:   Path: u/1.jpg",
                "ERROR:supabase_service:   Error: [Errno 111] Connection refused",
                "ERROR:supabase_service:   Error type: ConnectError",
                (
                    "ERROR:main:❌ Failed to upload face_image: Failed to upload image to Supabase Storage:"
                    " [Errno 111] Connection refused"
                ),
            ],
        ),
        (
            events.FellBack("Failed to convert base64 to image bytes: Incorrect padding"),
            [
                (
                    "WARNING:main:Failed to upload images to Supabase Storage:"
                    " Failed to convert base64 to image bytes: Incorrect padding. Continuing without image."
                )
            ],
        ),
        (
            events.Exchanged("POST", f"https://fal.run/{I2I}", 200),
            [f'INFO:httpx:HTTP Request: POST https://fal.run/{I2I} "HTTP/1.1 200 OK"'],
        ),
        (
            events.Exchanged("POST", "https://x.co/storage/v1/object/b/1.jpg", 400, "HTTP/2"),
            ['INFO:httpx:HTTP Request: POST https://x.co/storage/v1/object/b/1.jpg "HTTP/2 400 Bad Request"'],
        ),
        (
            events.CallFailed(1, FalRefused(422, '{"detail":[]}')),
            [
                'ERROR:fal_service:HTTP Error generating image 1: 422 - {"detail":[]}',
                "WARNING:fal_service:Skipping image 1 due to HTTP error 422",
            ],
        ),
        (
            events.CallFailed(1, FalRefused(401, '{"detail":"no"}')),
            ['ERROR:fal_service:❌ Fal.ai API 401 Unauthorized for image 1. Response: {"detail":"no"}'],
        ),
        (
            events.CallFailed(2, FalDown("ReadTimeout", "")),
            ["ERROR:fal_service:Error generating image 2: ReadTimeout - "],
        ),
        (events.Answered(1, 1), ["INFO:fal_service:✅ Extracted 1 image URL(s) from Fal.ai response"]),
        (
            events.Served("127.0.0.1:60480", "POST", "/api/generate-image", 200),
            ['INFO:     127.0.0.1:60480 - "POST /api/generate-image HTTP/1.1" 200 OK'],
        ),
        (
            events.Started(20783, "http://127.0.0.1:8000"),
            [
                "INFO:     Started server process [20783]",
                "INFO:     Waiting for application startup.",
                "INFO:     Application startup complete.",
                "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
            ],
        ),
        (
            events.Charged("u", 425),
            ["INFO:main:Coins deducted. Remaining coins for user u: 425"],
        ),
        (events.Finished(0.864), ["INFO:main:⏱️ Total generate-image time: 0.86s"]),
    ],
)
def test_the_words_are_those_of_the_backends_in_the_field(event: events.Event, lines: list[str]) -> None:
    assert text_of(event) == lines


def test_the_summary_is_the_one_the_checklist_asks_for() -> None:
    event = events.Chosen(
        "u", 500, "image-to-image", I2I, "https://x", "p", {"num_inference_steps": 7, "guidance_scale": 3.5}
    )
    assert text_of(event)[:8] == [
        (
            "INFO:main:Generating images for user u using Fal.ai fal-ai/flux-general/image-to-image"
            " (image-to-image mode)."
            " Current coins: 500"
        ),
        "INFO:main:======================================================================",
        "INFO:main:GENERATION SUMMARY:",
        "INFO:main:======================================================================",
        "INFO:main:Generation Mode: image-to-image",
        "INFO:main:Model: fal-ai/flux-general/image-to-image",
        "INFO:main:Init Image URL: YES",
        "INFO:main:======================================================================",
    ]
    assert "INFO:main:Init Image URL: NO" in text_of(replace(event, init_image_url=None))


def test_the_payload_is_one_record_of_many_lines() -> None:
    body = {
        "prompt": "p",
        "image_url": "https://x",
        "image_strength": 0.5,
        "num_inference_steps": 7,
        "guidance_scale": 3.5,
    }
    event = events.Sending(1, 2, "image-to-image", I2I, "https://x", body)
    assert "\n".join(text_of(event)) == (
        "INFO:fal_service:📤 Sending image-to-image request to Fal.ai for image 1/2\n"
        "INFO:fal_service:   Model: fal-ai/flux-general/image-to-image\n"
        "INFO:fal_service:   ✅ Image-to-image: Using image_url from Supabase Storage\n"
        "INFO:fal_service:   📤 Image URL yang dikirim: https://x\n"
        "INFO:fal_service:   Model: fal-ai/flux-general/image-to-image (support LoRA)\n"
        "INFO:fal_service:   Image Strength: 0.5 (FIXED: menjaga identitas wajah)\n"
        "INFO:fal_service:   Inference Steps: 7 (FIXED: INFERENCE, BUKAN training)\n"
        "INFO:fal_service:   Guidance Scale: 3.5 (FIXED: prompt adherence tanpa merusak wajah)\n"
        "INFO:fal_service:   📤 FULL REQUEST PAYLOAD ke Fal.ai:\n"
        "INFO:fal_service:   {\n"
        '  "prompt": "p",\n'
        '  "image_url": "https://x",\n'
        '  "image_strength": 0.5,\n'
        '  "num_inference_steps": 7,\n'
        '  "guidance_scale": 3.5\n'
        "}"
    )


def test_a_prompt_cannot_write_log_lines_of_its_own() -> None:
    prompt = 'p\nINFO:httpx:HTTP Request: POST https://fal.run/other "HTTP/1.1 200 OK"'
    _, said = run(replace(sound(), body={"prompt": prompt, "aspect_ratio": "1:1\nINFO:main:x", "face_image": PHOTO}))
    lines = logged(said).split("\n")
    assert not any(
        line.startswith(("INFO:httpx:HTTP Request: POST https://fal.run/o", "INFO:main:x")) for line in lines
    )


def test_a_json_line_carries_the_request_and_one_message() -> None:
    stream = io.StringIO()
    Journal(stream, lambda: NOW, "json").of("r-1")(events.Finished(1.0))
    assert json.loads(stream.getvalue()) == {
        "asctime": "2026-01-11T06:35:30.766926",
        "levelname": "INFO",
        "name": "main",
        "message": "⏱️ Total generate-image time: 1.00s",
        "request_id": "r-1",
    }


# The record.


def test_an_entry_is_the_older_one_and_more() -> None:
    outcome, _ = run(sound())
    written = entry(outcome)
    assert written is not None
    assert list(written)[:6] == [
        "timestamp",
        "request",
        "enhanced_prompt",
        "prompt_length",
        "generation_mode",
        "fal_request",
    ]
    assert written["request"] == {
        "has_product_images": False,
        "num_product_images": 0,
        "has_face_image": True,
        "has_background_image": False,
        "has_image_url": True,
        "image_url": outcome.init_image_url,
        "request_format": "application/json",
        "original_prompt": outcome.prompt,
    }
    assert written["fal_request"] == {"model": I2I, **(outcome.sent or {})}
    assert (written["request_id"], written["outcome"], written["status"]) == ("r-1", "succeeded", 200)
    assert written["decision"] == {
        "mode": "image-to-image",
        "model": I2I,
        "reason": "IMAGE_TO_IMAGE_SELECTED",
    }
    assert written["upload"]["status"] == 200
    assert written["sent"] == outcome.sent
    assert written["fal_request_id"]


def test_an_entry_tells_what_went_wrong() -> None:
    written = entry(run(broken("bucket_missing"))[0])
    assert written is not None
    assert written["upload"]["status"] == 404
    assert written["upload"]["error"] == "{'statusCode': 404, 'error': Bucket not found, 'message': Bucket not found}"
    failed = entry(run(broken("fal_balance_exhausted"))[0])
    assert failed is not None
    assert (failed["outcome"], failed["status"], failed["generation_mode"]) == (
        "failed",
        403,
        "image-to-image",
    )


@pytest.mark.parametrize("name", ["request_rejected", "no_image_sent:insisting", "environment_incomplete"])
def test_what_ended_before_a_model_was_chosen_leaves_no_entry(name: str) -> None:
    assert entry(run(broken(name))[0]) is None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_entry_keeps_to_the_schema(fault: Fault) -> None:
    world = fault.arrange(sound(fault.profile))
    if world.account.bug is None:
        written = entry(run(world)[0])
        assert written is None or schema.entry_fault(written) is None


def test_the_prompt_log_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "prompt_log.json"
    for number in range(5):
        PromptLog(path, keep=3).append({"n": number}, NOW)
    assert json.loads(path.read_text(encoding="utf-8")) == [{"n": 2}, {"n": 3}, {"n": 4}]
    for number in range(5, 20):
        PromptLog(path, keep=0).append({"n": number}, NOW)
    assert len(json.loads(path.read_text(encoding="utf-8"))) == 18
    assert [file.name for file in path.parent.iterdir()] == ["prompt_log.json"]


@pytest.mark.parametrize(
    "old", ['[{"timestamp": "2026-01', "{}", '{"timestamp": "x"}', "not json", "[" * 100_000, "\udce9"]
)
def test_a_corrupt_prompt_log_is_set_aside_and_never_replaced(tmp_path: Path, old: str) -> None:
    path = tmp_path / "prompt_log.json"
    asides = []
    for number in range(2):
        path.write_text(f"{old}", encoding="utf-8", errors="surrogateescape")
        asides.append(PromptLog(path).append({"n": number}, NOW))
        assert json.loads(path.read_text(encoding="utf-8")) == [{"n": number}]
    names = [aside.name for aside in asides if aside]
    assert names == ["prompt_log.json.corrupt-20260111T063530", "prompt_log.json.corrupt-20260111T063530-1"]
    assert all(aside.read_text(encoding="utf-8", errors="surrogateescape") == old for aside in asides if aside)


@pytest.mark.parametrize("old", ["", " \n", "[]", "\ufeff[]"])
def test_an_empty_prompt_log_is_not_corrupt(tmp_path: Path, old: str) -> None:
    path = tmp_path / "prompt_log.json"
    path.write_text(old, encoding="utf-8")
    assert PromptLog(path).append({"n": 1}, NOW) is None
    assert json.loads(path.read_text(encoding="utf-8")) == [{"n": 1}]


def test_a_write_that_fails_leaves_the_old_log_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "prompt_log.json"
    PromptLog(path).append({"n": 1}, NOW)
    with pytest.raises(TypeError):
        PromptLog(path).append({"n": object()}, NOW)
    assert json.loads(path.read_text(encoding="utf-8")) == [{"n": 1}]
    assert [file.name for file in tmp_path.iterdir()] == ["prompt_log.json"]


# The demo.


def contents(paths: EvidencePaths) -> dict[str, str]:
    files = sorted(file for file in paths.folder.rglob("*") if file.is_file())
    return {str(file.relative_to(paths.folder)): file.read_text(encoding="utf-8") for file in files}


def test_the_faults_have_names_of_their_own() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
    assert len({fault.check for fault in FAULTS}) >= 28
    assert all(named(fault.check) for fault in FAULTS), "the first of a check has no variant"
    assert named("no_such_fault") is None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_leaves_evidence_that_differs_and_does_not_name_it(fault: Fault, tmp_path: Path) -> None:
    paths = write_case(fault, tmp_path / "case")
    healthy = contents(write_world(sound(fault.profile), tmp_path / "sound"))
    found = contents(paths)
    assert {"backend.log", "prompt_log.json", "request.json", "response.json"} <= set(found)
    assert paths.source is not None
    assert (paths.env is not None) == (".env" in found)
    assert found != healthy
    words_of = " ".join(found.values())
    assert fault.check not in words_of.replace("FAL_KEY", "")
    assert fault.title not in words_of
    assert str(tmp_path) not in words_of


def test_the_same_fault_leaves_the_same_evidence(tmp_path: Path) -> None:
    fault = FAULTS[0]
    assert contents(write_case(fault, tmp_path / "a")) == contents(write_case(fault, tmp_path / "b"))
    assert contents(write_case(fault, tmp_path / "a")) == contents(write_case(fault, tmp_path / "b"))


def test_the_newest_attempt_is_not_the_only_one(tmp_path: Path) -> None:
    found = contents(write_world(sound(), tmp_path))
    assert found["backend.log"].count('"POST /api/generate-image HTTP/1.1" 200 OK') == 3
    assert [e["generation_mode"] for e in json.loads(found["prompt_log.json"])] == [
        "image-to-image",
        "text-to-image",
        "image-to-image",
    ]
    assert json.loads(found["request.json"])["body"]["face_image"].endswith(" base64 chars, sha256 81fe4133b3d4f7ea)")
    assert json.loads(found["response.json"])["status"] == 200


def test_a_process_that_is_stale_was_never_restarted(tmp_path: Path) -> None:
    fault = named("backend_stale")
    assert fault is not None
    found = contents(write_case(fault, tmp_path))
    assert found["backend.log"].count("Started server process") == 1
    assert "https://fal.run/fal-ai/flux-lora/image-to-image" in found["backend.log"]
    assert I2I in found["source/fal_service.py"]


def test_a_proxy_that_refuses_leaves_nothing_in_the_backend(tmp_path: Path) -> None:
    fault = named("proxy_rejected")
    assert fault is not None
    found = contents(write_case(fault, tmp_path))
    assert json.loads(found["response.json"])["headers"]["server"].startswith("nginx")
    assert found["backend.log"].count("POST /api/generate-image") == 2


@pytest.mark.parametrize("file", ["fal_service.py", "main.py"])
def test_the_source_is_python(file: str, tmp_path: Path) -> None:
    for fault in FAULTS:
        paths = write_case(fault, tmp_path / fault.name.replace(":", "-"))
        assert paths.source is not None
        compile((paths.source / file).read_text(encoding="utf-8"), file, "exec")


@pytest.mark.parametrize("build_name", ["seed", "flux-2-edit"])
def test_the_source_and_the_pipeline_send_the_same(build_name: str, tmp_path: Path) -> None:
    world = sound(build_name)
    paths = write_world(world, tmp_path)
    assert paths.source is not None
    space: dict[str, Callable[..., Any]] = {}
    exec((paths.source / "fal_service.py").read_text(encoding="utf-8"), space)  # noqa: S102 - our own text
    profile = world.code.profile
    chosen = Selected("image-to-image", profile.image_to_image, "IMAGE_TO_IMAGE_SELECTED")
    assert space["payload"]("p", "https://x") == build(profile, "p", chosen, ["https://x"])
    assert space["endpoint"]("https://x") == profile.image_to_image


def test_code_is_what_is_meant_unless_said_otherwise() -> None:
    profile = sound().code.profile
    assert Code(profile) == sound().code
    assert user_token(NOW) == user_token(NOW)
