"""Several processes answer, or one could not start because another holds its port.

What it looks at
    `address already in use` in the log (Linux errno 98, Windows 10048). With a live look at this machine: every process
    that listens on the backend's port, whether on 127.0.0.1, ::1 or every address.

Why it matters
    The new process ends, the old one goes on answering with the old code, and each writes its own prompt log. Of two
    that share a port, now one answers and now the other.

How to put it right
    Find who holds the port, stop that process, and start one backend.

When it is wrong
    An error of an earlier start that was put right since. Processes that share one socket, or of which one started
    the other, are one backend; two that were started apart to share the load on purpose look like two.
"""

from diagnose.model import Case, Evidence, Finding, Link, Remedy, passed, unknown, unseen, warned

link = Link.DEPLOYMENT
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Leave one process on the port",
    (
        "Find who holds it (Linux: ss -ltnp; Windows: netstat -ano).",
        "Stop that process, then start the backend and see that it stays.",
    ),
    command="ss -ltnp 'sport = :8000'",
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    taken = case.best("deployment.bind_failed")
    if taken is not None:
        text = str(taken["text"])[:120]
        return warned("a backend could not start because its port was taken: {text}", taken, remedy=REMEDY, text=text)
    listeners = case.of("live.listener")
    heads = families([e for e in listeners if e["pid"]])
    if len(heads) > 1:
        return several(heads)
    hidden = next((e for e in listeners if not e["pid"]), None)
    started = case.best("deployment.started")
    if started is not None:
        return passed("the backend took its port and started", started, *heads)
    if hidden is not None:
        return unknown("a process that this user cannot look at listens at {address}", address=hidden["address"])
    if heads and case.of("live.backend"):
        return passed(
            "one backend holds the port: pid {pid} since {since}", *heads, pid=heads[0]["pid"], since=heads[0]["since"]
        )
    if heads:
        return unseen(case, "live.backend", "one process holds the port, and it was not seen to answer")
    return unseen(case, "live.listener", "who listens on the backend's port can only be seen while it runs")


def families(listeners: list[Evidence]) -> list[Evidence]:
    """The first process of each backend: those of one family are one."""
    heads: list[Evidence] = []
    for e in listeners:
        if all(e["pid"] != h["pid"] and e["pid"] not in (h["family"] or ()) for h in heads):
            heads.append(e)
    return heads


def several(heads: list[Evidence]) -> Finding:
    """Two of them that no one process started, each with what is known of it."""
    pids = ", ".join(str(e["pid"]) for e in heads)
    port = str(heads[0]["address"]).rpartition(":")[2]
    remedy = Remedy(
        "Leave one process on the port",
        (
            "See which of the processes {pids} is the backend you mean: folder, command and start are named above.",
            "Stop the others, and look again: one is to be left.",
        ),
        command=f"ps -o pid,ppid,lstart,args -p {pids.replace(' ', '')}",
        values={"pids": pids},
    )
    return warned(
        "unrelated processes listen on port {port}: {one}; and {two}",
        *heads,
        remedy=remedy,
        port=port,
        one=described(heads[0]),
        two=described(heads[1]),
    )


def described(e: Evidence) -> str:
    """One process in words: what is not known is left out."""
    parts = (("pid", "pid"), ("at", "address"), ("since", "since"), ("in", "folder"), ("runs", "command"))
    return ", ".join(f"{word} {str(e[name])[:90]}" for word, name in parts if e[name])
