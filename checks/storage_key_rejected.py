"""Auth, PostgREST or Storage refused the backend's own Supabase key.

What it looks at
    Storage's message (`Invalid Compact JWS`, `signature verification failed`, `"exp" claim timestamp check failed`
    and their like), `Invalid API key` of the gateway, and a 401 on the backend's own database calls. With a live look:
    what Storage answers to the key in the settings, and whether that key is expired or cut by its own text.

Why it matters
    A key that is expired, cut, or of another project cannot upload, however right everything else is. Storage says
    403 for this and for a policy alike: only the message tells them apart.

How to put it right
    Copy the service key again from the project whose URL the backend uses, whole, without quotes or spaces; restart.

When it is wrong
    A user's own expired token is refused by Auth as well; that is `request_rejected`. The settings seen here need not be
    those of the backend that runs.
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
    healed,
    live_fault,
    not_applicable,
    passed,
    unseen,
)

link = Link.UPLOAD
because = ("storage_project_mismatch",)
reads: tuple[str, ...] = ()

REFUSED = re.compile(
    r"Invalid Compact JWS|signature verification failed|claim timestamp check failed|base64url decode the signature"
    r"|JWS Protected Header|\"alg\"|\"nbf\"|Invalid API key|No API key|PGRST30[1-3]|JWT expired|jwt malformed|invalid signature", re.I,
)  # fmt: skip
SERVICE = re.compile(r"SUPABASE_(?!.*JWT).*(?:SERVICE|SECRET).*KEY", re.I)
REMEDY = Remedy(
    "Replace the backend's Supabase service key",
    (
        "Supabase dashboard, Project settings, API keys: copy the service_role or sb_secret_ key of this very project.",
        "Put it into the backend's environment whole, without quotes or spaces, and restart the backend.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored, now = case.product(Link.UPLOAD), case.best("live.key")
    taken = now if now is not None and now["accepted"] else None
    found = refused(case)
    if found is not None:
        return healed(found, taken, "Storage takes the key in the settings")
    if now is not None and now["accepted"] is False:
        proof, said = (now, *expired(case)), {"name": now["name"], "text": str(now["message"])[:120]}
        return live_fault(case, link, "Storage refuses the key in '{name}': {text}", *proof, remedy=REMEDY, **said)
    spoilt = spoiled(case) if taken is None else None
    if spoilt is not None:
        values = {"name": spoilt["name"], "file": spoilt["file"], "fault": spoilt["fault"]}
        return failed("'{name}' in {file} {fault}: no server takes such a key", spoilt, remedy=REMEDY, **values)
    if isinstance(stored, Seen):
        return passed("the key was accepted for the upload", stored.evidence)
    past = [e for e in case.storage_refusals if re.search("row-level security|ucket not found", str(e["message"]))]
    if past:
        return passed("Storage looked past the key", case.storage_refusals[0])
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    if taken is not None:
        return passed("Storage takes the key in '{name}'", taken, name=taken["name"])
    return unseen(case, "live.key", "no answer of Supabase to the backend's key was seen")


def refused(case: Case) -> Finding | None:
    """The attempt's own key was refused."""
    if isinstance(case.product(Link.UPLOAD), Seen):
        return None
    for refusal in case.storage_refusals:
        if REFUSED.search(f"{refusal['message']} {refusal['code']}"):
            text = str(refusal["message"])[:120]
            return failed(
                "the backend's Supabase key was refused: {text}", refusal, *expired(case), remedy=REMEDY, text=text
            )
    call = next((e for e in case.of("supabase.call") if e["service"] == "rest" and e["status"] == 401), None)
    if call is None:
        return None
    return failed("the database refused the backend's own key with 401", call, *expired(case), remedy=REMEDY)


def spoiled(case: Case) -> Evidence | None:
    """Where the living system is looked at alone: a service key that is expired or cut by its own text."""
    if case.attempted or not any(e.kind.startswith("live.") for e in case.evidence):
        return None
    keys = [e for e in case.of("env.setting") if SERVICE.search(e["name"]) and e["fault"]]
    return next((e for e in keys if e["expired"] or " cut" in e["fault"]), None)


def expired(case: Case) -> tuple[Evidence, ...]:
    """What the settings say of the key."""
    keys = (e for e in case.of("env.setting") if "SUPABASE" in e["name"].upper() and "KEY" in e["name"].upper())
    return tuple(e for e in keys if e["fault"])[:1]
