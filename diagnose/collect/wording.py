"""Reads an error's words: what Storage, fal, the network or the backend itself said, wherever it was quoted.

The same refusal is met as JSON, as a Python repr that is neither JSON nor Python (storage3), as what Node prints of an
object, cut off, or inside another message. Sources of the wordings: Supabase Storage as observed (its `message` and
`code`), fal's error documentation (`type`), and the exception texts of httpx, requests, urllib3, aiohttp, fal_client,
undici, axios and supabase-js.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from diagnose.collect.text import last_uuid as last_uuid
from diagnose.model import Evidence, Witness

MAX_TEXT = 4000
"""Characters of an error that are looked at."""

STORAGE, FAL = "storage", "fal"

_STORAGE = re.compile(r"\{[^{}]{0,200}statusCode[^{}]{0,600}(?:\}|$)", re.S)
_STORAGE_FIELD = re.compile(
    r"['\"]?\b(statusCode|error|message|code)['\"]?\s*:\s*([^\n]{0,300}?)(?=,\s*['\"]?(?:statusCode|error|message|code|status)['\"]?\s*:|,?\s*(?:\}|$|\n))",
)
_STORAGE_NAMED = re.compile(r"Storage(?:Api|Unknown)?(?:Error|Exception)|__isStorageError")
_STORAGE_SENTENCE = re.compile(
    r"Bucket not found|new row violates row-level security policy|Invalid Compact JWS|signature verification failed"
    r"|[\"']?exp[\"']? claim timestamp check failed|Failed to base64url decode the signature|JWS Protected Header is invalid"
    r"|The object exceeded the maximum allowed size|mime type [^\s,}]{1,80} is not supported|The resource already exists"
    r"|Invalid key: [^\n,}]{1,80}|The related resource does not exist|Payload too large|No content provided"
)
_KEY_REFUSED = re.compile(r"Invalid API key|Double check your Supabase|PGRST30[1-3]|No API key found in request")

_KEY = r"\\{0,3}['\"]?\b"
_FAL_TYPE = re.compile(
    rf"{_KEY}type\\{{0,3}}['\"]?\s{{0,4}}:\s{{0,4}}\\{{0,3}}['\"]([a-z_][a-z0-9_.]{{1,79}})\\{{0,3}}['\"]"
)
_FAL_MESSAGE = re.compile(
    rf"{_KEY}msg\\{{0,3}}['\"]?\s{{0,4}}:\s{{0,4}}\\{{0,3}}(?:\"([^\"\\]{{0,600}})|'([^'\\]{{0,600}}))"
)
_FAL_INPUT = re.compile(rf"{_KEY}input\\{{0,3}}['\"]?\s{{0,4}}:\s{{0,4}}\\{{0,3}}['\"]([^'\"\\\s]{{1,500}})")
_FAL_LOC = re.compile(rf"{_KEY}loc\\{{0,3}}['\"]?\s{{0,4}}:\s{{0,4}}[\[(]([^\])]{{0,200}})[\])]")
_FAL_FLAT = re.compile(
    r"Cannot access application|User is locked|[Ee]xhausted balance|Top up your balance"
    r"|Application \\*[\"'][^\"'\\]{1,80}\\*[\"'] not found|Path /\S{0,80} not found|concurrent_requests_limit|[Cc]oncurrent requests limit reached|[Rr]ate limit"
    r"|request_timeout|startup_timeout|runner_\w+|generation_timeout|downstream_service_\w+"
)
_ONLY_FAL = (
    "Cannot access",
    "User is locked",
    "Application",
    "Path /",
    "Concurrent requests limit",
    "concurrent_requests_limit",
)
FAL_TYPES = frozenset(
    [
        "file_download_error",
        "image_load_error",
        "image_too_small",
        "image_too_large",
        "file_too_large",
        "unsupported_image_format",
        "content_policy_violation",
        "no_media_generated",
        "face_detection_error",
        "feature_not_supported",
        "internal_server_error",
        "generation_timeout",
        "downstream_service_unavailable",
        "downstream_service_error",
    ]
)
"""Error types that only fal uses; the others (`missing`, `less_than_equal`, ...) are pydantic's and anybody's."""
_BARE_TYPE = re.compile(r"\b(?:" + "|".join(sorted(FAL_TYPES - {"internal_server_error"})) + r")\b")
_FAL_SAID = (
    (re.compile(r"Failed to download the file\. Please check"), "file_download_error"),
    (re.compile(r"Failed to load the image\. Please ensure"), "image_load_error"),
    (re.compile(r"flagged by a content checker"), "content_policy_violation"),
    (re.compile(r"Image dimensions are too large"), "image_too_large"),
    (re.compile(r"Image dimensions are too small"), "image_too_small"),
)
"""Sentences of fal's own error documentation, met where a client passed on the message without its type."""

