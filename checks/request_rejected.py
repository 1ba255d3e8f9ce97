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
    "fal_parameters_rejected",
    "fal_image_unreadable",
    "fal_unavailable",
    "storage_unavailable",
)
reads: tuple[str, ...] = ()

TOKEN = re.compile(r"token|authori[sz]ation|not authenticated|credentials|bad_jwt|sign in|log ?in|session", re.I)
COINS = re.compile(r"coin|credit|quota|insufficient|top up|limit reached|too many requests", re.I)
IMAGE = re.compile(r"missing required image|at least one image|image is required|no image", re.I)


def look(case: Case) -> Finding:
    """The finding of this check."""
    end = case.end_status
    went_on = case.best("fal.call", "payload", "upload.started", "storage.upload", "storage.error", "decode.failed", "fal.error")
    invalid = case.best("request.invalid")
    if invalid is not None:
        fields = {"loc": ".".join(str(part) for part in invalid["loc"] or ()), "text": invalid["message"]}
        return failed("the backend refused the request: {loc}: {text}", invalid, remedy=remedy("Correct the field"), **fields)
    if end is None:
        return unknown("the answer was not seen")
    if not refused(end) or went_on is not None or isinstance(case.product(Link.GENERATION), Seen):
        return passed("the backend took the request", end)
    reasons = [e for e in case.of("error") if e["stage"] is None]
    if any(IMAGE.search(e["text"]) for e in case.of("error")) or case.sent_images == ():
        return not_applicable("the refusal is about the missing image", end)
    if case.errors("decode") or case.errors("upload") or case.errors("generation"):
        return passed("the request was taken and failed later", end)
    return judged(case, end, reasons)


def judged(case: Case, end: Evidence, reasons: list[Evidence]) -> Finding:
    """A refusal, with its reason where one was given."""
    status = end["status"]
    known = next((e for e in reasons if not e["setting"] and (TOKEN.search(e["text"]) or COINS.search(e["text"]))), None)
    if known is None and status < 500:
        known = next((e for e in reasons if not e["setting"] and e["answer_status"]), None)
    session = next((e for e in case.of("supabase.call") if e["service"] == "auth" and refused(e)), None)
    if known is None and session is not None and status in (401, 403):
        known = session
    if known is not None:
        text = known["text"] or f"the caller's token was refused with {known['status']}"
        title = "Top up, or raise the limit" if COINS.search(text) else "Sign in again, or correct the request"
        return failed("the backend refused the request with {status}: {text}", known, end, remedy=remedy(title), status=status, text=text[:160])
    return symptom("the backend refused the request with {status}; no reason was seen", end, remedy=remedy("Read the reason"), status=status)


def remedy(title: str) -> Remedy:
    """What to do about a refusal."""
    return Remedy(title, ("Read the answer's body in the browser's network panel: it names the reason.", "Correct that, and send the request again."))
