"""Joins findings into a diagnosis: what was chosen, why, where the chain broke, and what would have been otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from diagnose import registry
from diagnose.coverage import missing_pieces
from diagnose.model import (
    CHAIN,
    FAULTS,
    IMAGE_TO_IMAGE,
    TEXT_TO_IMAGE,
    Absent,
    Case,
    Conflict,
    Counterfactual,
    Decision,
    Diagnosis,
    Evidence,
    Finding,
    Link,
    LinkState,
    Phrase,
    Question,
    Seen,
    Status,
    Witness,
    refused,
    same_number,
    seen_now,
)

BEFORE_SELECTION = (Link.REQUEST, Link.DECODE, Link.UPLOAD, Link.IMAGE_URL)
QUESTIONS: tuple[tuple[str, Link | None, tuple[str, ...]], ...] = (
    ("backend_restarted", None, ("backend_stale", "several_backends")),
    ("image_uploaded", Link.REQUEST, ("no_image_sent", "image_field_unknown", "image_not_received", "image_unusable")),
    ("console_clean", None, ("browser_error", "proxy_rejected", "backend_down")),
    ("init_image_url_yes", Link.IMAGE_URL, ("upload_result_lost", "bucket_private", "init_image_url_unreachable")),
    ("model_right", Link.SELECTION, ("model_not_switched", "wrong_target_model", "model_constant_conflict")),
    ("image_url_in_payload", Link.PAYLOAD, ("payload_without_image",)),
    ("strength_in_payload", None, ("strength_wrong",)),
)
"""The seed document's seven questions, in its order: id, the link whose product answers it, its checks."""


class _Answer(NamedTuple):
    """What the case comes to before the root is known."""

    outcome: str
    generation: str
    intended: bool | None
    by_design: bool


def diagnose(case: Case, findings: Sequence[Finding] | None = None, notes: Sequence[str] = ()) -> Diagnosis:
    """The answer to one case. The findings are the registry's unless given."""
    found = tuple(registry.run(case) if findings is None else findings)
    found = tuple(_graver(f, case) for f in found)
    table = {f.check: f for f in found}
    answer = _answer(case, table)
    broken = _broken(case, table, answer)
    root, path = _root(case, table, answer, broken)
    sound = answer.generation != "failed" and not broken and (answer.outcome == "switched" or answer.by_design)
    suspects = () if root is not None or sound else _suspects(case, table, answer, broken)
    chain = _chain(case, table, broken, root)
    return Diagnosis(
        profile=case.profile.name,
        subject=case.subject,
        outcome=answer.outcome,
        generation=answer.generation,
        intended=answer.intended,
        decision=_decision(case, answer, root, broken, table["no_image_sent"].status is Status.NOTE),
        root=root,
        suspects=suspects,
        deeper=_deeper(case, table, root),
        interval=_interval(case, table, broken),
        chain=chain,
        because=_because(answer, root, path, table),
        counterfactual=_counterfactual(case, answer, root),
        conflicts=_conflicts(case),
        missing=missing_pieces(case, table, chain),
        checklist=_checklist(case, table, answer),
        findings=found,
        notes=tuple(notes),
    )


def _graver(finding: Finding, case: Case) -> Finding:
    """A broken prompt log is a failure, and no warning, where nothing else was readable."""
    alone = {e.kind for e in case.evidence} <= {"record.fault", "given", "fal.schema"}
    if finding.check == "prompt_log_corrupt" and finding.status is Status.WARN and alone:
        return replace(finding, status=Status.FAIL)
    return finding


def sound(d: Diagnosis) -> bool:
    """Whether nothing is wrong: switched, or by design, with no picture known to have failed."""
    by_design = d.root is not None and d.root.status is Status.NOTE
    return d.generation != "failed" and (by_design or (d.root is None and d.outcome == "switched" and not d.suspects))


# --- outcome ----------------------------------------------------------------------------------------------------------


def _answer(case: Case, table: dict[str, Finding]) -> _Answer:
    outcome = _outcome(case, table)
    generation = _generation(case, outcome)
    none_sent = table["no_image_sent"].status is Status.NOTE
    meant = {"text-to-image": "not_switched", "refuse": "refused"}[case.profile.fallback]
    by_design = none_sent and outcome == meant
    intended: bool | None
    if outcome == "undetermined":
        intended = None
    elif outcome == "switched" or by_design:
        intended = True
    elif outcome in ("not_switched", "refused") and not case.image_expected and not none_sent:
        known = any(f.status is Status.FAIL for f in table.values() if f.link in CHAIN)
        intended = False if known or meant != outcome else None
    else:
        intended = False
    return _Answer(outcome, generation, intended, by_design)


