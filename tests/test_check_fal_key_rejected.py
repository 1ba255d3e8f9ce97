"""fal refused the key with 401."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "fal_key_rejected"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(without(fault(CHECK).case, "fal.error"), "fal.call", status=200)).status == "pass"


def test_key_and_balance_are_never_blamed_together() -> None:
    for check in (CHECK, "fal_balance_exhausted"):
        for example in examples(check):
            both = {look(c, example.case).status for c in (CHECK, "fal_balance_exhausted")}
            assert both != {"fail"}, example.name
