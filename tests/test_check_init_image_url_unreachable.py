"""fal cannot fetch the address: loopback, private network, `localhost`, missing object, expired signature."""

import pytest

from tests.cases_support import Example, case_of, examples, look, seen

CHECK = "init_image_url_unreachable"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_the_rest_cannot_be_known_from_the_evidence() -> None:
    hosted = "https://qhwzvbnkdmtyrcxaeplo.supabase.co/storage/v1/object/public/public/1.jpg"
    assert look(CHECK, case_of(seen("image_url", url=hosted))).status == "unknown"


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.1.1", "[fd00::1]", "minio"]
)
def test_an_address_no_one_outside_can_reach(host: str) -> None:
    assert look(CHECK, case_of(seen("image_url", url=f"http://{host}:9000/1.jpg"))).status == "fail"


@pytest.mark.parametrize("host", ["10.example.com", "localhost.example.com", "172.15.0.1", "8.8.8.8", "me@example.com"])
def test_an_address_that_only_looks_like_one(host: str) -> None:
    assert look(CHECK, case_of(seen("image_url", url=f"https://{host}/1.jpg"))).status == "unknown"
