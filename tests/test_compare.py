"""Two generations, or two histories, side by side: what differs, and whether it matters."""

from __future__ import annotations

import builtins
import copy
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from diagnose import collect, examine, explain, normalise, schema
from diagnose import compare as compared
from diagnose import profile as profiles
from diagnose.cli import cli, main
from diagnose.cli.compare import compare as command
from diagnose.collect import Bundle, place, prompt_log
from diagnose.model import Case, Diagnosis, Evidence, Link, Profile, Status, Witness
from diagnose.model.comparison import Comparison, Difference, Expected, Given, HistoryComparison, Told, as_expected
from diagnose.model.history import History, Share, Tally
from diagnose.render import compare as shown
from diagnose.render import compare_document
from diagnose.render.words import Words

SEED = profiles.build(profiles.BUILT_IN["seed"], "seed")
EDIT = profiles.build(profiles.BUILT_IN["flux-2-edit"], "flux-2-edit")
IMAGE_MODEL, TEXT_MODEL = SEED.image_to_image, SEED.text_to_image
PROJECT = "abcdefghijklmnopqrst"
OTHER_PROJECT = "zyxwvutsrqponmlkjihg"
PICTURE = "41ab5971-76a0-41b6-b1dd-0af0f8e98f3c"
OTHER_PICTURE = "f66be726-11a0-4f7e-9c55-2b6f0d1ac5d4"

Entry = dict[str, Any]


def address(project: str = PROJECT, picture: str = PICTURE) -> str:
    return f"https://{project}.supabase.co/storage/v1/object/public/IMAGES_UPLOAD/user/face/{picture}.jpg"


def switched(url: str | None = None, when: str = "2026-01-11T06:35:30.766926", prompt: str = "a woman") -> Entry:
    url = url or address()
    return {
        "timestamp": when,
        "request": {
            "has_product_images": False,
            "num_product_images": 0,
            "has_face_image": True,
            "has_background_image": False,
            "has_image_url": True,
            "image_url": url,
            "request_format": "application/json",
            "original_prompt": prompt,
        },
        "enhanced_prompt": prompt,
        "fal_request": {
            "model": IMAGE_MODEL,
            "prompt": prompt,
            "num_inference_steps": 7,
            "guidance_scale": 3.5,
            "image_strength": 0.5,
            "image_url": url,
        },
        "prompt_length": len(prompt),
        "generation_mode": "image-to-image",
    }


def not_switched(face: bool = True) -> Entry:
    entry = switched(when="2026-01-11T07:00:00.000001")
    entry["request"] |= {"has_face_image": face, "has_image_url": False, "image_url": None}
    entry["fal_request"] = {
        "model": TEXT_MODEL,
        "prompt": "a woman",
        "num_inference_steps": 7,
        "guidance_scale": 3.5,
        "image_size": "square_hd",
    }
    entry["generation_mode"] = "text-to-image"
    return entry


def log(project: str = PROJECT, picture: str = PICTURE, bucket_exists: bool = True) -> str:
    """The lines of one request, as the seed's backend writes them."""
    storage = f"https://{project}.supabase.co/storage/v1/object"
    path = f"IMAGES_UPLOAD/user/face/{picture}.jpg"
    url = f"{storage}/public/{path}"
    model = IMAGE_MODEL if bucket_exists else TEXT_MODEL
    mode = "image-to-image" if bucket_exists else "text-to-image"
    sent = {"image_url": url, "image_strength": 0.5} if bucket_exists else {"image_size": "square_hd"}
    body = json.dumps({"prompt": "a woman", **sent, "num_inference_steps": 7, "guidance_scale": 3.5}, indent=2)
    lines = [
        "INFO:main:📥 Images received from frontend:",
        "INFO:main:   - Face image: Yes",
        "INFO:main:🔄 Preprocessing face_image (target aspect: 9:16)...",
        "INFO:image_preprocessor:✅ Input validation passed: 900x1200px, format: JPEG",
        "INFO:main:📤 Uploading preprocessed face_image to Supabase Storage (size: 41662 bytes)",
        f'INFO:httpx:HTTP Request: POST {storage}/{path} "HTTP/2 {"200 OK" if bucket_exists else "400 Bad Request"}"',
    ]
    if bucket_exists:
        lines += [
            "INFO:supabase_service:✅ Image uploaded successfully to Supabase Storage",
            f"INFO:supabase_service:   Public URL: {url}",
        ]
    else:
        lines += [
            (
                "ERROR:supabase_service:❌ Supabase upload failed: {'statusCode': 404, 'error': 'Bucket not found', "
                "'message': 'Bucket not found'}"
            ),
            "WARNING:main:Failed to upload face_image. Continuing without image.",
        ]
    lines += [
        f"INFO:main:Generation Mode: {mode}",
        f"INFO:main:Model: {model}",
        f"INFO:main:Init Image URL: {'YES' if bucket_exists else 'NO'}",
        "INFO:fal_service:📤 FULL REQUEST PAYLOAD ke Fal.ai:",
        f"INFO:fal_service:{body}",
        f'INFO:httpx:HTTP Request: POST https://fal.run/{model} "HTTP/1.1 200 OK"',
        "INFO:fal_service:✅ Extracted 1 image URL(s) from Fal.ai response",
        'INFO:     127.0.0.1:60476 - "POST /api/generate-image HTTP/1.1" 200 OK',
    ]
    return "\n".join(lines) + "\n"


def of_entry(entry: Mapping[str, Any], profile: Profile = SEED, name: str = "prompt_log.json") -> Given:
    read = prompt_log.read(json.dumps([entry]).encode())
    bundle = Bundle(prompt_logs=[(name, read)], given={"prompt_log"})
    return Given(name, normalise.cases(bundle, profile)[0])


