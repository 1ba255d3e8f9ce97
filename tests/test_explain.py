"""The answer: every rule of the contract in a test of its own, from evidence made by hand.

Every document that is made here is held against `schemas/diagnosis.schema.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from diagnose import cli, explain, registry, schema
from diagnose.model import Case, Evidence
from diagnose.render import document
from tests.cases_support import IMAGE_MODEL, TEXT_MODEL, case_of, seen

EDIT = "fal-ai/flux-2/lora/edit"
HOST = "qhwzvbnkdmtyrcxaeplo.supabase.co"
URL = f"https://{HOST}/storage/v1/object/public/public/u/face/1.jpg"
CHAIN = ["request", "decode", "upload", "image_url", "selection", "payload", "generation"]
QUESTIONS = [
    "backend_restarted",
    "image_uploaded",
    "console_clean",
    "init_image_url_yes",
    "model_right",
    "image_url_in_payload",
    "strength_in_payload",
]

# --- evidence ------------------------------------------------------------------------------------------------------------

SENT = seen(
    "request.body",
    "wire",
    "request.json#/body",
    format="json",
    images=[{"name": "face_image", "carrier": "data", "fault": None}],
)
NONE_SENT = seen("request.body", "wire", "request.json#/body", format="json", images=[])
JOINED = seen("joined", by="key")
RECEIVED = seen("request.received", images=1, names=["face"], by="log")
NONE_RECEIVED = seen("request.received", images=0, names=[], by="log")
DECODED = seen("decode.done", text="Input validation passed: 640x800px, format: JPEG")
TRIED = seen("storage.upload", "wire", "backend.log:31", host=HOST, bucket="public", path="u/face/1.jpg", status=400)
STORED = seen("storage.upload", "wire", "backend.log:31", host=HOST, bucket="public", path="u/face/1.jpg", status=200)
NO_BUCKET = seen(
    "storage.error",
    source="backend.log:32",
    status=404,
    error="Bucket not found",
    message="Bucket not found",
    code="NoSuchBucket",
)
ADDRESS = seen("image_url", source="backend.log:35", url=URL, origin="public URL")
NO_ADDRESS = seen("image_url", source="backend.log:35", url=None, origin="log")
SEED_BODY = {"prompt": "p", "image_url": URL, "image_strength": 0.5, "num_inference_steps": 7, "guidance_scale": 3.5}
PICTURE = seen(
    "answer",
    "wire",
    "response.json#/body",
    status=200,
    pictures=1,
    urls=["https://v3.fal.media/files/a/1.png"],
    html=False,
)
CONSTANTS = (
    seen(
        "source.model", "forecast", "fal_service.py:39", role="image_to_image", model=IMAGE_MODEL, name="IMAGE_TO_IMAGE"
    ),
    seen("source.model", "forecast", "fal_service.py:38", role="text_to_image", model=TEXT_MODEL, name="TEXT_TO_IMAGE"),
)


def payload(witness: str = "sent", model: str = IMAGE_MODEL, complete: bool = True, **body: Any) -> Evidence:
    whole = {key: value for key, value in {**SEED_BODY, **body}.items() if value is not None}
    return seen("payload", witness, "backend.log:44", body=whole, model=model, complete=complete)


def called(model: str = IMAGE_MODEL, status: int = 200, source: str = "backend.log:52", **more: Any) -> Evidence:
    return seen(
        "fal.call",
        "wire",
        source,
        **{"model": model, "status": status, "method": "POST", "queue": False, "final": True, **more},
    )


def announced(model: str, source: str = "backend.log:38") -> Evidence:
    return seen("model", "forecast", source, model=model, by="api")


def ended(status: int) -> Evidence:
    return seen("request.access", "wire", "backend.log:61", method="POST", path="/api/generate-image", status=status)


def chooses(with_image: str = IMAGE_MODEL, without_image: str = TEXT_MODEL) -> Evidence:
    fields = {"test": "init_image_url", "with_image": with_image, "without_image": without_image}
    return seen("source.choice", "forecast", "fal_service.py:7", **fields)


def takes(model: str = IMAGE_MODEL) -> Evidence:
    return seen("fal.schema", source=f"fal's input schema of {model}", model=model, schema=schema.fal_input(model))


SOUND = (SENT, JOINED, RECEIVED, DECODED, STORED, ADDRESS, payload(), called(), PICTURE, ended(200))
UPLOAD_REFUSED = (RECEIVED, DECODED, TRIED, NO_BUCKET, NO_ADDRESS)
FELL_BACK = (*UPLOAD_REFUSED, called(TEXT_MODEL), PICTURE, ended(200))
SWITCHED_OFF = (RECEIVED, DECODED, STORED, ADDRESS, called(TEXT_MODEL), PICTURE, ended(200))


# --- answering -----------------------------------------------------------------------------------------------------------


def valid(text: str) -> Any:
    """The document, held against its schema."""
    result = schema.validate(text.encode(), "diagnosis")
    assert result.valid, result.errors
    return json.loads(text)


def answer(*evidence: Evidence, profile: str = "seed", **override: Any) -> dict[str, Any]:
    found: dict[str, Any] = valid(
        document.dumps([explain.diagnose(case_of(*evidence, profile=profile, **override))], False)
    )
    return found


def root(found: dict[str, Any]) -> str | None:
    return None if found["root"] is None else str(found["root"]["check"])


def link(found: dict[str, Any], name: str) -> str:
    return next(str(state["status"]) for state in found["chain"] if state["link"] == name)


def status(found: dict[str, Any], check: str) -> str:
    return next(str(f["status"]) for f in found["findings"] if f["check"] == check)


def test_a_sound_run_is_sound() -> None:
    found = answer(*SOUND)
    assert (found["outcome"], found["generation"], found["intended"]) == ("switched", "succeeded", True)
    assert root(found) is None and found["suspects"] == [] and found["deeper"] == [] and found["because"] == []
    assert found["interval"] is None and found["counterfactual"] is None
    assert [state["status"] for state in found["chain"]] == ["pass"] * 7
    assert found["decision"] == {
        "mode": "image-to-image",
        "model": IMAGE_MODEL,
        "expected_model": IMAGE_MODEL,
        "reason": "IMAGE_TO_IMAGE_SELECTED",
        "prerequisite": None,
    }


def test_the_document_holds_every_part_and_every_check() -> None:
    found = answer()
    assert list(found) == [
        "schema_version", "profile", "subject", "outcome", "generation", "intended", "decision", "root", "suspects", "deeper",
        "interval", "chain", "because", "counterfactual", "conflicts", "coverage", "checklist", "findings",
    ]  # fmt: skip
    assert [state["link"] for state in found["chain"]] == CHAIN
    assert sorted(f["check"] for f in found["findings"]) == sorted(registry.by_id())


# --- link status ---------------------------------------------------------------------------------------------------------

PRODUCTS = [
    ("request", "an image field that arrived", (RECEIVED,)),
    ("decode", "a preprocessed picture", (DECODED,)),
    ("decode", "an uploaded picture", (STORED,)),
    ("upload", "2xx on the storage POST", (STORED,)),
    ("image_url", "a non-empty URL", (ADDRESS,)),
    ("selection", "the model really called", (called(status=422),)),
    ("payload", "the image key in what was sent", (payload(), called(status=422))),
    ("generation", "2xx from fal", (called(),)),
    ("generation", "pictures in the answer", (PICTURE,)),
]


@pytest.mark.parametrize(("name", "product", "evidence"), PRODUCTS, ids=[f"{p[0]}: {p[1]}" for p in PRODUCTS])
def test_a_link_passes_when_its_product_was_seen(name: str, product: str, evidence: tuple[Evidence, ...]) -> None:
    assert link(answer(*evidence), name) == "pass"


NO_PRODUCTS = [
    ("upload", "a refused upload", (TRIED,)),
    ("image_url", "an empty URL", (RECEIVED, NO_ADDRESS)),
    ("selection", "a model that was only announced", (announced(IMAGE_MODEL),)),
    ("payload", "a payload that was only forecast", (payload("forecast"), announced(IMAGE_MODEL))),
    ("payload", "a body without the image key", (payload(image_url=None), called())),
    ("generation", "a submit to fal's queue", (called(queue=True, final=False),)),
    ("generation", "an answer without pictures", (seen("answer", "wire", status=200, pictures=0, html=False),)),
]


@pytest.mark.parametrize(("name", "product", "evidence"), NO_PRODUCTS, ids=[f"{p[0]}: {p[1]}" for p in NO_PRODUCTS])
def test_it_does_not_pass_by(name: str, product: str, evidence: tuple[Evidence, ...]) -> None:
    assert link(answer(*evidence), name) != "pass"


def test_the_other_checks_of_a_link_whose_product_was_seen_are_excluded_as_causes() -> None:
    found = answer(RECEIVED, DECODED, STORED, NO_ADDRESS, called(TEXT_MODEL), PICTURE, ended(200))
    assert status(found, "storage_key_role") == "unknown" and status(found, "storage_project_mismatch") == "unknown"
    assert root(found) == "upload_result_lost" and found["deeper"] == [] and found["suspects"] == []


# --- interval ------------------------------------------------------------------------------------------------------------


def test_the_interval_runs_from_the_last_link_proved_good_to_the_first_proved_bad() -> None:
    assert answer(RECEIVED, NO_ADDRESS, called(TEXT_MODEL))["interval"] == ["request", "image_url"]
    assert answer(RECEIVED, DECODED, NO_ADDRESS, called(TEXT_MODEL))["interval"] == ["decode", "image_url"]


def test_neighbours_make_no_interval() -> None:
    assert answer(RECEIVED, DECODED, STORED, NO_ADDRESS, called(TEXT_MODEL))["interval"] is None
    assert answer(*FELL_BACK)["interval"] is None


def test_the_interval_stands_beside_a_known_root_too() -> None:
    found = answer(RECEIVED, TRIED, called(TEXT_MODEL), seen("storage.error", status=None, message="Bucket not found"))
    assert root(found) == "bucket_missing" and link(found, "decode") == "pass" and found["interval"] is None
    network = seen(
        "error",
        text="httpx.ConnectError: [Errno 111] Connection refused",
        stage="upload",
        service="storage",
        network=True,
    )
    lost = answer(RECEIVED, network, NO_ADDRESS, called(TEXT_MODEL))
    assert root(lost) == "storage_unavailable" and lost["interval"] == ["request", "upload"]


# --- root ----------------------------------------------------------------------------------------------------------------


def test_the_root_is_the_first_broken_links_most_specific_failing_check() -> None:
    found = answer(*FELL_BACK)
    assert (found["outcome"], found["generation"], found["intended"]) == ("not_switched", "succeeded", False)
    assert root(found) == "bucket_missing" and found["root"]["link"] == "upload"
    assert found["root"]["evidence"] and found["root"]["remedy"]["command"]
    assert found["suspects"] == []


def test_because_leads_from_the_symptom_down_to_the_root() -> None:
    found = answer(*FELL_BACK)
    assert found["because"] == ["model_not_switched", "bucket_missing"]


def test_specific_causes_suppress_generic_symptoms_and_keep_them() -> None:
    found = answer(*FELL_BACK)
    assert status(found, "upload_result_lost") == "fail" and root(found) == "bucket_missing"
    assert "upload_result_lost" in {f["check"] for f in found["findings"]}


def test_a_role_that_explains_the_refusal_is_the_root() -> None:
    policy = seen(
        "storage.error", status=403, message="new row violates row-level security policy", code="AccessDenied"
    )
    role = seen("env.setting", source=".env:3", name="SUPABASE_SERVICE_KEY", file=".env", shape="jwt", role="anon")
    found = answer(RECEIVED, DECODED, TRIED, policy, NO_ADDRESS, role, called(TEXT_MODEL), PICTURE)
    assert root(found) == "storage_key_role"
    assert found["because"][0] == "model_not_switched" and found["because"][-1] == "storage_key_role"
    assert status(found, "storage_policy_denied") == "fail"


def test_a_symptom_is_no_root_while_a_cause_of_it_is_open() -> None:
    found = answer(*SWITCHED_OFF)
    assert found["outcome"] == "not_switched" and status(found, "model_not_switched") == "fail"
    assert root(found) is None
    assert "model_not_switched" in found["suspects"] and "backend_stale" in found["suspects"]


def test_the_suspects_hold_no_cause_that_is_excluded() -> None:
    found = answer(*SWITCHED_OFF)
    passed = {f["check"] for f in found["findings"] if f["status"] in ("pass", "not_applicable")}
    assert passed and not passed & set(found["suspects"])


def test_a_symptom_is_the_root_when_every_cause_passed_or_does_not_apply() -> None:
    found = answer(*SWITCHED_OFF, *CONSTANTS, chooses(TEXT_MODEL, IMAGE_MODEL))
    causes = {check: status(found, check) for check in registry.by_id()["model_not_switched"].because}
    assert set(causes.values()) <= {"pass", "not_applicable"}, causes
    assert root(found) == "model_not_switched" and found["suspects"] == []


@pytest.mark.parametrize(
    ("check", "evidence", "excluding"),
    [
        ("upload_result_lost", (RECEIVED, NO_ADDRESS, called(TEXT_MODEL)), (DECODED, STORED)),
        ("wrong_target_model", (ADDRESS, payload(model=EDIT), called(EDIT), PICTURE),
         (seen("source.model", "forecast", "a.py:1", role="image_to_image", model=EDIT, name="M"),)),
    ],
)  # fmt: skip
def test_each_symptom_waits_for_its_causes(
    check: str, evidence: tuple[Evidence, ...], excluding: tuple[Evidence, ...]
) -> None:
    waiting, decided = answer(*evidence), answer(*evidence, *excluding)
    assert root(waiting) is None and check in waiting["suspects"]
    assert root(decided) == check


def test_a_check_that_saw_a_refusal_is_the_root_and_names_what_lies_deeper() -> None:
    assert answer(*FELL_BACK)["deeper"] == ["storage_key_role", "storage_project_mismatch"]


def test_deeper_causes_that_are_excluded_are_not_named() -> None:
    role = seen("env.setting", source=".env:3", name="SUPABASE_SERVICE_KEY", file=".env", shape="jwt", role="service_role",
                project="qhwzvbnkdmtyrcxaeplo")  # fmt: skip
    found = answer(*FELL_BACK, role)
    assert root(found) == "bucket_missing" and found["deeper"] == []


def test_links_after_the_root_are_not_reached() -> None:
    found = answer(*UPLOAD_REFUSED, ended(500))
    assert [link(found, name) for name in CHAIN] == [
        "pass",
        "pass",
        "fail",
        "not_reached",
        "not_reached",
        "not_reached",
        "not_reached",
    ]


def test_links_after_the_root_that_were_seen_are_told() -> None:
    found = answer(*FELL_BACK)
    assert (link(found, "upload"), link(found, "image_url")) == ("fail", "not_reached")
    assert (link(found, "selection"), link(found, "generation")) == ("pass", "pass")


def test_selection_judges_the_strongest_witness_and_never_the_source_alone() -> None:
    other = seen("source.model", "forecast", "fal_service.py:39", role="image_to_image", model=EDIT, name="M")
    found = answer(*SOUND, announced(EDIT), other)
    assert found["outcome"] == "switched" and found["decision"]["model"] == IMAGE_MODEL
    assert answer(other)["outcome"] == "undetermined"


def test_forecasts_with_constants_that_conflict_are_undetermined() -> None:
    other = seen("source.model", "forecast", "main.py:3645", role="image_to_image", model=EDIT, name="M")
    found = answer(RECEIVED, ADDRESS, announced(IMAGE_MODEL), CONSTANTS[0], other)
    assert (found["outcome"], found["intended"], found["decision"]["model"]) == ("undetermined", None, None)


def test_a_value_the_request_asked_for_is_a_note() -> None:
    asked = seen("request.body", "wire", "request.json", images=[{"name": "face_image", "carrier": "data", "fault": None}],
                 params={"image_strength": 0.8})  # fmt: skip
    found = answer(asked, JOINED, RECEIVED, DECODED, STORED, ADDRESS, payload(image_strength=0.8), called(), PICTURE)
    assert status(found, "strength_wrong") == "note" and root(found) is None and found["outcome"] == "switched"
    drifted = answer(SENT, JOINED, RECEIVED, DECODED, STORED, ADDRESS, payload(image_strength=0.8), called(), PICTURE)
    assert status(drifted, "strength_wrong") == "fail" and root(drifted) == "strength_wrong"


# --- severity ------------------------------------------------------------------------------------------------------------


def test_outside_the_chain_a_fault_is_a_warning_and_no_root() -> None:
    corrupt = seen(
        "record.fault", "observed", "prompt_log.json@40", kind="truncated", message="the file ends inside an entry"
    )
    taken = seen("deployment.bind_failed", text="[Errno 98] address already in use")
    found = answer(*SOUND, corrupt, taken)
    assert status(found, "prompt_log_corrupt") == "warn" and status(found, "several_backends") == "warn"
    assert root(found) is None and found["outcome"] == "switched"
    assert explain.sound(explain.diagnose(case_of(*SOUND, corrupt, taken)))


def test_a_warning_in_the_because_of_a_failing_chain_check_is_the_root() -> None:
    found = answer(*SWITCHED_OFF, *CONSTANTS, chooses())
    assert status(found, "backend_stale") == "warn" and root(found) == "backend_stale"
    assert found["because"] == ["model_not_switched", "backend_stale"]
    assert not explain.sound(explain.diagnose(case_of(*SWITCHED_OFF, *CONSTANTS, chooses())))


def test_a_warning_that_is_the_reason_why_nothing_can_be_told_is_the_root() -> None:
    corrupt = seen(
        "record.fault", "observed", "prompt_log.json@0", kind="not_json", message="no JSON value begins here", entries=0
    )
    found = answer(corrupt)
    assert found["outcome"] == "undetermined" and root(found) == "prompt_log_corrupt"


def test_a_chain_link_with_a_warning_never_becomes_the_root() -> None:
    found = answer(*SOUND, takes())
    assert status(found, "parameter_unknown") == "warn" and link(found, "payload") == "warn"
    assert root(found) is None and found["intended"] is True


# --- by design -----------------------------------------------------------------------------------------------------------


def test_without_an_image_text_to_image_is_by_design() -> None:
    found = answer(NONE_SENT, called(TEXT_MODEL), PICTURE, ended(200))
    assert (found["outcome"], found["generation"], found["intended"]) == ("not_switched", "succeeded", True)
    assert status(found, "no_image_sent") == "note" and root(found) == "no_image_sent"
    assert found["because"] == ["no_image_sent"] and found["suspects"] == []
    assert found["decision"]["expected_model"] == TEXT_MODEL


def test_under_a_profile_that_refuses_a_refusal_is_by_design() -> None:
    found = answer(NONE_SENT, ended(422), profile="flux-2-edit")
    assert (found["outcome"], found["generation"], found["intended"]) == ("refused", "not_attempted", True)
    assert root(found) == "no_image_sent"


def test_a_refusal_under_a_profile_that_does_not_refuse_is_not_by_design() -> None:
    assert answer(NONE_SENT, ended(422))["intended"] is False


def test_text_to_image_under_a_profile_that_refuses_is_not_by_design() -> None:
    assert answer(NONE_SENT, called(TEXT_MODEL), PICTURE, profile="flux-2-edit")["intended"] is False


def test_where_the_request_was_not_seen_no_more_is_said_than_that_none_was_received() -> None:
    found = answer(NONE_RECEIVED, called(TEXT_MODEL), PICTURE, ended(200))
    assert found["root"]["message"] == "the backend received no image"
    missing = " ".join(piece["evidence"] for piece in found["coverage"]["missing"])
    assert "image_field_unknown" in missing and "image_not_received" in missing


# --- reason --------------------------------------------------------------------------------------------------------------

TOKEN = seen("error", text="Invalid or expired token", status=401, answer_status=401, stage=None)
UNREADABLE = seen(
    "fal.error",
    status=422,
    type="file_download_error",
    message="Failed to download the file.",
    loc=["body", "image_url"],
)
LONE_EDIT = seen("source.model", "forecast", "a.py:1", role="image_to_image", model=EDIT, name="M")
REASONS: list[tuple[str, str, tuple[Evidence, ...], str, str, str | None]] = [
    ("switched", "seed", SOUND, "switched", "IMAGE_TO_IMAGE_SELECTED", None),
    ("switched, and fal refused", "seed", (ADDRESS, payload(), called(status=422), UNREADABLE), "switched", "IMAGE_TO_IMAGE_SELECTED", None),
    ("switched, and the payload lacks the image", "seed", (ADDRESS, payload(image_url=None), called(), PICTURE), "switched",
     "IMAGE_TO_IMAGE_SELECTED", None),
    ("not switched without an image", "seed", (NONE_SENT, called(TEXT_MODEL), PICTURE), "not_switched", "NO_IMAGE_SENT", None),
    ("refused without an image", "flux-2-edit", (NONE_SENT, ended(422)), "refused", "NO_IMAGE_SENT", None),
    ("refused without an image, and the profile does not refuse", "seed", (NONE_SENT, ended(422)), "refused", "NO_IMAGE_SENT", None),
    ("not switched without an image, and the profile refuses", "flux-2-edit", (NONE_SENT, called(TEXT_MODEL), PICTURE), "not_switched",
     "NO_IMAGE_SENT", None),
    ("not switched: the upload broke", "seed", FELL_BACK, "not_switched", "PREREQUISITE_FAILED", "upload"),
    ("not switched: the address was lost", "seed", (RECEIVED, DECODED, STORED, NO_ADDRESS, called(TEXT_MODEL)), "not_switched",
     "PREREQUISITE_FAILED", "image_url"),
    ("refused: the upload broke", "flux-2-edit", (*UPLOAD_REFUSED, ended(500)), "refused", "PREREQUISITE_FAILED", "upload"),
    ("refused: the picture could not be decoded", "flux-2-edit",
     (RECEIVED, seen("decode.failed", text="cannot identify image file"), ended(422)), "refused", "PREREQUISITE_FAILED", "decode"),
    ("refused: the token", "seed", (ended(401), TOKEN), "refused", "REFUSED", None),
    ("wrong model: the code shown says another", "seed", (ADDRESS, payload(model=EDIT), called(EDIT), PICTURE, *CONSTANTS, chooses()),
     "wrong_model", "STALE_CODE", None),
    ("wrong model: two constants", "seed", (ADDRESS, payload(model=EDIT), called(EDIT), PICTURE, CONSTANTS[0], LONE_EDIT), "wrong_model",
     "WRONG_MODEL_CONFIGURED", None),
    ("wrong model: configured", "seed", (ADDRESS, payload(model=EDIT), called(EDIT), PICTURE, LONE_EDIT), "wrong_model",
     "WRONG_MODEL_CONFIGURED", None),
    ("wrong model: why is not known", "seed", (ADDRESS, payload(model=EDIT), called(EDIT), PICTURE), "wrong_model", "UNKNOWN", None),
    ("not switched with an address", "seed", SWITCHED_OFF, "not_switched", "UNKNOWN", None),
    ("undetermined", "seed", (RECEIVED, PICTURE), "undetermined", "UNKNOWN", None),
    ("nothing was seen", "seed", (), "undetermined", "UNKNOWN", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "profile", "evidence", "outcome", "reason", "prerequisite"), REASONS, ids=[r[0] for r in REASONS]
)
def test_the_reason(
    name: str, profile: str, evidence: tuple[Evidence, ...], outcome: str, reason: str, prerequisite: str | None
) -> None:
    found = answer(*evidence, profile=profile)
    assert found["outcome"] == outcome
    assert (found["decision"]["reason"], found["decision"]["prerequisite"]) == (reason, prerequisite)


# --- generation ----------------------------------------------------------------------------------------------------------


def test_a_name_that_does_not_resolve_is_a_failed_generation() -> None:
    lost = seen(
        "error",
        text="httpx.ConnectError: [Errno -2] Name or service not known",
        stage="generation",
        service="fal",
        network=True,
    )
    found = answer(RECEIVED, DECODED, STORED, ADDRESS, payload(), announced(IMAGE_MODEL), lost, ended(500))
    assert found["generation"] == "failed" and root(found) == "fal_unavailable"


def test_fal_that_refuses_is_a_failed_generation() -> None:
    found = answer(RECEIVED, DECODED, STORED, ADDRESS, payload(), called(status=401), ended(500))
    assert (found["outcome"], found["generation"]) == ("switched", "failed") and root(found) == "fal_key_rejected"
    assert found["because"][-1] == "fal_key_rejected"


def test_a_request_that_ended_before_a_model_was_chosen_attempted_nothing() -> None:
    assert answer(ended(401), TOKEN)["generation"] == "not_attempted"


def test_a_generation_nobody_saw_is_unknown() -> None:
    found = answer(RECEIVED, ADDRESS, announced(IMAGE_MODEL), payload())
    assert (found["outcome"], found["generation"]) == ("switched", "unknown")
    assert explain.sound(explain.diagnose(case_of(RECEIVED, ADDRESS, announced(IMAGE_MODEL), payload())))


# --- counterfactual ------------------------------------------------------------------------------------------------------


def test_the_sources_own_conditional_is_replayed() -> None:
    found = answer(*FELL_BACK, *CONSTANTS, chooses())["counterfactual"]
    assert found["then"] == {"mode": "image-to-image", "model": IMAGE_MODEL}
    assert found["verified_by"] == "fal_service.py:7"
    assert any("upload" in change for change in found["changes"])


def test_it_chooses_what_the_source_would_choose_and_not_the_profile() -> None:
    found = answer(*FELL_BACK, chooses(EDIT))["counterfactual"]
    assert found["then"]["model"] == EDIT and found["verified_by"] == "fal_service.py:7"


def test_without_the_source_the_profiles_rule_is_replayed() -> None:
    found = answer(*FELL_BACK)["counterfactual"]
    assert (
        found["then"]["model"] == IMAGE_MODEL and "profile" in found["verified_by"] and "seed" in found["verified_by"]
    )


def test_it_is_omitted_when_neither_fits_what_was_observed() -> None:
    other = "fal-ai/fast-sdxl/text-to-image"
    found = answer(*UPLOAD_REFUSED, called(other), PICTURE, *CONSTANTS, chooses())
    assert found["outcome"] == "not_switched" and found["counterfactual"] is None


def test_a_refusal_is_replayed_with_the_profile_that_refuses() -> None:
    found = answer(*UPLOAD_REFUSED, ended(500), profile="flux-2-edit")["counterfactual"]
    assert found["then"] == {"mode": "image-to-image", "model": EDIT} and "flux-2-edit" in found["verified_by"]
    assert answer(*UPLOAD_REFUSED, ended(500))["counterfactual"] is None


def test_without_an_image_it_says_what_an_image_would_have_chosen() -> None:
    found = answer(NONE_SENT, called(TEXT_MODEL), PICTURE)["counterfactual"]
    assert found["then"]["model"] == IMAGE_MODEL and found["changes"][0].endswith("receives an image")


def test_the_next_blocker_behind_the_root_is_named() -> None:
    local = seen(
        "storage.upload", "wire", "backend.log:31", host="localhost:54321", bucket="public", path="1.jpg", status=400
    )
    found = answer(RECEIVED, DECODED, local, NO_BUCKET, NO_ADDRESS, called(TEXT_MODEL), PICTURE)
    assert root(found) == "bucket_missing" and found["counterfactual"]["next_blockers"] == [
        "init_image_url_unreachable"
    ]
    assert answer(*FELL_BACK)["counterfactual"]["next_blockers"] == []


def test_a_strength_fal_does_not_read_is_the_next_blocker() -> None:
    assert answer(*FELL_BACK, takes())["counterfactual"]["next_blockers"] == ["parameter_unknown"]


def test_a_sound_answer_has_no_counterfactual() -> None:
    assert answer(*SOUND)["counterfactual"] is None


# --- conflicts -----------------------------------------------------------------------------------------------------------


def test_every_contradiction_is_shown_strongest_witness_first() -> None:
    entry = seen("model", "forecast", "prompt_log.json#/3/fal_request/model", model=IMAGE_MODEL, by="entry")
    found = answer(NONE_SENT, entry, called(TEXT_MODEL), PICTURE)
    conflict = next(c for c in found["conflicts"] if c["fact"] == "model")
    assert [(w["value"], w["witness"]) for w in conflict["witnesses"]] == [
        (TEXT_MODEL, "wire"),
        (IMAGE_MODEL, "forecast"),
    ]
    assert conflict["witnesses"][1]["source"] == "prompt_log.json#/3/fal_request/model"
    assert found["outcome"] == "not_switched"


def test_witnesses_that_agree_make_no_conflict() -> None:
    assert answer(*SOUND, announced(IMAGE_MODEL))["conflicts"] == []


def test_a_value_that_was_recorded_otherwise_is_a_conflict() -> None:
    found = answer(*SOUND, payload("forecast", image_strength=0.67))
    assert [w["value"] for w in next(c for c in found["conflicts"] if c["fact"] == "image_strength")["witnesses"]] == [
        0.5,
        0.67,
    ]


# --- coverage ------------------------------------------------------------------------------------------------------------


def test_coverage_counts_the_links_that_were_seen() -> None:
    assert answer(*SOUND)["coverage"] == {"observed": 7, "of": 7, "missing": []}
    nothing = answer()["coverage"]
    assert (nothing["observed"], nothing["of"]) == (0, 7)


def test_every_link_that_was_not_seen_says_what_would_decide_it_and_how_to_get_it() -> None:
    found = answer(RECEIVED, called(TEXT_MODEL))
    unseen = [state["link"] for state in found["chain"] if state["status"] == "unknown"]
    missing = found["coverage"]["missing"]
    assert unseen and [piece["link"] for piece in missing][: len(unseen)] == unseen
    assert all(piece["evidence"] and piece["how"] for piece in missing)


# --- checklist -----------------------------------------------------------------------------------------------------------

EVERY_OUTCOME = {
    "sound": SOUND,
    "fell back": FELL_BACK,
    "by design": (NONE_SENT, called(TEXT_MODEL), PICTURE),
    "refused": (ended(401), TOKEN),
    "wrong model": (ADDRESS, called(EDIT)),
    "nothing": (),
}


@pytest.mark.parametrize("evidence", EVERY_OUTCOME.values(), ids=EVERY_OUTCOME)
def test_the_checklist_stands_in_every_document_in_the_seeds_order(evidence: tuple[Evidence, ...]) -> None:
    found = answer(*evidence)["checklist"]
    assert [question["id"] for question in found] == QUESTIONS
    assert all(set(question["checks"]) <= set(registry.by_id()) for question in found)
    assert found[0]["checks"] == ["backend_stale", "several_backends"]


def questions(*evidence: Evidence) -> dict[str, str]:
    return {question["id"]: question["status"] for question in answer(*evidence)["checklist"]}


def test_the_checklist_of_a_sound_run() -> None:
    found = questions(*SOUND, *CONSTANTS, chooses())
    for name in (
        "backend_restarted",
        "image_uploaded",
        "init_image_url_yes",
        "model_right",
        "image_url_in_payload",
        "strength_in_payload",
    ):
        assert found[name] == "pass", name
    assert found["console_clean"] in ("pass", "unknown")


def test_the_checklist_of_an_upload_that_broke() -> None:
    found = questions(*FELL_BACK)
    assert found["image_uploaded"] == "pass" and found["init_image_url_yes"] == "fail"


def test_the_checklist_without_an_image() -> None:
    found = questions(NONE_SENT, called(TEXT_MODEL), PICTURE)
    assert found["image_uploaded"] == "note"
    assert all(
        found[name] == "not_applicable"
        for name in ("init_image_url_yes", "image_url_in_payload", "strength_in_payload")
    )


def test_the_checklist_of_nothing_passes_nothing() -> None:
    assert set(questions().values()) == {"unknown"}


# --- the command: files, exit codes, --expect ------------------------------------------------------------------------------

REQUEST = {
    "method": "POST",
    "content_type": "application/json",
    "body": {"prompt": "p", "face_image": "data:image/jpeg;base64,...(9 base64 chars)"},
}
NO_IMAGE = {"method": "POST", "content_type": "application/json", "body": {"prompt": "p"}}
ARRIVED = """\
INFO:main:Received image file upload: face.jpg
INFO:image_preprocessor:Input validation passed: 640x800px, format: JPEG
"""
UPLOADED = f"""\
INFO:httpx:HTTP Request: POST https://{HOST}/storage/v1/object/public/u/face/1.jpg "HTTP/1.1 200 OK"
INFO:main:   Public URL: {URL}
"""
REFUSED = f"""\
INFO:httpx:HTTP Request: POST https://{HOST}/storage/v1/object/public/u/face/1.jpg "HTTP/1.1 400 Bad Request"
ERROR:main:Failed to upload to Supabase Storage: {{'statusCode': 404, 'error': Bucket not found, 'message': Bucket not found}}
INFO:main:Init Image URL: NO
"""


def posted(model: str, code: str = "200 OK") -> str:
    return f'INFO:httpx:HTTP Request: POST https://fal.run/{model} "HTTP/1.1 {code}"\n'


def closed(code: str = "200 OK") -> str:
    return f'INFO:     127.0.0.1:39018 - "POST /api/generate-image HTTP/1.1" {code}\n'


LOGS = {
    "sound": (0, "switched", ARRIVED + UPLOADED + posted(IMAGE_MODEL) + closed()),
    "upload refused": (1, "not_switched", ARRIVED + REFUSED + posted(TEXT_MODEL) + closed()),
    "root unknown": (1, "not_switched", ARRIVED + UPLOADED + posted(TEXT_MODEL) + closed()),
    "fal refused": (
        1,
        "switched",
        ARRIVED + UPLOADED + posted(IMAGE_MODEL, "401 Unauthorized") + closed("500 Internal Server Error"),
    ),
    "generation unknown": (0, "switched", f"{ARRIVED}{UPLOADED}INFO:main:   Model: {IMAGE_MODEL}\n"),
    "undetermined": (3, "undetermined", ARRIVED + UPLOADED + closed()),
}


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = valid(self.out)
        return found


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANG", "C")
    monkeypatch.setenv("COLUMNS", "300")
    for name in ("DIAGNOSE_PROFILE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)

    def ran(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["diagnose", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return Ran(int(left.value.code or 0), said.out, said.err)

    return ran


def write(name: str, value: object) -> str:
    Path(name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return name


@pytest.mark.parametrize(("code", "outcome", "log"), LOGS.values(), ids=LOGS)
def test_the_exit_code_is_the_same_in_every_format(run: Run, code: int, outcome: str, log: str) -> None:
    file = write("backend.log", log)
    machine, person = run("checklist", file, "--format", "json"), run("checklist", file)
    assert machine.document["outcome"] == outcome, machine.document["decision"]
    assert (machine.code, person.code) == (code, code)
    assert person.out.strip() and machine.err == ""


def test_by_design_is_0(run: Run) -> None:
    files = write("request.json", NO_IMAGE), write("backend.log", posted(TEXT_MODEL) + closed())
    ran = run("checklist", *files, "--format", "json")
    assert (ran.code, ran.document["intended"]) == (0, True)


def test_a_refusal_by_design_is_0(run: Run) -> None:
    files = (
        write("request.json", NO_IMAGE),
        write("response.json", {"status": 422, "body": {"detail": "Missing required image."}, "headers": {}}),
    )
    ran = run("checklist", *files, "--profile", "flux-2-edit", "--format", "json")
    assert (ran.code, ran.document["outcome"], ran.document["intended"]) == (0, "refused", True)


def test_a_warning_beside_the_chain_is_0(run: Run) -> None:
    taken = "ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use\n"
    ran = run("checklist", write("backend.log", taken + LOGS["sound"][2]), "--format", "json")
    assert ran.code == 0 and status(ran.document, "several_backends") == "warn"


@pytest.mark.parametrize(
    "arguments",
    [["--no-such-option"], ["no-such-command"], ["checklist", "--format", "yaml"], ["latest-log", "--entry", "x"]],
)
def test_usage_is_2(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 2 and ran.out == "" and ran.err


def test_a_profile_with_an_unknown_key_is_2_and_names_the_nearest(run: Run) -> None:
    write("diagnose.toml", '[models]\nimage_to_image = "a/b"\ntext_to_image = "a/c"\n[storage]\nbuckt = "x"\n')
    ran = run("checklist", write("backend.log", LOGS["sound"][2]))
    assert ran.code == 2 and "storage.bucket" in ran.err


def test_nothing_readable_is_4_and_json_is_printed(run: Run) -> None:
    ran = run("checklist", write("notes.txt", "nothing to see here\n"), "--format", "json")
    assert ran.code == 4 and ran.document["outcome"] == "undetermined"


@pytest.mark.parametrize(
    "arguments", [["checklist", "absent.log"], ["latest-log", "absent.json"], ["latest-log"], ["checklist"]]
)
def test_a_file_that_is_not_there_is_4_and_json_is_printed(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).code == 4
    ran = run(*arguments, "--format", "json")
    assert ran.code == 4 and ran.document["outcome"] == "undetermined"


def test_an_internal_error_is_70_and_is_owned(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> Case:
        raise ZeroDivisionError("made by a test")

    monkeypatch.setattr(explain, "diagnose", breaks)
    ran = run("checklist", write("backend.log", LOGS["sound"][2]), "--format", "json")
    assert ran.code == 70 and "fault of diagnose itself" in ran.err and "Traceback" not in ran.err and ran.out == ""


HOSTILE: dict[str, dict[str, object]] = {
    "an error's place is a number": {
        "response.json": {"status": 422, "body": {"detail": [{"loc": 5, "msg": "x", "type": "missing"}]}}
    },
    "an error's place is null": {
        "response.json": {"status": 422, "body": {"detail": [{"loc": None, "msg": "x", "type": "missing"}]}}
    },
    "the answer's model is a list": {
        "response.json": {"debug_info": {"model": ["x"], "image_url": URL, "image_strength": {}}}
    },
    "the entry's model is a list, beside a log": {
        "prompt_log.json": [{"timestamp": "x", "request": {}, "fal_request": {"model": ["x"], "prompt": "p"}}],
        "backend.log": posted(IMAGE_MODEL) + closed(),
    },
    "the entry's model is a list, beside an answer": {
        "prompt_log.json": [
            {"timestamp": "x", "request": {"has_face_image": True}, "fal_request": {"model": ["x"], "prompt": "p"}}
        ],
        "response.json": {"status": 200, "body": {"images": [], "debug_info": {"model": IMAGE_MODEL}}},
    },
    "every value of the entry is of another type": {
        "prompt_log.json": [
            {"timestamp": [], "request": 5, "fal_request": {"model": {}, "prompt": 10**400, "image_urls": [None, [5]]}}
        ]
    },
}


@pytest.mark.parametrize("files", HOSTILE.values(), ids=HOSTILE)
def test_a_malformed_file_is_never_an_internal_error(run: Run, files: dict[str, object]) -> None:
    ran = run("checklist", *[write(name, value) for name, value in files.items()], "--format", "json")
    assert ran.code in (0, 1, 3, 4), ran.err
    assert "crash" not in {f["status"] for f in ran.document["findings"]}


def test_ctrl_c_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Case:
        raise KeyboardInterrupt

    monkeypatch.setattr(explain, "diagnose", interrupted)
    assert run("checklist", write("backend.log", LOGS["sound"][2])).code == 130


@pytest.mark.parametrize(("code", "outcome", "log"), LOGS.values(), ids=LOGS)
def test_expecting_image_to_image_makes_every_outcome_but_switched_1(
    run: Run, code: int, outcome: str, log: str
) -> None:
    ran = run("checklist", write("backend.log", log), "--expect", "image-to-image", "--format", "json")
    assert ran.code == (code if outcome == "switched" else 1)


def test_expecting_image_to_image_outranks_by_design(run: Run) -> None:
    files = write("request.json", NO_IMAGE), write("backend.log", posted(TEXT_MODEL) + closed())
    assert run("checklist", *files, "--expect", "image-to-image").code == 1
    assert run("checklist", *files, "--expect", "text-to-image").code == 0


def test_a_strength_that_does_not_take_effect_stands_in_the_first_line(run: Run) -> None:
    body = json.dumps(
        {"prompt": "p", "image_url": URL, "image_strength": 0.5, "num_inference_steps": 7, "guidance_scale": 3.5}
    )
    log = f"{ARRIVED}{UPLOADED}INFO:fal_service:   FULL REQUEST PAYLOAD ke Fal.ai:\n{json.dumps(json.loads(body), indent=2)}\n{posted(IMAGE_MODEL)}{closed()}"
    ran = run("checklist", write("backend.log", log), "--color", "never")
    first = ran.out.splitlines()[0]
    assert ran.code == 0 and "0.85" in first, first


def test_a_refusal_that_was_answered_with_text_to_image_is_the_root(run: Run) -> None:
    said = '{"detail":[{"loc":["body","image_url"],"msg":"Failed to download the file.","type":"file_download_error"}]}'
    refused = (
        posted(IMAGE_MODEL, "422 Unprocessable Entity")
        + f"ERROR:fal_service:HTTP Error generating image 1: 422 - {said}\n"
    )
    log = f"{ARRIVED}{UPLOADED}{refused}INFO:fal_service:Falling back\n{posted(TEXT_MODEL)}{closed()}"
    found = run("checklist", write("backend.log", log), "--format", "json").document
    assert found["outcome"] == "not_switched" and root(found) == "fal_image_unreadable"


def test_in_json_stdout_holds_the_document_and_nothing_else(run: Run) -> None:
    ran = run("checklist", write("backend.log", LOGS["upload refused"][2]), "-v", "--format", "json")
    assert (
        ran.out.startswith("{") and ran.out.rstrip().endswith("}") and ran.document["root"]["check"] == "bucket_missing"
    )


# --- the subject -----------------------------------------------------------------------------------------------------------


def entry(time: str, model: str, prompt: str) -> dict[str, Any]:
    url = URL if model == IMAGE_MODEL else None
    return {
        "timestamp": time,
        "request": {"has_product_images": False, "num_product_images": 0, "has_face_image": bool(url), "has_background_image": False,
                    "has_image_url": bool(url), "image_url": url, "original_prompt": prompt},
        "enhanced_prompt": prompt,
        "prompt_length": len(prompt),
        "generation_mode": "image-to-image" if url else "text-to-image",
        "fal_request": {"model": model, "prompt": prompt, "num_inference_steps": 7, "guidance_scale": 3.5,
                        **({"image_url": url, "image_strength": 0.5} if url else {"image_size": "square_hd"})},
    }  # fmt: skip


ENTRIES = [
    entry("2026-01-11T02:41:48.528629", TEXT_MODEL, "a cat"),
    entry("2026-01-11T03:17:59.000001", IMAGE_MODEL, "a dog"),
    entry("2026-01-11T06:35:30.766926", TEXT_MODEL, "a bird"),
]


@pytest.mark.parametrize(
    ("arguments", "index"),
    [
        ([], 2),
        (["--entry", "0"], 0),
        (["--entry", "-2"], 1),
        (["--at", "2026-01-11T05:00:00"], 1),
        (["--at", "2026-01-11T03:17:59"], 1),
        (["--match", "a cat"], 0),
    ],
)
def test_the_subject(run: Run, arguments: list[str], index: int) -> None:
    subject = run("latest-log", write("prompt_log.json", ENTRIES), "--format", "json", *arguments).document["subject"]
    assert subject["entry"] == index and subject["timestamp"] == ENTRIES[index]["timestamp"]
    assert subject["source"] == f"prompt_log.json#/{index}"


def test_all_attempts_oldest_first(run: Run) -> None:
    ran = run("latest-log", write("prompt_log.json", ENTRIES), "--all", "--format", "json")
    assert [d["subject"]["entry"] for d in ran.document["diagnoses"]] == [0, 1, 2]


def test_the_newest_attempt_is_the_subject_and_an_older_entry_is_not_the_answer(run: Run) -> None:
    files = (
        write("prompt_log.json", ENTRIES),
        write("backend.log", ARRIVED + REFUSED + closed("500 Internal Server Error")),
    )
    found = run("checklist", *files, "--format", "json").document
    assert status(found, "prompt_log_stale") == "warn" and found["subject"]["entry"] is None
    assert found["outcome"] == "refused" and root(found) == "bucket_missing"


def test_from_a_corrupt_file_only_whole_entries_are_read(run: Run) -> None:
    text = json.dumps(ENTRIES)
    ran = run("latest-log", write("prompt_log.json", text[: len(text) - 60]), "--format", "json")
    assert ran.document["subject"]["entry"] == 1 and status(ran.document, "prompt_log_corrupt") == "warn"


def test_the_attempt_an_answer_belongs_to_is_the_subject(run: Run) -> None:
    first, second = "https://v3.fal.media/files/a/first.png", "https://v3.fal.media/files/a/second.png"
    log = "".join(
        f"{ARRIVED}{UPLOADED}{posted(model)}INFO:fal_service:Generated image: {picture}\n{closed()}"
        for model, picture in ((TEXT_MODEL, first), (IMAGE_MODEL, second))
    )
    files = (
        write("backend.log", log),
        write("response.json", {"status": 200, "body": {"images": [first]}, "headers": {}}),
    )
    assert run("checklist", *files, "--format", "json").document["outcome"] == "not_switched"
    assert run("checklist", files[0], "--format", "json").document["outcome"] == "switched"


# --- what runs now, beside what was ------------------------------------------------------------------------------------


def last_prompt(**sent: object) -> Evidence:
    entry = {"timestamp": "2026-01-11T06:35:30", "fal_request": sent}
    return seen(
        "live.last_prompt", "observed", "GET /api/debug/last-prompt", model=sent.get("model"), value=entry, status=200
    )


def literal(name: str, value: object) -> Evidence:
    return seen("source.parameter", "forecast", "fal_service.py:70", name=name, value=value)


def conflict_of(fact: str, *evidence: Evidence) -> list[object]:
    conflicts = answer(*evidence)["conflicts"]
    return [w["value"] for c in conflicts if c["fact"] == fact for w in c["witnesses"]]


def test_a_constant_has_three_witnesses() -> None:
    sent = seen("payload", "sent", body={"num_inference_steps": 24, "image_url": URL}, model=IMAGE_MODEL, complete=True)
    case = [seen("fal.call", "wire", model=IMAGE_MODEL, status=200, method="POST", final=True), sent]
    running = last_prompt(model=IMAGE_MODEL, num_inference_steps=12)
    assert conflict_of("num_inference_steps", *case, literal("num_inference_steps", 7), running) == [24, 12, 7]
    assert conflict_of("num_inference_steps", *case, literal("num_inference_steps", 24.0)) == []
    # a constant of another purpose, and another mode's entry, contradict nothing
    both = (literal("num_inference_steps", 4), literal("num_inference_steps", 24))
    assert conflict_of("num_inference_steps", *case, *both, last_prompt(model=TEXT_MODEL, num_inference_steps=4)) == []
    asked = seen("request.body", "wire", images=[], params={"num_inference_steps": 24})
    assert conflict_of("num_inference_steps", *case, asked, literal("num_inference_steps", 7)) == []


def test_the_source_s_model_is_a_witness_of_the_model() -> None:
    called = seen("fal.call", "wire", model=EDIT, status=200, method="POST", final=True)
    constant = seen(
        "source.model", "forecast", "fal_service.py:39", name="I2I", model=IMAGE_MODEL, role="image_to_image"
    )
    assert conflict_of("model", called, constant) == [EDIT, IMAGE_MODEL]


def test_a_file_changed_after_the_attempt_is_not_its_root() -> None:
    """The process is old, but what it did the code shown did too."""
    listener = seen("live.listener", "observed", "process 41", pid=41, started=1000.0, since="x", family=[41])
    changed = seen(
        "live.source", "observed", "main.py", folder="/a", file="main.py", modified=9000.0, changed="y", runs=[41]
    )
    choice = seen("source.choice", "forecast", "a.py:1", test="url", with_image=EDIT, without_image=TEXT_MODEL)
    called = seen("fal.call", "wire", model=EDIT, status=200, method="POST", final=True)
    found = answer(called, choice, RECEIVED, listener, changed)
    assert found["root"] is None or found["root"]["check"] != "backend_stale"
    assert next(f["status"] for f in found["findings"] if f["check"] == "backend_stale") == "note"
