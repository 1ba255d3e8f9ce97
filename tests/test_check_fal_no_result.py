"""fal answered 200 without a picture."""

import pytest

from tests.cases_support import Example, also, examples, fault, look, seen

CHECK = "fal_no_result"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, also(fault(CHECK).case, seen("answer", "wire", status=200, pictures=1))).status == "pass"