def of_log(text: str, profile: Profile = SEED, name: str = "backend.log") -> Given:
    bundle = collect.gather([], stdin=text.encode())
    return Given(name, normalise.cases(bundle, profile)[0])


def laid(a: Entry | str, b: Entry | str, profile: Profile = SEED) -> Comparison:
    """Two entries, logs, or one of each, side by side."""
    one, two = (of_log(x, profile) if isinstance(x, str) else of_entry(x, profile) for x in (a, b))
    return compared.generations(one, two)


def named(c: Comparison) -> dict[str, Difference]:
    return {d.field: d for d in c.differences}


def that_matter(c: Comparison) -> set[str]:
    return {d.field for d in c.differences if d.matters}


# --- entries ----------------------------------------------------------------------------------------------------------


def test_an_entry_beside_itself_differs_in_nothing() -> None:
    c = laid(switched(), switched())
    assert c.same and not c.differences and c.parted is None
    assert {"fal_request.model", "request.image_url", "timestamp"} <= {same.field for same in c.equal}


def test_two_good_generations_differ_only_in_what_does_not_matter() -> None:
    c = laid(switched(), switched(address(OTHER_PROJECT, OTHER_PICTURE), "2026-02-01T00:00:00", "a man in a hat"))
    assert c.same and not that_matter(c)
    assert set(named(c)) == {
        "timestamp", "request.image_url", "request.original_prompt", "enhanced_prompt",
        "fal_request.prompt", "fal_request.image_url", "prompt_length",
    }  # fmt: skip
    assert all(d.matters is False and d.trial is None for d in c.differences)


def test_a_switched_and_an_unswitched_entry_part_where_the_address_is_missing() -> None:
    c = laid(switched(), not_switched())
    assert not c.same and c.parted is Link.IMAGE_URL
    model = named(c)["fal_request.model"]
    assert (model.a, model.b) == (
        Told(IMAGE_MODEL, "prompt_log.json#/0/fal_request/model", Witness.FORECAST),
        Told(TEXT_MODEL, "prompt_log.json#/0/fal_request/model", Witness.FORECAST),
    )
    assert model.trial is not None and model.trial.changes[0] == ("outcome", "outcome", "switched", "not_switched")
    assert {"request.image_url", "fal_request.image_url", "fal_request.image_strength"} <= that_matter(c)
    assert named(c)["timestamp"].matters is False
    assert named(c)["fal_request.image_strength"].b == Told(
        None, "prompt_log.json#/0/fal_request/image_strength", Witness.FORECAST, absent=True
    )


def test_what_decides_stands_first_and_in_the_order_of_the_chain() -> None:
    c = laid(switched(), not_switched(face=False))
    groups = [(d.matters, d.trial is not None and d.trial.decides) for d in c.differences]
    assert groups == sorted(groups, key=[(True, True), (True, False), (None, False), (False, False)].index)
    links = [list(Link).index(d.link) for d in c.differences if d.trial is not None and d.trial.decides]
    assert links == sorted(links) and len(set(links)) > 2
    assert c.parted is Link.REQUEST and c.differences[0].field == "request.has_face_image"


@pytest.mark.parametrize("other", [not_switched(), not_switched(face=False)], ids=["lost", "none sent"])
def test_what_matters_is_what_the_checks_say_of_the_edited_entry(other: Entry) -> None:
    """The same trials made by hand: one field replaced, the entry read anew, the answer compared."""

    def answer(entry: Entry) -> tuple[object, ...]:
        d = explain.diagnose(of_entry(entry).case)
        root = d.root.check if d.root else None
        return (d.outcome, d.generation, root, [s.status for s in d.chain], [f.status for f in d.findings])

    def replaced(entry: Entry, donor: Entry, field: str) -> Entry:
        edited: Any = copy.deepcopy(entry)
        *outer, last = field.split(".")
        place_, theirs = edited, donor
        for key in outer:
            place_, theirs = place_[key], theirs[key]
        place_.pop(last, None)
        if last in theirs:
            place_[last] = theirs[last]
        return edited  # type: ignore[no-any-return]

    c = laid(switched(), other)
    for d in c.differences:
        into_a = answer(replaced(switched(), other, d.field)) != answer(switched())
        into_b = answer(replaced(other, switched(), d.field)) != answer(other)
        assert d.matters is (into_a or into_b), d.field


def test_it_matters_the_same_whichever_stands_first() -> None:
    one, two = laid(switched(), not_switched()), laid(not_switched(), switched())
    assert that_matter(one) == that_matter(two)
    assert {f for f, d in named(one).items() if d.matters is False} == {
        f for f, d in named(two).items() if d.matters is False
    }


def test_either_of_two_flags_matters_where_one_would_do() -> None:
    """With both images received, taking one away changes nothing; with none received, one changes all."""
    both, none = switched(), not_switched(face=False)
    both["request"]["has_background_image"] = True
    found = named(laid(both, none))
    for field in ("request.has_face_image", "request.has_background_image"):
        trial = found[field].trial
        assert found[field].matters and trial is not None and trial.into == "b"


def test_another_picture_does_not_matter_but_one_that_fal_cannot_fetch_does() -> None:
    near = laid(switched(), switched(address(picture=OTHER_PICTURE)))
    far = laid(switched(), switched("http://localhost:8000/uploads/one.jpg"))
    assert named(near)["request.image_url"].matters is False
    assert not far.same and named(far)["request.image_url"].matters


def test_an_address_that_contradicts_the_other_one_is_no_renaming() -> None:
    torn = switched(address(picture=OTHER_PICTURE))
    torn["request"] |= {"has_image_url": False}
    c = laid(switched(), torn)
    assert named(c)["request.has_image_url"].matters
    assert named(c)["fal_request.image_url"].matters is False


