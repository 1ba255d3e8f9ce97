"""Reads what went between browser and backend: the request, the answer, a HAR file, a saved console."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diagnose.collect import wording
from diagnose.model import Evidence, Witness, flatten

MAX_ERRORS = 12
"""Error texts that are read from one answer."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request or answer."""

    evidence: tuple[Evidence, ...]
    keys: frozenset[str]
    """Addresses, uuids and request ids by which it is found again in a log."""
    prompt: str | None = None
    status: int | None = None


# --- recognising ------------------------------------------------------------------------------------------------------

_ANSWER_KEYS = {
    "detail", "error", "errors", "images", "debug_info", "remaining_coins", "remaining_quota", "output_url", "reference_used",
    "elapsed_seconds", "elapsed", "timings", "seed", "success", "request_id", "generation_log", "result", "results", "output",
}  # fmt: skip


_RECORD_LEVEL = {"level", "levelname", "severity", "lvl"}
_RECORD_TIME = {"timestamp", "time", "ts", "asctime", "@timestamp"}


def kind_of(value: object) -> str | None:
    """ "request", "response", "har" or None, by content."""
    if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        kinds = {kind_of(v) for v in value}
        return kinds.pop() if len(kinds) == 1 else None
    if not isinstance(value, Mapping):
        return None
    if isinstance(value.get("log"), Mapping) and "entries" in value["log"]:
        return "har"
    if "method" in value and ({"url", "body", "arguments", "fields", "content_type"} & value.keys()):
        return "request"
    if "body" in value and "status" in value:
        return "response"
    if _RECORD_LEVEL & value.keys() and _RECORD_TIME & value.keys():
        return None  # one record of a log
    if _ANSWER_KEYS & value.keys() or ("prompt" not in value and _answers(value)):
        return "response"
    pictures = [k for k, v in value.items() if is_image(str(k), v)]
    if "prompt" in value or any(carrier(str(k), value[k]) in ("data_uri", "base64", "blob") for k in pictures):
        return "request"
    return None


def _answers(value: Mapping[str, Any]) -> bool:
    """Whether an object without a prompt is an answer: it says something, or holds a picture that was made."""
    if isinstance(value.get("message"), str) or isinstance(value.get("msg"), str):
        return True
    items = [item for v in value.values() for item in (v[:20] if isinstance(v, list) else [v])]
    urls = [item.get("url") if isinstance(item, Mapping) else item for item in items]
    return any(isinstance(url, str) and wording.PICTURE.match(url) for url in urls)


# --- the request ------------------------------------------------------------------------------------------------------

_IMAGE_WORD = re.compile(
    r"image|img|photo|picture|face|selfie|avatar|reference|init|source|portrait|foto|gambar|file|upload", re.I
)
_NOT_IMAGE = re.compile(
    r"prompt|strength|size|count|num|format|ratio|quality|mode|style|width|height|scale|model|type|steps|user|seed|output",
    re.I,
)
_ID_KEY = re.compile(
    r"(?:image|img|photo|picture|face|reference|upload|file|asset|media)s?_?(?:id|ids|key|ref|token|handle)$", re.I
)
_BASE64 = re.compile(r"^(?:/9j/|iVBOR|R0lGOD|UklGR|[A-Za-z0-9+/\s]{200,}={0,2}$)")
_SHORTENED = re.compile(r"\.\.\.\s*\(?\s*\d+ (?:base64 )?(?:chars|bytes|more)")
_PICTURE_URL = re.compile(r"^https?://\S+\.(?:jpe?g|png|webp|gif|avif|heic|bmp)(?:\?\S*)?$", re.I)


