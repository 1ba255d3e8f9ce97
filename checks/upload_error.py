"""The client library raised before or instead of an answer.

What it looks at
    Errors of the upload that no server sent: a BytesIO where bytes are wanted, a boolean header, an answer the library
    could not read, a key with a line break, a client that was never set up. With a live look: a key in the settings that
    no HTTP header can carry, with which every upload raises.

Why it matters
    Nothing reached Storage; looking for the fault in the dashboard is in vain. Which inputs work differs from one
    version of the library to the next.

How to put it right
    Give the upload plain `bytes` (`buffer.getvalue()`), string options (`"upsert": "true"`), and pin the library.

When it is wrong
    A library error that merely wraps Storage's own answer; where that answer was seen, it is judged instead.
"""

import re

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, live_fault, not_applicable, passed, unknown

link = Link.UPLOAD
because = ("environment_incomplete",)
reads: tuple[str, ...] = ()

OWN = re.compile(r"PathLike|Header value must be|'encode'|[Ss]upabase|Illegal header value b'(?:Bearer|ey|sb_)")
"""Words that only an upload's or a client's own error has, where the error does not say what it was about."""
REMEDY = Remedy(
    "Mend the call of the upload",
    (
        "Pass bytes, not a BytesIO: buffer.getvalue().",
        "Pass options as strings: {'content-type': 'image/jpeg', 'upsert': 'true'}.",
        "Pin the supabase package to the version the code was written for, and restart the backend.",
    ),
)

KEY = Remedy(
    "Put the key into the settings again",
    ("Copy the service key whole, without line breaks or other characters around or inside it; restart the backend.",),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored, key = case.product(Link.UPLOAD), case.best("live.key")
    answered = (case.storage_refusals or case.of("storage.upload"))[:1]
    raised = next((e for e in case.errors("upload") if e["library"]), None)
    raised = raised or next((e for e in case.errors(None) if e["library"] and OWN.search(e["text"])), None)
    if raised is not None and not answered and not isinstance(stored, Seen):
        return failed(
            "the upload raised before Storage answered: {text}", raised, remedy=REMEDY, text=str(raised["text"])[:160]
        )
    if key is not None and key["code"] == "unsendable":
        return live_fault(
            case,
            link,
            "every upload with the key in '{name}' raises: {text}",
            key,
            remedy=KEY,
            name=key["name"],
            text=key["message"],
        )
    if isinstance(stored, Seen):
        return passed("the upload went through the library", stored.evidence)
    if answered:
        return passed("Storage itself answered", *answered)
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    return unknown("no error of the client library was seen")
