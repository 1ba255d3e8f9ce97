"""fal refused with 429: too many requests at once."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "fal_rate_limited"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(without(fault(CHECK).case, "fal.error"), "fal.call", status=200)).status == "pass"