# Clients' own exceptions name the address they called and the status they got: as good as a log line of the client.
_CLIENT_ERROR = (
    re.compile(r"(?:Client|Server) error '(?P<status>\d{3})[^'\n]{0,80}' for url '(?P<url>[^'\s]{1,2000})'"),  # httpx
    re.compile(
        r"(?P<status>\d{3}) (?:Client|Server) Error: [^\n]{0,120}? for url: (?P<url>https?://[^\s'\"]{1,2000})"
    ),  # requests
    re.compile(
        r"(?P<status>\d{3}), message=(?:'[^'\n]{0,120}'|\"[^\"\n]{0,120}\"), url=(?:URL\()?'(?P<url>[^'\s]{1,2000})'"
    ),  # aiohttp
)
# Where a call failed without an answer, the exception names the host.
_HOST_LOST = re.compile(
    r"(?:HTTPS?ConnectionPool|NewConnectionError|NameResolutionError)\(host='(?P<pool>[\w.-]+)'(?:, port=\d+)?\)"
    r"(?:: Max retries exceeded with url: (?P<path>/[^\s'\"()]{0,300}))?"
    r"|(?:Cannot connect to host|Failed to resolve|Connection timeout to host|connect to) '?(?:https?://)?(?P<host>[\w-]+(?:\.[\w-]+)+)"
    r"|getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (?P<node>[\w.-]+)"
)
_STATUS = re.compile(
    r"(?:HTTP(?: [Ee]rror)?|[Ss]tatus(?:[ _]?[Cc]ode)?|[Ee]rror code|[Ee]rror|API|[Ff]ailed|[Rr]eturned|[Rr]esponded|[Aa]nswered|with|[Cc]ode)"
    r"['\"]?[\s:=(\[#-]{1,3}(\d{3})\b(?![\w.:-]\d)"
    r"|[(\[](\d{3})(?: [A-Z][a-z]+)?[)\]]|: (\d{3}) - |\b(\d{3}): \{"
)
_FOR_URL = re.compile(r"\bfor url:? '?(https?://[^\s'\"]{1,2000})")
_PORT = re.compile(r"(?<=\.[a-z]{2}):\d{2,5}\b|(?<=\.[a-z]{3}):\d{2,5}\b|\bport[= ]\d{2,5}\b")
_FAL_STATUS = re.compile(r"\b[Ff]al\b[\w .-]{0,40}?[\s:(\[](\d{3})\b(?![\w.:-]\d)")
_STATUS_TEXT = {
    "bad request": 400, "unauthorized": 401, "payment required": 402, "forbidden": 403, "unprocessable entity": 422,
    "unprocessable content": 422, "too many requests": 429, "internal server error": 500, "bad gateway": 502, "service unavailable": 503,
    "gateway timeout": 504,
}  # fmt: skip
_STATUS_ALONE = re.compile(r"(?:^|[:>] ?)(" + "|".join(_STATUS_TEXT) + r")\b", re.I)
NETWORK = re.compile(
    r"Name or service not known|nodename nor servname|Temporary failure in name resolution|getaddrinfo|ENOTFOUND"
    r"|Connection refused|ECONNREFUSED|Connection reset|ECONNRESET|All connection attempts failed|Server disconnected"
    r"|ReadTimeout|ConnectTimeout|WriteTimeout|PoolTimeout|ConnectError|ReadError|RemoteProtocolError|TimeoutError|Timeout\b"
    r"|[Tt]imed out|\b[Tt]ime-?out\b|ETIMEDOUT|EAI_AGAIN|Network is unreachable|No route to host|SSL: |CERTIFICATE_VERIFY_FAILED|EOF occurred"
    r"|fetch failed|socket hang up|Cannot connect to host|Connect call failed|Max retries exceeded|gave up (?:on|after|waiting)"
    r"|still IN_(?:QUEUE|PROGRESS)|did not (?:finish|complete|answer) in time|ClientConnectorError|aborted due to timeout"
)
_LIBRARY = re.compile(
    r"expected str, bytes or os\.PathLike object, not \w+|Header value must be str or bytes|'bool' object has no attribute 'encode'"
    r"|Unable to parse error message|JSONDecodeError|Expecting value: line 1|KeyError: 'error'|FileNotFoundError"
    r"|a bytes-like object is required|Supabase client not initialized|SupabaseException|Illegal header value"
)
_PROGRAMMING = re.compile(
    r"\b(?:KeyError|TypeError|AttributeError|NameError|IndexError|ZeroDivisionError|ReferenceError|UnboundLocalError|AssertionError|RecursionError)\b"
)
"""Exceptions of the backend's own code; what its log calls the failure says only where they were caught."""
EMPTY_ANSWER = re.compile(
    r"list index out of range|KeyError: ['\"]?images?\b|of undefined \(reading ['\"](?:url|0|images?)['\"]\)|NoneType' object is not subscriptable"
)
"""What reading `images[0].url` of an answer without pictures raises."""
_DECODE = re.compile(
    r"base64|b64decode|cannot identify image|unidentified ?image|incorrect padding|invalid (?:or corrupt(?:ed)? )?image|not (?:a valid |an )image"
    r"|unsupported (?:image|input image)|unsupported image format|image file is truncated|broken data stream|preprocessing failed|\btoo small|\bHEI[CF]\b"
    r"|decod(?:e|ing) (?:the |your )?(?:image|photo|picture|selfie|reference)|could not (?:decode|open image)|corrupt(?:ed)? image"
    r"|invalid data ?(?:URL|URI)|(?:must be|is not|not) a (?:valid )?(?:data ?(?:URI|URL)|image)|blob:|image (?:could not|cannot) be (?:read|opened|decoded|processed)"
    r"|VipsJpeg|Input buffer contains|Input file is missing|could(?: not|n't) (?:read|open|process|decode) (?:the |your |this |)(?:image|photo|picture|selfie|upload|file)"
    r"|(?:not|isn't) a (?:picture|photo)\b",
    re.I,
)
_UPLOAD = re.compile(
    r"[Uu]pload|[Ss]torage|[Bb]ucket|[Ss]upabase|not stored|[Ss]tor(?:e|ing) the (?:input|image|photo|picture|file)"
)
_FAL = re.compile(r"(?<![A-Za-z0-9])fal(?![A-Za-z0-9])|\bFalClient\w*", re.I)
_FAL_JAVASCRIPT = re.compile(r"\b(?:ApiError|ValidationError): ")
_GENERATION = re.compile(
    r"(?:fail|error|could not|unable|cannot|gagal)[^.\n]{0,60}generat|\bgenerat\w{0,12}\b[^.\n]{0,40}(?:fail|error)|no images? (?:were |was )?generated"
    r"|(?:image|edit|render|picture|panel|i2i|img2img|image-to-image|text-to-image)\w* (?:job |request |call |attempt |model |run )?(?:failed|error)",
    re.I,
)
_ADDRESS = re.compile(r"https?://[^\s\"'<>]{1,2000}|data:[\w/+.-]{1,40};base64,[A-Za-z0-9+/=]{0,4000}")
_SETTING = re.compile(
    r"\b([A-Z][A-Z0-9_]{0,40}(?:KEY|URL|TOKEN|SECRET|BUCKET|CREDENTIALS)[A-Z0-9_]{0,20})\b[^\n]{0,60}?"
    r"(?:not (?:configured|set|found|provided|defined)|is (?:missing|not|unset|required|empty)|missing|tidak ditemukan|required|undefined)"
    r"|(?:[Mm]issing|[Nn]o|[Ss]et|environment variable)[^\n]{0,40}?\b([A-Z][A-Z0-9_]{0,40}(?:KEY|URL|TOKEN|SECRET|CREDENTIALS)[A-Z0-9_]{0,20})\b"
)
_FAL_HEADER = re.compile(r"Illegal header value b['\"]Key\b")
"""`Authorization: Key ...` is fal's; an empty key, or one with a line end, cannot be sent."""
_UNSET = re.compile(r"MissingCredentialsError|credentials (?:are|were) not|no (?:fal )?credentials", re.I)
NO_RESULT = re.compile(
    r"no image URL found|tidak ada gambar (?:dalam|di|dari)|(?:returned|gave|produced) (?:no|an empty|empty) images?\b"
    r"|(?:response|result|output|answer|fal(?:\.ai)?|model) (?:has|had|contains?|contained|with) (?:no|an empty|empty) images?\b"
    r"|(?:did not|didn't|does not|doesn't) (?:return|contain|produce) (?:any |an )?images?\b"
    r"|no images? (?:were |was )?(?:returned|produced|in (?:the |its )?(?:fal(?:\.ai)? )?(?:response|result|output|answer|data))"
    r"|no images? found in (?:the )?(?:response|result)|empty[_ ](?:fal[_ ])?(?:results?|response)\b|empty images? (?:list|array)|images? (?:list|array) (?:is |was )?empty",
    re.I,
)
_IN_FRAMES = re.compile(
    r"(?P<storage>storage3|supabase|storage/v1|\.storage\.|_upload|upload_|bucket)|(?P<fal>(?<![A-Za-z0-9])fal(?![A-Za-z0-9]))"
)