def is_image(name: str, value: object) -> bool:
    """Whether a request field carries a picture, by its content first and its name second."""
    name = name[-200:]
    if isinstance(value, Mapping):
        return any(is_image(f"{name}_{key}", inner) for key, inner in list(value.items())[:20])
    if isinstance(value, list):
        return any(is_image(name, inner) for inner in value[:20])
    if isinstance(value, int) and not isinstance(value, bool):
        return bool(_ID_KEY.search(name))
    if not isinstance(value, str) or not value.strip():
        return False
    if value.startswith(("data:", "blob:")) or _SHORTENED.search(value[-80:]) or _BASE64.match(value[:4000]):
        return not name.lower().endswith("prompt")
    if _PICTURE_URL.match(value) and not re.search(r"callback|webhook|return", name, re.I):
        return True
    named = bool(_IMAGE_WORD.search(name)) and not _NOT_IMAGE.search(name)
    return named or bool(_ID_KEY.search(name))


def carrier(name: str, value: object) -> str:
    """How a field carries its picture: data_uri, base64, url, blob, upload_id, opaque."""
    if isinstance(value, (list, tuple)):
        return carrier(name, next((v for v in value if v), ""))
    if isinstance(value, Mapping):
        return next((carrier(f"{name}_{k}", v) for k, v in value.items() if is_image(f"{name}_{k}", v)), "opaque")
    text = str(value)
    if text.startswith("data:"):
        return "data_uri"
    if text.startswith("blob:"):
        return "blob"
    if re.match(r"https?://", text):
        return "url"
    if _ID_KEY.search(name):
        return "upload_id"
    if _BASE64.match(text[:4000]) or _SHORTENED.search(text[-80:]):
        return "base64"
    return "opaque"


def request(value: Mapping[str, Any], source: str, witness: Witness = Witness.SENT) -> Exchange:
    """The evidence in one request, whole or its body alone."""
    whole = "method" in value and ({"url", "body", "arguments", "fields", "content_type"} & value.keys())
    body = value
    path = "#"
    if whole:
        body, path = next(
            ((value[k], f"#/{k}") for k in ("body", "arguments", "fields") if isinstance(value.get(k), Mapping)),
            ({}, "#"),
        )
    form = _format(value) if whole else "json"
    images = list(_images(body))
    file = value.get("file") if whole else None
    if isinstance(file, Mapping):
        named = str(file.get("field") or "")
        images.append({"name": named or "(file)", "carrier": "file", "fault": _file_fault(file)})
    for entry in value.get("files", ()) if whole and isinstance(value.get("files"), list) else ():
        if isinstance(entry, Mapping):
            images.append({"name": str(entry.get("field") or "(file)"), "carrier": "file", "fault": _file_fault(entry)})
    params = {k: v for k, v in flatten(body) if isinstance(v, (int, float)) or (isinstance(v, str) and len(v) < 200)}
    params = {k: v for k, v in params.items() if not is_image(k, v) and "prompt" not in k}
    prompt = next((v for k, v in flatten(body) if k == "prompt" and isinstance(v, str)), None)
    prompt = prompt or next((v for k, v in flatten(body) if k.endswith("prompt") and isinstance(v, str)), None)
    fields = {
        "format": form,
        "images": images,
        "params": params,
        "prompt": prompt,
        "url": value.get("url") if whole else None,
    }
    evidence = [Evidence("request.body", source + path, witness, fields)]
    keys = {
        url
        for _, v in flatten(body)
        if isinstance(v, str) and v.startswith("http")
        for url in (v.rstrip("?"), *wording.last_uuid(v))
    }
    keys |= {v for k, v in flatten(body) if isinstance(v, str) and _ID_KEY.search(k) and 6 <= len(v) <= 80}
    given = [(k, v) for k, v in flatten(body) if isinstance(v, str) and v.startswith("http") and is_image(k, v)]
    if len(given) == 1:
        evidence.append(Evidence("request.url", f"{source}{path}/{given[0][0]}", witness, {"url": given[0][1]}))
    return Exchange(tuple(evidence), frozenset(keys), prompt)