def _outcome(case: Case, table: dict[str, Finding]) -> str:
    if case.model is not None:
        forecast = case.model.witness.rank >= Witness.FORECAST.rank
        if forecast and table["model_constant_conflict"].status in FAULTS:
            return "undetermined"
        if case.mode == TEXT_TO_IMAGE:
            return "not_switched"
        if case.mode == IMAGE_TO_IMAGE:
            return "switched" if case.model["model"] == case.profile.image_to_image else "wrong_model"
        if isinstance(case.product(Link.PAYLOAD), Seen):
            return "wrong_model"
        return "not_switched" if case.payload is not None and case.payload["complete"] else "undetermined"
    return "refused" if _ended_early(case, table) else "undetermined"


def _ended_early(case: Case, table: dict[str, Finding]) -> bool:
    """Whether the request ended before a model was chosen."""
    end = case.end_status
    if isinstance(case.product(Link.GENERATION), Seen) or case.of("fal.call", "fal.error"):
        return False
    early = any(f.status is Status.FAIL and f.link in BEFORE_SELECTION and not f.symptom for f in table.values())
    if end is None:
        return False
    if not refused(end):
        return False
    if any(f.status is Status.FAIL and f.link is Link.GENERATION for f in table.values()):
        return False
    unsent = table["no_image_sent"].status is Status.NOTE
    if early or (unsent and (case.profile.fallback == "refuse" or end["status"] in (400, 422))):
        return True
    if case.errors("generation") or case.of("model"):
        return False
    if any(e["setting"] for e in case.of("error")):
        return True
    logged = case.was_given("backend_log")
    crashed = table["backend_error"].status is Status.WARN
    return crashed or (logged and end["status"] < 500) or bool(case.errors("decode") or case.errors("upload"))


def _generation(case: Case, outcome: str) -> str:
    made = case.product(Link.GENERATION)
    if outcome == "refused":
        return "not_attempted"
    if isinstance(made, Seen):
        return "succeeded"
    if isinstance(made, Absent):
        return "failed"
    end = case.end_status
    if end is not None and refused(end) and outcome != "undetermined":
        return "failed"
    return "unknown"


# --- root -------------------------------------------------------------------------------------------------------------


def _failing(table: dict[str, Finding], link: Link) -> list[Finding]:
    return [f for f in table.values() if f.link is link and f.status is Status.FAIL]


def _broken(case: Case, table: dict[str, Finding], answer: _Answer) -> Link | None:
    """The first link that was seen to be broken."""
    for link in CHAIN:
        if _failing(table, link):
            return link
        product = case.product(link)
        if isinstance(product, Absent) and _counts(case, link, answer):
            return link
    return None


def _counts(case: Case, link: Link, answer: _Answer) -> bool:
    """Whether a missing product means a broken link; without an image nothing before selection is missed."""
    if link is Link.GENERATION:
        return answer.generation == "failed"
    if link in (Link.DECODE, Link.UPLOAD, Link.IMAGE_URL):
        later = any(isinstance(case.product(n), Seen) for n in CHAIN[CHAIN.index(link) + 1 : 4])
        return case.image_expected and not later
    if link is Link.PAYLOAD:
        return case.mode == IMAGE_TO_IMAGE and answer.outcome in ("switched", "wrong_model")
    return False


def _root(
    case: Case, table: dict[str, Finding], answer: _Answer, broken: Link | None
) -> tuple[Finding | None, list[str]]:
    """The first broken link's most specific failing check, and the way there; None when it cannot be told."""
    if table["prompt_log_corrupt"].status is Status.FAIL:
        return table["prompt_log_corrupt"], ["prompt_log_corrupt"]
    if broken is None:
        return (table["no_image_sent"], []) if answer.by_design and answer.generation != "failed" else (None, [])
    explaining = {c for f in table.values() if f.status is Status.FAIL for c in registry.by_id()[f.check].because}
    # what the attempt itself left outranks how the system stands now, which may have changed since
    candidates = sorted(_failing(table, broken), key=lambda f: (f.symptom, seen_now(f), f.check not in explaining))
    if not candidates:
        return None, []
    chosen, path = candidates[0], [candidates[0].check]
    while True:
        causes = [
            table[c] for c in registry.by_id()[chosen.check].because if table[c].status in FAULTS and c not in path
        ]
        deeper = [c for c in causes if not (c.status is Status.WARN and registry.in_chain(c.check))]
        if not deeper:
            break
        chosen = sorted(deeper, key=lambda f: f.symptom)[0]
        path.append(chosen.check)
    if chosen.symptom and _open_causes(case, table, chosen.check):
        return None, path
    return chosen, path


