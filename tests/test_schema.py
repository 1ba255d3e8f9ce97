"""The schemas keep to the facts, accept what backends really write, and name what is wrong and where."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose import schema
from diagnose.errors import StrangerPackage, UnknownName
from diagnose.siblings import sibling

ROOT = Path(__file__).resolve().parent.parent
URL = "https://abcdefghijklmnopqrst.supabase.co/storage/v1/object/public/public/u/face/1.jpg"


def entry(request: dict[str, Any], fal_request: dict[str, Any], **more: Any) -> dict[str, Any]:
    flags = {
        "has_product_images": False,
        "num_product_images": 0,
        "has_face_image": False,
        "has_background_image": False,
    }
    return {
        "timestamp": "2026-01-11T06:35:30.766926",
        "request": {**flags, **request, "original_prompt": "a woman in a studio"},
        "enhanced_prompt": "a woman in a studio",
        "fal_request": {"prompt": "a woman in a studio", **fal_request},
        "prompt_length": 19,
        **more,
    }


I2I = {"generation_mode": "image-to-image"}
T2I = {"generation_mode": "text-to-image"}
SCHNELL = {
    "model": "fal-ai/flux/schnell",
    "image_size": "square_hd",
    "num_inference_steps": 7,
    "guidance_scale": 3.5,
}
GENERAL = {
    "model": "fal-ai/flux-general/image-to-image",
    "num_inference_steps": 7,
    "guidance_scale": 3.5,
    "image_url": URL,
    "image_strength": 0.5,
}
FLUX_2 = {"model": "fal-ai/flux-2/lora/edit", "num_inference_steps": 24, "guidance_scale": 4.5}
STAGING = {
    "model": "fal-ai/flux-general/image-to-image",
    "num_inference_steps": 28,
    "guidance_scale": 5.5,
    "image_url": URL,
    "strength": 0.65,
    "image_size": {"width": 768, "height": 1344},
    "negative_prompt": "blurry",
}
ERAS = {
    "V0b": entry({}, SCHNELL),
    "V1": entry(
        {"has_face_image": True},
        {
            "model": "fal-ai/flux-1.1/image-to-image",
            "image": "data:image/jpeg;base64,/9j/4AAQ...(87416 base64 chars)",
            "num_inference_steps": 7,
            "guidance_scale": 3.5,
            "strength": 0.65,
        },
    ),
    "V2 with a picture": entry(
        {"has_face_image": True, "has_image_url": True, "image_url": URL},
        {"model": "fal-ai/flux/schnell", "image_url": URL, "strength": 0.65, "num_inference_steps": 7},
    ),
    "V2 without": entry({"has_image_url": False, "image_url": None}, SCHNELL),
    "V3": entry({}, {**FLUX_2, "image_urls": [URL], "strength": 0.65}),
    "V4 with a picture": entry(
        {"has_image_url": True, "image_url": URL}, {**GENERAL, "loras": ["https://x/l.bin"]}, **I2I
    ),
    "V4 without": entry({"has_image_url": False, "image_url": None}, SCHNELL, **T2I),
    "V5": entry({"has_image_url": True, "image_url": URL}, GENERAL, **I2I),
    "V6": entry(
        {"has_image_url": True, "image_url": URL},
        {**FLUX_2, "image_urls": [URL], "image_strength": 0.5},
        **I2I,
    ),
    "V7": entry(
        {"has_image_url": True, "image_url": URL, "request_format": "multipart/form-data"},
        {
            **FLUX_2,
            "image_urls": [URL] * 3,
            "image_strength": 0.67,
            "width": 720,
            "height": 1280,
            "negative_prompt": "",
        },
        **I2I,
    ),
    "V8": entry(
        {"has_image_url": False, "image_url": None, "request_format": "unknown"},
        {**STAGING, "ip_adapters": [{"image_url": URL, "scale": 0.7}]},
        **I2I,
    ),
    "V8 without identity": entry({"image_url": None}, {**STAGING, "ip_adapters": []}, **I2I),
    "ours": entry(
        {"has_image_url": True, "image_url": URL},
        {**GENERAL, "strength": 0.5},
        **I2I,
        request_id="5f0c",
        outcome="switched",
        decision={"mode": "image-to-image", "model": GENERAL["model"], "reason": "IMAGE_TO_IMAGE_SELECTED"},
        upload={"status": 200, "bucket": "public"},
        sent={"prompt": "a woman in a studio", "image_url": URL},
        status=200,
        fal_request_id=None,
    ),
    "unknown keys": entry({"x": [1]}, {**GENERAL, "y": None}, **I2I, z={"deep": [{}]}),
}

MISSING = object()
MISTAKES = [
    ("/timestamp", MISSING, "", "'timestamp' is missing"),
    ("/timestamp", 1768113330, "/timestamp", "'timestamp' is a number, not a string"),
    (
        "/timestamp",
        "yesterday",
        "/timestamp",
        "'timestamp' is 'yesterday'; it must be an ISO 8601 date and time such as 2026-01-11T06:35:30",
    ),
    ("/request", MISSING, "", "'request' is missing"),
    ("/request", [], "/request", "'request' is an array, not an object"),
    ("/fal_request", MISSING, "", "'fal_request' is missing"),
    ("/fal_request", "x", "/fal_request", "'fal_request' is a string, not an object"),
    ("/fal_request/model", MISSING, "/fal_request", "'model' is missing"),
    ("/fal_request/model", None, "/fal_request/model", "'model' is null, not a string"),
    ("/fal_request/model", "", "/fal_request/model", "'model' is empty"),
    (
        "/request/has_face_image",
        "no",
        "/request/has_face_image",
        "'has_face_image' is a string, not true or false",
    ),
    ("/request/has_image_url", 0, "/request/has_image_url", "'has_image_url' is a number, not true or false"),
    ("/request/image_url", 5, "/request/image_url", "'image_url' is a number, not a string or null"),
    (
        "/fal_request/image_url",
        [URL],
        "/fal_request/image_url",
        "'image_url' is an array, not a string or null",
    ),
    ("/fal_request/image_urls", URL, "/fal_request/image_urls", "'image_urls' is a string, not an array"),
    (
        "/fal_request/image_urls",
        [URL, None],
        "/fal_request/image_urls/1",
        "item 1 of 'image_urls' is null, not a string",
    ),
    (
        "/fal_request/num_inference_steps",
        7.5,
        "/fal_request/num_inference_steps",
        "'num_inference_steps' is the number 7.5, not a whole number",
    ),
    (
        "/fal_request/guidance_scale",
        "3.5",
        "/fal_request/guidance_scale",
        "'guidance_scale' is a string, not a number",
    ),
    ("/fal_request/strength", True, "/fal_request/strength", "'strength' is true, not a number"),
    (
        "/fal_request/image_strength",
        None,
        "/fal_request/image_strength",
        "'image_strength' is null, not a number",
    ),
    (
        "/generation_mode",
        "img2img",
        "/generation_mode",
        "'generation_mode' is 'img2img'; it must be one of 'image-to-image', 'text-to-image'",
    ),
]


def broken(place: str, value: object) -> dict[str, Any]:
    document = copy.deepcopy(ERAS["V5"])
    *owners, key = place[1:].split("/")
    target = document
    for owner in owners:
        target = target[owner]
    if value is MISSING:
        del target[key]
    else:
        target[key] = value
    return document


def pointed(document: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def value_at(text: str, fault: schema.SchemaFault) -> Any:
    """What stands at the line and column of a fault."""
    line = text.split("\n")[fault.line - 1 :]
    rest = "\n".join(line)[fault.column - 1 :]
    return json.JSONDecoder().raw_decode(rest)[0]


# The schemas themselves.


@pytest.mark.parametrize("name", schema.names())
def test_every_schema_keeps_to_its_metaschema(name: str) -> None:
    document = schema.load(name)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(document)
    jsonschema_rs.meta.validate(document)
    assert json.loads(schema.text(name)) == document


def test_every_schema_has_its_own_id() -> None:
    ids = [schema.load(name)["$id"] for name in schema.names()]
    assert ids == [f"urn:diagnose-generation:{name.replace('fal/', 'fal:', 1)}" for name in schema.names()]
    assert len(set(ids)) == len(ids)


def test_every_schema_file_has_a_name() -> None:
    files = {file.name for file in (ROOT / "schemas").rglob("*.json")}
    assert len(files) == len(schema.names())


@pytest.mark.parametrize("name", ["prompt_log", "diagnosis", "profile", "case"])
def test_every_property_is_described_in_one_line(name: str) -> None:
    document = schema.load(name)

    def described(inner: Any) -> bool:
        if "$ref" in inner and "description" not in inner:
            return "description" in document["$defs"][inner["$ref"].rsplit("/", 1)[1]]
        return "\n" not in inner["description"]

    def walk(inner: Any) -> None:
        if isinstance(inner, dict):
            owners = inner.get("properties", {})
            # Rows of a fixed order and conditions only narrow what is described elsewhere.
            for key, value in owners.items():
                if not set(value) <= {"const", "enum", "minItems", "type"} or "description" in value:
                    assert described(value), key
            for value in inner.values():
                walk(value)
        elif isinstance(inner, list):
            for value in inner:
                walk(value)

    walk(document)


@pytest.mark.parametrize("name", ["promptlog", "fal/fal-ai/flux/schnel", "", "fal/", "../prompt_log", "entry"])
def test_an_unknown_schema_names_the_nearest(name: str) -> None:
    with pytest.raises(UnknownName, match=r"did you mean|known are"):
        schema.text(name)
    with pytest.raises(UnknownName):
        schema.validate(b"{}", name)


# fal's models.


@pytest.mark.parametrize(
    ("model", "mode", "image_key", "required"),
    [
        ("fal-ai/flux-general/image-to-image", "image-to-image", "image_url", {"prompt", "image_url"}),
        ("fal-ai/flux-general", "text-to-image", None, {"prompt"}),
        ("fal-ai/flux/schnell", "text-to-image", None, {"prompt"}),
        ("fal-ai/flux/dev/image-to-image", "image-to-image", "image_url", {"prompt", "image_url"}),
        ("fal-ai/flux-2/lora/edit", "image-to-image", "image_urls", {"prompt", "image_urls"}),
        ("fal-ai/flux-lora/image-to-image", "image-to-image", "image_url", {"prompt", "image_url"}),
        ("fal-ai/flux-pro/kontext", "image-to-image", "image_url", {"prompt", "image_url"}),
        ("fal-ai/nano-banana/edit", "image-to-image", "image_urls", {"prompt", "image_urls"}),
    ],
)
def test_a_fal_schema_says_how_the_picture_goes_in(model: str, mode: str, image_key: str, required: set[str]) -> None:
    known = schema.fal_input(model)
    assert known is not None
    assert (known["x-model"], known["x-mode"], known["x-image-key"]) == (model, mode, image_key)
    assert set(known["required"]) == required
    assert required <= set(known["properties"])
    assert known["x-date"].startswith("2026-08")
    assert known["x-source"]
    assert "image_strength" not in known["properties"]
    assert model in schema.known_fal_models()


@pytest.mark.parametrize(
    ("model", "key", "facts"),
    [
        ("fal-ai/flux-general/image-to-image", "strength", {"default": 0.85, "minimum": 0.01, "maximum": 1}),
        (
            "fal-ai/flux-general/image-to-image",
            "num_inference_steps",
            {"default": 28, "minimum": 1, "maximum": 50},
        ),
        (
            "fal-ai/flux-general/image-to-image",
            "guidance_scale",
            {"default": 3.5, "minimum": 0, "maximum": 20},
        ),
        (
            "fal-ai/flux-general/image-to-image",
            "reference_strength",
            {"default": 0.65, "minimum": -3, "maximum": 3},
        ),
        ("fal-ai/flux-general/image-to-image", "num_images", {"default": 1, "minimum": 1, "maximum": 10}),
        ("fal-ai/flux/schnell", "num_inference_steps", {"default": 4, "minimum": 1, "maximum": 12}),
        ("fal-ai/flux/schnell", "guidance_scale", {"default": 3.5, "minimum": 1, "maximum": 20}),
        ("fal-ai/flux/dev/image-to-image", "strength", {"default": 0.95, "minimum": 0.01, "maximum": 1}),
        (
            "fal-ai/flux/dev/image-to-image",
            "num_inference_steps",
            {"default": 40, "minimum": 10, "maximum": 50},
        ),
        ("fal-ai/flux-2/lora/edit", "guidance_scale", {"default": 2.5, "minimum": 0, "maximum": 20}),
        ("fal-ai/flux-2/lora/edit", "num_inference_steps", {"default": 28, "minimum": 4, "maximum": 50}),
        ("fal-ai/flux-2/lora/edit", "image_urls", {"maxItems": 4}),
        ("fal-ai/flux-lora/image-to-image", "strength", {"default": 0.85, "minimum": 0.01, "maximum": 1}),
        ("fal-ai/flux-lora/image-to-image", "guidance_scale", {"default": 3.5, "minimum": 0, "maximum": 35}),
        (
            "fal-ai/flux-pro/kontext",
            "safety_tolerance",
            {"default": "2", "enum": ["1", "2", "3", "4", "5", "6"]},
        ),
        ("fal-ai/nano-banana/edit", "aspect_ratio", {"default": "auto"}),
    ],
)
def test_a_fal_schema_holds_the_models_facts(model: str, key: str, facts: dict[str, Any]) -> None:
    known = schema.fal_input(model)
    assert known is not None
    stated = known["properties"][key]
    assert {name: stated[name] for name in facts} == facts
    bounds = {"default", "minimum", "maximum", "enum"}
    assert bounds & set(stated) <= set(facts)


@pytest.mark.parametrize(
    ("model", "absent"),
    [
        ("fal-ai/flux-general", {"image_url", "strength"}),
        ("fal-ai/flux/schnell", {"image_url", "strength", "negative_prompt", "loras"}),
        ("fal-ai/flux/dev/image-to-image", {"image_size", "negative_prompt", "loras"}),
        ("fal-ai/flux-2/lora/edit", {"strength", "negative_prompt", "width", "height", "image_url"}),
        ("fal-ai/flux-pro/kontext", {"strength", "num_inference_steps", "image_size"}),
        ("fal-ai/nano-banana/edit", {"image_url", "strength", "num_inference_steps", "guidance_scale"}),
    ],
)
def test_a_fal_schema_lacks_what_the_model_does_not_read(model: str, absent: set[str]) -> None:
    known = schema.fal_input(model)
    assert known is not None
    assert not absent & set(known["properties"])


def test_the_number_of_keys_is_that_of_fals_own_types() -> None:
    counted = {model: len((schema.fal_input(model) or {})["properties"]) for model in schema.known_fal_models()}
    assert counted["fal-ai/flux-general/image-to-image"] == 35
    assert counted["fal-ai/flux-general"] == 33
    assert counted["fal-ai/flux-2/lora/edit"] == 13
    assert counted["fal-ai/nano-banana/edit"] == 9


@pytest.mark.parametrize(
    "model",
    [
        "",
        "fal-ai",
        "fal-ai/none",
        "../prompt_log",
        "fal-ai/../flux/schnell",
        "/fal-ai/flux/schnell",
        "fal-ai//flux/schnell",
        "fal-ai/flux/schnell/",
        "fal-ai--flux/schnell",
        "fal-ai\\flux\\schnell",
        "fal-ai/flux/schnell\x00",
        "fal-ai/flux/schnell\n",
        "FAL-AI/flux/schnell",
        "fal-ai/" + "x" * 100_000,
        "fal-ai/" + "x" * 190,
    ],
)
def test_a_model_that_is_not_known_is_none_whatever_its_name(model: str) -> None:
    assert schema.fal_input(model) is None


# Prompt-log entries.


@pytest.mark.parametrize("era", ERAS)
def test_every_era_is_accepted(era: str) -> None:
    assert schema.entry_fault(ERAS[era]) is None
    assert schema.validate(json.dumps(ERAS[era]).encode(), "prompt_log").valid


def test_a_file_of_all_eras_is_accepted() -> None:
    every = list(ERAS.values())
    text = json.dumps(every, indent=2, ensure_ascii=False)
    for data in (
        text.encode(),
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        text.replace("\n", "\r\n").encode(),
    ):
        assert schema.validate(data, "prompt_log") == schema.Validation(True, (), 0)
    lines = "\n".join(map(json.dumps, every))
    assert schema.validate(lines.encode(), "prompt_log").valid
    assert schema.validate(b"[]", "prompt_log").valid


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-01-11T06:35:30",
        "2026-01-11 06:35:30.1",
        "2026-01-11T06:35:30Z",
        "2026-01-11T06:35:30+07:00",
        "2026-01-11T06:35",
    ],
)
def test_a_time_may_be_naive_or_have_a_zone(timestamp: str) -> None:
    assert schema.entry_fault({**ERAS["V5"], "timestamp": timestamp}) is None


@pytest.mark.parametrize(("place", "value", "pointer", "message"), MISTAKES)
def test_a_mistake_in_an_entry_is_named(place: str, value: object, pointer: str, message: str) -> None:
    assert schema.entry_fault(broken(place, value)) == (pointer, message)


@pytest.mark.parametrize(("value", "kind"), [(3, "a number"), ([], "an array"), (None, "null"), ("x", "a string")])
def test_an_entry_that_is_no_object_is_named(value: object, kind: str) -> None:
    assert schema.entry_fault(value) == ("", f"the entry is {kind}, not an object")


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(("place", "value", "pointer", "message"), MISTAKES)
def test_a_mistake_in_a_file_is_placed(
    place: str, value: object, pointer: str, message: str, indent: int | None
) -> None:
    document = [ERAS["V8"], broken(place, value), ERAS["ours"]]
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    judged = schema.validate(text.encode(), "prompt_log")
    assert not judged.valid
    assert judged.total == 1
    (fault,) = judged.errors
    assert (fault.pointer, fault.message) == (f"/1{pointer}", message)
    assert value_at(text, fault) == pointed(document, fault.pointer)


def test_line_and_column_are_those_an_editor_shows() -> None:
    text = (
        '\ufeff[\r\n  {"timestamp": "2026-01-11T06:35:30", "request": {"é": "ü", "has_face_image": 3},\r\n'
        '   "fal_request": {"model": "m"}}]'
    )
    (fault,) = schema.validate(text.encode(), "prompt_log").errors
    assert (fault.pointer, fault.line, fault.column) == ("/0/request/has_face_image", 2, 80)


def test_json_lines_are_judged_line_by_line() -> None:
    lines = [
        json.dumps(ERAS["V5"]),
        "",
        json.dumps(broken("/fal_request/model", 3)),
        json.dumps(ERAS["V4 without"])[:-1],
        "7",
    ]
    judged = schema.validate("\n".join(lines).encode(), "prompt_log")
    assert judged.total == 3
    assert {(fault.pointer, fault.line) for fault in judged.errors} == {
        ("/1/fal_request/model", 3),
        ("/2", 4),
        ("/3", 5),
    }
    wrong = next(fault for fault in judged.errors if fault.line == 3)
    assert value_at("\n".join(lines), wrong) == 3


def test_what_is_most_wrong_comes_first_and_the_rest_is_counted() -> None:
    document = [broken("/fal_request/model", 3) for _ in range(5000)] + [17]
    judged = schema.validate(json.dumps(document).encode(), "prompt_log")
    assert judged.total == 5001
    assert len(judged.errors) == schema.LISTED
    document = [broken("/fal_request/model", 3), 17]
    judged = schema.validate(json.dumps(document).encode(), "prompt_log")
    assert [fault.pointer for fault in judged.errors] == ["/1", "/0/fal_request/model"]


@pytest.mark.parametrize(
    ("data", "line", "column", "message"),
    [
        (b"", 1, 1, "the file is empty; expected a JSON document"),
        (b" \n ", 1, 1, "the file is empty; expected a JSON document"),
        (b"[\n  1,\nx]", 3, 1, "expected a value, found 'x]'"),
        (b"[1 2]", 1, 4, "expected ',' or a closing bracket, found '2]'"),
        (b'{"a" 1}', 1, 6, "expected ':' after the key, found '1}'"),
        (b"{'a': 1}", 1, 2, "expected a key in double quotes, found \"'a': 1}\""),
        (b"[1, 2", 1, 6, "expected ',' or a closing bracket, found the end of the file"),
        (b'["abc', 1, 2, "expected a closing '\"' to the string that starts here"),
        (b"[] []", 1, 4, "expected the end of the document, found '[]'"),
        (b'["\\x"]', 1, 3, "not JSON: invalid \\escape"),
        (b'["NaN",\n NaN]', 2, 2, "expected a value, found NaN, which is not JSON"),
        (b'["ok",\n "\xe9"]', 2, 3, "byte 9 is not UTF-8: save the file as UTF-8"),
    ],
)
def test_what_is_not_json_is_one_error(data: bytes, line: int, column: int, message: str) -> None:
    judged = schema.validate(data, "prompt_log")
    assert judged == schema.Validation(False, (schema.SchemaFault("", line, column, message),), 1)


# Other documents.


def diagnosis() -> dict[str, Any]:
    seen = {
        "kind": "storage.upload",
        "source": "backend.log:214",
        "witness": "wire",
        "fields": {"status": 404},
    }
    remedy = {"title": "Create the bucket", "steps": ["Open the dashboard"], "command": None, "safe": True}
    root = {"check": "bucket_missing", "link": "upload", "message": "m", "evidence": [seen], "remedy": remedy}
    questions = (
        "backend_restarted image_uploaded console_clean init_image_url_yes model_right "
        "image_url_in_payload strength_in_payload"
    )
    links = "request decode upload image_url selection payload generation"
    return {
        "schema_version": 1,
        "profile": "seed",
        "subject": {"entry": 3, "timestamp": "2026-01-11T06:35:30", "source": "prompt_log.json#/3"},
        "outcome": "not_switched",
        "generation": "succeeded",
        "intended": False,
        "decision": {
            "mode": "text-to-image",
            "model": "fal-ai/flux/schnell",
            "expected_model": "fal-ai/flux-general/image-to-image",
            "reason": "PREREQUISITE_FAILED",
            "prerequisite": "upload",
        },
        "root": root,
        "suspects": [],
        "deeper": ["storage_key_role"],
        "interval": ["decode", "image_url"],
        "chain": [{"link": link, "status": "not_reached", "findings": []} for link in links.split()],
        "because": ["model_not_switched", "bucket_missing"],
        "counterfactual": {
            "changes": ["the bucket exists"],
            "then": {"mode": "image-to-image", "model": "fal-ai/flux-general/image-to-image"},
            "verified_by": "fal_service.py:7",
            "next_blockers": [],
        },
        "conflicts": [
            {
                "fact": "model",
                "witnesses": [
                    {"value": "a", "source": "backend.log:3", "witness": "wire"},
                    {"value": "b", "source": "prompt_log.json#/3", "witness": "forecast"},
                ],
            }
        ],
        "coverage": {"observed": 6, "of": 7, "missing": [{"link": "request", "evidence": "e", "how": "h"}]},
        "checklist": [{"id": one, "status": "unknown", "checks": [], "evidence": []} for one in questions.split()],
        "findings": [{**root, "status": "fail"}],
        "notes": ["read as JSON Lines"],
    }


def test_a_diagnosis_is_accepted_alone_and_among_all() -> None:
    assert schema.validate(json.dumps(diagnosis()).encode(), "diagnosis").valid
    assert schema.validate(json.dumps({"diagnoses": [diagnosis()] * 2}).encode(), "diagnosis").valid
    nothing = {"root": None, "interval": None, "counterfactual": None, "intended": None}
    assert schema.validate(json.dumps({**diagnosis(), **nothing}).encode(), "diagnosis").valid


@pytest.mark.parametrize(
    ("change", "pointer", "message"),
    [
        (
            {"outcome": "fine"},
            "/outcome",
            "'outcome' is 'fine'; it must be one of 'switched', 'not_switched'",
        ),
        ({"rot": None}, "/rot", "unknown key 'rot'; did you mean 'root'?"),
        ({"interval": ["decode"]}, "/interval", "'interval' holds 1 items; it must hold at least 2"),
        ({"chain": []}, "/chain", "'chain' holds 0 items; it must hold at least 7"),
        ({"chain": diagnosis()["chain"] * 2}, "/chain", "'chain' holds 14 items; it must hold at most 7"),
        ({"schema_version": 2}, "/schema_version", "'schema_version' is 2; it must be 1"),
        (
            {"checklist": diagnosis()["checklist"][::-1]},
            "/checklist/0/id",
            "'id' is 'strength_in_payload'; it must be",
        ),
        (
            {"findings": [{**diagnosis()["findings"][0], "evidence": []}]},
            "/findings/0/evidence",
            "'evidence' holds 0",
        ),
        (
            {"findings": [{**diagnosis()["findings"][0], "remedy": None}]},
            "/findings/0/remedy",
            "'remedy' is null, not",
        ),
    ],
)
def test_a_mistake_in_a_diagnosis_is_named(change: dict[str, Any], pointer: str, message: str) -> None:
    document = {**diagnosis(), **change}
    text = json.dumps(document, indent=1)
    fault = schema.validate(text.encode(), "diagnosis").errors[0]
    assert fault.pointer == pointer
    assert fault.message.startswith(message)
    assert value_at(text, fault) == pointed(document, pointer)
    among = schema.validate(json.dumps({"diagnoses": [document]}).encode(), "diagnosis").errors[0]
    assert among.pointer == f"/diagnoses/0{pointer}"


MODELS = {"image_to_image": "a/b", "text_to_image": "a/c"}


def test_a_case_holds_a_profile_and_evidence() -> None:
    case = {
        "schema_version": 1,
        "profile": {"models": MODELS, "payload": {"image_key": "image_urls", "strength": 0.5, "raw": True}},
        "subject": {"entry": None, "timestamp": None, "source": None},
        "evidence": diagnosis()["root"]["evidence"],
    }
    assert schema.validate(json.dumps(case).encode(), "case").valid
    case["profile"] = {"models": MODELS, "storage": {"bukcet": "x"}}
    (fault,) = schema.validate(json.dumps(case).encode(), "case").errors
    assert (fault.pointer, fault.message) == (
        "/profile/storage/bukcet",
        "unknown key 'bukcet'; did you mean 'bucket'?",
    )


def test_the_built_in_profiles_keep_to_their_schema() -> None:
    from diagnose import profile

    for table in profile.BUILT_IN.values():
        assert schema.validate(json.dumps(table).encode(), "profile").valid


@pytest.mark.parametrize(
    ("table", "pointer"),
    [
        ({}, ""),
        ({"models": {"image_to_image": "a"}}, "/models"),
        ({"models": MODELS, "fallback": "stop"}, "/fallback"),
        ({"models": MODELS, "payload": {"x": [1]}}, "/payload/x"),
        ({"models": MODELS, "request": {"image_fields": "image"}}, "/request/image_fields"),
        ({"models": MODELS, "nmae": "x"}, "/nmae"),
    ],
)
def test_a_mistake_in_a_profile_is_named(table: dict[str, Any], pointer: str) -> None:
    assert schema.validate(json.dumps(table).encode(), "profile").errors[0].pointer == pointer


# Hostile and endless documents.


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "[" * 200_000 + "]" * 200_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        "[" * 500 + "]" * 500,
        '{"timestamp": ' + "9" * 20_000 + "}",
        '{"timestamp": 1e999, "request": -1e999}',
        '{"generation_mode": ' + "[" * 900 + "]" * 900 + "}",
        '{"fal_request": {"model": "\\ud800"}}',
        '{"\\ud800": 1}',
        '["' + "x\\\\" * 1_000_000 + '"]',
    ],
)
def test_no_document_is_too_much(text: str) -> None:
    for name in ("prompt_log", "diagnosis", "case", "profile"):
        judged = schema.validate(text.encode(), name)
        assert not judged.valid
        assert all(fault.line == 1 and fault.column >= 1 for fault in judged.errors)
        assert all(f"{fault.pointer}{fault.message}".encode() for fault in judged.errors)


def test_no_entry_is_too_much() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    endless = {"timestamp": 10**6000, "request": deep, "fal_request": deep, "generation_mode": deep}
    assert schema.entry_fault(endless) == ("/timestamp", "'timestamp' is a number, not a string")
    assert schema.entry_fault({**ERAS["V5"], "other": [deep, 10**6000, float("nan"), "\ud800"]}) is None
    assert schema.entry_fault({1: 2}) == ("", "'timestamp' is missing")
    assert schema.entry_fault(object()) is not None


def test_a_message_holds_no_control_character_and_no_long_value() -> None:
    hostile = "\x1b[31m" + "x" * 100_000
    fault = schema.entry_fault({**ERAS["V5"], "timestamp": hostile})
    assert fault is not None
    assert "\x1b" not in fault[1]
    assert len(fault[1]) < 200


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
quiet = settings(deadline=None, database=None)


def places(document: Any, path: schema.Place = ()) -> dict[schema.Place, Any]:
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    found = {path: document}
    for key, value in inner:
        found |= places(value, (*path, key))
    return found


@quiet
@given(documents, st.sampled_from([None, 0, 2]), st.booleans())
def test_the_scanner_finds_what_json_reads(document: Any, indent: int | None, ascii_only: bool) -> None:
    text = " \n" + json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    expected = places(document)
    offsets = schema.locate(text, set(expected))
    assert set(offsets) == set(expected)
    for path, offset in offsets.items():
        assert json.JSONDecoder().raw_decode(text, offset)[0] == expected[path]


def test_of_a_key_written_twice_the_scanner_finds_the_one_json_reads() -> None:
    text = '{"a": {"b": 1}, "a": {"b": 2}, "c": 3}'
    assert {path: text[at] for path, at in schema.locate(text, {("a", "b"), ("c",)}).items()} == {
        ("a", "b"): "2",
        ("c",): "3",
    }


@quiet
@given(st.binary(max_size=60) | documents.map(lambda document: json.dumps(document).encode()))
def test_no_bytes_raise(data: bytes) -> None:
    for name in ("prompt_log", "profile"):
        judged = schema.validate(data, name)
        assert judged.valid == (judged.total == 0) == (not judged.errors)


@quiet
@given(st.sampled_from(sorted(ERAS)), st.data())
def test_both_validators_count_the_same_errors(era: str, data: st.DataObject) -> None:
    document = copy.deepcopy(ERAS[era])
    for owner in (document, document["request"], document["fal_request"]):
        for key in data.draw(st.lists(st.sampled_from(sorted(owner)), max_size=3)):
            owner[key] = data.draw(documents)
    worded = schema._worded("entry", document)
    assert len(worded) == schema._count("entry", document)
    assert (schema.entry_fault(document) is None) == (not worded)


# The door.


def run_beside(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False, cwd=folder)


REPORT = """
from diagnose.errors import StrangerPackage
from diagnose.siblings import sibling
try:
    sibling("schemas")
