"""The hands for the real services: Supabase Storage by its own client, fal by httpx, accounts as Supabase keeps them.

What a library raises is turned into the pipeline's own faults here and nowhere else, with the texts that logs and
answers quote, and with no key in them: httpx quotes a whole key that it cannot send.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from diagnose.generator import events
from diagnose.generator.broken import (
    FalDown,
    FalRefused,
    NotConfigured,
    RequestRefused,
    StorageBroken,
    StorageDown,
    StorageFault,
    StorageRefused,
)
from diagnose.generator.pipeline import Answer, Log, User

if TYPE_CHECKING:
    import httpx
    from supabase import Client

STORAGE_SECONDS = 20.0
FAL_SECONDS = 180.0
"""A picture takes seconds, a queue before it minutes."""

NAMES = {"supabase_url": "SUPABASE_URL", "supabase_key": "SUPABASE_SERVICE_KEY", "fal_key": "FAL_KEY"}
"""The settings, and the variables that hold them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the services ask for."""

    supabase_url: str | None = None
    supabase_key: str | None = field(default=None, repr=False)
    fal_key: str | None = field(default=None, repr=False)

    @property
    def missing(self) -> tuple[str, ...]:
        """The names, never the values."""
        return tuple(name for key, name in NAMES.items() if not getattr(self, key))

    @property
    def empty(self) -> bool:
        """Whether nothing at all is set."""
        return len(self.missing) == len(NAMES)


def settings(environment: Mapping[str, str | None]) -> Settings:
    """The settings among the variables of an environment."""
    given = {key: environment.get(name) or "" for key, name in NAMES.items()}
    return Settings(**{key: value if value.strip() else None for key, value in given.items()})


# Storage.


@dataclass
class SupabaseStorage:
    """A project's Storage, through the `supabase` client."""

    settings: Settings
    http: httpx.Client

    @cached_property
    def _client(self) -> Client:
        from supabase import create_client
        from supabase.lib.client_options import SyncClientOptions

        options = SyncClientOptions(httpx_client=self.http, auto_refresh_token=False, persist_session=False)
        return create_client(self.settings.supabase_url or "", self.settings.supabase_key or "", options)

    def ready(self) -> None:
        """Raises NotConfigured where the address or the key is missing."""
        for name in self.settings.missing:
            if name != "FAL_KEY":
                raise NotConfigured(name)

    def upload(self, bucket: str, path: str, data: bytes, content_type: str) -> None:
        """Stores a picture. Raises StorageFault."""
        try:
            # the option is spelt with a hyphen: any other spelling is sent as a header and stored as text/plain
            options: Any = {"content-type": content_type, "upsert": "false"}
            self._client.storage.from_(bucket).upload(path, data, options)
        except Exception as error:
            self._raise(error)

    def public_url(self, bucket: str, path: str) -> str | None:
        """The public address, made without asking anybody."""
        return self._client.storage.from_(bucket).get_public_url(path)

    def probe(self, url: str) -> tuple[int, str | None]:
        """What a reader without a key gets for the first byte; status 0 where nobody answers."""
        import httpx

        try:
            response = self.http.get(url, headers={"Range": "bytes=0-0"}, timeout=STORAGE_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL):
            return 0, None
        body = _json(response.text[:10_000])
        return response.status_code, body.get("code") if isinstance(body, dict) else None

    def _raise(self, error: Exception) -> NoReturn:
        import httpx
        from storage3.utils import StorageException

        if isinstance(error, StorageException):
            raise _refusal(error) from None
        kind, text = type(error).__name__, _told(error, "Bearer")
        if isinstance(error, httpx.HTTPError) and not isinstance(error, httpx.LocalProtocolError):
            raise StorageDown(kind, text) from None
        raise StorageBroken(kind, text) from None


def _told(error: Exception, scheme: str) -> str:
    """What an exception says, without the key that those about headers quote, in forms that no mask foresees."""
    import httpx

    if isinstance(error, (httpx.LocalProtocolError, UnicodeError)):
        return f"Illegal header value b'{scheme} <key>': it holds a character that no header can carry"
    return str(error)


