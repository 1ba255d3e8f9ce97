"""Storage did not answer, or with a server error.

What it looks at
    A 5xx (or 429) on the upload, and network errors of the upload: refused, timed out, a name that does not resolve. With
    a live look: who answers at the project's address, and whether it is Storage, with its database behind it.

Why it matters
    A paused or deleted project is reported as a name that does not resolve; a full connection pool as 429. The
    backend's own code is not to blame.

How to put it right
    Open the project in the Supabase dashboard and restore it if it is paused; check `SUPABASE_URL`; try again.

When it is wrong
    A proxy or firewall on the backend's side gives the same errors. With a live look it is this machine's network that
    counts: an address that refuses or has no name is only blamed where another address of the kind answered.
"""

from diagnose.model import (
    Case,
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
because = ("environment_incomplete",)
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "See that Storage answers",
    (
        "Open the project in the Supabase dashboard: a paused project does not resolve; restore it.",
        "Compare SUPABASE_URL with the project's URL, and try the upload again.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored, now = case.product(Link.UPLOAD), case.best("live.storage")
    well = now if now is not None and not now["fault"] else None
    found = failure(case) if not isinstance(stored, Seen) else None
    if found is not None:
        return healed(found, well, "Storage answers")
    if now is not None and now["fault"]:
        return live_fault(
            case,
            link,
            "Storage does not work at {url}: {fault}",
            now,
            remedy=REMEDY,
            url=now["url"],
            fault=now["fault"],
        )
    written = next((e for e in case.of("live.written") if e["written"] is False and (e["status"] or 0) >= 500), None)
    if written is not None:
        values = {"status": written["status"], "text": str(written["message"])[:120]}
        return live_fault(
            case, link, "Storage answered a test upload with {status}: {text}", written, remedy=REMEDY, **values
        )
    if isinstance(stored, Seen):
        return passed("Storage answered", stored.evidence)
    if case.storage_refusals:
        return passed("Storage answered", case.storage_refusals[0])
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    if well is not None:
        return passed("Storage answers at {url}", well, url=well["url"])
    return unseen(case, "live.storage", "it was not seen whether Storage answered")


def failure(case: Case) -> Finding | None:
    """The attempt's own upload met a server error, or nobody."""
    for e in case.of("storage.upload") + case.storage_refusals:
        if isinstance(e["status"], int) and (e["status"] >= 500 or e["status"] == 429):
            return failed("Storage answered {status}", e, remedy=REMEDY, status=e["status"])
    lost = next(
        (e for e in case.errors("upload") if e["network"] and e["service"] == "storage" and not e["library"]), None
    )
    if lost is None:
        return None
    return failed("Storage did not answer the upload: {text}", lost, remedy=REMEDY, text=str(lost["text"])[:160])
