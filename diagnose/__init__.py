"""Says why a picture ignores the photo it was asked to start from."""

__version__ = "0.1.0"