def _excluded(case: Case, finding: Finding) -> bool:
    """Whether a check cannot be the cause: it passed, does not apply, or its link's product was seen."""
    if finding.status in (Status.PASS, Status.NOT_APPLICABLE) and not (case.attempted and seen_now(finding)):
        return True  # what is right now can have been put right since
    if finding.link not in CHAIN or finding.link is Link.IMAGE_URL:
        return False  # that an address is set does not say that fal can fetch it
    return finding.status in (Status.UNKNOWN, Status.PASS) and isinstance(case.product(finding.link), Seen)


def _open_causes(case: Case, table: dict[str, Finding], check: str) -> set[str]:
    """Causes of a check that are not excluded; what an excluded cause would be caused by does not matter."""
    found: set[str] = set()
    queue = [check]
    while queue:
        for name in registry.by_id()[queue.pop()].because:
            if name not in found and not _excluded(case, table[name]):
                found.add(name)
                queue.append(name)
    return found


def _suspects(case: Case, table: dict[str, Finding], answer: _Answer, broken: Link | None) -> tuple[str, ...]:
    """Checks that are not excluded, in the order of the chain."""
    good = _last_good(case, table, broken)
    start = CHAIN.index(good) + 1 if good is not None and broken is not None else 0
    end = CHAIN.index(broken) + 1 if broken is not None else len(CHAIN)
    span = set(CHAIN[start:end]) | ({Link.REQUEST} if table["no_image_sent"].status is Status.NOTE else set())
    if answer.outcome in ("wrong_model", "not_switched") and (broken is None or broken is Link.SELECTION):
        span |= {Link.SELECTION}
    suspects = {
        f.check for f in table.values() if f.link in span and not _excluded(case, f) and f.status is not Status.WARN
    }
    suspects |= {name for check in tuple(suspects) for name in _open_causes(case, table, check)}
    if answer.outcome == "undetermined" or (
        answer.outcome == "not_switched" and answer.intended is not True and broken is None
    ):
        beside = (
            "backend_stale",
            "backend_error",
            "environment_incomplete",
            "prompt_log_stale",
            "prompt_log_corrupt",
            "several_backends",
        )
        suspects |= {name for name in beside if not _excluded(case, table[name])}
    if answer.outcome == "not_switched" and case.profile.fallback == "refuse":
        # an entry that this profile's code cannot have written says nothing of the newest attempt
        suspects |= {f.check for f in table.values() if f.link in CHAIN and f.status is Status.UNKNOWN}
    if isinstance(case.product(Link.GENERATION), Seen) and any(refused(c) for c in case.of("fal.call", "fal.error")):
        suspects |= _cost(case)
    if answer.outcome == "refused" and broken is None:
        suspects |= {name for name in ("backend_error", "environment_incomplete") if not _excluded(case, table[name])}
    return tuple(check.id for check in registry.checks() if check.id in suspects)


def _cost(case: Case) -> set[str]:
    """What fal refused before a picture was made some other way: nothing says whether the photo was tried again."""
    shown = ("answer", "fal.result", "fal.picture")
    before = tuple(e for e in case.evidence if e.kind not in shown and not (e.kind == "fal.call" and not refused(e)))
    edited = Case(case.profile, before, case.subject)
    wanted = [check for check in registry.checks() if check.link is Link.GENERATION]
    return {f.check for f in registry.run(edited, wanted) if f.status is Status.FAIL}


def _deeper(case: Case, table: dict[str, Finding], root: Finding | None) -> tuple[str, ...]:
    if root is None or root.status is Status.NOTE:
        return ()
    causes = _open_causes(case, table, root.check)
    return tuple(check.id for check in registry.checks() if check.id in causes)


def _good(case: Case, table: dict[str, Finding], link: Link) -> bool:
    return isinstance(case.product(link), Seen) and not _failing(table, link)


def _last_good(case: Case, table: dict[str, Finding], broken: Link | None) -> Link | None:
    before = CHAIN[: CHAIN.index(broken)] if broken is not None else CHAIN
    return next((link for link in reversed(before) if _good(case, table, link)), None)


