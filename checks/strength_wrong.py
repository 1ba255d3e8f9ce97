"""The strength sent differs from the profile's.

What it looks at
    `strength` and `image_strength` in the strongest record of the payload, beside the profile's value.

Why it matters
    On fal a higher strength changes the picture more: 1.0 makes it anew, 0.0 keeps it. A wrong value looks like a
    picture that ignores the photo.

How to put it right
    Send the profile's value, or write the intended one into the profile.

When it is wrong
    A value the request itself asked for is a note, not a fault. A prompt log that was written from literals is
    outranked by the body that was really sent.
"""

from diagnose.model import (
    IMAGE_TO_IMAGE,
    Case,
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
because = ("backend_stale",)
reads = ("fal_request.strength", "fal_request.image_strength")

NAMES = ("strength", "image_strength")


def look(case: Case) -> Finding:
    """The finding of this check."""
    declared = {key: value for key, value in case.profile.payload.items() if key in NAMES}
    if not declared:
        return not_applicable("the profile declares no strength")
    if case.mode is not None and case.mode != IMAGE_TO_IMAGE:
        return not_applicable("a text-to-image payload carries no strength")
    sent = case.payload
    if sent is None or case.mode is None:
        return unknown("the payload was not seen")
    name, wanted = next(iter(declared.items()))
    values = {key: sent["body"][key] for key in NAMES if isinstance(sent["body"].get(key), (int, float))}
    value = values.get(name, next(iter(values.values()), None))
    if value is None and not sent["complete"]:
        return unknown("the whole payload was not seen")
    if same_number(value, wanted):
        return passed("the strength sent is {value}", sent, value=value)
    asked = next(
        (e for e in case.of("request.body") if any((e["params"] or {}).get(key) == value for key in NAMES)), None
    )
    if asked is not None and value is not None:
        return noted("the request itself asked for strength {value}", asked, sent, value=value)
    remedy = Remedy(
        "Send '{name}': {wanted}",
        (
            "Set '{name}' to {wanted} where the payload is built, and restart the backend.",
            "If the value sent is meant, write it into the profile's [payload].",
        ),
        values={"name": name, "wanted": wanted},
    )
    if value is None:
        return failed("no strength was sent, and the profile wants {wanted}", sent, remedy=remedy, wanted=wanted)
    return failed(
        "the strength sent is {value}, and the profile wants {wanted}", sent, remedy=remedy, value=value, wanted=wanted
    )
