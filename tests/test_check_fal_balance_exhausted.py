"""fal refused with 403: the account's balance is exhausted."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "fal_balance_exhausted"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(without(fault(CHECK).case, "fal.error"), "fal.call", status=200)).status == "pass"


def test_the_remedy_is_no_restart() -> None:
    assert "nothing has to be restarted" in str(fault(CHECK).finding().remedy)