def _interval(case: Case, table: dict[str, Finding], broken: Link | None) -> tuple[Link, Link] | None:
    good = _last_good(case, table, broken) if broken is not None else None
    if broken is None or good is None:
        return None
    between = [link for link in CHAIN[CHAIN.index(good) + 1 : CHAIN.index(broken)] if not _idle(table, link)]
    return (good, broken) if between else None


def _idle(table: dict[str, Finding], link: Link) -> bool:
    """A link that has no part in this case."""
    return all(f.status is Status.NOT_APPLICABLE for f in table.values() if f.link is link)


# --- the chain and the answer's other parts ---------------------------------------------------------------------------


def _chain(case: Case, table: dict[str, Finding], broken: Link | None, root: Finding | None) -> tuple[LinkState, ...]:
    states = []
    for link in CHAIN:
        found = [f for f in table.values() if f.link is link]
        shown = tuple(f.check for f in found if f.status in (*FAULTS, Status.NOTE, Status.CRASH))
        product = case.product(link)
        proof = product.evidence if isinstance(product, Seen) else None
        states.append(LinkState(link, _status(case, found, link, broken, root), shown, proof))
    return tuple(states)


def _status(case: Case, found: list[Finding], link: Link, broken: Link | None, root: Finding | None) -> Status:
    statuses = {f.status for f in found}
    product = case.product(link)
    after = broken is not None and CHAIN.index(link) > CHAIN.index(broken)
    if link is broken:
        return Status.FAIL
    if after:
        if any(f.status is Status.FAIL and not f.symptom for f in found):
            return Status.FAIL
        return Status.PASS if isinstance(product, Seen) else Status.NOT_REACHED
    if isinstance(product, Seen):
        return Status.WARN if Status.WARN in statuses else Status.PASS
    if Status.NOTE in statuses:
        return Status.NOTE
    if Status.WARN in statuses:
        return Status.WARN
    if (
        root is not None
        and root.status is Status.NOTE
        and link in (Link.DECODE, Link.UPLOAD, Link.IMAGE_URL, Link.PAYLOAD)
    ):
        return Status.NOT_APPLICABLE
    if statuses <= {Status.NOT_APPLICABLE}:
        return Status.NOT_APPLICABLE
    return Status.UNKNOWN


def _decision(case: Case, answer: _Answer, root: Finding | None, broken: Link | None, none_sent: bool) -> Decision:
    reason, prerequisite = "UNKNOWN", None
    if answer.outcome == "switched":
        reason = "IMAGE_TO_IMAGE_SELECTED"
    elif answer.outcome in ("not_switched", "refused"):
        if none_sent:
            reason = "NO_IMAGE_SENT"
        elif root is not None and root.link not in CHAIN and answer.outcome == "refused":
            reason = "REFUSED"
        elif root is not None and root.check in ("request_rejected", "proxy_rejected", "browser_error"):
            reason = "REFUSED" if answer.outcome == "refused" else "UNKNOWN"
        elif broken in BEFORE_SELECTION:
            link = root.link if root is not None and root.link in BEFORE_SELECTION else broken
            reason, prerequisite = "PREREQUISITE_FAILED", str(link)
        elif answer.outcome == "refused" and root is not None:
            reason = "REFUSED"
    elif answer.outcome == "wrong_model" and root is not None:
        stale = root.check in ("backend_stale", "several_backends")
        configured = root.check in ("model_constant_conflict", "wrong_target_model")
        reason = "STALE_CODE" if stale else "WRONG_MODEL_CONFIGURED" if configured else "UNKNOWN"
    model = case.model["model"] if case.model is not None and answer.outcome != "undetermined" else None
    mode = case.mode if model is not None else None
    expected = case.profile.text_to_image if answer.by_design else case.profile.image_to_image
    return Decision(mode, model, expected, reason, prerequisite)


_SYMPTOMS = {"not_switched": "model_not_switched", "wrong_model": "wrong_target_model", "refused": "request_rejected"}


def _because(answer: _Answer, root: Finding | None, path: list[str], table: dict[str, Finding]) -> tuple[str, ...]:
    """From the symptom down to the root."""
    if answer.by_design and root is not None and root.status is Status.NOTE:
        return ("no_image_sent",)
    names = list(path)
    if answer.outcome in _SYMPTOMS and not answer.by_design:
        names.insert(0, _SYMPTOMS[answer.outcome])
    if answer.outcome == "switched" and answer.generation == "failed":
        end = [f.check for f in table.values() if f.link is Link.GENERATION and f.status is Status.FAIL]
        names = end[:1] + names
    return tuple(dict.fromkeys(names))


