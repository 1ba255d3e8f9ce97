"""The upload succeeded and `init_image_url` stayed empty."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look

CHECK = "upload_result_lost"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_it_is_a_symptom() -> None:
    assert fault(CHECK).finding().symptom


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "image_url", url="https://a.example/1.jpg")).status == "pass"
