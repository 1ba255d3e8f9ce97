"""Reads an error's words: what Storage, fal, the network or the backend itself said, wherever it was quoted.

The same refusal is met as JSON, as a Python repr that is neither JSON nor Python (storage3), cut off, or inside another
message. Sources of the wordings: Supabase Storage as observed (its `message` and `code`), fal's error documentation
(`type`), httpx's and asyncio's own exception texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from diagnose.collect.text import last_uuid as last_uuid
from diagnose.model import Evidence, Witness

MAX_TEXT = 4000
"""Characters of an error that are looked at."""

_STORAGE = re.compile(r"\{[^{}]{0,200}statusCode.{0,600}?\}", re.S)
_STORAGE_FIELD = re.compile(
    r"['\"]?(statusCode|error|message|code)['\"]?\s*:\s*(.*?)(?=,\s*['\"]?(?:statusCode|error|message|code)['\"]?\s*:|\s*\}$)",
    re.S,
)
_STORAGE_SENTENCE = re.compile(
    r"Bucket not found|new row violates row-level security policy|Invalid Compact JWS|signature verification failed"
    r"|[\"']?exp[\"']? claim timestamp check failed|Failed to base64url decode the signature|JWS Protected Header is invalid"
    r"|The object exceeded the maximum allowed size|mime type [^\s,}]+ is not supported|The resource already exists"
    r"|Invalid key: [^\n,}]{1,80}|The related resource does not exist|Payload too large"
)
_KEY_REFUSED = re.compile(r"Invalid API key|Double check your Supabase|PGRST30[1-3]|No API key found in request")

_FAL_TYPE = re.compile(r"""['"]type['"]:\s*['"]([\w.]+)['"]""")
_FAL_MESSAGE = re.compile(r"""['"]msg['"]:\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")
_FAL_INPUT = re.compile(r"""['"]input['"]:\s*['"]([^'"\s]{1,500})""")
_FAL_LOC = re.compile(r"""['"]loc['"]:\s*[\[(]([^\])]{0,200})[\])]""")
_FAL_FLAT = re.compile(
    r"Cannot access application|User is locked|[Ee]xhausted balance|Top up your balance"
    r"|Application \\*[\"'][^\"'\\]+\\*[\"'] not found|Path /\S* not found|concurrent_requests_limit|[Rr]ate limit"
    r"|request_timeout|startup_timeout|runner_\w+|generation_timeout|downstream_service_\w+"
)
FAL_TYPES = frozenset(
    "file_download_error image_load_error image_too_small image_too_large file_too_large unsupported_image_format"
    " content_policy_violation no_media_generated face_detection_error feature_not_supported internal_server_error"
    " generation_timeout downstream_service_unavailable downstream_service_error".split()
)
"""Error types that only fal uses; the others (`missing`, `less_than_equal`, ...) are pydantic's and anybody's."""

_HTTPX_ERROR = re.compile(r"(?:Client|Server) error '(\d{3})[^']*' for url '([^']+)'")
_STATUS = re.compile(
    r"(?:HTTP(?: [Ee]rror)?|[Ss]tatus(?:[ _]?[Cc]ode)?|[Ee]rror code|failed|error|API|returned|with)[\s:=(#-]{1,3}(\d{3})\b"
    r"|\((\d{3})(?: [A-Z][a-z]+)?\)|: (\d{3}) - "
)
_NETWORK = re.compile(
    r"Name or service not known|nodename nor servname|Temporary failure in name resolution|getaddrinfo|ENOTFOUND"
    r"|Connection refused|ECONNREFUSED|Connection reset|ECONNRESET|All connection attempts failed|Server disconnected"
    r"|ReadTimeout|ConnectTimeout|WriteTimeout|PoolTimeout|ConnectError|ReadError|RemoteProtocolError|TimeoutError"
    r"|timed out|ETIMEDOUT|Network is unreachable|No route to host|SSL: |CERTIFICATE_VERIFY_FAILED|EOF occurred"
)
_LIBRARY = re.compile(
    r"expected str, bytes or os\.PathLike object, not \w+|Header value must be str or bytes|'bool' object has no attribute 'encode'"
    r"|Unable to parse error message|JSONDecodeError|Expecting value: line 1|KeyError: 'error'|FileNotFoundError"
    r"|a bytes-like object is required|Supabase client not initialized|SupabaseException|Illegal header value"
)
_DECODE = re.compile(
    r"base64|cannot identify image|Unidentified ?Image|Incorrect padding|[Ii]nvalid image|not a valid image"
    r"|[Uu]nsupported image|image file is truncated|broken data stream|preprocessing failed|[Tt]oo small|HEI[CF]"
    r"|[Dd]ecod(?:e|ing) (?:the )?image|could not decode|corrupt(?:ed)? image|[Ii]nvalid data ?(?:URL|URI)|blob:"
)
_UPLOAD = re.compile(r"[Uu]pload|[Ss]torage|[Bb]ucket|[Ss]upabase")
_FAL = re.compile(r"\bfal(?:\.ai|\.run|-ai|_client)?\b|\bFal\.ai\b|queue\.fal", re.I)
_GENERATION = re.compile(
    r"(?:fail|error|could not|unable|cannot|gagal)[^.]{0,60}generat|generat\w*\b[^.]{0,40}(?:fail|error)|no images? (?:were |was )?generated",
    re.I,
)
_ADDRESS = re.compile(r"https?://[^\s\"'<>]+")
_SETTING = re.compile(
    r"\b([A-Z][A-Z0-9_]*(?:KEY|URL|TOKEN|SECRET|BUCKET)[A-Z0-9_]*)\b[^\n]{0,60}?"
    r"(?:not (?:configured|set|found|provided|defined)|is (?:missing|not|unset|required|empty)|missing|tidak ditemukan|required)"
    r"|(?:[Mm]issing|[Nn]o|[Ss]et|environment variable)[^\n]{0,40}?\b([A-Z][A-Z0-9_]*(?:KEY|URL|TOKEN|SECRET)[A-Z0-9_]*)\b"
)


def read(text: str, source: str, witness: Witness = Witness.LOGGED) -> Iterator[Evidence]:
    """All evidence in one error text; always ends with the `error` itself."""
    text = text[:MAX_TEXT]
    stage, service = place(text)
    yield from _storage(text, source, witness, stage, service)
    yield from _fal(text, source, witness, service)
    yield from _http(text, source)
    setting = _SETTING.search(text)
    fields: dict[str, Any] = {
        "text": text,
        "stage": stage,
        "service": service,
        "status": status(text),
        "network": bool(_NETWORK.search(text)),
        "library": bool(_LIBRARY.search(text)),
        "setting": next((name for name in setting.groups() if name), None) if setting else None,
    }
    yield Evidence("error", source, witness, fields)
    if stage == "decode":
        yield Evidence("decode.failed", source, witness, {"text": text})


def place(text: str) -> tuple[str | None, str | None]:
    """The stage (decode, upload, generation) and the service (storage, fal) an error speaks of; None: it does not say."""
    fal = bool(_FAL.search(text)) or any(kind in FAL_TYPES for kind in _FAL_TYPE.findall(text))
    if _STORAGE.search(text):
        return "upload", "storage"
    text = _ADDRESS.sub("", text)  # a picture's address says where it lies, not what failed
    before = re.search(r"[Ff]ailed to (?:convert|decode|upload)", text)
    if fal and not before and (_GENERATION.search(text) or not re.search(r"[Ss]upabase|[Bb]ucket", text)):
        return "generation", "fal"
    if _DECODE.search(text):
        return "decode", None
    if _UPLOAD.search(text):
        return "upload", "fal" if fal and not re.search(r"[Ss]upabase|[Bb]ucket", text) else "storage"
    if _GENERATION.search(text):
        return "generation", None
    return None, None


def status(text: str) -> int | None:
    """The HTTP status an error names."""
    quoted = _HTTPX_ERROR.search(text)
    if quoted:
        return int(quoted[1])
    named = _STATUS.search(text)
    number = int(next(group for group in named.groups() if group)) if named else 0
    return number if 100 <= number <= 599 else None


def _storage(text: str, source: str, witness: Witness, stage: str | None, service: str | None) -> Iterator[Evidence]:
    quoted = _STORAGE.search(text)
    if quoted:
        fields = {key: value.strip().strip("'\"") for key, value in _STORAGE_FIELD.findall(quoted[0])}
        number = fields.get("statusCode", "")
        # the message of an expired key begins with a quotation mark of its own: "exp" claim ...
        if "claim timestamp" in text and fields.get("message", "").startswith("exp"):
            fields["message"] = '"' + fields["message"]
        yield Evidence(
            "storage.error",
            source,
            witness,
            {
                "status": int(number) if number.isdigit() else None,
                "error": fields.get("error"),
                "message": fields.get("message"),
                "code": fields.get("code"),
            },
        )
    elif service == "storage" or stage == "upload":
        sentence = _STORAGE_SENTENCE.search(text)
        if sentence:
            fields_ = {"status": None, "error": None, "message": sentence[0], "code": None}
            yield Evidence("storage.error", source, witness, fields_)
    if _KEY_REFUSED.search(text):
        yield Evidence("supabase.error", source, witness, {"message": text[:300]})


def _fal(text: str, source: str, witness: Witness, service: str | None) -> Iterator[Evidence]:
    kinds = [kind for kind in _FAL_TYPE.findall(text)]
    flat = _FAL_FLAT.search(text)
    own = any(kind in FAL_TYPES for kind in kinds)
    generating = bool(_GENERATION.search(text))
    if service != "fal" and not own and not (generating and (flat or kinds)):
        if not (flat and flat[0].startswith(("Cannot access", "User is locked", "Application"))):
            return
    number = status(text)
    if not kinds and not flat and number is None:
        return
    message = _FAL_MESSAGE.search(text)
    given = _FAL_INPUT.search(text)
    loc = _FAL_LOC.search(text)
    kind = next((k for k in kinds if k in FAL_TYPES), kinds[0] if kinds else None)
    yield Evidence(
        "fal.error",
        source,
        witness,
        {
            "status": number,
            "type": kind,
            "message": (message[1] or message[2]) if message else (flat[0] if flat else None),
            "loc": re.findall(r"\w+", loc[1]) if loc else [],
            "input": given[1] if given else None,
            "text": text[:600],
        },
    )


def _http(text: str, source: str) -> Iterator[Evidence]:
    """httpx's own exception names the URL it called and the status it got: as good as its log line."""
    for number, url in _HTTPX_ERROR.findall(text):
        yield from exchange(None, url, int(number), source)


_FAL_URL = re.compile(r"https?://(queue\.)?fal\.run(?::\d+)?/([\w.\-/]+)", re.I)
_QUEUE = re.compile(r"^(?P<app>.+?)/requests/(?P<id>[\w-]{6,})(?P<rest>/\w+)*$")
_SUPABASE_URL = re.compile(r"https?://([\w.\-:]+)/+(storage|auth|rest)/v1/([^\s\"'?]*)")
_STORED = re.compile(r"^object/(?:upload/sign/)?([^/]+)/(.+)$")
_FETCHED = re.compile(r"^object/(public|sign|authenticated|info)/(?:public/)?([^/]+)/(.+)$")
_PICTURE = re.compile(r"https?://(?:[\w-]+\.)*fal\.(?:media|ai)/files/[^\s\"'<>)\]]+")
_FAL_UPLOAD = re.compile(r"https?://rest(?:\.\w+)?\.fal\.(?:ai|run)/storage/|https?://(?:v\d+\.)?fal\.media/files/upload")


def exchange(method: str | None, url: str, code: int, source: str, witness: Witness = Witness.WIRE) -> Iterator[Evidence]:
    """What one HTTP exchange of the backend proves. `method` is None where only the failure is quoted."""
    if _FAL_UPLOAD.match(url):
        yield Evidence("storage.upload", source, witness, {"host": "fal", "bucket": None, "path": None, "status": code})
        return
    fal = _FAL_URL.match(url)
    if fal:
        yield _fal_call(method, fal, code, source, witness)
        return
    if _PICTURE.match(url):
        if method == "GET" and 200 <= code < 300:
            yield Evidence("fal.picture", source, witness, {"url": url})
        return
    ours = _SUPABASE_URL.match(url)
    if ours:
        yield from _supabase(method, ours, code, source, witness)


def _fal_call(method: str | None, url: re.Match[str], code: int, source: str, witness: Witness) -> Evidence:
    queue, path = bool(url[1]), url[2].strip("/")
    joined = _QUEUE.match(path)
    if joined:
        rest = (joined["rest"] or "").strip("/")
        fields = {"app": joined["app"], "request_id": joined["id"], "status": code, "step": rest or "result"}
        return Evidence("fal.queue", source, witness, fields)
    submitted = queue and 200 <= code < 300
    fields = {
        "model": path,
        "status": code,
        "method": method or "POST",
        "queue": queue,
        "final": not submitted,
        "request_id": None,
    }
    return Evidence("fal.call", source, witness, fields)


def _supabase(method: str | None, url: re.Match[str], code: int, source: str, witness: Witness) -> Iterator[Evidence]:
    host, service, path = url[1], url[2], url[3]
    if service != "storage":
        yield Evidence(
            "supabase.call", source, witness, {"host": host, "service": service, "path": path[:200], "status": code}
        )
        return
    # a bucket may itself be named "public": what a POST addresses is always the bucket
    stored = _STORED.match(path) if method in ("POST", "PUT", None) else None
    fetched = _FETCHED.match(path) if method in ("GET", "HEAD") else None
    if stored is not None and not (method is None and _FETCHED.match(path) and not path.startswith("object/public/")):
        fields = {"host": host, "bucket": stored[1], "path": stored[2], "status": code}
        yield Evidence("storage.upload", source, witness, fields)
    elif fetched is not None and fetched[1] == "public":
        fields = {"host": host, "bucket": fetched[2], "path": fetched[3], "status": code}
        yield Evidence("storage.fetch", source, witness, fields)
