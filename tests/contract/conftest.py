"""Fixtures of the contract suites."""

from collections.abc import Iterator

import pytest

from tests import standard_space


@pytest.fixture(scope="session", autouse=True)
def one_standard_space() -> Iterator[None]:
    """asyncua's namespace 0 is built once."""
    with standard_space.shared():
        yield
