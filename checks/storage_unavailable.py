"""Storage did not answer, or with a server error.

What it looks at
    A 5xx (or 429) on the upload, and network errors of the upload: refused, timed out, a name that does not resolve.

Why it matters
    A paused or deleted project is reported as a name that does not resolve; a full connection pool as 429. The
    backend's own code is not to blame.

How to put it right
    Open the project in the Supabase dashboard and restore it if it is paused; check `SUPABASE_URL`; try again.

When it is wrong
    A proxy or firewall on the backend's side gives the same errors.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, not_applicable, passed, unknown

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
    stored = case.product(Link.UPLOAD)
    if isinstance(stored, Seen):
        return passed("Storage answered", stored.evidence)
    for e in case.of("storage.upload") + case.storage_refusals:
        if isinstance(e["status"], int) and (e["status"] >= 500 or e["status"] == 429):
            return failed("Storage answered {status}", e, remedy=REMEDY, status=e["status"])
    lost = next(
        (e for e in case.errors("upload") if e["network"] and e["service"] == "storage" and not e["library"]), None
    )
    if lost is not None:
        return failed("Storage did not answer the upload: {text}", lost, remedy=REMEDY, text=str(lost["text"])[:160])
    if case.storage_refusals:
        return passed("Storage answered", case.storage_refusals[0])
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    return unknown("it was not seen whether Storage answered")