def _format(value: Mapping[str, Any]) -> str:
    kind = str(value.get("content_type") or "").lower()
    if value.get("method") == "CALL":
        return "call"
    if "multipart" in kind or "fields" in value:
        return "multipart"
    return "json" if "json" in kind or isinstance(value.get("body"), Mapping) else "unknown"


def _images(body: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[dict[str, Any]]:
    for key, value in list(body.items())[:200]:
        name = str(key)
        if (
            isinstance(value, Mapping)
            and depth < 4
            and not is_image(name, {k: v for k, v in value.items() if isinstance(v, str)})
        ):
            yield from _images(value, f"{prefix}{name}.", depth + 1)
        elif is_image(name, value):
            yield {"name": prefix + name, "carrier": carrier(name, value), "fault": _fault(value)}


def _fault(value: object) -> str | None:
    """What is wrong with a picture, as far as its own text tells; a shortened one is not judged."""
    if isinstance(value, list):
        return next((fault for v in value if (fault := _fault(v))), None)
    if not isinstance(value, str) or "..." in value[-120:]:
        return None
    if value.startswith("blob:"):
        return "a blob: address exists only inside the browser that made it"
    if not value.startswith("data:"):
        return None
    head, comma, data = value.partition(",")
    if not comma:
        return "the data URL has no comma"
    if "heic" in head or "heif" in head:
        return "HEIC is not read by the usual decoders"
    if "base64" not in head:
        return None
    data = re.sub(r"\s", "", data)
    if not re.fullmatch(r"[A-Za-z0-9+/_-]*={0,2}", data):
        return "the data URL is not base64"
    if len(data.rstrip("=")) % 4 == 1:
        return "the base64 text is cut off"
    return "the data URL is empty" if len(data) < 16 else None


def _file_fault(file: Mapping[str, Any]) -> str | None:
    size = file.get("bytes", file.get("size"))
    if size == 0:
        return "the file is empty"
    kind = str(file.get("type") or "")
    if kind and not kind.startswith("image/") and kind != "application/octet-stream":
        return f"the file is {kind}, not a picture"
    return None


# --- the answer -------------------------------------------------------------------------------------------------------

_ERROR_KEY = re.compile(
    r"^(?:details?|error|errors|message|msg|reason|hint|cause|exception|description|error_?message|error_?description|stderr|traceback|generation_?error)$|log$",
    re.I,
)
_PICTURE_KEY = re.compile(r"image|picture|output|result|url|path|file", re.I)
_USED = re.compile(
    r"(?:reference|image|photo|picture|face)\w*_used$|^used_(?:reference|image|photo|init)|^has_reference", re.I
)
_TITLE = re.compile(r"<title>\s*(\d{3})?\s*([^<]{0,300})", re.I)
_OWN_PAGE = re.compile(
    r"<html lang=en>\s*<title>\d{3} |there is an error in the application|<title>Server Error \(\d{3}\)</title>|<pre>\w*(?:Error|Exception)\b"
    r"|Traceback \(most recent call last\)|Werkzeug Debugger|Exception Value:",
    re.I,
)
"""What Werkzeug, Django and Express answer of their own when the handler raised or refused."""
_RAISED = re.compile(r"<pre>\s*(\w*(?:Error|Exception)\b[^<\n]{0,400})")
_UNHANDLED = re.compile(r"^(?:500:? )?Internal Server Error\b[.\s]*(?:Server got itself in trouble)?\s*$", re.I)
"""What Starlette, aiohttp and others answer in plain text when a handler raised."""


def response(value: Mapping[str, Any] | str, source: str, witness: Witness = Witness.WIRE) -> Exchange:
    """The evidence in one answer, whole or its body alone; HTML is the answer of something in between."""
    if isinstance(value, str):
        return _page(value, None, source, witness)
    whole = "body" in value and ("status" in value or "headers" in value)
    body: Any = value.get("body") if whole else value
    at = source + ("#/body" if whole else "#")
    code = value.get("status") if whole else None
    code = code if isinstance(code, int) and 100 <= code <= 599 else None
    if isinstance(body, str):
        return _page(body, code, at, witness) if "<" in body[:200] else _text(body, code, at, witness)
    headers = value.get("headers") if whole and isinstance(value.get("headers"), Mapping) else {}
    if not isinstance(body, (Mapping, list)):
        body = {}
    pictures = [] if (code or 0) >= 400 else list(_pictures(body))
    given = [v for k, v in flatten(body) if k in ("request_id", "requestId") and isinstance(v, str)]
    given += [str(v) for k, v in (headers or {}).items() if str(k).lower() == "x-request-id"]
    evidence = [
        Evidence(
            "answer",
            at,
            witness,
            {
                "status": code,
                "pictures": len(pictures),
                "urls": pictures,
                "html": False,
                "text": None,
                "request_id": given[0] if given else None,
            },
        )
    ]
    evidence += _complaints(body, code, at)
    if isinstance(body, Mapping):
        evidence += _told(body, at)
    keys = set(given)
    for _, v in flatten(body):
        if isinstance(v, str) and v.startswith("http"):
            keys |= {v.rstrip("?"), *wording.last_uuid(v)}
    prompt = next((v for k, v in flatten(body) if k in ("prompt_sent", "prompt") and isinstance(v, str)), None)
    return Exchange(tuple(evidence), frozenset(keys), prompt, code)


def _page(text: str, code: int | None, source: str, witness: Witness) -> Exchange:
    text = text[:100_000]
    title = _TITLE.search(text)
    if code is None and title and title[1]:
        code = int(title[1])
    said = title[2].strip() if title else text[:120]
    own = bool(_OWN_PAGE.search(text))
    fields: dict[str, Any] = {
        "status": code,
        "pictures": 0,
        "urls": [],
        "html": "<" in text[:200] and not own,
        "text": said[:200],
        "request_id": None,
    }
    evidence = [Evidence("answer", source, witness, fields)]
    if own:
        raised = _RAISED.search(text)
        evidence += _raised(html.unescape(raised[1]) if raised else said, code, source)
    return Exchange(tuple(evidence), frozenset(), None, code)


def _raised(said: str, code: int | None, source: str) -> Iterator[Evidence]:
    """An exception that nobody caught, in the words of the framework's own page."""
    kind = re.match(r"\w+(?:Error|Exception)\b", said)
    if kind and (code is None or code >= 500):
        yield Evidence("deployment.exception", source, Witness.LOGGED, {"type": kind[0], "text": said[:300]})
    yield from (e for e in wording.read(said, source) if e.kind not in ("error", "deployment.exception") or e["stage"])


def _text(text: str, code: int | None, source: str, witness: Witness) -> Exchange:
    fields: dict[str, Any] = {
        "status": code,
        "pictures": 0,
        "urls": [],
        "html": False,
        "text": text[:200],
        "request_id": None,
    }
    evidence = [Evidence("answer", source, witness, fields)]
    if (code is None or code >= 400) and not _UNHANDLED.match(text[:200]):
        evidence += _answered(wording.read(text, source), code)
    return Exchange(tuple(evidence), frozenset(), None, code)


def _answered(evidence: Iterable[Evidence], code: int | None) -> Iterator[Evidence]:
    """Errors with the status of the answer that told them."""
    for e in evidence:
        yield Evidence(e.kind, e.source, e.witness, {**e.fields, "answer_status": code}) if e.kind == "error" else e


def _pictures(body: object, key: str = "", depth: int = 0) -> Iterator[str]:
    """Pictures in an answer: addresses, data, and paths that a script saved."""
    if depth > 8:
        return
    if isinstance(body, Mapping):
        for name, value in body.items():
            if str(name) not in ("debug_info", "input", "request", "prompt", "detail", "error"):
                yield from _pictures(value, str(name), depth + 1)
    elif isinstance(body, list):
        for value in body[:50]:
            yield from _pictures(value, key, depth + 1)
    elif isinstance(body, str) and not _NO_PICTURE_KEY.search(key) and _is_picture(key, body):
        yield body[:2000]


_NO_PICTURE_KEY = re.compile(r"error|docs|model|status|cancel|response_url", re.I)
_SAVED_PICTURE = re.compile(r"\.(?:png|jpe?g|webp)$", re.I)


def _is_picture(key: str, text: str) -> bool:
    """By its content under any name; an address of another kind, or a path, only where the name says so."""
    if wording.PICTURE.match(text) or _PICTURE_URL.match(text[:2000]):
        return True
    saved = _SHORTENED.search(text[-80:]) or _SAVED_PICTURE.search(text[-10:])
    return bool(_PICTURE_KEY.search(key)) and (text.startswith(("http", "data:image/")) or bool(saved))


def _complaints(body: object, code: int | None, source: str) -> Iterator[Evidence]:
    """Errors told in an answer. A list of pydantic errors is the backend's own unless it speaks of fal."""
    found = 0
    for path, value in _sayings(body):
        if found >= MAX_ERRORS:
            return
        at = f"{source}/{path}"
        if isinstance(value, list):
            own = [d for d in value if _is_own(d)] if path == "detail" and (code or 422) < 500 else []
            if own:
                yield from (_invalid(detail, code, at) for detail in own[:3])
                return
            found += 1
            yield from _answered(wording.read("fal.ai: " + str(value), at), code)
        elif isinstance(value, Mapping):
            found += 1
            yield from _answered(wording.read(json.dumps(value, ensure_ascii=False, default=str), at), code)
        elif _ERROR_KEY.search(path.rsplit("/", 1)[-1]) and value.strip():
            if path.endswith("log") and not re.search(r"fail|error", value, re.I):
                continue
            found += 1
            yield from _answered(wording.read(value, at), code)


def _is_own(detail: Mapping[str, Any]) -> bool:
    return detail.get("type") not in wording.FAL_TYPES and "fal.ai" not in str(detail.get("url", ""))


def _invalid(detail: Mapping[str, Any], code: int | None, source: str) -> Evidence:
    given = detail.get("loc")
    loc = [str(part) for part in given if isinstance(part, (str, int))] if isinstance(given, list) else []
    fields = {"loc": loc, "message": str(detail.get("msg", ""))[:300], "type": detail.get("type"), "status": code}
    return Evidence("request.invalid", source, Witness.LOGGED, fields)


def _sayings(value: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Strings of an answer with their paths; a list of validation errors, and an error object of Storage, as a whole."""
    if depth > 8:
        return
    if isinstance(value, Mapping):
        if "statusCode" in value and ("error" in value or "message" in value):
            yield path or "body", value
            return
        passed_on = path and any(
            isinstance(value.get(key), int) and value[key] >= 400 for key in ("status", "status_code")
        )
        if passed_on and len(value) > 1:
            yield path, value  # an error of another service, with the status it came with
            return
        for key, inner in list(value.items())[:200]:
            if key != "debug_info":
                yield from _sayings(inner, f"{path}/{key}".lstrip("/"), depth + 1)
    elif isinstance(value, list):
        if value and all(isinstance(v, Mapping) and "msg" in v for v in value):
            yield path, value
            return
        for inner in value[:50]:
            yield from _sayings(inner, path, depth + 1)
    elif isinstance(value, str):
        yield path, value


def _told(body: Mapping[str, Any], source: str) -> Iterator[Evidence]:
    """What the answer says of its own making: a forecast, often a literal."""
    info = body.get("debug_info")
    table: Mapping[str, Any] = info if isinstance(info, Mapping) else body
    at = f"{source}/debug_info" if isinstance(info, Mapping) else source
    model = table.get("model")
    if isinstance(model, str) and "/" in model:
        yield Evidence("model", f"{at}/model", Witness.FORECAST, {"model": model, "by": "answer"})
    mode = table.get("generation_mode") or table.get("mode")
    if mode in ("image-to-image", "text-to-image"):
        yield Evidence("mode", f"{at}/generation_mode", Witness.FORECAST, {"mode": mode})
    if isinstance(info, Mapping):
        if "image_url" in info:
            yield Evidence(
                "image_url", f"{at}/image_url", Witness.FORECAST, {"url": info["image_url"] or None, "origin": "answer"}
            )
        flags = [k for k in ("has_face_image", "has_product_images", "has_background_image") if info.get(k) is True]
        if flags:
            yield Evidence(
                "request.received", at, Witness.FORECAST, {"images": len(flags), "names": flags, "by": "answer"}
            )
        sent = {
            k: v
            for k, v in info.items()
            if k in ("image_url", "image_urls", "image_strength", "strength", "num_inference_steps", "guidance_scale")
            and v is not None
        }
        if sent:
            yield Evidence("payload", at, Witness.FORECAST, {"body": sent, "model": model, "complete": False})
    for key, value in body.items():
        if isinstance(value, bool) and _USED.search(str(key)):
            used = "image-to-image" if value else "text-to-image"
            yield Evidence("request.used", f"{source}/{key}", Witness.FORECAST, {"mode": used, "used": value})


# --- the browser ------------------------------------------------------------------------------------------------------

_CONSOLE = re.compile(
    r"Failed to fetch|net::ERR_\w+|blocked by CORS policy|NetworkError when attempting|\bUncaught \(?\w+|Failed to load resource.{0,200}|\bLoad failed"
    r"|a status of (\d{3})|Mixed Content:", re.I,
)  # fmt: skip


def console(text: str, name: str) -> list[Evidence]:
    """Errors in a saved browser console."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        error = _CONSOLE.search(line)
        if error:
            code = re.search(r"\b(?:status of |status )?([45]\d\d)\b", line)
            fields = {"text": line.strip()[:300], "status": int(code[1]) if code else None}
            found.append(Evidence("browser.error", f"{name}:{number}", Witness.LOGGED, fields))
    return found


def har(value: Mapping[str, Any], name: str) -> list[tuple[Exchange, Exchange]]:
    """The requests for pictures in a HAR file, each with its answer, oldest first."""
    pairs = []
    for index, entry in enumerate(value["log"].get("entries", ())):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("request"), Mapping):
            continue
        asked, got = entry["request"], entry.get("response") or {}
        address = str(asked.get("url", ""))
        if asked.get("method") != "POST" or not re.search(r"generat|image|edit|picture|photo|render", address, re.I):
            continue
        at = f"{name}#/log/entries/{index}"
        posted = asked.get("postData") if isinstance(asked.get("postData"), Mapping) else {}
        sent: dict[str, Any] = {"method": "POST", "url": address, "content_type": posted.get("mimeType", "")}
        try:
            sent["body"] = json.loads(posted.get("text") or "{}")
        except (ValueError, RecursionError):
            sent["body"] = {}
        params = [p for p in posted.get("params", ()) if isinstance(p, Mapping)]
        if params:
            sent["fields"] = {str(p.get("name")): p.get("value") for p in params if not p.get("fileName")}
            sent["files"] = [
                {"field": p.get("name"), "name": p.get("fileName"), "type": p.get("contentType")}
                for p in params
                if p.get("fileName")
            ]
            del sent["body"]
        given = got.get("content")
        content: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
        try:
            body = json.loads(content.get("text") or "")
        except (ValueError, RecursionError):
            body = str(content.get("text") or "")
        answer = response({"status": got.get("status"), "body": body, "headers": {}}, at + "/response")
        if not got.get("status"):
            error = {
                "text": str(entry.get("_error") or got.get("_error") or "no answer reached the browser")[:300],
                "status": None,
            }
            answer = Exchange((Evidence("browser.error", at, Witness.WIRE, error),), frozenset())
        pairs.append((request(sent, at + "/request", Witness.WIRE), answer))
    return pairs
