"""Key, URL or picture belong to different projects.

What it looks at
    The project each of them names: the `ref` of a legacy key, the host of `SUPABASE_URL`, of the upload and of the
    picture's address.

Why it matters
    A key of one project is refused by another; a picture uploaded to one and addressed in another cannot be fetched.

How to put it right
    Take the URL and the key from the same project, and restart the backend.

When it is wrong
    Custom domains and self-hosted servers name no project; they are not compared. `sb_` keys carry no project.
"""

import re

from diagnose.model import Absent, Case, Evidence, Finding, Link, Remedy, failed, passed, unknown, warned

link = Link.UPLOAD
because: tuple[str, ...] = ()
reads = ("request.image_url", "fal_request.image_url", "fal_request.image_urls")

PROJECT = re.compile(r"\b([a-z0-9]{20})\.(?:storage\.)?supabase\.(?:co|in)\b")
REMEDY = Remedy(
    "Take URL and key from one project",
    (
        "Supabase dashboard, Project settings, API: copy URL and service key from the same page.",
        "Set both in the backend's environment (and in every copy of it), and restart the backend.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    named = list(projects(case))
    if len(named) < 2:
        return unknown("fewer than two of key, URL and picture name a project")
    first = named[0]
    attempts = {n[0] for n in named if n[2].kind != "env.setting"}
    settings = {n[0] for n in named if n[2].kind == "env.setting"}
    if case.was_given("live") and len(attempts) == len(settings) == 1 and attempts != settings:
        # each agrees with itself: whoever looks has another project than the backend had
        return unknown(
            "the attempt is of project '{a}' and the settings here are of '{b}': they are another backend's",
            a=min(attempts),
            b=min(settings),
        )
    other = next((n for n in named if n[0] != first[0]), None)
    if other is None:
        return passed("key, URL and picture name the same project", first[2], named[-1][2])
    # without a picture nothing was uploaded, so this is no cause of anything yet
    report = warned if isinstance(case.product(Link.REQUEST), Absent) else failed
    return report(
        "the {one} names project '{a}' and the {two} names '{b}'",
        first[2],
        other[2],
        remedy=REMEDY,
        one=first[1],
        a=first[0],
        two=other[1],
        b=other[0],
    )


def projects(case: Case) -> list[tuple[str, str, Evidence]]:
    """(project, who names it, evidence), strongest witness first."""
    found: list[tuple[str, str, Evidence]] = []
    for e in case.of("storage.upload", "image_url", "env.setting"):
        where = {"storage.upload": "upload", "image_url": "picture's address"}.get(e.kind) or e["name"]
        if e.kind == "env.setting" and not ("SUPABASE" in e["name"].upper() and e["project"]):
            continue
        text = e["project"] if e.kind == "env.setting" else str(e["host"] or e["url"] or "")
        match = PROJECT.search(text) if e.kind != "env.setting" else re.fullmatch(r"([a-z0-9]{20})", text)
        if match:
            found.append((match[1], where, e))
    return found
