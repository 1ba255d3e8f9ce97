"""The entry contradicts a stronger witness, or itself.

What it looks at
    The entry's model and parameters beside what was called and sent; its mode beside its model; its flags beside its
    address.

Why it matters
    The log is written before the call and from literals: what it says is a forecast. The stronger witness is believed.

How to put it right
    Write the entry after the call, from the body that was really sent.

When it is wrong
    An entry that belongs to another attempt.
"""

from diagnose.model import Case, Evidence, Finding, Link, Remedy, Seen, Witness, passed, unknown, warned

link = Link.RECORD
because: tuple[str, ...] = ()
reads = ("generation_mode", "fal_request.model", "request.has_image_url", "request.image_url", "fal_request")

REMEDY = Remedy(
    "Write the entry from what was sent",
    ("Build the entry after the call, from the same object that was posted, and record the status.",),
)
NUMBERS = ("image_strength", "strength", "num_inference_steps", "guidance_scale")


def look(case: Case) -> Finding:
    """The finding of this check."""
    entry = case.best("record.entry")
    if entry is None:
        return unknown("no entry was seen")
    named = next((e for e in case.of("model") if e["by"] == "entry"), None)
    if named is not None and case.call is not None and named["model"] != case.call["model"]:
        return disagreement(
            "the entry names '{a}' and '{b}' was called", named["model"], case.call["model"], entry, case.call
        )
    if named is not None and entry["mode"] and case.mode_of(named["model"]) not in (None, entry["mode"]):
        return disagreement("the entry says '{a}' and its model is '{b}'", entry["mode"], named["model"], entry, named)
    request = entry["value"].get("request") if isinstance(entry["value"], dict) else None
    if isinstance(request, dict) and request.get("has_image_url") is False and request.get("image_url"):
        return disagreement("the entry says has_image_url {a} and holds {b}", "false", "an address", entry)
    numbers = parameters(case)
    if numbers is not None:
        return numbers
    seen = case.product(Link.SELECTION)
    return passed("the entry agrees with what was seen", entry, *((seen.evidence,) if isinstance(seen, Seen) else ()))


def parameters(case: Case) -> Finding | None:
    """A number that was sent otherwise than the entry says."""
    recorded = next(
        (p for p in case.of("payload") if p.witness is Witness.FORECAST and "/fal_request" in p.source), None
    )
    sent = next((p for p in case.of("payload") if p.witness.rank < Witness.FORECAST.rank), None)
    if recorded is None or sent is None:
        return None
    for key in NUMBERS:
        a, b = recorded["body"].get(key), sent["body"].get(key)
        if a is not None and b is not None and a != b:
            return disagreement("the entry says {key} {a} and {b} was sent", a, b, recorded, sent, key=key)
    return None


def disagreement(message: str, a: object, b: object, *evidence: Evidence, **values: object) -> Finding:
    """The fault, with both values."""
    return warned(message, *evidence, remedy=REMEDY, a=a, b=b, **values)
