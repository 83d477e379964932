"""Fixtures of the contract suites."""

from collections.abc import Iterator

import pytest

from tests import standard_space
from tests.contract import genicam_locks


@pytest.fixture(scope="session", autouse=True)
def one_standard_space() -> Iterator[None]:
    """asyncua's namespace 0 is built once."""
    with standard_space.shared():
        yield


@pytest.fixture(scope="session")
def locks_of_genicam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For tests whose cameras go through GenICam's libraries."""
    with genicam_locks.held(tmp_path_factory.mktemp("genicam")):
        yield
