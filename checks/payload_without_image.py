"""The image-to-image payload lacks its image key, or uses the other one.

What it looks at
    The body that was posted, and the key under which this model takes the picture (`image_url` or `image_urls`).

Why it matters
    A missing required key is a 422; a model that takes neither makes a picture from the prompt alone, without a word.

How to put it right
    Send the address under the key the model's schema names: a string for `image_url`, a list for `image_urls`.

When it is wrong
    A body that was shortened before it was logged. It is a symptom where the address was lost before.
"""

from diagnose.model import (
    IMAGE_KEYS,
    IMAGE_TO_IMAGE,
    Absent,
    Case,
    Finding,
    Link,
    Message,
    Remedy,
    not_applicable,
    passed,
    symptom,
    unknown,
)

link = Link.PAYLOAD
because = ("upload_result_lost", "wrong_target_model")
reads = ("fal_request.image_url", "fal_request.image_urls", "fal_request.image")


def look(case: Case) -> Finding:
    """The finding of this check."""
    if case.mode is not None and case.mode != IMAGE_TO_IMAGE:
        return not_applicable("a text-to-image payload carries no image")
    sent = case.payload
    if sent is None or case.model is None:
        return refusal(case)
    other = next((k for k in IMAGE_KEYS if sent["body"].get(k)), None)
    key = wanted(case) or other or case.profile.image_key
    if sent["body"].get(key):
        return passed("'{key}' is in the payload", sent, key=key)
    if not sent["complete"]:
        return unknown("the whole payload was not seen")
    remedy = Remedy(
        "Send the picture's address as '{key}'",
        ("Write the address under '{key}' ({kind}) in the body that is posted to {model}.",),
        values={
            "key": key,
            "kind": Message("a list") if key.endswith("s") else Message("a string"),
            "model": case.model["model"],
        },
    )
    if other is not None:
        return symptom(
            "the payload carries '{other}' where the model takes '{key}'", sent, remedy=remedy, other=other, key=key
        )
    address = case.product(Link.IMAGE_URL)
    proof = (address.evidence,) if isinstance(address, Absent) else ()
    return symptom("the payload carries no '{key}'", sent, *proof, remedy=remedy, key=key)


def wanted(case: Case) -> str | None:
    """The key under which the model that was called takes the picture; None for a model of which nothing is known."""
    assert case.model is not None
    for e in case.of("fal.schema"):
        if e["model"] == case.model["model"] and e["schema"].get("x-image-key"):
            return str(e["schema"]["x-image-key"])
    return case.profile.image_key if case.model["model"] == case.profile.image_to_image else None


def refusal(case: Case) -> Finding:
    """Without the payload: fal's own word that the key is missing."""
    for e in case.fal_type("missing"):
        key = next((part for part in e["loc"] or () if part in IMAGE_KEYS), None)
        if key:
            remedy = Remedy(
                "Send the picture's address as '{key}'",
                ("Write the address under '{key}' in the body that is posted.",),
                values={"key": key},
            )
            return symptom("fal says that '{key}' is missing from the payload", e, remedy=remedy, key=key)
    return unknown("the payload was not seen")
