"""fal refused with 403: the account's balance is exhausted.

What it looks at
    403 (or 402) on the call to fal, and fal's words `User is locked. Reason: Exhausted balance`.

Why it matters
    The key is right and the code is right. Backends often report it as a key problem.

How to put it right
    Top up the balance in fal's dashboard under Billing.

When it is wrong
    A 403 whose body speaks of something else than a balance is counted as a refused key.
"""

import re

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, passed, unknown

link = Link.GENERATION
because = ()
reads: tuple[str, ...] = ()

BALANCE = re.compile(r"balance|locked|top up|billing", re.I)
REMEDY = Remedy("Top up the fal balance", ("Open fal's dashboard, Billing, and top up; nothing has to be restarted.",))


def look(case: Case) -> Finding:
    """The finding of this check."""
    said = [e for e in case.fal_refusals if BALANCE.search(f"{e['message']} {e['text']}")]
    silent = [e for e in case.fal_status(402, 403) if not e["message"]]
    other = any(e["status"] == 403 and e["message"] for e in case.fal_refusals) and not said
    if said or (silent and not other):
        proof = tuple(said) + tuple(silent)
        return failed(
            "fal answered {status}: the account is locked, its balance exhausted",
            *proof[:2],
            remedy=REMEDY,
            status=proof[0]["status"] or 403,
        )
    if case.fal_refusals and case.fal_refusals[0]["status"]:
        return passed("fal refused for another reason", case.fal_refusals[0])
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen):
        return passed("fal made a picture", made.evidence)
    return unknown("no answer of fal about the account was seen")