def read(text: str, source: str, witness: Witness = Witness.LOGGED, hint: str | None = None) -> Iterator[Evidence]:
    """All evidence in one error text; always ends with the `error` itself.

    `hint` is the service that was being called, where something beside the text tells it (the frames of a traceback).
    """
    text = text[:MAX_TEXT]
    stage, service = place(text, hint)
    setting = _setting(text)
    if setting is not None and stage == "generation":
        stage = service = None  # what is not configured was not called
    number = status(text)
    network, library = (
        bool(NETWORK.search(text)) and (number or 500) >= 500,
        bool(_LIBRARY.search(text)) and not _FAL_HEADER.search(text),
    )
    mistake = _PROGRAMMING.search(text)
    if mistake and not network and not library and number is None and stage in (None, "generation"):
        stage = service = None
        if not EMPTY_ANSWER.search(text):
            yield Evidence("deployment.exception", source, witness, {"type": mistake[0], "text": text[:300]})
    yield from _storage(text, source, witness, stage, service)
    yield from _fal(text, source, witness, service)
    yield from _http(text, source)
    fields: dict[str, Any] = {
        "text": text,
        "stage": stage,
        "service": service,
        "status": number,
        "network": network,
        "library": library,
        "setting": setting,
    }
    yield Evidence("error", source, witness, fields)
    if stage == "decode":
        yield Evidence("decode.failed", source, witness, {"text": text})
    if NO_RESULT.search(text) and stage in (None, "generation") and fields["status"] is None:
        yield Evidence("fal.empty", source, witness, {"text": text[:300]})


