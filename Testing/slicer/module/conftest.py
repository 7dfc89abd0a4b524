"""The tests of the module run in the host."""

from Testing.host.pytest_plugin import *  # noqa: F403
