"""What settings of several places establish together: which counts, what is missing everywhere, what contradicts.

Pure functions over evidence of settings, whose values are never known, for the check that says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from diagnose.model import Case, Evidence

NEEDED = (
    ("SUPABASE_URL", r"SUPABASE_.*URL|STORAGE_URL"),
    ("SUPABASE_SERVICE_KEY", r"SUPABASE_.*KEY"),
    ("FAL_KEY", r"FAL_.*KEY"),
)
PUBLIC = re.compile(r"(?:NEXT_PUBLIC|VITE|REACT_APP|NUXT_PUBLIC|EXPO_PUBLIC|PUBLIC)_", re.I)
API = re.compile(r"(?:API|BACKEND|SERVER)_?(?:BASE_?)?(?:URL|ENDPOINT|BASE|ORIGIN)$", re.I)
FRONTEND = re.compile(r"(?:^|[/\\])(?:frontend|web|client|ui)[/\\]", re.I)
SAME = ("shape", "role", "project", "host", "digest")


def effective(settings: Sequence[Evidence]) -> list[Evidence]:
    """What counts: the variables of the running process stand in the place of this shell's, and before a file's."""
    processes = {e["name"] for e in settings if of_process(e) and not e["fault"]}
    running = any(of_process(e) for e in settings)
    kept = [e for e in settings if not (running and place(e) == "environment")]
    return [e for e in kept if of_process(e) or not (e["fault"] and e["name"] in processes)]


def lacking(case: Case, settings: Sequence[Evidence]) -> tuple[str, Evidence, Evidence] | None:
    """A name that stands in no file and not among the process's variables, where both were looked at: with both."""
    process = next((e for e in case.of("live.listener") if e["variables"] is not None), None)
    ours = [e for e in settings if not PUBLIC.match(e["name"]) and not FRONTEND.search(place(e))]
    file = next((e for e in ours if not from_system(e) and any(re.match(p, e["name"]) for _, p in NEEDED)), None)
    if process is None or file is None or not any("SUPABASE" in e["name"] for e in ours):
        return None
    known = [e["name"] for e in ours] + [str(name) for name in process["variables"]]
    absent = (name for name, pattern in NEEDED if not any(re.match(pattern, other) for other in known))
    return next(((name, file, process) for name in absent), None)


def contradicting(settings: Sequence[Evidence]) -> tuple[Evidence, Evidence] | None:
    """One name, in two files, of two values; `.env.local` stands over `.env` on purpose."""
    files = [e for e in settings if not from_system(e)]
    for index, one in enumerate(files):
        for two in files[index + 1 :]:
            if differ(one, two) and place(one).removesuffix(".local") != place(two).removesuffix(".local"):
                return one, two
    return None


def overruled(settings: Sequence[Evidence]) -> tuple[Evidence, Evidence] | None:
    """A variable of the system, and a file's of the same name and another value, which it overrules."""
    for one in settings:
        other = next((e for e in settings if from_system(one) and not from_system(e) and differ(one, e)), None)
        if other is not None:
            return one, other
    return None


def astray(case: Case, settings: Sequence[Evidence]) -> tuple[Evidence, str, tuple[Evidence, ...]] | None:
    """The address that the frontend calls, where it is not the backend's; the backend's, and who told it."""
    answered = case.best("live.backend", "deployment.refused")
    declared = case.profile.backend_url if "backend.url" in case.profile.declared else None
    backend = str(answered["url"]) if answered is not None and answered["url"] else declared
    called = [e for e in settings if API.search(e["name"]) and (PUBLIC.match(e["name"]) or FRONTEND.search(place(e)))]
    called.sort(key=lambda e: not place(e).endswith(".local"))  # the local file wins
    if backend is None or not called or not called[0]["origin"] or same_place(called[0]["origin"], backend):
        return None
    return called[0], backend, (answered,) if answered is not None else ()


def concerns(case: Case, name: str) -> bool:
    """Whether the services that refused the attempt use this setting; else it is not their reason, and only a note."""
    services = (("FAL", case.fal_refusals), ("SUPABASE", case.storage_refusals))
    refused = [service for service, refusals in services if refusals]
    return not refused or any(service in name for service in refused)


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
