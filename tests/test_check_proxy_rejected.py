"""Something between browser and backend answered instead."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look

CHECK = "proxy_rejected"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_remedy_names_the_setting_to_raise() -> None:
    assert "client_max_body_size" in str(fault(CHECK).finding().remedy)


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "answer", html=False, status=200)).status == "pass"
