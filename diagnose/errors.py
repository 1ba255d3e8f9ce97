"""What can go wrong in the tool itself, and the exit code each outcome has.

    DiagnoseError                 one clear line for the user: what, where, what to do
    ├── NothingReadable           no evidence could be read (exit 4)
    ├── ProfileError              the profile is malformed or names an unknown key (exit 2)
    ├── UnknownName               a check, schema or model that does not exist (exit 2)
    ├── PortTaken                 nothing can be served at this address (exit 2)
    ├── SecretLeft                a bundle would still hold a secret, and is not written (exit 70)
    ├── ExtraMissing              a command needs packages that are not installed (exit 2)
    └── StrangerPackage           somebody else's `checks` or `schemas` stands before ours (exit 70)

A leaf module: it imports nothing of ours, so that every layer can raise and catch.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, the same in every output format."""

    OK = 0
    """Sound, or by design."""
    NOT_SOUND = 1
    """The outcome is not sound or the generation failed."""
    USAGE = 2
    UNDETERMINED = 3
    NOTHING_READABLE = 4
    INTERNAL = 70
    INTERRUPTED = 130


class DiagnoseError(Exception):
    """An error with one line for the user."""

    exit = Exit.USAGE

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NothingReadable(DiagnoseError):
    """No evidence could be read; the message says where was looked."""

    exit = Exit.NOTHING_READABLE


class ProfileError(DiagnoseError):
    """The profile is malformed."""


class UnknownName(DiagnoseError):
    """A name that does not exist; the message names the nearest one."""


class PortTaken(DiagnoseError):
    """Somebody else listens there, or nobody may."""


class ExtraMissing(DiagnoseError):
    """The packages of an extra are not installed; the message says which to install."""


class SecretLeft(DiagnoseError):
    """What was to be handed over still holds a secret; the message says where, and not which."""

    exit = Exit.INTERNAL


class StrangerPackage(DiagnoseError):
    """Another package of the name `checks` or `schemas` was found where ours should be."""

    exit = Exit.INTERNAL
