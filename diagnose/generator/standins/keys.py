"""Keys and tokens as Supabase and fal give them out. The tokens are signed for real, with HS256.

`verify` judges a token step by step as Supabase's servers do, in their order and in their words, as observed on
supabase/storage 1.70.6; so what a cut, an expired or a stranger's key brings about follows from the key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

SECRET = "super-secret-jwt-token-with-at-least-32-characters-long"  # noqa: S105 - it guards nothing
"""What signs the tokens of the demo's project."""
REF = "qhwzvbnkdmtyrcxaeplo"
"""The project's name: twenty letters, as in every hosted address."""
USER = "7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10"
ISSUED = 1735689600
"""When every key was made: the first second of 2025."""

_CLAIMS_OF_TIME = ("iat", "nbf", "exp")


class Rejected(Exception):
    """A token is not accepted; the text is the server's own."""


# What is given out.


def supabase_key(
    role: str, ref: str | None = REF, expires: datetime = datetime(2035, 1, 1), secret: str = SECRET
) -> str:
    """A project's key of the older kind; without a `ref` it is of a project on a machine of one's own."""
    claims: dict[str, Any] = {"iss": "supabase", "ref": ref} if ref else {"iss": "supabase-demo"}
    return sign({**claims, "role": role, "iat": ISSUED, "exp": epoch(expires)}, secret)


def secret_key(seed: str = "demo") -> str:
    """A project's key of the newer kind, with a service's rights."""
    return _opaque("sb_secret", seed)


def publishable_key(seed: str = "demo") -> str:
    """A project's key of the newer kind, with the rights of anybody."""
    return _opaque("sb_publishable", seed)


def user_token(expires: datetime, ref: str = REF, secret: str = SECRET) -> str:
    """The token of a caller who signed in."""
    claims = {"iss": f"https://{ref}.supabase.co/auth/v1", "sub": USER, "aud": "authenticated", "role": "authenticated"}
    return sign({**claims, "exp": epoch(expires)}, secret)


def fal_key(seed: str = "demo") -> str:
    """A key of the form that fal gives out."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return f"{uuid.UUID(hex=digest[:32], version=4)}:{digest[32:]}"


def epoch(moment: datetime) -> int:
    """Seconds since 1970; a moment without a zone is not the machine's, so that every run is the same."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _opaque(kind: str, seed: str) -> str:
    body = _base64url(hashlib.sha256(f"{kind}/{seed}".encode()).digest())
    return f"{kind}_{body[:22]}_{body[22:30]}"


# Tokens.


def sign(claims: Mapping[str, Any], secret: str = SECRET) -> str:
    """A token with these claims."""
    head, body = ({"alg": "HS256", "typ": "JWT"}, dict(claims))
    signed = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (head, body))
    return f"{signed}.{_base64url(_mac(signed, secret))}"


def verify(token: str, secret: str, now: datetime) -> dict[str, Any]:
    """The claims of a token. Raises Rejected."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Rejected("Invalid Compact JWS")
    head, body, signature = parts
    _check_algorithm(head)
    given = _decoded(signature)
    if given is None:
        raise Rejected("Failed to base64url decode the signature")
    if not hmac.compare_digest(given, _mac(f"{head}.{body}", secret)):
        raise Rejected("signature verification failed")
    claims = _json(_decoded(body) or b"")
    if not isinstance(claims, dict):
        raise Rejected("JWT Claims Set must be a top-level JSON object")
    _check_times(claims, epoch(now))
    return claims


def _check_algorithm(head: str) -> None:
    decoded = _decoded(head)
    header = _json(decoded) if decoded is not None else None
    if header is None and head:
        raise Rejected("JWS Protected Header is invalid")
    algorithm = header.get("alg") if isinstance(header, dict) else None
    if not isinstance(algorithm, str) or not algorithm:
        raise Rejected('JWS "alg" (Algorithm) Header Parameter missing or invalid')
    if algorithm != "HS256":
        raise Rejected('"alg" (Algorithm) Header Parameter value not allowed')


def _check_times(claims: Mapping[str, Any], now: int) -> None:
    for name in _CLAIMS_OF_TIME:
        value = claims.get(name)
        if name not in claims:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Rejected(f'"{name}" claim must be a number')
        if (name == "nbf" and value > now) or (name == "exp" and value <= now):
            raise Rejected(f'"{name}" claim timestamp check failed')


def _mac(signed: str, secret: str) -> bytes:
    return hmac.new(secret.encode(), signed.encode("utf-8", "replace"), hashlib.sha256).digest()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes | None:
    """As servers read base64url: no padding is asked for, and only a length that no bytes have is wrong.

    That is every fourth length, so a key that was cut by 2 or by 10 characters is told apart from one cut by 1 or by 3.
    """
    plain = "".join(text.split()).replace("-", "+").replace("_", "/")
    if len(plain) % 4 == 0:
        plain = plain.removesuffix("=").removesuffix("=")
    if len(plain) % 4 == 1 or "=" in plain:
        return None
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _json(data: bytes) -> object:
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
