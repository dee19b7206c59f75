"""The stage of the fault tests, and what JAX compiles kept from one process for the next."""

import os

import pytest

from tests.stage import stage  # noqa: F401


def pytest_collection_modifyitems(items):
    """The longest first, so that none is left alone at the end."""
    items.sort(key=lambda item: -max([mark.args[0] for mark in item.iter_markers("timeout")], default=0))


@pytest.fixture(scope="session", autouse=True)
def compiled(tmp_path_factory):
    """The tests start many processes that compile the same few models: two thirds of their time."""
    with pytest.MonkeyPatch.context() as patch:
        if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
            patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
            patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.02")
        yield
