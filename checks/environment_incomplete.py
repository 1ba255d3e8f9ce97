"""A setting the chain needs is missing, malformed, or differs between files.

What it looks at
    The names and shapes of the settings in `.env` and its like, never their values; and what the backend says is not
    configured.

Why it matters
    A missing key ends the request or breaks a link far from the file that should hold it.

How to put it right
    Set the named setting in the environment of the running backend, and restart it.

When it is wrong
    A setting that the operating system's environment supplies is missing from the file with reason; a file that
    merely lacks a name is therefore not counted.
"""

from diagnose.model import Case, Evidence, Finding, Link, Remedy, Seen, passed, unknown, warned

link = Link.ENVIRONMENT
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()


def look(case: Case) -> Finding:
    """The finding of this check."""
    made = case.product(Link.GENERATION)
    said = next((e for e in case.of("error") if e["setting"]), None)
    if said is not None and not isinstance(made, Seen):
        return warned(
            "the backend says that '{name}' is not configured",
            said,
            remedy=remedy(said["setting"]),
            name=said["setting"],
        )
    header = next((e for e in case.of("error") if "Illegal header value b'Key" in e["text"]), None)
    if header is not None and not isinstance(made, Seen):
        return warned("'{name}' is empty or holds a line break", header, remedy=remedy("FAL_KEY"), name="FAL_KEY")
    settings = case.of("env.setting")
    broken = next((e for e in settings if e["fault"]), None)
    if broken is not None:
        return warned(
            "'{name}' in {file} {fault}",
            broken,
            remedy=remedy(broken["name"]),
            name=broken["name"],
            file=broken["file"],
            fault=broken["fault"],
        )
    other = differing(settings)
    if other is not None:
        one, two = other
        return warned(
            "'{name}' differs between {one} and {two}",
            one,
            two,
            remedy=remedy(one["name"]),
            name=one["name"],
            one=one["file"],
            two=two["file"],
        )
    if settings:
        return passed("the settings shown are well formed", settings[0])
    if case.best("fal.call") is not None and isinstance(made, Seen):
        return passed("the settings were enough for a picture", made.evidence)
    return unknown("no settings were seen")


def differing(settings: tuple[Evidence, ...]) -> tuple[Evidence, Evidence] | None:
    """One name, in two files, of two shapes, roles, projects or hosts."""
    for index, one in enumerate(settings):
        for two in settings[index + 1 :]:
            if one["name"] == two["name"] and any(one[k] != two[k] for k in ("shape", "role", "project", "host")):
                return one, two
    return None


def remedy(name: str) -> Remedy:
    """What to do about one setting."""
    return Remedy(
        f"Set '{name}'",
        (
            f"Set {name} in the environment the backend really reads (one file, no quotes, no spaces).",
            "Restart the backend.",
        ),
    )
