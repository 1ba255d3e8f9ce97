"""The image came in a field that the backend does not read."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look

CHECK = "image_field_unknown"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_message_names_the_field_sent_and_the_fields_read() -> None:
    said = str(fault(CHECK).finding().message)
    assert "'photo'" in said and "face_image" in said


def test_put_right_it_is_gone() -> None:
    renamed = instead(
        fault(CHECK).case, "request.body", images=[{"name": "face_image", "carrier": "data", "fault": None}]
    )
    assert look(CHECK, renamed).status == "pass"