def _setting(text: str) -> str | None:
    """The setting an error says is missing; an error with a status speaks of a refusal, and names a setting as advice."""
    if status(text) is not None:
        return None
    found = _SETTING.search(text)
    if found:
        return next((name for name in found.groups() if name), None)
    return "FAL_KEY" if _UNSET.search(text) or _FAL_HEADER.search(text) else None


def _called(text: str) -> tuple[str | None, str] | None:
    """(service, address or host) that an exception says it called; None where it names none."""
    for pattern in _CLIENT_ERROR:
        found = pattern.search(text)
        if found:
            return service_of(found["url"]), found["url"]
    lost = _HOST_LOST.search(text)
    if lost:
        host = next(group for group in (lost["pool"], lost["host"], lost["node"]) if group)
        return service_of(f"https://{host}/"), host
    named = _FOR_URL.search(text)
    return (service_of(named[1]), named[1]) if named else None


def service_of(url: str) -> str | None:
    """Whose address it is: fal's, Storage's, or nobody's that is known."""
    host = re.sub(r"^https?://([^/:?#]*).*$", r"\1", url).lower()
    if host.endswith(("fal.run", "fal.ai", "fal.media")):
        return FAL
    if "/storage/v1/" in url or (
        host.endswith((".supabase.co", ".supabase.in")) and "/auth/v1" not in url and "/rest/v1" not in url
    ):
        return STORAGE
    return None