except StrangerPackage as error:
    print(error.message)
"""


def test_our_own_packages_are_let_in() -> None:
    assert Path(str(sibling("schemas").__file__)).parent == ROOT / "schemas"
    assert sibling("checks").__name__ == "checks"


@pytest.mark.parametrize("file", ["schemas/__init__.py", "schemas.py"])
def test_a_strangers_package_is_refused_before_it_runs(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("print('stranger')")
    said = run_beside(tmp_path, REPORT).stdout
    assert said.startswith(f"another package named 'schemas' stands before ours: {tmp_path}")
    assert "diagnose" in said
    assert "PYTHONPATH" in said
    assert "\nstranger" not in f"\n{said}"


def test_a_stranger_already_imported_is_refused(tmp_path: Path) -> None:
    (tmp_path / "schemas.py").write_text("")
    assert "another package" in run_beside(tmp_path, "import schemas" + REPORT).stdout


def test_a_missing_package_is_said_to_be_missing() -> None:
    with pytest.raises(StrangerPackage, match="'no_such_sibling' is missing"):
        sibling("no_such_sibling")


def test_a_valid_entry_costs_no_import_of_jsonschema(tmp_path: Path) -> None:
    code = (
        "from diagnose import schema\n"
        f"assert schema.entry_fault({ERAS['V5']!r}) is None\n"
        "print([name for name in ('jsonschema', 'difflib', 'importlib.resources') if name in sys.modules])"
    )
    done = run_beside(tmp_path, code)
    assert done.stdout.strip() == "[]", done.stderr


PLAIN_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 99),
    st.floats(allow_nan=False),
    st.text(max_size=4),
    st.just([]),
    st.just({}),
)


@given(
    st.fixed_dictionaries({"timestamp": st.sampled_from(["2026-01-11T06:35:30.766926", "2026-01-11T06:35:30", "2026-13-11T06:35:30", "x", 3])})
    .flatmap(lambda head: st.tuples(
        st.just(head),
        st.dictionaries(st.sampled_from([*sorted(schema._ENTRY_TYPES), "generation_mode", "other"]), st.one_of(PLAIN_VALUES, st.just("text-to-image"))),
        st.dictionaries(st.sampled_from([*schema._REQUEST_TYPES, "has_face_image", "has_other"]), PLAIN_VALUES),
        st.dictionaries(st.sampled_from(list(schema._FAL_TYPES)), PLAIN_VALUES),
    ))
)  # fmt: skip
def test_what_is_plainly_valid_is_valid(parts) -> None:
    head, top, request, sent = parts
    entry = {**head, **top, "request": request, "fal_request": {"model": "fal-ai/flux/schnell", **sent}}
    if schema._plainly_valid(entry):
        assert schema._exact(schema._ENTRY).is_valid(entry)


def test_the_seed_s_own_entry_is_plainly_valid() -> None:
    request = {
        "has_face_image": True,
        "has_product_images": False,
        "num_product_images": 0,
        "image_url": None,
        "has_image_url": False,
    }
    sent = {
        "model": "fal-ai/flux/schnell",
        "prompt": "x",
        "num_inference_steps": 7,
        "guidance_scale": 3.5,
        "image_size": "square_hd",
    }
    entry = {
        "timestamp": "2026-01-11T06:35:30.766926",
        "request": request,
        "fal_request": sent,
        "generation_mode": "text-to-image",
    }
    assert schema._plainly_valid(entry)
