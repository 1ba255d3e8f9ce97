"""Steps, guidance or another declared parameter sent differs from the profile's."""

import pytest

from diagnose.render.words import Words
from tests.cases_support import Example, examples, fault, instead, look

CHECK = "parameter_drift"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_remedy_names_key_and_value() -> None:
    remedy = fault(CHECK).finding().remedy
    assert remedy is not None and Words("en").remedy(remedy).title == "Send 'num_inference_steps': 7"


def test_put_right_it_is_gone() -> None:
    broken = fault(CHECK).case
    body = {**broken.of("payload")[0]["body"], "num_inference_steps": 7}
    assert look(CHECK, instead(broken, "payload", body=body)).status == "pass"
