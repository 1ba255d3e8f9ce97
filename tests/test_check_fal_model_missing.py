"""fal does not know the model: 404."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "fal_model_missing"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(without(fault(CHECK).case, "fal.error"), "fal.call", status=200)).status == "pass"


def test_the_remedy_names_the_id() -> None:
    assert "fal-ai/flux-general/image-to-img" in str(fault(CHECK).finding().remedy)
