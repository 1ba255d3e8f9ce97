"""The generator: the pipeline with each link broken, its words, its record, and every fault of the demo."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnose import registry, schema
from diagnose.generator import events, images
from diagnose.generator.broken import BrokenLink, FalDown, FalRefused, ImageUnusable, StorageDown, StorageFault
from diagnose.generator.demo import EvidencePaths, Ids, Stage, Ticks, write_source
from diagnose.generator.embedded import arrange, hands_for
from diagnose.generator.faults import FAULTS, UNBREAKABLE, Fault, World, named, photo, sound
from diagnose.generator.hands import Settings
from diagnose.generator.journal import Journal
from diagnose.generator.pipeline import Code, File, Outcome, Request, Wish, build, generate, image_fields
from diagnose.generator.records import entry, words
from diagnose.generator.standins import keys
from diagnose.generator.standins.fal import validate
from diagnose.generator.standins.services import reachable
from diagnose.generator.standins.storage import Bucket
from diagnose.selection import Refused, Selected

I2I = "fal-ai/flux-general/image-to-image"
T2I = "fal-ai/flux/schnell"
NOW = datetime(2026, 1, 11, 6, 35, 30, 766926)
USER = "7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10"
RLS = "{'statusCode': 403, 'error': Unauthorized, 'message': new row violates row-level security policy}"
PHOTO = photo(900, 1200)


Run = Callable[..., tuple[Outcome, list[events.Event]]]


@pytest.fixture
def run(on_stage: Stage) -> Run:
    """The pipeline in a world, and what it said."""

    def play(world: World, **request: Any) -> tuple[Outcome, list[events.Event]]:
        said: list[events.Event] = []
        assert on_stage.transport is not None
        on_stage.clock, on_stage.new_id = Ticks(NOW), Ids("test")
        on_stage.services.supabase.objects.clear()
        arrange(on_stage.services, world)
        held = hands_for(world, on_stage.transport, said.append, on_stage.clock, on_stage.new_id)
        return generate(Request("r-1", world.body, world.token, **request), world.code, held), said

    return play


def broken(name: str) -> World:
    fault = named(name)
    assert fault is not None
    return fault.arrange(sound(fault.profile))


def logged(said: list[events.Event]) -> str:
    return "\n".join(line.plain() for event in said for line in words(event))


# The sound way.


def test_a_photo_makes_a_picture(run: Run) -> None:
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
    assert (outcome.status, len(outcome.pictures)) == (200, 2)
    assert outcome.answer["remaining_coins"] == 425
    assert events.Charged(USER, 425) in said


def test_two_pictures_are_two_calls(run: Run) -> None:
    outcome, said = run(sound())
    assert len(outcome.pictures) == 2
    assert [e.number for e in said if isinstance(e, events.Sending)] == [1, 2]


def test_a_model_that_takes_several_images_gets_three_of_four(run: Run) -> None:
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


@pytest.mark.parametrize("field", ["image", "face_image"])
def test_a_multipart_file_is_an_image(run: Run, field: str) -> None:
    file = File("selfie.jpg", images.decode(PHOTO))
    world = replace(sound(), body={"prompt": "p", field: file})
    outcome, said = run(world, content_type="multipart/form-data; boundary=x")
    assert outcome.chosen == Selected("image-to-image", I2I, "IMAGE_TO_IMAGE_SELECTED")
    assert events.FileReceived("selfie.jpg", len(file.data)) in said


def test_what_the_request_asks_for_is_sent(run: Run) -> None:
    outcome, _ = run(replace(sound(), body={**sound().body, "image_strength": "0.25", "num_images": "1"}))
    assert outcome.sent is not None
    assert (outcome.sent["image_strength"], outcome.sent["strength"]) == (0.25, 0.25)
    assert len(outcome.pictures) == 1


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        ({"num_images": 9}, "num_images must be a whole number from 1 to 4"),
        ({"num_images": 1.5}, "num_images must be a whole number from 1 to 4"),
        ({"image_strength": "much"}, "image_strength must be a number"),
        ({"image_strength": float("nan")}, "image_strength must be a number"),
        ({"guidance_scale": [3]}, "guidance_scale must be a number"),
        ({"num_inference_steps": 10**400}, "num_inference_steps must be a number"),
        ({"prompt": "x" * 10_001}, "prompt is too long: 10001 characters. Maximum: 10000"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_happens(run: Run, asked: dict[str, Any], detail: str) -> None:
    outcome, said = run(replace(sound(), body={**sound().body, **asked}))
    assert (outcome.status, outcome.answer) == (422, {"detail": detail, "request_id": "r-1"})
    assert [type(event) for event in said] == [events.Refused]


def test_half_a_character_is_replaced_where_it_comes_in(run: Run) -> None:
    outcome, _ = run(replace(sound(), body={**sound().body, "prompt": "p \ud83d"}))
    assert outcome.sent is not None
    assert outcome.sent["prompt"] == "p ?"
    assert outcome.status == 200


def test_the_aspect_ratio_shapes_a_picture_that_no_photo_shapes(run: Run) -> None:
    outcome, _ = run(replace(sound(), body={"prompt": "p", "aspect_ratio": "16:9"}))
    assert outcome.sent is not None
    assert outcome.sent["image_size"] == "landscape_16_9"


# Each link broken.


@pytest.mark.parametrize("name", ["image_unusable", "bucket_missing", "storage_unavailable:down", "upload_error"])
def test_a_link_broken_before_the_choice_falls_back_without_failing(run: Run, name: str) -> None:
    outcome, said = run(broken(name))
    assert outcome.chosen == Selected("text-to-image", T2I, "PREREQUISITE_FAILED")
    assert outcome.status == 200
    assert outcome.sent is not None
    assert "image_url" not in outcome.sent
    assert "Continuing without image." in logged(said)


def test_the_same_link_ends_the_request_where_the_profile_refuses(run: Run) -> None:
    outcome, _ = run(broken("bucket_missing:insisting"))
    assert outcome.chosen == Refused("PREREQUISITE_FAILED")
    assert (outcome.status, outcome.answer) == (
        500,
        {
            "detail": "Failed to upload image to Supabase Storage: Failed to upload image to Supabase"
            " Storage:"
            " {'statusCode': 404, 'error': Bucket not found, 'message': Bucket not found}."
            " Image is required for image-to-image pipeline.",
            "request_id": "r-1",
        },
    )


def test_no_image_is_refused_where_the_profile_refuses(run: Run) -> None:
    outcome, _ = run(broken("no_image_sent:insisting"))
    assert outcome.chosen == Refused("NO_IMAGE_SENT")
    assert outcome.status == 422
    assert outcome.answer["detail"].startswith("Missing required image.")


def test_a_field_that_nobody_reads_is_no_image(run: Run) -> None:
    outcome, _ = run(broken("image_field_unknown"))
    assert outcome.received == ()
    assert outcome.chosen == Selected("text-to-image", T2I, "NO_IMAGE_SENT")


def test_an_address_that_is_dropped_leaves_nothing_to_switch_by(run: Run) -> None:
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
def test_what_fal_refuses_reaches_the_answer(run: Run, name: str, status: int, kind: str) -> None:
    outcome, said = run(broken(name))
    assert isinstance(outcome.chosen, Selected)
    assert outcome.chosen.model == I2I
    assert outcome.fal_request_id
    assert (outcome.status, outcome.fal_status, outcome.pictures) == (400, status, ())
    assert kind in outcome.answer["detail"]
    assert kind in logged(said)


def test_a_private_bucket_is_looked_at_after_fal_could_not_read_it(run: Run) -> None:
    _, said = run(broken("bucket_private"))
    assert events.Probed(400, "NoSuchBucket") in said


def test_an_address_on_the_own_machine_works_there_and_not_for_fal(run: Run) -> None:
    _, said = run(broken("init_image_url_unreachable"))
    assert events.Probed(206, None) in said


def test_a_timeout_leaves_an_empty_text(run: Run) -> None:
    outcome, _ = run(broken("fal_unavailable:silent"))
    assert outcome.fal_status is None
    assert "Last errors: image 1: ReadTimeout - " in outcome.answer["detail"]


def test_a_key_refused_is_not_tried_again(run: Run) -> None:
    _, said = run(broken("fal_key_rejected"))
    assert [e.number for e in said if isinstance(e, events.Sending)] == [1]


def test_a_missing_setting_is_named_before_anything_is_uploaded(run: Run) -> None:
    outcome, said = run(broken("environment_incomplete"))
    assert (outcome.status, outcome.answer) == (503, {"detail": "FAL_KEY is not configured", "request_id": "r-1"})
    assert not any(isinstance(e, events.Uploading) for e in said)


@pytest.mark.parametrize(("prompt", "status"), [(None, 422), ("  ", 422), (7, 422), ("p", 200)])
def test_a_request_without_a_prompt_is_refused(run: Run, prompt: object, status: int) -> None:
    assert run(replace(sound(), body={"prompt": prompt}))[0].status == status


def test_a_bug_is_not_swallowed(run: Run) -> None:
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


def encoded(width: int, height: int, form: str = "JPEG", **options: Any) -> bytes:
    from PIL import Image

    written = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(written, form, **options)
    return written.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A small PNG that claims to be a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    head = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"GIF89a" + bytes(40), "Unsupported image format: GIF"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "Unsupported image format: HEIC"),
        (b"<svg></svg>", "cannot identify image file"),
        (b"\xff\xd8\xff\xe0", "cannot identify image file"),
        (encoded(640, 800)[:-2000], "image file is truncated"),
        (encoded(100, 300), "Image too small: 100x300px. Minimum dimension: 256px"),
        (bomb(9_000, 9_000), "Image has too many pixels: 9000x9000px. Maximum: 50 megapixels"),
        (bomb(60_000, 60_000), "Image size (3600000000 pixels) exceeds limit"),
        (b"\xff\xd8\xff" + bytes(10 * 1024 * 1024), "Image file too large"),
    ],
)
def test_what_is_no_usable_picture_is_named(data: bytes, text: str) -> None:
    with pytest.raises(ImageUnusable, match=r"^Image preprocessing failed: ") as caught:
        images.prepare(data)
    assert text in str(caught.value)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_of_each_format_is_stored_as_jpeg(form: str) -> None:
    found = images.prepare(encoded(640, 800, form))
    assert (found.format, found.width, found.height) == (form, 640, 800)
    assert found.data.startswith(b"\xff\xd8\xff")


def test_a_picture_is_turned_upright_and_loses_what_the_camera_wrote() -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "the owner's camera"
    found = images.prepare(encoded(640, 800, exif=exif))
    assert (found.width, found.height) == (800, 640)
    assert b"the owner" not in found.data


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8L"]),
)
def test_no_bytes_make_the_reader_crash(rest: bytes, head: bytes) -> None:
    try:
        images.prepare(head + rest)
    except ImageUnusable as error:
        assert str(error)


# The hands.


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"buckets": {}}, "{'statusCode': 404, 'error': Bucket not found, 'message': Bucket not found}"),
        ({"key": keys.supabase_key("anon")}, RLS),
        ({"key": "nonsense"}, "{'statusCode': 403, 'error': Unauthorized, 'message': Invalid Compact JWS}"),
        (
            {"key": keys.supabase_key("service_role", secret="another's")},
            "{'statusCode': 403, 'error': Unauthorized, 'message': signature verification failed}",
        ),
        (
            {"key": keys.supabase_key("service_role", expires=datetime(2026, 1, 1))},
            "{'statusCode': 403, 'error': Unauthorized, 'message': \"exp\" claim timestamp check failed}",
        ),
        (
            {"buckets": {"public": Bucket(mime_types=("image/png",))}},
            "{'statusCode': 415, 'error': invalid_mime_type, 'message': mime type image/jpeg is not supported}",
        ),
        (
            {"buckets": {"public": Bucket(size_limit=1)}},
            "{'statusCode': 413, 'error': Payload too large, 'message': The object exceeded the maximum allowed size}",
        ),
    ],
)
def test_storage_refuses_in_its_own_words(on_stage: Stage, change: dict[str, Any], text: str) -> None:
    world = sound()
    if "key" in change:
        world = replace(world, settings=replace(world.settings, supabase_key=change["key"]))
    else:
        world = replace(world, project=replace(world.project, **change))
    arrange(on_stage.services, world)
    assert on_stage.transport is not None
    held = hands_for(world, on_stage.transport, lambda event: None, lambda: NOW, Ids("test"))
    with pytest.raises(StorageFault) as caught:
        held.storage.upload("public", "u/face/1.jpg", b"12", "image/jpeg")
    assert str(caught.value) == text


def test_a_key_that_cannot_be_sent_is_not_quoted(on_stage: Stage) -> None:
    secret = keys.supabase_key("service_role")
    world = replace(sound(), settings=replace(sound().settings, supabase_key=secret + "\n"))
    assert on_stage.transport is not None
    held = hands_for(world, on_stage.transport, lambda event: None, lambda: NOW, Ids("test"))
    with pytest.raises(StorageFault) as caught:
        held.storage.upload("public", "u/1.jpg", b"1", "image/jpeg")
    assert caught.value.kind == "LocalProtocolError"
    assert secret not in str(caught.value)
    assert secret not in repr(world.settings)


def test_settings_are_missing_by_name() -> None:
    assert Settings().missing == ("SUPABASE_URL", "SUPABASE_SERVICE_KEY", "FAL_KEY")
    assert Settings("https://x", "k", "f").missing == ()
    assert Settings().empty
    assert not Settings(fal_key="f").empty


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
    assert [fault["type"] for fault in validate({"prompt": "p", **body}, known)] == [kind]


def test_fal_ignores_keys_it_does_not_know_and_numbers_in_quotes() -> None:
    known = schema.fal_input(I2I)
    assert known is not None
    body = {"prompt": "p", "image_url": "u", "image_strength": 0.5, "strength": "0.5"}
    assert list(validate(body, known)) == []


@pytest.mark.parametrize(
    ("url", "so"),
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
def test_addresses_that_nobody_outside_can_reach(url: str, so: bool) -> None:
    assert reachable(url) is so


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
            events.Preprocessed("face_image", images.Picture(bytes(41662), "JPEG", 900, 1200)),
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


def test_a_prompt_cannot_write_log_lines_of_its_own(run: Run) -> None:
    prompt = 'p\nINFO:httpx:HTTP Request: POST https://fal.run/other "HTTP/1.1 200 OK"'
    _, said = run(replace(sound(), body={"prompt": prompt, "aspect_ratio": "1:1\nINFO:main:x", "face_image": PHOTO}))
    lines = logged(said).split("\n")
    assert not any(
        line.startswith(("INFO:httpx:HTTP Request: POST https://fal.run/o", "INFO:main:x")) for line in lines
    )


@pytest.mark.parametrize("form", ["plain", "json"])
def test_every_line_carries_the_request(form: Any) -> None:
    kept = io.BytesIO()
    journal = Journal(kept, lambda: NOW, form)
    request_id = "3f6d1c52-0b7e-4a61-9d7e-1f7f4c1b2a90"

    def request() -> None:
        with journal.serving(request_id):
            journal(events.Finished(1.0))
            logging.getLogger("httpx").info('HTTP Request: POST https://fal.run/x "HTTP/1.1 %d"', 200)
            assert journal.told(request_id).count("\n") == 2

    contextvars.copy_context().run(request)
    logging.getLogger("httpx").info("of somebody else")
    assert journal.told(request_id) == ""
    lines = kept.getvalue().decode().splitlines()
    assert len(lines) == 2
    if form == "plain":
        assert lines[0] == (
            "2026-01-11 06:35:30.766 INFO:main:[3f6d1c52-0b7e-4a61-9d7e-1f7f4c1b2a90]"
            " ⏱️ Total generate-image time: 1.00s"
        )
        return
    assert json.loads(lines[1]) == {
        "asctime": "2026-01-11T06:35:30.766926",
        "levelname": "INFO",
        "name": "httpx",
        "message": 'HTTP Request: POST https://fal.run/x "HTTP/1.1 200"',
        "request_id": "3f6d1c52-0b7e-4a61-9d7e-1f7f4c1b2a90",
    }


def test_a_log_that_cannot_be_written_goes_to_the_terminal() -> None:
    class Full:
        def write(self, data: bytes, /) -> int:
            raise OSError(28, "No space left on device")

    terminal = io.StringIO()
    journal = Journal(Full(), lambda: NOW, echo=terminal)
    journal(events.Finished(1.0))
    journal(events.Finished(2.0))
    assert journal.trouble == "No space left on device"
    assert terminal.getvalue().count("the log cannot be written: No space left on device") == 1
    assert "time: 1.00s" in terminal.getvalue() and "time: 2.00s" in terminal.getvalue()


def test_a_line_that_a_full_disk_cut_off_is_ended_before_the_next() -> None:
    class Filling(io.BytesIO):
        room = 30

        def write(self, data: Any, /) -> int:
            if self.room == 0:
                raise OSError(28, "No space left on device")
            taken = data[: self.room]
            self.room -= len(taken)
            return super().write(taken)

    kept = Filling()
    journal = Journal(kept, lambda: NOW, echo=io.StringIO())
    journal(events.Finished(1.0))
    kept.room = 1000
    journal(events.Finished(2.0))
    lines = kept.getvalue().decode().splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("time: 2.00s")


def test_a_terminal_that_is_gone_holds_nobody() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str, /) -> int:
            raise BrokenPipeError

    kept = io.BytesIO()
    journal = Journal(kept, lambda: NOW, echo=Gone())
    journal(events.Finished(1.0))
    kept.close()
    journal(events.Finished(2.0))
    assert journal.trouble == "I/O operation on closed file."


@pytest.mark.parametrize("form", ["plain", "json"])
def test_the_log_shows_no_lines_that_are_none(form: Any) -> None:
    kept = io.BytesIO()
    Journal(kept, lambda: NOW, form)(events.FileReceived("a\x7fb\u2028INFO:main:forged\u202e", 1))
    lines = kept.getvalue().decode().splitlines()
    assert len(lines) == 1
    if form == "json":
        assert "forged" in json.loads(lines[0])["message"]


def test_a_key_with_a_line_break_inside_is_not_quoted(on_stage: Stage, run: Run) -> None:
    for key in ("sb_secret_TOP\nSECRET", "kunci-rahasia-…"):
        world = replace(sound(), settings=replace(sound().settings, supabase_key=key, fal_key=key))
        assert on_stage.transport is not None
        held = hands_for(world, on_stage.transport, lambda event: None, lambda: NOW, Ids("test"))
        with pytest.raises(BrokenLink) as stored:
            held.storage.upload("public", "u/1.jpg", b"1", "image/jpeg")
        with pytest.raises(BrokenLink) as drawn:
            held.model.run(T2I, {"prompt": "p"})
        for caught in (stored, drawn):
            assert "no header can carry" in str(caught.value)
            assert "SECRET" not in str(caught.value) and "rahasia" not in str(caught.value)


def test_nobody_answering_the_probe_is_an_answer() -> None:
    assert text_of(events.Probed(0, None)) == ["INFO:main:   Public URL check: HTTP 0 no answer"]
    assert text_of(events.Probed(544, None)) == ["INFO:main:   Public URL check: HTTP 544 no answer"]


def test_the_log_commands_no_terminal() -> None:
    kept = io.BytesIO()
    Journal(kept, lambda: NOW)(events.FileReceived("\x1b[2Jevil\x9b.jpg", 1))
    assert "\x1b" not in kept.getvalue().decode()
    assert "\\x1b[2Jevil\\x9b.jpg" in kept.getvalue().decode()


# The record.


def test_an_entry_is_the_older_one_and_more(run: Run) -> None:
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
        "original_prompt": outcome.wish.prompt,
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


def test_an_entry_tells_what_went_wrong(run: Run) -> None:
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
def test_what_ended_before_a_model_was_chosen_leaves_no_entry(run: Run, name: str) -> None:
    assert entry(run(broken(name))[0]) is None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_entry_keeps_to_the_schema(run: Run, fault: Fault) -> None:
    world = fault.arrange(sound(fault.profile))
    if fault.check != "backend_error":
        written = entry(run(world)[0])
        assert written is None or schema.entry_fault(written) is None


# The demo.


def contents(paths: EvidencePaths) -> dict[str, str]:
    """The files; ports are the system's choice, and different in every run."""
    files = sorted(file for file in paths.folder.rglob("*") if file.is_file())
    texts = {str(file.relative_to(paths.folder)): file.read_text(encoding="utf-8") for file in files}
    return {name: re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text) for name, text in texts.items()}


