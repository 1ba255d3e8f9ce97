"""Requests that no browser sends, made from the backend's own OpenAPI document: every answer is one that it describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

schemathesis = pytest.importorskip("schemathesis", reason="the test extra is not installed")

from diagnose import profile, serve  # noqa: E402
from diagnose.generator.serving import running  # noqa: E402

SEED = profile.build(profile.BUILT_IN["seed"], "seed")
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]
MODES = (schemathesis.GenerationMode.NEGATIVE, schemathesis.GenerationMode.POSITIVE)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The OpenAPI document of a backend that is served; nothing that is sent there may be left to the server to catch."""
    data = tmp_path_factory.mktemp("fuzzed")
    options = serve.Options("127.0.0.1", 0, data, None, 0, "plain", True)
    with (
        serve.backend(options, SEED, lambda text: None, None) as built,
        running(built.app, built.backend.journal.enter) as origin,
    ):
        yield schemathesis.openapi.from_url(f"{origin}/openapi.json")
    assert "Exception in ASGI application" not in (data / "backend.log").read_text(encoding="utf-8")


def send(document: Any, path: str, method: str, mode: Any, times: int) -> int:
    """How many requests were sent, each of which was answered as the document says."""
    sent = 0

    @settings(
        max_examples=times, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )
    @given(case=document[path][method].as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        nonlocal sent
        sent += 1
        case.call_and_validate(checks=CHECKS)

    one()
    return sent


@pytest.mark.parametrize("mode", MODES)
def test_requests_for_pictures(document: Any, mode: Any) -> None:
    times = 1000 if mode is MODES[0] else 100
    assert send(document, "/api/generate-image", "POST", mode, times) >= times


@pytest.mark.parametrize(
    ("path", "method"),
    [("/api/browser-errors", "POST"), ("/api/debug/last-prompt", "GET"), ("/health", "GET"), ("/ready", "GET")],
)
def test_the_other_addresses(document: Any, path: str, method: str) -> None:
    assert send(document, path, method, MODES[1], 30)