def test_a_number_beside_the_profile_matters_and_says_what_is_expected() -> None:
    drifted = switched()
    drifted["fal_request"] |= {"image_strength": 0.9, "seed": 7}
    c = laid(switched(), drifted)
    strength = named(c)["fal_request.image_strength"]
    assert strength.matters and strength.expected == (Expected("value", 0.5), Expected("value", 0.5))
    assert strength.trial is not None
    assert ("root", "root", None, "strength_wrong") in strength.trial.changes
    assert as_expected(strength.expected[0], strength.a) and as_expected(strength.expected[1], strength.b) is False


def test_the_same_number_in_another_writing_is_no_difference_and_a_truth_value_is_none() -> None:
    floats, truth = switched(), switched()
    floats["fal_request"]["num_inference_steps"] = 7.0
    truth["request"]["num_product_images"] = False
    assert not laid(switched(), floats).differences
    assert set(named(laid(switched(), truth))) == {"request.num_product_images"}


def test_the_trial_of_a_model_knows_the_schemas_of_both_sides() -> None:
    """Nothing but its schema says that this model takes a picture."""
    other = switched()
    other["fal_request"]["model"] = "fal-ai/flux-pro/kontext"
    trial = named(laid(switched(), other))["fal_request.model"].trial
    assert trial is not None and trial.into == "a"
    assert trial.changes[0] == ("outcome", "outcome", "switched", "wrong_model")


def test_a_warning_is_no_parting() -> None:
    plain = profiles.build({**profiles.BUILT_IN["seed"], "payload": {"image_key": "image_url"}}, "plain")
    c = laid(log(), log().replace("image_strength", "strength"), plain)
    payload = next(step for step in c.chain if step.link is Link.PAYLOAD)
    assert (payload.a, payload.b) == (Status.WARN, Status.PASS)
    assert c.parted is None and c.same


def test_an_object_beside_something_else_is_one_difference() -> None:
    other = switched()
    other["request"] = "lost"
    found = named(laid(switched(), other))
    assert found["request"].b is not None and found["request"].b.value == "lost" and found["request"].matters


