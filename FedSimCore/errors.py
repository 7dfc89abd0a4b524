"""What can go wrong, told to a person in one sentence.

Every error a user can cause or meet is a :class:`FedSimError`. Its message names the file, the
offending value and the way out; the command line prints it without a traceback and exits with
``exit_code``. Anything else that escapes is a bug of ours and exits with 1.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``fedsim``; documented in docs/cli.md."""

    OK = 0
    BUG = 1
    USAGE = 2
    BAD_INPUT = 3
    MISSING_DEPENDENCY = 4
    DISK = 5
    CANCELLED = 130


class FedSimError(Exception):
    """Base of all errors meant for the user; the message is one complete sentence."""

    exit_code: ExitCode = ExitCode.BAD_INPUT


class InputError(FedSimError):
    """A file, value or option that was given cannot be used."""


class MissingDependencyError(FedSimError):
    """An optional library that this verb needs is not installed."""

    exit_code = ExitCode.MISSING_DEPENDENCY


class DiskError(FedSimError):
    """The disk is full, read-only or otherwise refuses to be written."""

    exit_code = ExitCode.DISK


class CancelledError(FedSimError):
    """The user asked for the work to stop."""

    exit_code = ExitCode.CANCELLED
