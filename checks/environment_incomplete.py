"""A setting the chain needs is missing, malformed, or differs between files.

What it looks at
    The names and shapes of the settings in `.env` and its like, never their values; and what the backend says is not
    configured. With a live look: the variables a running backend was started with, what its `/ready` says, and the
    address that the frontend calls.

Why it matters
    A missing key ends the request or breaks a link far from the file that should hold it. A frontend that calls
    another address than the backend's is answered by somebody else.

How to put it right
    Set the named setting in the environment of the running backend, and restart it.

When it is wrong
    A file that merely lacks a name is not counted: the operating system's environment may supply it. A name counts as
    missing where both were looked at, and is there all the same where the backend asks a secrets service. A proxy
    that stands between frontend and backend has another address with reason.
"""

import re
from collections.abc import Sequence

from diagnose.model import Case, Evidence, Finding, Link, Remedy, Seen, noted, passed, unknown, warned

link = Link.ENVIRONMENT
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

NEEDED = (
    ("SUPABASE_URL", r"SUPABASE_.*URL|STORAGE_URL"),
    ("SUPABASE_SERVICE_KEY", r"SUPABASE_.*KEY"),
    ("FAL_KEY", r"FAL_.*KEY"),
)
PUBLIC = re.compile(r"(?:NEXT_PUBLIC|VITE|REACT_APP|NUXT_PUBLIC|EXPO_PUBLIC|PUBLIC)_", re.I)
API = re.compile(r"(?:API|BACKEND|SERVER)_?(?:BASE_?)?(?:URL|ENDPOINT|BASE|ORIGIN)$", re.I)
FRONTEND = re.compile(r"(?:^|[/\\])(?:frontend|web|client|ui)[/\\]", re.I)
SAME = ("shape", "role", "project", "host", "digest")


def look(case: Case) -> Finding:
    """The finding of this check."""
    made = case.product(Link.GENERATION)
    said = next((e for e in case.of("error") if e["setting"]), None)
    if said is not None and not isinstance(made, Seen):
        name = said["setting"]
        return warned("the backend says that '{name}' is not configured", said, remedy=remedy(name), name=name)
    header = next((e for e in case.of("error") if "Illegal header value b'Key" in e["text"]), None)
    if header is not None and not isinstance(made, Seen):
        return warned("'{name}' is empty or holds a line break", header, remedy=remedy("FAL_KEY"), name="FAL_KEY")
    settings = effective(case.of("env.setting"))
    return (
        malformed(settings)
        or not_ready(case)
        or missing(case, settings)
        or differing(case, settings)
        or elsewhere(case, settings)
        or sound(case, settings)
    )


def sound(case: Case, settings: Sequence[Evidence]) -> Finding:
    """No fault was seen: with settings they are well formed, and where two places set one, it is said which wins."""
    for one in settings:
        other = next((e for e in settings if from_system(one) and not from_system(e) and differ(one, e)), None)
        if other is not None:
            values = {"name": one["name"], "one": place(one), "two": place(other)}
            return passed("'{name}' differs between {one} and {two}: {one} wins over a file", one, other, **values)
    if settings:
        return passed("the settings shown are well formed", settings[0])
    made = case.product(Link.GENERATION)
    if case.best("fal.call") is not None and isinstance(made, Seen):
        return passed("the settings were enough for a picture", made.evidence)
    return unknown("no settings were seen")


def malformed(settings: Sequence[Evidence]) -> Finding | None:
    """A setting whose text cannot be used."""
    broken = next((e for e in settings if e["fault"]), None)
    if broken is None:
        return None
    values = {"name": broken["name"], "file": place(broken), "fault": broken["fault"]}
    return warned("'{name}' in {file} {fault}", broken, remedy=remedy(broken["name"]), **values)


def not_ready(case: Case) -> Finding | None:
    """What the running backend says it lacks."""
    for e in case.of("live.backend"):
        for name in e["missing"] or ():
            return warned("the running backend says that '{name}' is missing", e, remedy=remedy(str(name)), name=name)
    return None


def missing(case: Case, settings: Sequence[Evidence]) -> Finding | None:
    """A name that stands in no file and not among the process's variables, where both were looked at."""
    process = next((e for e in case.of("live.listener") if e["variables"] is not None), None)
    ours = [e for e in settings if not PUBLIC.match(e["name"]) and not FRONTEND.search(place(e))]
    file = next((e for e in ours if not from_system(e) and any(re.match(p, e["name"]) for _, p in NEEDED)), None)
    if process is None or file is None or not any("SUPABASE" in e["name"] for e in ours):
        return None
    known = [e["name"] for e in ours] + [str(name) for name in process["variables"]]
    for name, pattern in NEEDED:
        if not any(re.match(pattern, other) for other in known):
            report = warned if concerns(case, name) else noted
            return report(
                "'{name}' stands neither in {file} nor among the variables of pid {pid}",
                file,
                process,
                remedy=remedy(name),
                name=name,
                file=place(file),
                pid=process["pid"],
            )
    return None


