"""Auth, PostgREST or Storage refused the backend's own Supabase key.

What it looks at
    Storage's message (`Invalid Compact JWS`, `signature verification failed`, `"exp" claim timestamp check failed`
    and their like), `Invalid API key` of the gateway, and a 401 on the backend's own database calls.

Why it matters
    A key that is expired, cut, or of another project cannot upload, however right everything else is. Storage says
    403 for this and for a policy alike: only the message tells them apart.

How to put it right
    Copy the service key again from the project whose URL the backend uses, whole, without quotes or spaces; restart.

When it is wrong
    A user's own expired token is refused by Auth as well; that is `request_rejected`.
"""

import re

from diagnose.model import Case, Evidence, Finding, Link, Remedy, Seen, failed, not_applicable, passed, unknown

link = Link.UPLOAD
because = ("storage_project_mismatch",)
reads: tuple[str, ...] = ()

REFUSED = re.compile(
    r"Invalid Compact JWS|signature verification failed|claim timestamp check failed|base64url decode the signature"
    r"|JWS Protected Header|\"alg\"|\"nbf\"|Invalid API key|No API key|PGRST30[1-3]|JWT expired|jwt malformed|invalid signature", re.I,
)  # fmt: skip
REMEDY = Remedy(
    "Replace the backend's Supabase service key",
    (
        "Supabase dashboard, Project settings, API keys: copy the service_role or sb_secret_ key of this very project.",
        "Put it into the backend's environment whole, without quotes or spaces, and restart the backend.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored = case.product(Link.UPLOAD)
    if isinstance(stored, Seen):
        return passed("the key was accepted for the upload", stored.evidence)
    for refusal in case.storage_refusals:
        if REFUSED.search(f"{refusal['message']} {refusal['code']}"):
            return failed(
                "the backend's Supabase key was refused: {text}",
                refusal,
                *expired(case),
                remedy=REMEDY,
                text=str(refusal["message"])[:120],
            )
    call = next((e for e in case.of("supabase.call") if e["service"] == "rest" and e["status"] == 401), None)
    if call is not None:
        return failed("the database refused the backend's own key with 401", call, *expired(case), remedy=REMEDY)
    if case.storage_refusals and any(
        "row-level security" in str(e["message"]) or "ucket not found" in str(e["message"])
        for e in case.storage_refusals
    ):
        return passed("Storage looked past the key", case.storage_refusals[0])
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    return unknown("no answer of Supabase to the backend's key was seen")


def expired(case: Case) -> tuple[Evidence, ...]:
    """What the settings say of the key."""
    return tuple(
        e
        for e in case.of("env.setting")
        if "SUPABASE" in e["name"].upper() and "KEY" in e["name"].upper() and e["fault"]
    )[:1]
