"""Reads what went between browser and backend: the request and the answer, by their bodies."""

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
    time: str | None = None
    """When it was sent, where that was recorded."""
    arrived: bool = True
    """Whether the backend can have seen it: false for a connection that was refused, say."""


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


def request(value: Mapping[str, Any], source: str, witness: Witness = Witness.SENT, at: str | None = None) -> Exchange:
    """The evidence in one request, whole or its body alone; `at` is where its body stands, if not under `source`."""
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
        images.append(_file(file))
    for entry in value.get("files", ()) if whole and isinstance(value.get("files"), list) else ():
        if isinstance(entry, Mapping):
            images.append(_file(entry))
    params = {k: v for k, v in flatten(body) if isinstance(v, (int, float)) or (isinstance(v, str) and len(v) < 200)}
    params = {k: v for k, v in params.items() if not (is_image(k, v) or "prompt" in k or _is_secret(k, v))}
    prompt = next((v for k, v in flatten(body) if k == "prompt" and isinstance(v, str)), None)
    prompt = prompt or next((v for k, v in flatten(body) if k.endswith("prompt") and isinstance(v, str)), None)
    address = value.get("url") if whole else None
    fields = {
        "format": form,
        "images": images,
        "params": params,
        "prompt": prompt,
        "url": re.split(r"[?#]", address, maxsplit=1)[0] if isinstance(address, str) else None,
    }
    at = at or source + path
    evidence = [Evidence("request.body", at, witness, fields)]
    keys = {
        url
        for _, v in flatten(body)
        if isinstance(v, str) and v.startswith("http")
        for url in (v.rstrip("?"), *wording.last_uuid(v))
    }
    keys |= {v for k, v in flatten(body) if isinstance(v, str) and _ID_KEY.search(k) and 6 <= len(v) <= 80}
    given = [(k, v) for k, v in flatten(body) if isinstance(v, str) and v.startswith("http") and is_image(k, v)]
    if len(given) == 1:
        evidence.append(Evidence("request.url", f"{at}/{given[0][0]}", witness, {"url": given[0][1]}))
    return Exchange(tuple(evidence), frozenset(keys), prompt)


def _format(value: Mapping[str, Any]) -> str:
    kind = str(value.get("content_type") or "").lower()
    if value.get("method") == "CALL":
        return "call"
    if "urlencoded" in kind:
        return "form"
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
            image = {"name": prefix + name, "carrier": carrier(name, value), "fault": _fault(value)}
            size = _bytes(value)
            yield image if size is None else {**image, "bytes": size}


def _bytes(value: object) -> int | None:
    """How many bytes of picture a base64 text holds; a shortened one says how long it was."""
    if isinstance(value, (list, Mapping)):
        sizes = [_bytes(v) for v in (value.values() if isinstance(value, Mapping) else value)]
        known = [size for size in sizes if size is not None]
        return sum(known) if known and len(known) == len(sizes) else None
    if not isinstance(value, str):
        return None
    cut = _SHORTENED.search(value[-200:])
    if cut:
        told = re.search(r"\d{1,12}", cut[0])
        unit = 1 if "bytes" in cut[0] else 0.75
        return int(int(told[0]) * unit) if told and "more" not in cut[0] else None
    head, comma, data = value.partition(",") if value.startswith("data:") else ("", "", value)
    if "..." in value[-120:] or (head and "base64" not in head) or not (comma or _BASE64.match(value[:4000])):
        return None
    data = data.rstrip("=\n ")
    return (len(data) - data.count("\n")) * 3 // 4


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    image = {"name": str(file.get("field") or "(file)"), "carrier": "file", "fault": _file_fault(file)}
    size = file.get("bytes", file.get("size"))
    return {**image, "bytes": size} if isinstance(size, int) and not isinstance(size, bool) else image


_SECRET = re.compile(
    r"(?:^|_|\b)(?:token|secret|passw(?:or)?d|authorization|api_?key|cookie|session(?:_?id)?|csrf|jwt|credentials?)$",
    re.I,
)


def _is_secret(name: str, value: object) -> bool:
    """A field whose text lets its bearer in is nobody's evidence."""
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name[-100:])
    return isinstance(value, str) and bool(_SECRET.search(snake))


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


