"""The image-to-image payload lacks its image key, or uses the other one."""

import pytest

from tests.cases_support import Example, case_of, examples, fault, instead, look, seen

CHECK = "payload_without_image"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_it_is_a_symptom() -> None:
    assert fault(CHECK).finding().symptom


def test_the_remedy_says_whether_a_text_or_a_list_is_wanted() -> None:
    edit = "fal-ai/flux-2/lora/edit"
    plural = case_of(
        seen(
            "payload", "sent", body={"prompt": "x", "image_url": "https://a.example/1.jpg"}, model=edit, complete=True
        ),
        seen("fal.call", "wire", model=edit, status=422, final=True),
        profile="flux-2-edit",
    )
    assert "a string" in str(fault(CHECK).finding().remedy)
    assert "a list" in str(look(CHECK, plural).remedy)


def test_put_right_it_is_gone() -> None:
    body = {"prompt": "x", "image_url": "https://a.example/1.jpg"}
    assert look(CHECK, instead(fault(CHECK).case, "payload", body=body)).status == "pass"
