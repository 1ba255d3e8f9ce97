"""fal refused the payload: 422 by its schema."""

import pytest

from diagnose.render.words import Words
from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "fal_parameters_rejected"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(without(fault(CHECK).case, "fal.error"), "fal.call", status=200)).status == "pass"


def test_the_remedy_names_the_key_and_fals_own_words() -> None:
    remedy = fault(CHECK).finding().remedy
    assert (
        remedy is not None
        and "'num_inference_steps'" in Words("en").remedy(remedy).title
        and "less than or equal to 50" in Words("en").remedy(remedy).steps[0]
    )
