"""The backend refused the request for a reason not about the image.

What it looks at
    The status of the answer and of the access line, the validation errors and the reason the backend gives.

Why it matters
    The request ended before a model was chosen: token, coins, a missing or malformed field. The picture never
    mattered.

How to put it right
    Do what the reason says: sign in again, top up, correct the field.

When it is wrong
    A backend that passes fal's own refusal on with its own status: where nothing but a status is known this is a
    symptom, and other reasons stay among the suspects.
"""

import re

from diagnose.model import (
    Case,
    Evidence,
    Finding,
    Link,
    Message,
    Remedy,
    Seen,
    failed,
    not_applicable,
    passed,
    refused,
    symptom,
    unknown,
)

link = Link.REQUEST
because = (
    "environment_incomplete",
    "backend_error",
    "proxy_rejected",
    "image_unusable",
    "fal_key_rejected",
    "fal_rate_limited",
    "fal_parameters_rejected",
    "fal_image_unreadable",
    "fal_unavailable",
    "storage_unavailable",
)
reads: tuple[str, ...] = ()

WHY = re.compile(
    r"token|authori[sz]ation|not authenticated|credentials|bad_jwt|sign in|log ?in|session"
    r"|coin|credit|quota|insufficient|top up",
    re.I,
)
CROWDED = re.compile(r"concurrent|rate.?limit|too many requests|limit reached", re.I)
"""Words that the backend's limiter and fal's share: they do not tell whose limit was met."""
IMAGE = re.compile(r"missing required image|at least one image|image is required|no image", re.I)
WENT_ON = ("fal.call", "payload", "upload.started", "storage.upload", "storage.error", "decode.failed", "fal.error")
REMEDY = Remedy(
    "Do what the reason says: sign in again, top up, or correct the field",
    (
        "Read the answer's body in the browser's network panel: it names the reason.",
        "Correct that, and send the request again.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    end, invalid = case.end_status, case.best("request.invalid")
    if invalid is not None:
        loc = ".".join(str(part) for part in invalid["loc"] or ())
        message = "the backend refused the request: {loc}: {text}"
        return failed(message, invalid, remedy=REMEDY, loc=loc, text=invalid["message"])
    if end is None:
        return unknown("the answer was not seen")
    if not refused(end) or case.best(*WENT_ON) or isinstance(case.product(Link.GENERATION), Seen):
        return passed("the backend took the request", end)
    if any(IMAGE.search(e["text"]) for e in case.of("error")):
        return not_applicable("the refusal is about the missing image", end)
    if case.errors("decode") or case.errors("upload") or case.errors("generation"):
        return passed("the request was taken and failed later", end)
    known = reason(case, end["status"])
    if known is not None:
        no_token = Message("the caller's token was refused with {status}", {"status": known["status"]})
        text = str(known["text"])[:160] if known["text"] else no_token
        message = "the backend refused the request with {status}: {text}"
        return failed(message, known, end, remedy=REMEDY, status=end["status"], text=text)
    if case.sent_images == ():
        return not_applicable("the refusal is about the missing image", end)
    message = "the backend refused the request with {status}; no reason was seen"
    return symptom(message, end, remedy=REMEDY, status=end["status"])


def reason(case: Case, status: int) -> Evidence | None:
    """What says why: a token or coins, any reason beside a 4xx, or the user's own session refused by Auth."""
    told = [e for e in case.errors(None) if not (e["setting"] or e["network"] or CROWDED.search(e["text"]))]
    known = next((e for e in told if WHY.search(e["text"])), None)
    if known is None and status < 500:
        known = next((e for e in told if e["answer_status"]), None)
    if known is None and status in (401, 403):
        known = next((e for e in case.of("supabase.call") if e["service"] == "auth" and refused(e)), None)
    return known
