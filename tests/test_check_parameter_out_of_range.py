"""A value sent is outside the model's schema."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look

CHECK = "parameter_out_of_range"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    broken = fault(CHECK).case
    body = {**broken.of("payload")[0]["body"], "num_inference_steps": 28}
    assert look(CHECK, instead(broken, "payload", body=body)).status == "pass"


def test_the_schema_is_shown_with_its_date() -> None:
    assert any("2026" in e.source for e in fault(CHECK).finding().evidence)