def _checklist(case: Case, table: dict[str, Finding], answer: _Answer) -> tuple[Question, ...]:
    return tuple(_question(case, table, answer, *question) for question in QUESTIONS)


def _question(
    case: Case, table: dict[str, Finding], answer: _Answer, name: str, link: Link | None, checks: tuple[str, ...]
) -> Question:
    found = [table[check] for check in checks]
    proof = next((f.evidence for f in found if f.status in FAULTS), ())
    product = case.product(link) if link is not None else None
    none_sent = table["no_image_sent"].status is Status.NOTE
    if any(f.status is Status.FAIL for f in found):
        return Question(name, Status.FAIL, checks, proof)
    if any(f.status is Status.WARN for f in found):
        return Question(name, Status.WARN, checks, proof)
    if name == "image_uploaded" and none_sent:
        return Question(name, Status.NOTE, checks, table["no_image_sent"].evidence)
    if none_sent and name in ("init_image_url_yes", "image_url_in_payload", "strength_in_payload"):
        return Question(name, Status.NOT_APPLICABLE, checks, ())
    if name == "model_right" and case.model is not None and case.image_expected and answer.outcome != "switched":
        return Question(name, Status.FAIL, checks, (case.model,))
    if isinstance(product, Seen):
        return Question(name, Status.PASS, checks, (product.evidence,))
    if isinstance(product, Absent) and case.image_expected:
        return Question(name, Status.FAIL, checks, (product.evidence,))
    decided = [f for f in found if f.status in (Status.PASS, Status.NOTE)]
    if product is None and len(decided) == len([f for f in found if f.status is not Status.NOT_APPLICABLE]) and decided:
        return Question(name, decided[0].status, checks, decided[0].evidence)
    if name in ("backend_restarted", "console_clean") and decided and decided[0].check == checks[0]:
        return Question(name, Status.PASS, checks, decided[0].evidence)
    idle = all(f.status is Status.NOT_APPLICABLE for f in found)
    return Question(name, Status.NOT_APPLICABLE if idle else Status.UNKNOWN, checks, ())


# --- conflicts --------------------------------------------------------------------------------------------------------

_COMPARED = ("strength", "image_strength", "num_inference_steps", "guidance_scale")


def _conflicts(case: Case) -> tuple[Conflict, ...]:
    conflicts = []
    models = [(e["model"], e) for e in case.of("fal.call", "model") if e["model"]]
    called = {e["model"] for e in case.of("fal.call")}
    told = [(m, e) for m, e in models if not (e.kind == "fal.call" and len(called) > 1)]
    constants = [(e["model"], e) for e in case.of("source.model") if _same_mode(case, e["role"])]
    conflicts += _conflict("model", [*told, *_running(case, "model"), *_beside(told, constants)])
    modes = [(e["mode"], e) for e in case.of("mode", "request.used")]
    if case.model is not None and case.mode is not None:
        modes.insert(0, (case.mode, case.model))
    conflicts += _conflict("mode", modes)
    addresses = [("set" if e["url"] else "empty", e) for e in case.of("image_url")]
    conflicts += _conflict("image_url", addresses)
    for key in _COMPARED:
        sent = [(p["body"][key], p) for p in case.of("payload") if p["body"].get(key) is not None]
        literals = [(e["value"], e) for e in case.of("source.parameter") if e["name"] == key]
        literals = literals if case.mode in (None, IMAGE_TO_IMAGE) and not _asked(case, key) else []
        conflicts += _conflict(key, [*sent, *_running(case, key), *_beside(sent, literals)])
    return tuple(conflicts)


def _same_mode(case: Case, role: str | None) -> bool:
    """Whether a constant is for the mode that was used."""
    return case.mode is not None and role == case.mode.replace("-", "_")


def _asked(case: Case, key: str) -> bool:
    """Whether the request itself named a value, which then stands in the place of the source's."""
    request = case.best("request.body")
    return request is not None and key in (request["params"] or {})


def _running(case: Case, key: str) -> list[tuple[object, Evidence]]:
    """What the running backend's newest entry says, where it tells of the mode that was used."""
    found: list[tuple[object, Evidence]] = []
    for e in case.of("live.last_prompt"):
        entry = e["value"] if isinstance(e["value"], Mapping) else {}
        sent = entry.get("fal_request")
        value = sent.get(key) if isinstance(sent, Mapping) else None
        model = e["model"]
        if isinstance(value, (str, int, float)) and (case.mode is None or (model and case.mode_of(model) == case.mode)):
            found.append((value, e))
    return found


