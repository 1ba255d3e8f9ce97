"""The key in use is an anon or publishable key where a service key is needed.

What it looks at
    The role the key in the settings states itself: the `role` of its JWT, or `sb_publishable_` against `sb_secret_`. With
    a live look: a key that states none, and from which the settings of a bucket that exists are hidden.

Why it matters
    An anon key is bound by row-level security: it cannot upload without policies, and cannot even see most buckets. It
    begins like a service key, so looking at its first letters tells nothing.

How to put it right
    Put the service_role or sb_secret_ key into the backend's service setting; keep it out of the browser.

When it is wrong
    A project whose policies allow anon uploads: where the upload, or a dry run of one, succeeded the role is no fault.
"""

import re

from diagnose.model import Case, Evidence, Finding, Link, Remedy, Seen, failed, passed, unseen, warned

link = Link.UPLOAD
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

BROWSERS = re.compile("ANON|PUBLISHABLE", re.I)
REMEDY = Remedy(
    "Use the service key in the backend",
    (
        "Supabase dashboard, Project settings, API keys: copy the service_role (or sb_secret_) key.",
        "Set it as the backend's service key and restart the backend. Never ship it to the browser.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    key = seen_key(case)
    if key is None:
        return unseen(case, "live.key", "the backend's Supabase key was not seen")
    name, role = key["name"], key["role"]
    if role == "authenticated":
        return warned(
            "'{name}' holds a signed-in user's token where a service key is needed", key, remedy=REMEDY, name=name
        )
    if role != "anon":
        return passed("'{name}' holds a key with the role '{role}'", key, name=name, role=role)
    stored, dry = case.product(Link.UPLOAD), case.best("live.upload")
    if isinstance(stored, Seen):
        return passed("the upload succeeded with this key", stored.evidence)
    if BROWSERS.search(name):
        return passed("'{name}' holds an anon key, as its name says", key, name=name)
    now, refusals = case.best("live.bucket"), case.storage_refusals[:1]
    missing = now is not None and now["exists"] is False  # no other key would find it
    if dry is not None and dry["allowed"] and not refusals:
        return passed("'{name}' holds an anon key, and the policies let it upload", key, dry, name=name)
    denied = (dry,) if dry is not None and dry["allowed"] is False else ()
    to_blame = refusals or (denied and case.could_fail_now(link))
    report = failed if to_blame and not missing else warned
    return report(
        "'{name}' holds an anon key where a service key is needed",
        key,
        *(refusals or denied),
        remedy=REMEDY,
        name=name,
    )


def seen_key(case: Case) -> Evidence | None:
    """What the settings say of the service key; where no attempt was refused, the key that Storage takes now."""
    named = [e for e in case.of("env.setting") if "SUPABASE" in e["name"].upper() and "SERVICE" in e["name"].upper()]
    stated, now = next((e for e in reversed(named) if e["role"]), None), case.best("live.key")
    taken = now if now is not None and now["accepted"] and now["name"] and now["role"] else None
    return stated or taken if case.storage_refusals else taken or stated
