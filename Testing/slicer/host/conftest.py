"""The tests of the host use its own fixtures."""

from Testing.host.pytest_plugin import *  # noqa: F403