def response(
    value: Mapping[str, Any] | str, source: str, witness: Witness = Witness.WIRE, at: str | None = None
) -> Exchange:
    """The evidence in one answer, whole or its body alone; HTML is the answer of something in between.

    `at` is where its body stands, if not under `source`.
    """
    if isinstance(value, str):
        return _page(value, None, source, witness, {})
    whole = "body" in value and ("status" in value or "headers" in value)
    body: Any = value.get("body") if whole else value
    at = at or source + ("#/body" if whole else "#")
    code = value.get("status") if whole else None
    code = code if isinstance(code, int) and 100 <= code <= 599 else None
    given_headers = value.get("headers") if whole else None
    headers = {str(k).lower(): v for k, v in given_headers.items()} if isinstance(given_headers, Mapping) else {}
    if isinstance(body, str):
        read = _page if "<" in body[:200] else _text
        return read(body, code, at, witness, headers)
    content = "unseen" if whole and body is None else "json"
    if not isinstance(body, (Mapping, list)):
        body = {}
    pictures = [] if (code or 0) >= 400 else list(_pictures(body))
    given = [v for k, v in flatten(body) if k in ("request_id", "requestId") and isinstance(v, str)]
    told = answer_fields(code, headers, content, pictures)
    given += [told["request_id"]] if told["request_id"] else []
    told["request_id"] = given[0] if given else None
    evidence = [Evidence("answer", at, witness, told)]
    evidence += _complaints(body, code, at)
    if isinstance(body, Mapping):
        evidence += _told(body, at)
    keys = set(given)
    for _, v in flatten(body):
        if isinstance(v, str) and v.startswith("http"):
            keys |= {v.rstrip("?"), *wording.last_uuid(v)}
    prompt = next((v for k, v in flatten(body) if k in ("prompt_sent", "prompt") and isinstance(v, str)), None)
    return Exchange(tuple(evidence), frozenset(keys), prompt, code)


def answer_fields(
    code: int | None, headers: Mapping[str, Any], content: str, pictures: list[str] | None
) -> dict[str, Any]:
    """The fields of an answer. `content` is json, html, text, picture, empty, or unseen where its body was not kept."""
    named = {name: headers[name] for name in ("server", "x-request-id") if isinstance(headers.get(name), str)}
    return {
        "status": code,
        "pictures": len(pictures) if pictures is not None else None,
        "urls": pictures or [],
        "html": False,
        "text": None,
        "request_id": named.get("x-request-id", "")[:200] or None,
        "server": named.get("server", "")[:200] or None,
        "content": content,
    }


def _page(text: str, code: int | None, source: str, witness: Witness, headers: Mapping[str, Any]) -> Exchange:
    text = text[:100_000]
    title = _TITLE.search(text)
    if code is None and title and title[1]:
        code = int(title[1])
    said = title[2].strip() if title else text[:120]
    own = bool(_OWN_PAGE.search(text))
    fields = answer_fields(code, headers, "html", [])
    fields |= {"html": "<" in text[:200] and not own, "text": said[:200]}
    evidence = [Evidence("answer", source, witness, fields)]
    if own:
        raised = _RAISED.search(text)
        evidence += _raised(html.unescape(raised[1]) if raised else said, code, source)
    return Exchange(tuple(evidence), _request_keys(fields), None, code)


def _request_keys(fields: Mapping[str, Any]) -> frozenset[str]:
    return frozenset([fields["request_id"]] if fields["request_id"] else [])


def _raised(said: str, code: int | None, source: str) -> Iterator[Evidence]:
    """An exception that nobody caught, in the words of the framework's own page."""
    kind = re.match(r"\w+(?:Error|Exception)\b", said)
    if kind and (code is None or code >= 500):
        yield Evidence("deployment.exception", source, Witness.LOGGED, {"type": kind[0], "text": said[:300]})
    yield from (e for e in wording.read(said, source) if e.kind not in ("error", "deployment.exception") or e["stage"])


def _text(text: str, code: int | None, source: str, witness: Witness, headers: Mapping[str, Any]) -> Exchange:
    fields = answer_fields(code, headers, "text" if text.strip() else "empty", [])
    fields["text"] = text[:200]
    evidence = [Evidence("answer", source, witness, fields)]
    if (code is None or code >= 400) and not _UNHANDLED.match(text[:200]):
        evidence += _answered(wording.read(text, source), code)
    return Exchange(tuple(evidence), _request_keys(fields), None, code)


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
