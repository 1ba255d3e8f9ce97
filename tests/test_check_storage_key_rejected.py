"""Auth, PostgREST or Storage refused the backend's own Supabase key."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "storage_key_rejected"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


@pytest.mark.parametrize(
    "message",
    [
        "Invalid Compact JWS",
        "signature verification failed",
        '"exp" claim timestamp check failed',
        "Failed to base64url decode the signature",
        "JWS Protected Header is invalid",
        '"alg" (Algorithm) Header Parameter value not allowed',
    ],
)
def test_every_word_storage_has_for_a_bad_key(message: str) -> None:
    assert look(CHECK, instead(fault(CHECK).case, "storage.error", message=message)).status == "fail"


def test_a_policy_and_a_key_are_never_blamed_together() -> None:
    for example in (*examples(CHECK), *examples("storage_policy_denied")):
        both = [look(c, example.case).status for c in (CHECK, "storage_policy_denied")]
        assert both != ["fail", "fail"], example.name


def test_put_right_it_is_gone() -> None:
    assert (
        look(CHECK, instead(without(fault(CHECK).case, "storage.error"), "storage.upload", status=200)).status == "pass"
    )