def _beside(
    told: Sequence[tuple[object, Evidence]], literals: Sequence[tuple[object, Evidence]]
) -> Sequence[tuple[object, Evidence]]:
    """The source's values, unless what was sent is one of them: a constant of another purpose contradicts nothing."""
    return [] if any(same_number(value, literal) for value, _ in told for literal, _ in literals) else literals


def _conflict(fact: str, told: Sequence[tuple[object, Evidence]]) -> list[Conflict]:
    """One witness for each value, strongest first; nothing when all agree."""
    values: dict[str, tuple[object, Evidence]] = {}
    for value, evidence in told:
        same = next((known for known, (other, _) in values.items() if same_number(other, value)), str(value))
        values.setdefault(same, (value, evidence))
    return [Conflict(fact, tuple(values.values()))] if len(values) > 1 else []


# --- counterfactual ---------------------------------------------------------------------------------------------------

_CHANGES = {
    Link.REQUEST: "the backend receives an image",
    Link.DECODE: "the picture can be decoded",
    Link.UPLOAD: "the upload succeeds",
    Link.IMAGE_URL: "init_image_url is set to an address fal can fetch",
}


def _counterfactual(case: Case, answer: _Answer, root: Finding | None) -> Counterfactual | None:
    """What the decision would have chosen without the root: replayed, and the next blockers behind it."""
    if root is None or answer.outcome not in ("not_switched", "refused") or root.link not in _CHANGES:
        return None
    verified, model = _replayed(case, answer)
    if verified is None or model is None:
        return None
    changes = tuple(_CHANGES[link] for link in BEFORE_SELECTION[BEFORE_SELECTION.index(root.link) :])
    edited = _edited(case, model)
    later = [
        check for check in registry.checks() if check.link in CHAIN and CHAIN.index(check.link) > CHAIN.index(root.link)
    ]
    blockers = tuple(f.check for f in registry.run(edited, later) if f.status in FAULTS)
    return Counterfactual(changes, IMAGE_TO_IMAGE, model, verified, blockers)


def _replayed(case: Case, answer: _Answer) -> tuple[str | None, str | None]:
    """The decision that fits what was observed, and what it chooses with an image URL."""
    from diagnose.selection import Prerequisites, Rule, Selected, select

    used = case.model["model"] if case.model is not None else None
    for choice in case.of("source.choice"):
        if used is not None and choice["without_image"] == used:
            return choice.source, str(choice["with_image"])
    rule = Rule(case.profile.image_to_image, case.profile.text_to_image, case.profile.fallback)
    before = select(rule, Prerequisites(image_sent=True, init_image_url=None))
    after = select(rule, Prerequisites(image_sent=True, init_image_url="https://example.com/picture.jpg"))
    fits = before.model == used if isinstance(before, Selected) else answer.outcome == "refused"
    if fits and isinstance(after, Selected):
        return Phrase("profile '{name}'", name=case.profile.name), after.model
    return None, None


def _edited(case: Case, model: str) -> Case:
    """The case as it would look had every link up to the decision held: what stands in the way then shows itself."""
    kept = [
        e
        for e in case.evidence
        if e.kind in ("env.setting", "fal.schema", "source.model", "source.choice", "storage.fetch", "given")
        or e.kind.startswith("live.")
    ]
    host = next((e["host"] for e in case.of("storage.upload", "env.setting") if e["host"]), "example.supabase.co")
    bucket = next(
        (e["bucket"] for e in case.of("storage.upload", "upload.started") if e["bucket"]), case.profile.bucket
    )
    url = f"https://{host}/storage/v1/object/public/{bucket}/picture.jpg"
    at = "(replayed)"
    body = {**case.profile.payload, case.profile.image_key: [url] if case.profile.image_key.endswith("s") else url}
    made = [
        Evidence("request.received", at, Witness.LOGGED, {"images": 1, "names": [], "by": "log"}),
        Evidence(
            "storage.upload", at, Witness.WIRE, {"host": host, "bucket": bucket, "path": "picture.jpg", "status": 200}
        ),
        Evidence("image_url", at, Witness.LOGGED, {"url": url, "origin": "replayed"}),
        Evidence("model", at, Witness.SENT, {"model": model, "by": "replayed"}),
        Evidence("payload", at, Witness.SENT, {"body": {"prompt": "", **body}, "model": model, "complete": True}),
    ]
    return Case(case.profile, (*kept, *made), case.subject)
