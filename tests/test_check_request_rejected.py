"""The backend refused the request for a reason not about the image."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look

CHECK = "request_rejected"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_it_is_a_symptom_only_where_no_reason_is_known() -> None:
    bare = next(e for e in examples(CHECK) if e.name == "only a status is known")
    assert bare.finding().symptom and not fault(CHECK).finding().symptom


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "request.access", status=200)).status == "pass"
