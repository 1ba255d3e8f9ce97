"""The part of Supabase Auth and PostgREST that a backend asks about its caller: who it is, and how many coins it has.

Hosted gateways ask for a good project key here too, and answer 401 without one; this stand-in does not, so that a bad
key is first met where it is used to upload.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from diagnose.generator.standins import keys
from diagnose.generator.standins.rules import BORN, Store, iso
from diagnose.generator.standins.wire import Json, json_body

_WHY = {
    "Invalid Compact JWS": "token is malformed: token contains an invalid number of segments",
    '"exp" claim timestamp check failed': "token has invalid claims: token is expired",
    '"nbf" claim timestamp check failed': "token has invalid claims: token is not valid yet",
}
"""Auth's words for what Storage says differently."""
_UNSIGNED = "token signature is invalid: signature is invalid"


class Accounts:
    """The routes of both."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/auth/v1/user", self._user, methods=["GET"]),
            Route("/rest/v1/profiles", self._profiles, methods=["GET"]),
            Route("/rest/v1/profiles", self._change, methods=["PATCH"]),
            Route("/rest/v1/{table}", self._no_table),
        ]

    async def _user(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not token:
            return _auth_refusal(401, "no_authorization", "This endpoint requires a Bearer token")
        try:
            claims = keys.verify(token, self._store.project.secret, self._store.now())
        except keys.Rejected as error:
            why = _WHY.get(str(error), _UNSIGNED)
            return _auth_refusal(403, "bad_jwt", f"invalid JWT: unable to parse or verify signature, {why}")
        if not isinstance(claims.get("sub"), str):
            return _auth_refusal(403, "bad_jwt", "invalid claim: missing sub claim")
        born = iso(BORN)
        user = {"id": claims["sub"], "aud": "authenticated", "role": "authenticated", "email": "caller@example.com"}
        return Json({**user, "app_metadata": {}, "user_metadata": {}, "created_at": born, "is_anonymous": False})

    async def _profiles(self, request: Request) -> Response:
        return Json(self._rows(request))

    async def _change(self, request: Request) -> Response:
        coins = (await json_body(request)).get("coins", self._store.project.coins)
        if isinstance(coins, bool) or not isinstance(coins, int | None):
            return _rest_refusal(400, "22P02", f'invalid input syntax for type integer: "{coins}"')
        if self._rows(request):
            self._store.project = replace(self._store.project, coins=coins)
        if "return=representation" in request.headers.get("prefer", ""):
            return Json(self._rows(request))
        return Response(status_code=204)

    async def _no_table(self, request: Request) -> Response:
        table = request.path_params["table"]
        return _rest_refusal(404, "PGRST205", f"Could not find the table 'public.{table}' in the schema cache")

    def _rows(self, request: Request) -> list[dict[str, Any]]:
        if request.query_params.get("user_id", f"eq.{keys.USER}") != f"eq.{keys.USER}":
            return []
        return [{"user_id": keys.USER, "coins": self._store.project.coins}]


def _auth_refusal(status: int, code: str, message: str) -> Response:
    return Json({"code": status, "error_code": code, "msg": message}, status)


def _rest_refusal(status: int, code: str, message: str) -> Response:
    return Json({"code": code, "details": None, "hint": None, "message": message}, status)