def test_the_faults_have_names_of_their_own() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
    assert len({fault.check for fault in FAULTS}) >= 28
    assert all(named(fault.check) for fault in FAULTS), "the first of a check has no variant"
    assert named("no_such_fault") is None


def test_every_check_can_be_broken_or_it_is_said_why_not() -> None:
    broken = {fault.check for fault in FAULTS}
    assert broken | set(UNBREAKABLE) == set(registry.by_id()) and not broken & set(UNBREAKABLE)
    assert all(reason.strip() for reason in UNBREAKABLE.values())


@pytest.fixture(scope="module")
def healthies(on_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What a sound world leaves, by profile."""
    top = tmp_path_factory.mktemp("sound")
    return {name: contents(on_stage.write_world(sound(name), top / name)) for name in ("seed", "flux-2-edit")}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_leaves_evidence_that_differs_and_does_not_name_it(
    on_stage: Stage, healthies: dict[str, dict[str, str]], fault: Fault, tmp_path: Path
) -> None:
    paths = on_stage.write_case(fault, tmp_path / "case")
    healthy = healthies[fault.profile]
    found = contents(paths)
    assert {"backend.log", "prompt_log.json", "request.json", "response.json"} <= set(found)
    assert paths.source is not None
    assert (paths.env is not None) == (".env" in found)
    assert found != healthy
    words_of = " ".join(found.values())
    assert fault.check not in words_of.replace("FAL_KEY", "")
    assert fault.title not in words_of
    assert str(tmp_path) not in words_of


def test_the_same_fault_leaves_the_same_evidence(on_stage: Stage, tmp_path: Path) -> None:
    fault = FAULTS[0]
    assert contents(on_stage.write_case(fault, tmp_path / "a")) == contents(on_stage.write_case(fault, tmp_path / "b"))
    assert contents(on_stage.write_case(fault, tmp_path / "a")) == contents(on_stage.write_case(fault, tmp_path / "b"))


def test_the_newest_attempt_is_not_the_only_one(on_stage: Stage, tmp_path: Path) -> None:
    found = contents(on_stage.write_world(sound(), tmp_path))
    assert found["backend.log"].count('"POST /api/generate-image HTTP/1.1" 200 OK') == 3
    assert [e["generation_mode"] for e in json.loads(found["prompt_log.json"])] == [
        "image-to-image",
        "text-to-image",
        "image-to-image",
    ]
    assert json.loads(found["request.json"])["body"]["face_image"].endswith(" base64 chars, sha256 40656b6874ab70e4)")
    assert json.loads(found["response.json"])["status"] == 200


def test_a_process_that_is_stale_was_never_restarted(on_stage: Stage, tmp_path: Path) -> None:
    fault = named("backend_stale")
    assert fault is not None
    found = contents(on_stage.write_case(fault, tmp_path))
    assert found["backend.log"].count("Started server process") == 1
    assert "https://fal.run/fal-ai/flux-lora/image-to-image" in found["backend.log"]
    assert I2I in found["source/fal_service.py"]


def test_a_proxy_that_refuses_leaves_nothing_in_the_backend(on_stage: Stage, tmp_path: Path) -> None:
    fault = named("proxy_rejected")
    assert fault is not None
    found = contents(on_stage.write_case(fault, tmp_path))
    assert json.loads(found["response.json"])["headers"]["server"].startswith("nginx")
    assert found["backend.log"].count("POST /api/generate-image") == 2


@pytest.mark.parametrize("file", ["fal_service.py", "main.py"])
def test_the_source_is_python(file: str, tmp_path: Path) -> None:
    for fault in FAULTS:
        write_source(fault.arrange(sound(fault.profile)).source, tmp_path)
        compile((tmp_path / file).read_text(encoding="utf-8"), file, "exec")


@pytest.mark.parametrize("build_name", ["seed", "flux-2-edit"])
def test_the_source_and_the_pipeline_send_the_same(on_stage: Stage, build_name: str, tmp_path: Path) -> None:
    world = sound(build_name)
    paths = on_stage.write_world(world, tmp_path)
    assert paths.source is not None
    space: dict[str, Callable[..., Any]] = {}
    exec((paths.source / "fal_service.py").read_text(encoding="utf-8"), space)  # noqa: S102 - our own text
    profile = world.code.profile
    chosen = Selected("image-to-image", profile.image_to_image, "IMAGE_TO_IMAGE_SELECTED")
    assert space["payload"]("p", "https://x") == build(profile, Wish("p"), chosen, ["https://x"])
    assert space["endpoint"]("https://x") == profile.image_to_image


def test_code_is_what_is_meant_unless_said_otherwise() -> None:
    profile = sound().code.profile
    assert Code(profile) == sound().code
