"""fal did not answer, or with a server error."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "fal_unavailable"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(without(fault(CHECK).case, "fal.error"), "fal.call", status=200)).status == "pass"


def test_a_refusal_of_fals_is_not_silence() -> None:
    lost = next(e for e in examples(CHECK) if "does not resolve" in e.name)
    assert look(CHECK, lost.case).status == "fail"
    assert "503" not in str(look(CHECK, lost.case).message)
