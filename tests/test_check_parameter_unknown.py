"""A key sent is not in the model's schema; fal normally ignores it, and a default takes effect."""

import pytest

from diagnose import schema
from diagnose.render.words import Words
from tests.cases_support import IMAGE_MODEL, Example, also, examples, fault, look, seen, without

CHECK = "parameter_unknown"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_seeds_own_payload_against_the_bundled_schema() -> None:
    bundled = seen("fal.schema", model=IMAGE_MODEL, schema=schema.fal_input(IMAGE_MODEL))
    found = look(CHECK, also(without(fault(CHECK).case, "fal.schema"), bundled))
    assert found.status == "warn" and "strength 0.85 takes effect" in str(found.message)
    assert (
        found.remedy is not None
        and Words("en").remedy(found.remedy).title == "Send 'strength' instead of 'image_strength'"
    )


def test_it_never_says_that_fal_certainly_ignored_the_key() -> None:
    assert "normally ignores" in str(fault(CHECK).finding().message)
