"""The key in use is an anon or publishable key where a service key is needed.

What it looks at
    The role the key in the settings states itself: the `role` of its JWT, or `sb_publishable_` against `sb_secret_`.

Why it matters
    An anon key is bound by row-level security: it cannot upload without policies, and cannot even see most buckets. It
    begins like a service key, so looking at its first letters tells nothing.

How to put it right
    Put the service_role or sb_secret_ key into the backend's service setting; keep it out of the browser.

When it is wrong
    A project whose policies allow anon uploads: where the upload succeeded the role is no fault.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, passed, unknown, warned

link = Link.UPLOAD
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Use the service key in the backend",
    (
        "Supabase dashboard, Project settings, API keys: copy the service_role (or sb_secret_) key.",
        "Set it as the backend's service key and restart the backend. Never ship it to the browser.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    keys = [
        e
        for e in case.of("env.setting")
        if "SUPABASE" in e["name"].upper() and "SERVICE" in e["name"].upper() and e["role"]
    ]
    if not keys:
        return unknown("the backend's Supabase key was not seen")
    key = keys[-1]
    if key["role"] != "anon":
        return passed("'{name}' holds a key with the role '{role}'", key, name=key["name"], role=key["role"])
    stored = case.product(Link.UPLOAD)
    if isinstance(stored, Seen):
        return passed("the upload succeeded with this key", stored.evidence)
    refusals = case.storage_refusals
    report = failed if refusals else warned
    return report(
        "'{name}' holds an anon key where a service key is needed", key, *refusals[:1], remedy=REMEDY, name=key["name"]
    )