def test_what_differs_together_is_found_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that shows only when two of three flags are changed: no one alone tells of it."""
    honest = explain.diagnose
    flags = ("has_face_image", "has_background_image", "has_product_images")

    def by_majority(case: Case, *rest: Any, **options: Any) -> Diagnosis:
        entry = next(e for e in case.evidence if e.kind == "record.entry")["value"]
        most = sum(entry["request"][flag] is True for flag in flags) >= 2
        return honest(case, *rest, **options)._replace(outcome="switched" if most else "wrong_model")

    monkeypatch.setattr(explain, "diagnose", by_majority)
    a, b = switched(), switched()
    a["request"] |= dict.fromkeys(flags, True)
    b["request"] |= dict.fromkeys(flags, False)
    b["request"]["has_face_image"] = False
    c = laid(a, b)
    joint = [d for d in c.differences if d.trial is not None and d.trial.together]
    assert not c.same
    assert {d.field.rpartition(".")[2] for d in joint} <= set(flags) and len(joint) == 2
    assert all(d.trial is not None and d.trial.changes[0].what == "outcome" for d in joint)


def test_an_excerpt_is_not_blamed_for_what_was_not_pasted() -> None:
    pasted = 'Status log:\n```json\n{"generation_mode": "text-to-image", "model": "%s", "request": {"has_face_image": false}}\n```\n'
    one, two = (of_log(pasted % model) for model in (TEXT_MODEL, IMAGE_MODEL))
    assert not any(e.kind == "record.invalid" for given in (one, two) for e in given.case.evidence)
    c = compared.generations(one, two)
    assert not any(x.name == "prompt_log_invalid" for d in c.differences if d.trial for x in d.trial.changes)
    assert named(c)["fal_request.model"].matters


# --- logs -------------------------------------------------------------------------------------------------------------


def test_logs_are_compared_by_their_facts_with_places() -> None:
    c = laid(log(), log(OTHER_PROJECT, OTHER_PICTURE, bucket_exists=False))
    assert c.parted is Link.UPLOAD and not c.same
    assert (c.a.cause, c.b.cause) == (None, "bucket_missing")
    found = named(c)
    status = found["storage.upload.status"]
    assert status.a is not None and status.b is not None
    assert (status.a.value, status.b.value, status.a.source, status.a.witness) == (200, 400, "stdin:6", Witness.WIRE)
    assert {"storage.upload.status", "storage.error", "fal.call.model", "payload.image_url"} <= that_matter(c)
    assert found["storage.error"].a is None
    for field in ("storage.upload.host", "storage.upload.path", "payload.image_size"):
        assert found[field].matters is False, field
    assert found["fal.call.model"].link is Link.SELECTION


def test_two_good_logs_of_other_projects_differ_in_names_only() -> None:
    c = laid(log(), log(OTHER_PROJECT, OTHER_PICTURE))
    assert c.same and c.differences and not that_matter(c)


def test_what_only_one_side_can_tell_is_not_known_to_matter() -> None:
    c = laid(log(), switched())
    assert c.same
    found = named(c)
    assert found["decode.done"].matters is None and found["decode.done"].b is None
    assert found["storage.upload"].matters is None


def test_a_request_that_was_refused_is_known_to_have_called_nothing() -> None:
    lines = [line for line in log().split("\n") if "fal" not in line and "Images received" not in line]
    refused = "\n".join(lines[:2]) + '\nINFO:     127.0.0.1:6 - "POST /api/generate-image HTTP/1.1" 403 Forbidden\n'
    c = laid(log(), refused)
    assert c.b.diagnosis.outcome == "refused" and c.b.diagnosis.generation == "not_attempted"
    assert named(c)["fal.call"].b is None and named(c)["fal.call"].matters


def test_an_entry_beside_a_log_is_compared_by_facts() -> None:
    c = laid(log(), not_switched())
    assert {"model.model", "image_url.url"} <= that_matter(c)
    assert not any(field.startswith("fal_request.") for field in named(c))


def test_weaker_witnesses_that_change_nothing_are_no_difference() -> None:
    one = of_log(log())
    also = Evidence("fal.result", "backend.log:99", Witness.LOGGED, {"pictures": 2, "url": None})
    c = compared.generations(one, one._replace(case=replace(one.case, evidence=(*one.case.evidence, also))))
    assert "fal.result.pictures" not in named(c)
    assert "fal.result.pictures" in {same.field for same in c.equal}


def test_a_name_that_stands_for_two_others_is_not_taken_for_one() -> None:
    """B uploads to one project and names an address of another; A does both in one."""
    torn = log(OTHER_PROJECT).replace(
        f"Public URL: https://{OTHER_PROJECT}", "Public URL: https://qqqqqqqqqqwwwwwwwwww"
    )
    torn = torn.replace(f'"image_url": "https://{OTHER_PROJECT}', '"image_url": "https://qqqqqqqqqqwwwwwwwwww')
    c = laid(log(), torn)
    assert c.b.cause == "storage_project_mismatch"
    assert {"storage.upload.host", "image_url.url"} <= that_matter(c)


# --- expected and actual ----------------------------------------------------------------------------------------------


def table(c: Comparison) -> dict[str, tuple[bool | None, bool | None]]:
    return {row.field: (as_expected(row.expected[0], row.a), as_expected(row.expected[1], row.b)) for row in c.table}


def test_the_table_has_the_seed_documents_fields() -> None:
    assert table(laid(switched(), not_switched())) == {
        "generation_mode": (True, False),
        "model": (True, False),
        "payload.image_url": (True, False),
        "payload.image_strength": (True, False),
        "payload.num_inference_steps": (True, True),
        "payload.guidance_scale": (True, True),
        "request.image_url": (True, False),
    }


def test_without_the_photo_something_else_is_expected() -> None:
    c = laid(switched(), not_switched(face=False))
    rows = {row.field: row for row in c.table}
    assert (c.a.with_photo, c.b.with_photo) == (True, False)
    assert rows["model"].expected == (Expected("value", IMAGE_MODEL), Expected("value", TEXT_MODEL))
    assert rows["payload.image_url"].expected == (Expected("present"), Expected("absent"))
    assert rows["payload.image_strength"].expected == (Expected("value", 0.5), None)
    assert all(right in (True, None) for _, right in table(c).values())


def test_a_profile_that_refuses_expects_no_model_without_a_photo() -> None:
    assert compared.expectation(EDIT, False, "model") == Expected("absent")
    assert compared.expectation(EDIT, False, "generation_mode") == Expected("absent")
    assert compared.expectation(EDIT, False, "request.has_image_url") == Expected("value", False)
    assert compared.expectation(EDIT, True, "payload.image_urls") == Expected("present")
    assert compared.expectation(EDIT, True, "payload.image_strength") == Expected("value", 0.67)
    assert compared.expectation(EDIT, True, "payload.prompt") is None


@pytest.mark.parametrize(
    ("expected", "told", "right"),
    [
        (None, Told(1, "x", Witness.WIRE), None),
        (Expected("value", 7), None, None),
        (Expected("value", 7), Told(7.0, "x", Witness.WIRE), True),
        (Expected("value", 7), Told(None, "x", Witness.WIRE, absent=True), False),
        (Expected("present"), Told("", "x", Witness.WIRE), False),
        (Expected("absent"), Told(None, "x", Witness.WIRE), True),
        (Expected("absent"), Told("u", "x", Witness.WIRE), False),
    ],
)
def test_a_value_is_as_expected_or_not_or_nobody_can_tell(
    expected: Expected | None, told: Told | None, right: bool | None
) -> None:
    assert as_expected(expected, told) is right


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_what_is_too_much_is_counted_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared, "MAX_TRIED", 5)
    monkeypatch.setattr(compared, "MAX_FIELDS", 86)
    extra = [{f"k{i}": i * sign for i in range(70)} for sign in (1, -1)]
    a, b = {"extra": extra[0], **switched()}, {"extra": extra[1], **not_switched()}
    monkeypatch.setattr(compared, "MAX_KEYS", 100)
    c = laid(a, b)
    assert c.untried == len(c.differences) - 5 and c.left_out > 0
    assert sum(d.matters is None for d in c.differences) == c.untried
    assert all(d.matters is None for field, d in named(c).items() if field.startswith("extra."))
    assert named(c)["timestamp"].matters is False, "fields that the checks read are tried first"
    said = screen(c)
    assert "too many to try out" in said and "too many to be compared" in said and "Not tried out" in said


def test_a_wide_object_is_one_field_and_a_deep_one_ends() -> None:
    a, b = switched(), switched()
    b["wide"] = {f"k{i}": i for i in range(5000)}
    deep: Any = 1
    for _ in range(30):
        deep = {"d": deep}
    a["deep"], b["deep"] = deep, {"d": 2}
    found = named(laid(a, b))
    assert found["wide"].matters is False and len(found) == 2
    compare_document.dumps(laid(a, b))


# --- screens ----------------------------------------------------------------------------------------------------------

HOSTILE = "\x1b[31mred[/red][bold]x\x07\u202egnp.exe {0} %s\nnew line"


def hostile() -> Entry:
    entry = switched(prompt=HOSTILE * 50)
    entry["request"] |= {"token": "hunter2-hunter2-9", HOSTILE: HOSTILE, "big": 10**400, "no": None}
    entry["fal_request"] |= {
        "image_size": {"width": HOSTILE},
        "x" * 300: [1, "ユ" * 60, {"a": HOSTILE}],
        "image_strength": True,
    }
    return entry


PAIRS: dict[str, Callable[[], Comparison]] = {
    "entries": lambda: laid(switched(), not_switched()),
    "by design": lambda: laid(switched(), not_switched(face=False)),
    "same": lambda: laid(switched(), switched(address(picture=OTHER_PICTURE))),
    "logs": lambda: laid(log(), log(OTHER_PROJECT, OTHER_PICTURE, bucket_exists=False)),
    "mixed": lambda: laid(log(), not_switched()),
    "hostile": lambda: laid(hostile(), not_switched()),
    "nothing": lambda: laid(switched(), "INFO: nothing of any picture\n"),
}


def screen(
    c: Comparison | HistoryComparison,
    width: int = 80,
    language: str = "en",
    encoding: str = "utf-8",
    verbose: bool = False,
) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    shown.show(c, console, Words(language), verbose)
    file.flush()
    assert isinstance(file.buffer, io.BytesIO)
    return file.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize(
    ("language", "encoding"), [("en", "utf-8"), ("id", "utf-8"), ("en", "ascii"), ("id", "cp1252")]
)
@pytest.mark.parametrize("pair", PAIRS)
def test_no_line_is_wider_than_the_screen_and_nothing_commands_it(
    pair: str, width: int, language: str, encoding: str
) -> None:
    said = screen(PAIRS[pair](), width, language, encoding, verbose=True)
    for line in said.split("\n"):
        assert cell_len(line) <= width, line
    assert all(c.isprintable() or c == "\n" for c in said)
    assert "hunter2" not in said


def test_the_first_line_says_whether_they_are_the_same_and_where_they_part() -> None:
    said = {name: screen(pair(), 120).split("\n", 1)[0] for name, pair in PAIRS.items()}
    assert said["logs"] == (
        "They differ: A switched, B not_switched (bucket_missing); they part at 'image uploaded to Storage'"
    )
    assert said["same"] == "Both came to the same: switched"
    assert said["nothing"].startswith("Whether they are the same cannot be told: A switched, B undetermined")


def test_the_screen_tells_what_matters_before_what_does_not() -> None:
    said = screen(PAIRS["logs"](), 120)
    order = (
        "What makes the difference",
        "Chain",
        "Expected and actual",
        "What makes no difference",
        "are the same; -v",
    )
    places = [said.index(title) for title in order]
    assert places == sorted(places)
    assert "400 (stdin:6)" in said
    assert "    > with B's value, A changes: outcome switched -> not_switched" in said.split("\n")
    assert "here they part" in said


def test_what_is_the_same_is_counted_and_listed_with_verbose() -> None:
    c = PAIRS["entries"]()
    assert f"{len(c.equal)} fields are the same" in screen(c)
    assert "fal_request.guidance_scale" not in screen(c).split("Expected and actual")[1].split("request.image_url")[1]
    assert "The same in both" in screen(c, verbose=True) and "fal_request.guidance_scale" in screen(c, verbose=True)


def test_a_narrow_screen_stacks_what_a_wide_one_lays_side_by_side() -> None:
    assert "    B: 400 (stdin:6)" in screen(PAIRS["logs"](), 40).split("\n")
    assert "    B: 400 (stdin:6)" not in screen(PAIRS["logs"](), 80).split("\n")


def test_indonesian_uses_the_terms_of_the_seed_document() -> None:
    said = screen(PAIRS["entries"](), 120, "id")
    assert said.startswith("Berbeda: A switched") and "Expected vs Actual" in said and "What makes" not in said


def test_of_several_differences_that_do_not_matter_few_are_shown_unless_asked() -> None:
    a, b = switched(), switched()
    a["extra"], b["extra"] = {f"k{i}": i for i in range(30)}, {f"k{i}": i + 1 for i in range(30)}
    c = laid(a, b)
    assert "and 22 more; -v lists them" in screen(c) and "extra.k29" in screen(c, verbose=True)


# --- the document -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS)
def test_the_document_keeps_to_its_schema(pair: str) -> None:
    text = compare_document.dumps(PAIRS[pair]())
    assert schema.validate(text.encode(), "compare").errors == () and text.isascii()
    assert "hunter2" not in text and "0" * 300 not in text


def test_the_document_says_what_the_comparison_says() -> None:
    c = PAIRS["entries"]()
    d = compare_document.document(c)
    assert (d["same"], d["parted"], d["a"]["outcome"], d["b"]["cause"]) == (
        False, "image_url", "switched", c.b.cause)  # fmt: skip
    model = next(x for x in d["differences"] if x["field"] == "fal_request.model")
    assert model["matters"] is True and model["trial"]["into"] == "a"
    assert model["a"]["value"] == IMAGE_MODEL and model["expected"]["b"] == {"state": "value", "value": IMAGE_MODEL}
    assert len(d["equal"]) == len(c.equal) and next(x["link"] for x in d["chain"]) == "request"


def test_every_key_of_the_schema_is_described() -> None:
    def undescribed(node: Any, path: str) -> list[str]:
        found = []
        if isinstance(node, dict):
            for key, value in node.get("properties", {}).items():
                target = schema.load("compare")["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
                if "description" not in value and "description" not in target and "const" not in value:
                    found.append(f"{path}.{key}")
            for key, value in node.items():
                found += undescribed(value, f"{path}.{key}")
        elif isinstance(node, list):
            for value in node:
                found += undescribed(value, path)
        return found

    loaded = schema.load("compare")
    condition = loaded.pop("if")
    assert condition and loaded["$id"] == "urn:diagnose-generation:compare"
    assert [
        p for p in undescribed(loaded, "") if not p.endswith(("expected.properties.a", "expected.properties.b"))
    ] == []


@pytest.mark.parametrize(
    "change", [{"same": None}, {"a": {}}, {"extra": 1}, {"differences": [{}]}, {"parted": "record"}]
)
def test_another_document_is_refused(change: dict[str, Any]) -> None:
    document = {**compare_document.document(PAIRS["entries"]()), **change}
    assert not schema.validate(json.dumps(document).encode(), "compare").valid


# --- histories --------------------------------------------------------------------------------------------------------


def history(entries: int, roots: Mapping[str, int], symptoms: Mapping[str, int] | None = None, **rest: Any) -> History:
    bad = sum(roots.values()) + sum((symptoms or {}).values())
    outcomes = {"switched": Tally(entries - bad), "not_switched": Tally(bad)}
    return History(
        "seed",
        entries=entries,
        bad=Tally(bad),
        outcomes={name: tally for name, tally in outcomes.items() if tally.count},
        roots={name: Tally(count) for name, count in roots.items()},
        symptoms={name: Tally(count) for name, count in (symptoms or {}).items()},
        **rest,
    )


def test_the_shift_of_each_root_is_told_and_tested() -> None:
    pytest.importorskip("scipy")
    a = history(100, {"bucket_missing": 1, "fal_rate_limited": 5}, {"upload_result_lost": 2})
    b = history(200, {"bucket_missing": 90, "fal_rate_limited": 11})
    c = compared.histories("a", a, "b", b)
    shifts = {(shift.kind, shift.name): shift for shift in c.shifts}
    root = shifts["root", "bucket_missing"]
    assert (root.a, root.b) == (Share(1, 100), Share(90, 200))
    assert root.points == pytest.approx(44) and root.ratio == pytest.approx(45) and root.beyond_chance
    assert root.p_value is not None and root.p_value < 1e-12
    rare = shifts["root", "fal_rate_limited"]
    assert rare.beyond_chance is False and rare.p_value == pytest.approx(1.0, abs=0.3)
    gone = shifts["symptom", "upload_result_lost"]
    assert gone.b == Share(0, 200) and gone.ratio == 0 and gone.p_value == pytest.approx(0.1104, abs=5e-4)
    assert c.same is False and c.tested


def test_the_sharpest_shift_that_is_more_than_chance_stands_first() -> None:
    pytest.importorskip("scipy")
    a = history(10_000, {"bucket_missing": 10, "fal_key_rejected": 500})
    b = history(10_000, {"bucket_missing": 900, "fal_key_rejected": 510, "backend_error": 3})
    c = compared.histories("a", a, "b", b)
    sizes = [abs(shift.points) for shift in c.shifts if shift.beyond_chance]
    assert sizes and sizes == sorted(sizes, reverse=True)
    assert [bool(shift.beyond_chance) for shift in c.shifts] == sorted(
        (bool(s.beyond_chance) for s in c.shifts), reverse=True
    )
    new = next(shift for shift in c.shifts if shift.name == "backend_error")
    assert new.ratio is None and new.beyond_chance is False


def test_one_row_of_many_is_not_taken_for_a_shift_because_there_are_many() -> None:
    """p is 0.03 in one of a dozen rows: by chance that happens often."""
    pytest.importorskip("scipy")
    names = [f"check_{i}" for i in range(10)]
    a = history(1000, {"odd": 10, **dict.fromkeys(names, 20)})
    b = history(1000, {"odd": 23, **dict.fromkeys(names, 20)})
    odd = next(shift for shift in compared.histories("a", a, "b", b).shifts if shift.name == "odd")
    assert odd.p_value is not None and 0.01 < odd.p_value < 0.05 and odd.beyond_chance is False


def test_large_numbers_are_tested_as_well() -> None:
    pytest.importorskip("scipy")
    a, b = history(10_000_000, {"bucket_missing": 100_000}), history(10_000_000, {"bucket_missing": 101_500})
    root = next(s for s in compared.histories("a", a, "b", b).shifts if s.kind == "root")
    assert root.p_value is not None and 1e-5 < root.p_value < 5e-3


def test_without_scipy_shifts_are_told_and_chance_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = builtins.__import__

    def refusing(name: str, *rest: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "scipy":
            raise ImportError(name)
        return honest(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refusing)
    c = compared.histories("a", history(10, {"bucket_missing": 1}), "b", history(10, {"bucket_missing": 9}))
    assert not c.tested and c.same is None
    assert all(shift.p_value is None and shift.beyond_chance is None for shift in c.shifts)
    assert "pip install 'diagnose-generation[onset]'" in screen(c, 200)
    assert schema.validate(compare_document.dumps(c).encode(), "compare").valid
    equal = compared.histories("a", history(10, {"x": 1}), "b", history(20, {"x": 2}))
    assert equal.same is True, "equal shares need no test"


def test_a_history_of_nothing_is_compared_with_nothing() -> None:
    c = compared.histories("a", History("seed"), "b", history(10, {"bucket_missing": 1}))
    assert c.same is None and all(shift.p_value is None for shift in c.shifts)
    assert compared.histories("a", History("seed"), "b", History("seed")).same is None
    assert screen(c).startswith("They cannot be compared")
    assert schema.validate(compare_document.dumps(c).encode(), "compare").valid


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_screen_of_two_histories_fits(width: int) -> None:
    a = history(1000, {"bucket_missing": 10, HOSTILE: 3}, notes=(HOSTILE,))
    b = history(2_000_000, {"bucket_missing": 900_000}, {"upload_result_lost": 5})
    c = compared.histories(HOSTILE * 20, a, "b.jsonl", b)
    for language in ("en", "id"):
        said = screen(c, width, language)
        assert all(cell_len(line) <= width for line in said.split("\n")) and "\x1b" not in said
    assert screen(c, 200).startswith(
        "They differ: not sound 1.3% in A, 45.0% in B (+43.7 points); most of all bucket_missing"
    )
    assert schema.validate(compare_document.dumps(c).encode(), "compare").valid


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("log.json", place.Spot("log.json")),
        ("log.json#/3", place.Spot("log.json", entry=3)),
        ("log.json#-1", place.Spot("log.json", entry=-1)),
        ("log.json#/3/request/image_url", place.Spot("log.json", entry=3)),
        ("log.json@1234", place.Spot("log.json", byte=1234)),
        ("log.json@1234:56", place.Spot("log.json", byte=1234, line=56)),
        ("log.json@1234#/0", place.Spot("log.json", entry=0, byte=1234)),
        ("log.json:214", place.Spot("log.json", line=214)),
        ("odd#1/b.json#/2", place.Spot("odd#1/b.json", entry=2)),
        ("odd#1/b.json", place.Spot("odd#1/b.json")),
        ("-", place.Spot("-")),
        ("missing.json#/3", place.Spot("missing.json#/3")),
        ("x" * 5000 + "#1", place.Spot("x" * 5000 + "#1")),
        ("nul\0#1", place.Spot("nul\0#1")),
    ],
)
def test_a_place_is_read_as_answers_print_it(
    said: str, meant: place.Spot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd#1").mkdir()
    for name in ("log.json", "odd#1/b.json"):
        (tmp_path / name).write_text("[]")
    assert place.spot(said) == meant


def entries(count: int) -> list[Entry]:
    return [switched(when=f"2026-01-01T00:00:{i:02d}", prompt=f'prompt {i} {{"x": [') for i in range(count)]


def when(at: place.Spot, stdin: bytes | None = None) -> str | None:
    bundle = place.read(at, stdin)
    selector = normalise.Selector(entry=at.entry if at.byte is None else None)
    return examine.examine(bundle, SEED, selector).cases[0].subject.timestamp


@pytest.mark.parametrize("form", ["array", "compact", "lines"])
@pytest.mark.parametrize("large", [False, True])
def test_any_entry_is_found_by_its_index_however_large_the_file(
    form: str, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(prompt_log, "TAIL_THRESHOLD", 100)
        monkeypatch.setattr(place, "WINDOW", 700)
    file = tmp_path / "log.json"
    written = entries(40)
    if form == "lines":
        file.write_text("\n".join(json.dumps(e) + "\n" for e in written))
    else:
        file.write_text(json.dumps(written, indent=2 if form == "array" else None))
    for index in (0, 7, 39, -1, -40):
        assert when(place.Spot(str(file), entry=index)) == written[index]["timestamp"], index
    with pytest.raises(Exception, match="no such entry"):
        when(place.Spot(str(file), entry=40))


@pytest.mark.parametrize("form", ["array", "lines"])
def test_an_entry_is_found_at_or_after_a_byte(form: str, tmp_path: Path) -> None:
    file = tmp_path / "log.json"
    written = entries(5)
    lines = [json.dumps(e) for e in written]
    text = "[" + ",\n".join(lines) + "]" if form == "array" else "\n".join(lines) + "\n"
    file.write_text(text)
    third = text.index(lines[2])
    assert when(place.Spot(str(file), byte=third)) == written[2]["timestamp"]
    assert when(place.Spot(str(file), byte=third + 1)) == written[3]["timestamp"]
    assert when(place.Spot(str(file), byte=0)) == written[0]["timestamp"]
    with pytest.raises(Exception, match="no generation stands at or after byte 999999"):
        when(place.Spot(str(file), byte=999999))


@pytest.mark.parametrize("window", [300, 1 << 20])
def test_an_attempt_of_a_log_is_found_by_line_and_by_byte(
    window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "WINDOW", window)
    file = tmp_path / "backend.log"
    good, bad = log(), log(OTHER_PROJECT, OTHER_PICTURE, bucket_exists=False)
    file.write_text(good + bad + good, encoding="utf-8")
    many = good.count("\n")

    def outcome(at: place.Spot) -> str:
        return explain.diagnose(examine.examine(place.read(at), SEED, normalise.Selector(at.entry)).cases[0]).outcome

    start = len(good.encode())
    assert outcome(place.Spot(str(file), line=3)) == "switched"
    assert outcome(place.Spot(str(file), line=many + 4)) == "not_switched"
    assert outcome(place.Spot(str(file), byte=start)) == "not_switched"
    assert outcome(place.Spot(str(file), byte=start, line=many + 4)) == "switched"
    assert outcome(place.Spot(str(file), entry=1)) == "not_switched"
    assert outcome(place.Spot(str(file))) == "switched"


# --- the command ------------------------------------------------------------------------------------------------------


class Ran:
    """What the command left."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Ran]:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "NO_COLOR", "FORCE_COLOR", "DIAGNOSE_PROFILE", "DIAGNOSE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(cli.commands, "compare", command)
    Path("good.json").write_text(json.dumps([switched()]))
    Path("also.json").write_text(json.dumps([not_switched(), switched(address(picture=OTHER_PICTURE))]))
    Path("bad.json").write_text(json.dumps([not_switched()]))
    Path("empty.json").write_text("{}")
    Path("lines.txt").write_text("INFO: nothing of any picture\n")
    Path("backend.log").write_text(log(), encoding="utf-8")

    def ran(*arguments: object, stdin: bytes | None = None) -> Ran:
        monkeypatch.setattr(sys, "argv", ["diagnose", "compare", *map(str, arguments)])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return ran