def differing(case: Case, settings: Sequence[Evidence]) -> Finding | None:
    """One name, in two files, of two values; `.env.local` stands over `.env` on purpose."""
    files = [e for e in settings if not from_system(e)]
    for index, one in enumerate(files):
        for two in files[index + 1 :]:
            if differ(one, two) and place(one).removesuffix(".local") != place(two).removesuffix(".local"):
                report = warned if concerns(case, one["name"]) else noted
                return report(
                    "'{name}' differs between {one} and {two}",
                    one,
                    two,
                    remedy=remedy(one["name"]),
                    name=one["name"],
                    one=place(one),
                    two=place(two),
                )
    return None


def elsewhere(case: Case, settings: Sequence[Evidence]) -> Finding | None:
    """The address the frontend calls, where it is not the backend's."""
    answered = case.best("live.backend", "deployment.refused")
    declared = case.profile.backend_url if "backend.url" in case.profile.declared else None
    backend = str(answered["url"]) if answered is not None and answered["url"] else declared
    called = [e for e in settings if API.search(e["name"]) and (PUBLIC.match(e["name"]) or FRONTEND.search(place(e)))]
    called.sort(key=lambda e: not place(e).endswith(".local"))  # the local file wins
    if backend is None or not called or not called[0]["origin"] or same_place(called[0]["origin"], backend):
        return None
    fix = Remedy(
        "Let the frontend call the backend",
        ("Set the frontend's API address to the backend's, and build or start the frontend anew.",),
    )
    report = warned if concerns(case, "") else noted
    return report(
        "the frontend calls {called} ('{name}' in {file}) and the backend is at {backend}",
        called[0],
        *([answered] if answered else ()),
        remedy=fix,
        called=called[0]["origin"],
        name=called[0]["name"],
        file=place(called[0]),
        backend=backend,
    )


# What they share.


def effective(settings: Sequence[Evidence]) -> list[Evidence]:
    """What counts: the variables of the running process stand in the place of this shell's, and before a file's."""
    processes = {e["name"] for e in settings if of_process(e) and not e["fault"]}
    running = any(of_process(e) for e in settings)
    kept = [e for e in settings if not (running and place(e) == "environment")]
    return [e for e in kept if of_process(e) or not (e["fault"] and e["name"] in processes)]


def of_process(e: Evidence) -> bool:
    """Whether a setting was seen among a running process's variables."""
    return place(e).startswith("process ")


def from_system(e: Evidence) -> bool:
    """Whether a setting comes from no file."""
    return of_process(e) or place(e) == "environment"


def place(e: Evidence) -> str:
    """Where a setting stands."""
    return str(e["file"] or e.source)


def differ(one: Evidence, two: Evidence) -> bool:
    """Whether two places give one name two values; what one of them does not tell is not compared."""
    told = [k for k in SAME if k != "digest" or (one[k] and two[k])]
    return bool(one["name"] == two["name"] and any(one[k] != two[k] for k in told))


def same_place(one: str, two: str) -> bool:
    """Whether two addresses name one server; this machine has several names."""
    return origin(one) == origin(two)


def origin(url: str) -> tuple[str, str, str]:
    """Scheme, host and port."""
    parts = re.match(r"(https?)://(?:[^@/?#]*@)?(\[[^\]]*\]|[^:/?#]*)(?::(\d+))?", url.lower())
    scheme, host, port = (parts[1], parts[2], parts[3]) if parts else ("", url, None)
    here = host in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0")  # noqa: S104 - compared, not bound
    return scheme, "localhost" if here else host, port or ("443" if scheme == "https" else "80")


def concerns(case: Case, name: str) -> bool:
    """Whether the services that refused the attempt use this setting; else it is not their reason, and only a note."""
    services = (("FAL", case.fal_refusals), ("SUPABASE", case.storage_refusals))
    refused = [service for service, refusals in services if refusals]
    return not refused or any(service in name for service in refused)


def remedy(name: str) -> Remedy:
    """What to do about one setting."""
    return Remedy(
        f"Set '{name}'",
        (
            f"Set {name} in the environment the backend really reads (one file, no quotes, no spaces).",
            "Restart the backend.",
        ),
    )
