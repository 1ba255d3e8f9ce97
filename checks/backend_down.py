"""Nothing listens at the backend's address.

What it looks at
    `ERR_CONNECTION_REFUSED` in the browser's console; a backend that answered rules it out. With a live look: whether
    the address refuses, speaks HTTP, answers more than 502 to 504, and has a route that makes pictures.

Why it matters
    A dead port refuses the connection. A 404 means that somebody answered, though it can be another program that took
    the port. `python main.py` starts nothing where main.py only declares the app.

How to put it right
    Start the backend, and compare its address with the one the frontend uses.

When it is wrong
    A console line that names no address can be about another one; a backend that hides its routes from /openapi.json.
"""

import re

from diagnose.model import Case, Evidence, Finding, Link, Message, Remedy, Witness, passed, unknown, unseen, warned
from diagnose.model.running import is_of_backend, lacking_route, nothing_behind

link = Link.DEPLOYMENT
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

REFUSED = re.compile(
    r"ERR_CONNECTION_REFUSED|NS_ERROR_CONNECTION_REFUSED|Connection refused|ECONNREFUSED|Could not connect to the server",
    re.I,
)
START = ("Start the backend and wait for its start-up lines.", "Compare its address with the frontend's API address.")
REMEDY = Remedy("Start the backend", START, command="uvicorn main:app --host 127.0.0.1 --port 8000")
FREE_STEPS = (
    "See whether this program is meant to run there, and stop it if it is not.",
    "Start the backend, and see that it stays; or give it another port, and the frontend that address.",
)
FREE = Remedy("Give the port back to the backend", FREE_STEPS, safe=False)


def look(case: Case) -> Finding:
    """The finding of this check."""
    dead = case.best("deployment.refused")
    if dead is not None:
        return down(case, dead)
    now = case.best("live.backend")
    if now is not None and (now["fault"] or lacking_route(case, now)):
        return stranger(case, now)
    lost = next(
        (e for e in case.of("browser.error") if REFUSED.search(str(e["text"])) and is_of_backend(case, e)), None
    )
    answered = case.best("request.access")
    # on the wire it was this very request that was refused, and the backend's line is another's
    if answered is not None and not (lost is not None and lost.witness is Witness.WIRE):
        return passed("the backend answered this request", answered)
    if lost is not None:
        return warned("the browser's connection was refused: {text}", lost, remedy=REMEDY, text=str(lost["text"])[:120])
    answer = case.best("answer")
    if answer is not None and not answer["html"]:
        return passed("the backend answered", answer)
    if now is not None and nothing_behind(now):
        values = {"url": now["url"], "status": now["status"]}
        return warned("{url} answers {status} to everything: nothing is behind it", now, remedy=REMEDY, **values)
    if now is not None:
        return passed("a backend answers at {url} now", now, url=now["url"])
    return unseen(case, "live.backend", "whether the backend listens can only be seen while it should run")


def down(case: Case, dead: Evidence) -> Finding:
    """The connection was refused; where the source shows that the usual command starts nothing, that is said too."""
    url = str(dead["url"] or dead.source)
    source = next((e for e in case.of("live.source") if e["starts"] is False), None)
    entry = next((str(e["entry"]) for e in case.of("live.source") if e["entry"]), "")
    entry = entry if re.fullmatch(r"\w[\w.]*:\w+", entry) else "main:app"
    port = re.search(r":(\d{1,5})(?:/|$)", url)
    command = f"uvicorn {entry} --host 127.0.0.1 --port {port[1] if port else 8000}"
    if source is None:
        remedy = Remedy("Start the backend", START, command=command)
        return warned("nothing listens at {url}: the connection was refused", dead, remedy=remedy, url=url)
    why = "Do not use 'python main.py': it ends at once and starts nothing."
    return warned(
        "nothing listens at {url}, and 'python main.py' starts nothing: main.py in {folder} runs no server",
        dead,
        source,
        remedy=Remedy("Start the backend", (why, *START), command=command),
        url=url,
        folder=source["folder"],
    )


def stranger(case: Case, now: Evidence) -> Finding:
    """Another program holds the port: who it is, where that was seen."""
    holder = next((e for e in case.of("live.listener") if e["pid"]), None)
    who = Message("pid {pid}: {command}", holder.fields) if holder else Message("its process was not seen")
    seen = (now, holder) if holder is not None else (now,)
    route = lacking_route(case, now)
    if now["given"] is False:  # nobody said that the backend is there
        return unknown(
            "what answers at the usual address {url} is not the backend; --backend-url names it", url=now["url"]
        )
    if route is None:
        return warned("what listens at {url} speaks no HTTP ({who})", *seen, remedy=FREE, url=now["url"], who=who)
    return warned(
        "what answers at {url} lacks the route '{route}' ({who})",
        *seen,
        remedy=FREE,
        url=now["url"],
        route=route,
        who=who,
    )
