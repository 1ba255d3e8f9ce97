"""Steps, guidance or another declared parameter sent differs from the profile's.

What it looks at
    The keys the profile's `[payload]` declares, in the strongest record of the body that was sent.

Why it matters
    A picture that changes from one day to the next without a new prompt is usually a parameter that drifted in one of
    several copies.

How to put it right
    Send the declared value, or declare the value that is meant.

When it is wrong
    A value the request asked for is a note. A declared key that was not sent is judged only when the whole body was
    seen.
"""

from typing import Any

from diagnose.model import (
    IMAGE_TO_IMAGE,
    Case,
    Evidence,
    Finding,
    Link,
    Remedy,
    failed,
    not_applicable,
    noted,
    passed,
    same_number,
    unknown,
)

link = Link.PAYLOAD
because = ("parameter_out_of_range", "backend_stale")
reads = ("fal_request.num_inference_steps", "fal_request.guidance_scale")


def look(case: Case) -> Finding:
    """The finding of this check."""
    declared = {k: v for k, v in case.profile.payload.items() if k not in ("strength", "image_strength")}
    if not declared:
        return not_applicable("the profile declares no parameter")
    if case.mode is not None and case.mode != IMAGE_TO_IMAGE:
        return not_applicable("the profile declares parameters of an image-to-image payload")
    sent = case.payload
    if sent is None or case.mode is None:
        return unknown("the payload was not seen")
    body = sent["body"]
    drifted = [
        (k, v, body.get(k))
        for k, v in declared.items()
        if (k in body or sent["complete"]) and not same_number(v, body.get(k))
    ]
    if not drifted:
        return passed("the declared parameters were sent as declared", sent)
    return judged(case, sent, drifted)


def judged(case: Case, sent: Evidence, drifted: list[tuple[str, Any, Any]]) -> Finding:
    """Drift, unless the request asked for it."""
    asked = case.best("request.body")
    params = (asked["params"] or {}) if asked is not None else {}
    own = [d for d in drifted if d[2] is None or not same_number(params.get(d[0]), d[2])]
    name, wanted, value = (own or drifted)[0]
    if not own and asked is not None:
        return noted("the request itself asked for {name} {value}", asked, sent, name=name, value=value)
    remedy = Remedy(
        "Send '{name}': {wanted}",
        (
            "Set '{name}' to {wanted} where the payload is built, and restart the backend.",
            "If the value sent is meant, write it into the profile's [payload].",
        ),
        values={"name": name, "wanted": wanted},
    )
    if value is None:
        return failed(
            "'{name}' was not sent, and the profile wants {wanted}", sent, remedy=remedy, name=name, wanted=wanted
        )
    return failed(
        "'{name}' was sent as {value}, and the profile wants {wanted}",
        sent,
        remedy=remedy,
        name=name,
        value=value,
        wanted=wanted,
    )
