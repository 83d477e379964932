"""Fixtures for every test: each must end with what it began with (see leaks.py)."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hypothesis import settings

from tests import leaks
from tests.pki import Pki

# A change must not be refused for a case that it did not cause: where CI is set, the examples are always the same.
# Without it each run looks for new ones.
# How long an example takes says nothing on a computer that does other things as well: no deadlines.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("new", deadline=None)
settings.load_profile("same" if os.environ.get("CI") else "new")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole lines first: their timing is best in a process that has not yet served a hundred address spaces."""
    items.sort(key=lambda item: item.get_closest_marker("scenario") is None)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves behind a thread, a process, a socket or shared memory; set up first, checked last."""
    before = leaks.holdings()
    yield
    if left := leaks.left_behind(before):
        pytest.fail("left behind: " + "; ".join(left))


@pytest.fixture(autouse=True)
def no_task_left_behind(nothing_left_behind: None, request: pytest.FixtureRequest) -> None:
    """Give an async test, and no other, the check of its loop's tasks."""
    if request.node.get_closest_marker("asyncio"):
        request.getfixturevalue("_no_task_left_in_loop")


@pytest_asyncio.fixture
async def _no_task_left_in_loop() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    if left := await leaks.left_tasks(before):
        pytest.fail("left behind: " + "; ".join(left))


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Certificates of every kind, made once."""
    return Pki(tmp_path_factory.mktemp("pki"))
