"""The key in use is an anon or publishable key where a service key is needed."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look

CHECK = "storage_key_role"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "env.setting", role="service_role")).status == "pass"


def test_the_remedy_keeps_the_key_out_of_the_browser() -> None:
    assert "Never ship it to the browser" in str(fault(CHECK).finding().remedy)
