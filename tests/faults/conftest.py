"""The stage of the fault tests."""

from tests.stage import stage  # noqa: F401
