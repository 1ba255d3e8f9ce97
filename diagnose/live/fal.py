"""Looks at fal without ever making a picture: whether the key is taken, which models are known, and what fal itself
has on record of the calls that the case names.

fal's record is the strongest witness there is: what arrived, and what became of it. It is kept for 30 days, and not at
all where the sender forbade it (fal facts, section 2.5). None of these calls runs a model, so none costs anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from diagnose.live import schemas
from diagnose.live.ask import Answer, Asker, Silence
from diagnose.live.look import Answers, Question, silent
from diagnose.live.targets import Targets
from diagnose.model import Evidence, Witness


def questions(targets: Targets, asker: Asker) -> Iterator[Question]:
    """The key and the models with it, fal's history of the case's calls, and the models' schemas."""
    api, key = targets.fal_api, targets.fal_key
    if api is not None and key is not None:
        headers = {"Authorization": f"Key {key.text}"}
        for model in targets.models:
            yield _get(asker, f"fal model {model}", _model_url(api, model), headers)
        for model, request_id in targets.requests:
            yield _get(asker, f"fal history {request_id}", _history_url(api, model, request_id), headers)
    if targets.fal_schemas is not None:
        for model in targets.models:
            if schemas.cached(model, today=True) is None:
                url = f"{targets.fal_schemas}?{urlencode({'endpoint_id': model})}"
                yield _get(asker, f"fal schema {model}", url, {})


def _get(asker: Asker, name: str, url: str, headers: Mapping[str, str]) -> Question:
    return Question(name, lambda: asker.get(url, headers))


def _model_url(api: str, model: str) -> str:
    return f"{api}/v1/models?{urlencode({'endpoint_id': model})}"


def _history_url(api: str, model: str, request_id: str) -> str:
    query = {"endpoint_id": model, "request_id": request_id, "limit": "1", "expand": "payloads"}
    return f"{api}/v1/models/requests/by-endpoint?{urlencode(query, quote_via=quote)}"


def evidence(targets: Targets, answers: Answers) -> Iterator[Evidence]:
    """What the answers prove."""
    api = targets.fal_api
    if api is not None and targets.fal_key is not None:
        yield from _key(targets, answers, api)
        for model in targets.models:
            yield from _known(model, answers[f"fal model {model}"], _model_url(api, model))
        for model, request_id in targets.requests:
            reply = answers[f"fal history {request_id}"]
            yield from _history(model, request_id, reply, _history_url(api, model, request_id))
    if targets.fal_schemas is not None:
        for model in targets.models:
            yield from _refreshed(model, answers[f"fal schema {model}"], targets.fal_schemas)
    else:
        for model in targets.models if targets.fal_key is not None else ():
            yield from _schema(model, schemas.cached(model))


def _key(targets: Targets, answers: Answers, api: str) -> Iterator[Evidence]:
    """fal lists models to whoever asks, and answers 401 to a key that it does not know (fal facts, section 2.5)."""
    assert targets.fal_key is not None
    replies = [answers[f"fal model {model}"] for model in targets.models]
    said = next((r for r in replies if isinstance(r, Answer) and (r.status == 401 or _models(r) is not None)), None)
    where = f"GET {api}/v1/models"
    if said is not None:
        fields = {"name": targets.fal_key.name, "accepted": said.status != 401, "status": said.status}
        yield Evidence("live.fal_key", where, Witness.OBSERVED, fields)
    elif replies:
        yield _no_answer("live.fal_key", where, replies[0])


def _models(reply: Answer) -> list[Any] | None:
    listed = reply.fields.get("models")
    return listed if reply.status == 200 and isinstance(listed, list) else None


def _known(model: str, reply: object, url: str) -> Iterator[Evidence]:
    """An id that nobody published is listed as well, as a stub: only its `metadata.status` marks a real one."""
    listed = _models(reply) if isinstance(reply, Answer) else None
    if listed is None:
        if not (isinstance(reply, Answer) and reply.status == 401):
            yield _no_answer("live.fal_model", f"GET {url}", reply)
        return
    rows = [row for row in listed if isinstance(row, dict) and row.get("endpoint_id") == model]
    metadata = [row.get("metadata") for row in rows]
    known = any(isinstance(m, dict) and isinstance(m.get("status"), str) for m in metadata)
    if known or not rows or all(isinstance(m, dict) for m in metadata):
        yield Evidence("live.fal_model", f"GET {url}", Witness.OBSERVED, {"model": model, "known": known})


def _history(model: str, request_id: str, reply: object, url: str) -> Iterator[Evidence]:
    items = reply.fields.get("items") if isinstance(reply, Answer) and reply.status == 200 else None
    rows = [row for row in items if isinstance(row, dict)] if isinstance(items, list) else []
    row = next((row for row in rows if row.get("request_id") == request_id), None)
    if row is None:
        gone = Silence("broken", "fal keeps no record of this request") if isinstance(items, list) else reply
        yield _no_answer("fal.history", f"GET {url}", gone)
        return
    where = f"fal's record of request {request_id}"
    called, status = row.get("endpoint_id"), row.get("status_code")
    named = called if isinstance(called, str) and called else model
    if isinstance(status, int) and not isinstance(status, bool):
        fields = {"model": named, "status": status, "method": "POST", "queue": False, "final": True}
        yield Evidence("fal.call", where, Witness.WIRE, {**fields, "request_id": request_id})
    body = row.get("json_input")
    if isinstance(body, dict) and body:
        yield Evidence("payload", where, Witness.WIRE, {"body": body, "model": named, "complete": True})


def _refreshed(model: str, reply: object, base: str) -> Iterator[Evidence]:
    kept = schemas.cached(model, today=True)
    if kept is not None:
        yield from _schema(model, kept)
        return
    fresh = schemas.of_openapi(model, reply.json) if isinstance(reply, Answer) and reply.status == 200 else None
    if fresh is not None:
        schemas.keep(model, fresh)
        yield from _schema(model, fresh)
        return
    if isinstance(reply, Answer) and reply.status in (200, 404):
        reply = Silence("broken", "what it answered is not this model's schema")
    yield _no_answer("fal.schema", f"GET {base}", reply)
    yield from _schema(model, schemas.cached(model))


def _schema(model: str, known: Mapping[str, Any] | None) -> Iterator[Evidence]:
    if known is not None:
        where = f"fal's input schema of {model} ({known.get('x-date')})"
        yield Evidence("fal.schema", where, Witness.OBSERVED, {"model": model, "schema": known})


def _no_answer(about: str, source: str, reply: object) -> Evidence:
    if isinstance(reply, Answer):
        reply = Silence("broken", f"it answered {reply.status}, which tells nothing of this")
    return silent(about, source, reply if isinstance(reply, Silence) else Silence("late", "it was not asked"))