@pytest.mark.parametrize(
    ("a", "b", "code"),
    [
        ("good.json", "also.json", 0),
        ("good.json", "bad.json", 1),
        ("good.json", "also.json#/0", 1),
        ("also.json#0", "bad.json#-1", 0),
        ("good.json", "backend.log", 0),
        ("good.json@1", "backend.log:5", 0),
        ("good.json", "empty.json", 4),
        ("nowhere.json", "good.json", 4),
        ("good.json", "also.json#/7", 4),
        ("good.json", "backend.log@999999", 4),
        ("-", "-", 2),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_exit_code_is_the_answer_in_both_formats(
    run: Callable[..., Ran], a: str, b: str, code: int, form: str
) -> None:
    ran = run(a, b, "--format", form)
    assert ran.code == code, ran.err
    if form == "json" and code != 2:
        assert schema.validate(ran.out.encode(), "compare").valid
        assert json.loads(ran.out)["a"]["name"] == a
    elif code in (2, 4):
        assert ran.out == "" and "Traceback" not in ran.err and ran.err.rstrip().count("\n") <= 3


def test_undetermined_is_an_exit_code_of_its_own(run: Callable[..., Ran]) -> None:
    torn = not_switched()
    del torn["fal_request"]["model"]
    Path("torn.json").write_text(json.dumps([torn]))
    ran = run("torn.json", "good.json", "--format", "json")
    assert ran.code == 3 and json.loads(ran.out)["a"]["outcome"] == "undetermined"


def test_standard_input_is_one_of_the_two(run: Callable[..., Ran]) -> None:
    text = json.dumps([not_switched(), switched()]).encode()
    assert run("-", "good.json", stdin=text).code == 0
    assert run("bad.json", "-", stdin=text).code == 1


def test_a_saved_case_is_judged_by_its_own_profile_unless_one_is_named(run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from diagnose import case_file

    case = replace(of_entry(switched()).case, profile=EDIT)
    Path("case.json").write_text(case_file.dumps(case))
    own = json.loads(run("case.json", "good.json", "--format", "json").out)
    named_ = json.loads(run("case.json", "good.json", "--profile", "seed", "--format", "json").out)
    assert (own["a"]["profile"], own["a"]["outcome"], own["b"]["profile"]) == ("flux-2-edit", "wrong_model", "seed")
    assert (named_["a"]["profile"], named_["same"]) == ("seed", True)
    assert "a saved case is one generation" in run("case.json#1", "good.json").err


def test_json_is_all_that_stands_in_stdout(run: Callable[..., Ran]) -> None:
    ran = run("good.json", "empty.json", "--format", "json", "-v")
    document = json.loads(ran.out)
    assert document["b"]["readable"] is False and "empty object" in " ".join(document["b"]["notes"])
    assert all(d["matters"] is None for d in document["differences"])
    missing = run("good.json", "nowhere.json", "--format", "json")
    assert json.loads(missing.out)["b"]["readable"] is False and "nowhere.json" in missing.err


def test_the_language_and_what_is_the_same_can_be_asked_for(run: Callable[..., Ran]) -> None:
    assert run("good.json", "bad.json", "--lang", "id").out.startswith("Berbeda:")
    assert "The same in both" in run("good.json", "bad.json", "-v").out
    assert "\x1b[" in run("good.json", "bad.json", "--color", "always").out
    assert "\x1b[" not in run("good.json", "bad.json", "--color", "never").out


def test_histories_are_counted_where_they_are_asked_for_or_patterns(
    run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    history_ = pytest.importorskip("diagnose.history")
    asked: list[list[str]] = []

    def survey(paths: list[str], profile: Profile) -> History:
        asked.append([*paths, profile.name])
        return history(100, {"bucket_missing": 50 if paths[0].startswith("a") else 1})

    monkeypatch.setattr(history_, "survey", survey, raising=False)
    pytest.importorskip("scipy")
    ran = run("--history", "also.json", "good.json", "--format", "json")
    assert ran.code == 1 and json.loads(ran.out)["compared"] == "histories"
    assert run("b*.json", "good.json").code == 0, "a pattern makes both histories"
    assert asked == [["also.json", "seed"], ["good.json", "seed"], ["b*.json", "seed"], ["good.json", "seed"]]
    Path("odd[1].json").write_text(json.dumps([switched()]))
    assert run("odd[1].json", "good.json").code == 0 and len(asked) == 4, "a file of this name is no pattern"
    assert run("--history", "-", "good.json").code == 2


def test_a_history_that_cannot_be_read_is_said(run: Callable[..., Ran]) -> None:
    assert run("--history", "nowhere/*.json", "good.json").code == 4
    ran = run("--history", "nowhere/*.json", "good.json", "--format", "json")
    assert ran.code == 4 and json.loads(ran.out)["a"]["entries"] == 0 and "nowhere" in ran.err


def test_the_help_says_the_rules(run: Callable[..., Ran]) -> None:
    said = " ".join(run("--help").out.split())
    for words in ("--history", "prompt_log.json#/3", "Exit codes: 0 both came to the same", "a pattern such as"):
        assert words in said


def test_two_runs_say_the_same_whatever_the_order_of_sets(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(log(), encoding="utf-8")
    (tmp_path / "b.log").write_text(log(OTHER_PROJECT, OTHER_PICTURE, bucket_exists=False), encoding="utf-8")
    script = "import sys; from diagnose.cli.compare import compare; compare(sys.argv[1:])"
    said = {
        subprocess.run(
            [sys.executable, "-c", script, "a.log", "b.log", "--format", "json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            check=False,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1 and json.loads(said.pop())["parted"] == "upload"


def test_a_link_that_one_side_does_not_show_is_no_parting() -> None:
    c = laid(log(), switched())
    unknown = [step for step in c.chain if Status.UNKNOWN in (step.a, step.b)]
    assert unknown and c.parted is None