def place(text: str, hint: str | None = None) -> tuple[str | None, str | None]:
    """The stage (decode, upload, generation) and the service (storage, fal) an error speaks of; None: it does not say."""
    if _STORAGE.search(text) or _STORAGE_NAMED.search(text):
        return "upload", STORAGE
    types = _FAL_TYPE.findall(text)
    if any(kind in FAL_TYPES for kind in types) or _BARE_TYPE.search(text) or any(p.search(text) for p, _ in _FAL_SAID):
        return "generation", FAL
    called = _called(text)
    if called is not None and called[0] is not None:
        return (
            ("upload", FAL)
            if _FAL_UPLOAD.match(called[1])
            else ("generation", FAL)
            if called[0] == FAL
            else ("upload", STORAGE)
        )
    text = _ADDRESS.sub("", text)  # a picture's address says where it lies, not what failed
    said = _by_words(text)
    if said in ((None, None), ("generation", None)) and hint is not None:
        return ("generation", FAL) if hint == FAL else ("upload", STORAGE)
    return said


def _of_javascript_client(text: str) -> bool:
    """Whether an error is one of fal's JavaScript client, printed: it carries a request id and the type of a timeout."""
    return bool(_FAL_JAVASCRIPT.search(text)) and ("timeoutType" in text or "requestId" in text)


def _by_words(text: str) -> tuple[str | None, str | None]:
    fal = bool(_FAL.search(text)) or _of_javascript_client(text)
    before = re.search(r"[Ff]ailed to (?:convert|decode|upload)|[Uu]pload\w* (?:failed|error|rejected)", text)
    if fal and not before and (_GENERATION.search(text) or not re.search(r"[Ss]upabase|[Bb]ucket|[Ss]torage", text)):
        return "generation", FAL
    if _SENTENCE_OF_UPLOAD.search(text):
        return "upload", STORAGE
    if _DECODE.search(text):
        return "decode", None
    if _UPLOAD.search(text):
        return "upload", FAL if fal and not re.search(r"[Ss]upabase|[Bb]ucket", text) else STORAGE
    if _GENERATION.search(text):
        return "generation", None
    return None, None


_SENTENCE_OF_UPLOAD = re.compile(
    r"Bucket not found|violates row-level security policy|Invalid Compact JWS|claim timestamp check failed|exceeded the maximum allowed size"
)


def status(text: str) -> int | None:
    """The HTTP status an error names."""
    for pattern in _CLIENT_ERROR:
        quoted = pattern.search(text)
        if quoted:
            return int(quoted["status"])
    text = _PORT.sub("", _ADDRESS.sub("", text))
    for pattern in (_STATUS, _FAL_STATUS):
        for named in pattern.finditer(text):
            number = int(next(group for group in named.groups() if group))
            if 400 <= number <= 599:
                return number
    alone = _STATUS_ALONE.search(text)
    return _STATUS_TEXT[alone[1].lower()] if alone else None


def _storage(text: str, source: str, witness: Witness, stage: str | None, service: str | None) -> Iterator[Evidence]:
    quoted = _STORAGE.search(text)
    sentence = _STORAGE_SENTENCE.search(text)
    if quoted or (sentence and (service == STORAGE or stage == "upload")):
        fields = (
            {key: value.strip().strip("'\"`") for key, value in _STORAGE_FIELD.findall(quoted[0])} if quoted else {}
        )
        number = fields.get("statusCode", "")
        message = fields.get("message") or (sentence[0] if sentence else None)
        # the message of an expired key begins with a quotation mark of its own: "exp" claim ...
        if message and message.startswith("exp") and "claim timestamp" in text:
            message = '"' + message
        told = {
            "status": int(number) if number.isdigit() else None,
            "error": fields.get("error"),
            "message": message,
            "code": fields.get("code"),
        }
        yield Evidence("storage.error", source, witness, told)
    elif stage == "upload" and service == STORAGE and not _LIBRARY.search(text):
        number_ = status(text)
        if number_ is not None:  # Storage, or its gateway, answered in words of its own
            yield Evidence(
                "storage.error",
                source,
                witness,
                {"status": number_, "error": None, "message": text[:200], "code": None},
            )
    if _KEY_REFUSED.search(text):
        yield Evidence("supabase.error", source, witness, {"message": text[:300]})


