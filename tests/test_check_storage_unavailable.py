"""Storage did not answer, or with a server error."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look

CHECK = "storage_unavailable"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "storage.upload", status=200)).status == "pass"
