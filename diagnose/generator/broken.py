"""The ways in which a link breaks: one family of exceptions, raised by hands and caught by the pipeline.

    BrokenLink
    ├── RequestRefused       the caller is not let in
    │   └── NotConfigured    a setting without which no picture can be made is missing
    ├── ImageUnusable        the image arrived and cannot be used
    ├── StorageFault         the picture did not reach the bucket
    │   ├── StorageRefused   Storage answered and said no
    │   ├── StorageDown      Storage did not answer
    │   └── StorageBroken    the client library raised on its own
    └── FalFault             fal made no picture
        ├── FalRefused       fal answered and said no
        └── FalDown          fal did not answer

Their texts are what logs and answers quote.
"""


class BrokenLink(Exception):
    """A link broke. `kind` is the name a log gives it."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class RequestRefused(BrokenLink):
    """The caller is not let in, or asks for nothing that can be done."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__("RequestRefused", detail)
        self.status = status


class NotConfigured(RequestRefused):
    """A setting is missing. Said before anything is uploaded, so that nothing is left behind."""

    def __init__(self, setting: str) -> None:
        super().__init__(503, f"{setting} is not configured")


class ImageUnusable(BrokenLink):
    """The image cannot be decoded, is of another format, or has the wrong size."""

    def __init__(self, text: str, decoded: bool) -> None:
        super().__init__("ValueError", text)
        self.decoded = decoded
        """Whether the base64 was sound, so that it is the picture itself that cannot be used."""


class StorageFault(BrokenLink):
    """The picture did not reach the bucket."""

    @property
    def answered(self) -> int | None:
        """The status that Storage itself gave; None where it gave none."""
        return None


class StorageRefused(StorageFault):
    """Storage said no. Its text is the one storage3 gives: neither JSON nor a Python literal."""

    def __init__(self, status: int, error: str, message: str, code: str) -> None:
        text = f"{{'statusCode': {status}, 'error': {error}, 'message': {message}}}"
        super().__init__("StorageApiError", text)
        self.status: int = status
        self.error = error
        self.message = message
        self.code = code

    @property
    def answered(self) -> int:
        """The status in the answer's body."""
        return self.status


class StorageDown(StorageFault):
    """Storage did not answer."""


class StorageBroken(StorageFault):
    """The client library raised before any request, or instead of an answer."""


class FalFault(BrokenLink):
    """fal made no picture."""


class FalRefused(FalFault):
    """fal said no; `body` is its answer as it came."""

    def __init__(self, status: int, body: str, request_id: str | None = None) -> None:
        super().__init__("HTTPStatusError", body)
        self.status = status
        self.body = body
        self.request_id = request_id


class FalDown(FalFault):
    """fal did not answer; the text of a timeout is empty, as httpx leaves it."""