def _fal(text: str, source: str, witness: Witness, service: str | None) -> Iterator[Evidence]:
    kinds: list[str] = _FAL_TYPE.findall(text)
    bare = _BARE_TYPE.search(text)
    said = next((kind for pattern, kind in _FAL_SAID if pattern.search(text)), None)
    flat = _FAL_FLAT.search(text)
    own = any(kind in FAL_TYPES for kind in kinds) or bool(bare) or bool(said)
    generating = bool(_GENERATION.search(text))
    certain = flat is not None and flat[0].startswith(_ONLY_FAL)
    if not (service == FAL or own or certain or (generating and (flat or kinds))) or _FAL_UPLOAD.search(text):
        return
    number = status(text)
    if not kinds and not flat and not own and number is None:
        return
    message = _FAL_MESSAGE.search(text)
    given = _FAL_INPUT.search(text)
    loc = _FAL_LOC.search(text)
    kind = next(
        (k for k in kinds if k in FAL_TYPES),
        bare[0] if bare else said or (kinds[0] if kinds and (loc or message) else None),
    )
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
    """A client's own exception names the URL it called and the status it got: as good as its log line."""
    for pattern in _CLIENT_ERROR:
        for found in pattern.finditer(text):
            yield from exchange(None, found["url"], int(found["status"]), source)
    lost, named = _HOST_LOST.search(text), _FOR_URL.search(text)
    address = f"https://{lost['pool']}{lost['path']}" if lost and lost["path"] else named[1] if named else ""
    model = _FAL_URL.match(address) if status(text) is None else None
    if model and not _QUEUE.match(model[2]):  # the address of a call that got no answer names the model
        yield Evidence("model", source, Witness.LOGGED, {"model": model[2].strip("/"), "by": "client"})


def frames_hint(frames: str) -> str | None:
    """The service that the frames of a traceback show being called; the innermost one that tells."""
    told = [STORAGE if found["storage"] else FAL for found in _IN_FRAMES.finditer(frames[-8000:])]
    return told[-1] if told else None


_FAL_URL = re.compile(r"https?://(queue\.)?fal\.run(?::\d+)?/([\w.\-/]+)", re.I)
_QUEUE = re.compile(r"^(?P<app>.+?)/requests/(?P<id>[\w-]{6,})(?P<rest>/\w+)*$")
_SUPABASE_URL = re.compile(r"https?://([\w.\-:]+)/+(storage|auth|rest)/v1/([^\s\"'?]*)")
_STORED = re.compile(r"^object/(?:upload/sign/)?([^/]+)/(.+)$")
_FETCHED = re.compile(r"^object/(public|sign|authenticated|info)/(?:public/)?([^/]+)/(.+)$")
PICTURE = re.compile(r"https?://(?:[\w-]+\.)*fal\.(?:media|ai)/files/[^\s\"'<>)\]]+")
_FAL_UPLOAD = re.compile(
    r"https?://rest(?:\.\w+)?\.fal\.(?:ai|run)/storage/|https?://(?:v\d+b?\.)?fal\.media/(?:files/)?upload"
)


def exchange(
    method: str | None, url: str, code: int, source: str, witness: Witness = Witness.WIRE
) -> Iterator[Evidence]:
    """What one HTTP exchange of the backend proves. `method` is None where only the failure is quoted."""
    if _FAL_UPLOAD.match(url):
        yield Evidence("storage.upload", source, witness, {"host": "fal", "bucket": None, "path": None, "status": code})
        if code in (401, 403):  # fal's storage takes the same key as its models
            told: dict[str, Any] = {"status": code, "type": None, "message": None, "loc": [], "input": None, "text": ""}
            yield Evidence("fal.error", source, witness, told)
        return
    fal = _FAL_URL.match(url)
    if fal:
        yield _fal_call(method, fal, code, source, witness)
        return
    if PICTURE.match(url):
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
    if stored is not None and stored[1] in ("sign", "list", "move", "copy") and not path.startswith("object/upload/"):
        return
    if stored is not None and not (method is None and _FETCHED.match(path) and not path.startswith("object/public/")):
        fields = {"host": host, "bucket": stored[1], "path": stored[2], "status": code}
        yield Evidence("storage.upload", source, witness, fields)
    elif fetched is not None and fetched[1] == "public":
        fields = {"host": host, "bucket": fetched[2], "path": fetched[3], "status": code}
        yield Evidence("storage.fetch", source, witness, fields)