def _refusal(error: Any) -> StorageFault:
    """Storage's answer behind the client's exception, which leaves its `code` out."""
    found: BaseException | None = error
    while found is not None and not hasattr(found, "response"):
        found = found.__cause__ or found.__context__
    body = _json(found.response.text) if found is not None else None
    code = str(body.get("code", "")) if isinstance(body, dict) else ""
    status = int(error.status) if str(error.status).isdigit() else 0
    return StorageRefused(status, str(error.code), str(error.message), code)


# fal.


@dataclass(frozen=True, slots=True)
class Fal:
    """fal's synchronous endpoint."""

    settings: Settings
    http: httpx.Client
    seconds: float = FAL_SECONDS
    """How long one picture may take, from the first byte sent to the last received."""

    def ready(self) -> None:
        """Raises NotConfigured where there is no key."""
        if not self.settings.fal_key:
            raise NotConfigured("FAL_KEY")

    def run(self, model: str, body: Mapping[str, Any]) -> Answer:
        """Posts the body. Raises FalFault."""
        import httpx

        headers = {"Authorization": f"Key {self.settings.fal_key}"}
        try:
            response = self.http.post(
                f"https://fal.run/{model}", json=dict(body), headers=headers, timeout=self.seconds
            )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise FalDown(type(error).__name__, _told(error, "Key")) from None
        request_id = response.headers.get("x-fal-request-id")
        if response.status_code != 200:
            raise FalRefused(response.status_code, response.text, request_id)
        return Answer(tuple(_pictures(_json(response.text))), request_id)


def _pictures(body: object) -> list[str]:
    images = body.get("images") if isinstance(body, dict) else None
    found = [image.get("url") for image in images if isinstance(image, dict)] if isinstance(images, list) else []
    return [url for url in found if isinstance(url, str) and url]


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# Accounts.


@dataclass(frozen=True, slots=True)
class Anyone:
    """No accounts: whoever reaches the backend may use it, and nothing is charged."""

    user: str = "local"

    def admit(self, _token: str) -> User:
        """Everybody is the same user."""
        return User(self.user, None)

    def charge(self, _user: User, _price: int) -> int | None:
        """Nothing."""
        return None


@dataclass(frozen=True, slots=True)
class SupabaseAccounts:
    """Accounts as Supabase Auth and a table of profiles keep them."""

    settings: Settings
    http: httpx.Client
    log: Log

    def admit(self, token: str) -> User:
        """Lets in whoever holds a token that the auth service accepts."""
        import httpx

        try:
            return self._admit(token)
        except httpx.HTTPError as error:
            raise RequestRefused(503, f"The account service could not be asked: {type(error).__name__}") from None

    def _admit(self, token: str) -> User:
        answer = self.http.get(self._url("/auth/v1/user"), headers=self._headers(token))
        if answer.status_code != 200:
            self.log(events.TokenRefused(answer.status_code, answer.text[:2000]))
            raise RequestRefused(401, "Invalid or expired token")
        user = str(answer.json()["id"])
        rows = self.http.get(self._profile(user) + "&select=%2A", headers=self._headers()).json()
        return User(user, max(0, rows[0]["coins"]))

    def charge(self, user: User, price: int) -> int | None:
        """Takes the price."""
        remaining = (user.coins or 0) - price
        self.http.patch(self._profile(user.id), headers=self._headers(), json={"coins": remaining})
        return remaining

    def _headers(self, token: str | None = None) -> dict[str, str]:
        key = self.settings.supabase_key or ""
        return {"apikey": key, "Authorization": f"Bearer {token or key}"}

    def _url(self, path: str) -> str:
        return f"{self.settings.supabase_url}{path}"

    def _profile(self, user: str) -> str:
        return self._url(f"/rest/v1/profiles?user_id=eq.{user}")
