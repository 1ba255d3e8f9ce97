"""Says what could not be seen, and how to get the piece of evidence that would decide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diagnose.model import Absent, Case, Finding, Link, LinkState, Missing, Phrase, Status

_LOG = (
    "the backend's log of this request",
    "copy the terminal's output into a file and give it: diagnose checklist backend.log",
)
_PIECES: Mapping[Link, tuple[str, str]] = {
    Link.REQUEST: (
        "the request as the browser sent it",
        "DevTools, Network: Copy > Copy all as HAR, then --har FILE (or the payload alone as request.json, then --request FILE)",
    ),
    Link.DECODE: _LOG,
    Link.UPLOAD: _LOG,
    Link.IMAGE_URL: (
        "the newest entry of prompt_log.json, or the log line 'Init Image URL'",
        "diagnose checklist prompt_log.json backend.log",
    ),
    Link.SELECTION: (
        "the HTTP client's own line: HTTP Request: POST https://fal.run/<model>",
        "run the backend with its root logger at INFO, and give its log: diagnose checklist backend.log",
    ),
    Link.PAYLOAD: (
        "the body that was posted to fal",
        "log the payload just before the POST, and give the backend's log",
    ),
    Link.GENERATION: (
        "the answer of the backend, or its log of the call to fal",
        "DevTools, Network, the request: save its response, then --response FILE",
    ),
}


def missing_pieces(case: Case, table: Mapping[str, Finding], chain: Sequence[LinkState]) -> tuple[Missing, ...]:
    """One piece for each link that was not seen, in the order of the chain."""
    missing = [Missing(state.link, *_PIECES[state.link]) for state in chain if state.status is Status.UNKNOWN]
    received = case.product(Link.REQUEST)
    if case.sent_images is None and (isinstance(received, Absent) or table["no_image_sent"].status is Status.NOTE):
        evidence, how = _PIECES[Link.REQUEST]
        said = Phrase("{evidence} (decides image_field_unknown and image_not_received)", evidence=evidence)
        missing = [Missing(Link.REQUEST, said, how), *(m for m in missing if m.link is not Link.REQUEST)]
    if table["backend_stale"].status is Status.UNKNOWN and table["wrong_target_model"].status is Status.FAIL:
        missing.append(
            Missing(Link.DEPLOYMENT, "the backend's source folder (decides backend_stale)", "--source FOLDER")
        )
    return tuple(missing)
