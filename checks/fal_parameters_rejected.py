"""fal refused the payload: 422 by its schema.

What it looks at
    fal's list of errors with the type of a schema fault (`missing`, `less_than_equal`, `string_type`, ...) and the key.

Why it matters
    The body does not fit the model: a required key is missing or a value is out of range. No picture is made.

How to put it right
    Correct the key that the message names; the limits stand beside it.

When it is wrong
    The backend's own validation gives 422 of the same shape to the browser; it is told apart by who said it.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, passed, unknown

link = Link.GENERATION
because = ("parameter_out_of_range", "payload_without_image", "wrong_target_model")
reads: tuple[str, ...] = ()

OTHERS = ("content_policy_violation", "no_media_generated", "internal_server_error", "generation_timeout")
PICTURES = ("file_", "image_", "unsupported_image", "face_", "downstream_", "request_timeout")


def look(case: Case) -> Finding:
    """The finding of this check."""
    typed = [e for e in case.fal_refusals if e["type"]]
    proof = [e for e in typed if e["type"] not in OTHERS and not str(e["type"]).startswith(PICTURES)]
    if proof:
        key = ".".join(str(part) for part in proof[0]["loc"] or () if part != "body") or "a key"
        remedy = Remedy(
            "Correct '{key}' in the payload",
            (
                "fal says: {said}",
                "Correct it where the payload is built, and restart the backend.",
            ),
            values={"key": key, "said": str(proof[0]["message"])[:120]},
        )
        return failed(
            "fal refused '{key}': {text}", *proof[:2], remedy=remedy, key=key, text=str(proof[0]["message"])[:120]
        )
    other = typed[0] if typed else next((e for e in case.fal_refusals if e["status"] and e["status"] != 422), None)
    if other is not None:
        return passed("fal refused for another reason", other)
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen):
        return passed("fal made a picture", made.evidence)
    return unknown("no answer of fal about the payload was seen")
