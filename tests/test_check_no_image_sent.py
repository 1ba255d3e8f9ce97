"""The request carried no image."""

import pytest

from tests.cases_support import Example, case_of, examples, fault, instead, look, seen

CHECK = "no_image_sent"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_it_is_by_design_and_says_what_to_do() -> None:
    found = fault(CHECK).finding()
    assert found.status == "note" and found.evidence and found.remedy is not None


def test_put_right_it_is_gone() -> None:
    sent = [{"name": "face_image", "carrier": "data", "fault": None}]
    assert look(CHECK, instead(fault(CHECK).case, "request.body", images=sent)).status == "pass"


def test_where_the_request_was_not_seen_no_more_is_said_than_that_none_was_received() -> None:
    assert "sent" not in str(look(CHECK, case_of(seen("request.received", images=0))).message)
