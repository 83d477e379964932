"""The fixture that watches all other tests is watched here."""

import asyncio
import socket
import subprocess
import sys
import threading
from multiprocessing import shared_memory

import pytest

from tests import leaks

pytest_plugins = ["pytester"]


def test_nothing_new_is_nothing_left() -> None:
    assert leaks.left_behind(leaks.holdings(), patience=0) == []


def test_a_thread_is_seen_and_goes_when_it_ends() -> None:
    before, stop = leaks.holdings(), threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten")
    thread.start()
    try:
        assert leaks.left_behind(before, patience=0) == ["thread forgotten"]
    finally:
        stop.set()
    assert leaks.left_behind(before) == []


def test_a_socket_is_seen_with_its_address() -> None:
    before = leaks.holdings()
    with socket.create_server(("127.0.0.1", 0)) as server:
        (left,) = leaks.left_behind(before, patience=0)
        assert str(server.getsockname()[1]) in left
        assert "LISTEN" in left
    assert leaks.left_behind(before, patience=0) == []


def test_a_child_process_is_seen_until_it_is_reaped() -> None:
    before = leaks.holdings()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        (left,) = leaks.left_behind(before, patience=0)
        assert str(child.pid) in left
        assert "input()" in left
        child.kill()
    assert leaks.left_behind(before) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows its shared memory as files")
def test_shared_memory_is_seen_but_not_its_tracker() -> None:
    before = leaks.holdings()
    block = shared_memory.SharedMemory(create=True, size=1)
    try:
        assert leaks.left_behind(before, patience=0) == [f"shared memory /dev/shm/{block.name}"]
    finally:
        block.close()
        block.unlink()
    assert leaks.left_behind(before) == []


async def test_a_task_is_seen_and_cancelled() -> None:
    before = asyncio.all_tasks()
    task = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
    (left,) = await leaks.left_tasks(before, patience=0)
    assert left.startswith("task forgotten: ")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await leaks.left_tasks(before, patience=0) == []


def test_the_fixtures_fail_the_careless_tests_and_only_those(
    pytester: pytest.Pytester, request: pytest.FixtureRequest
) -> None:
    source = (request.config.rootpath / "tests" / "conftest.py").read_text()
    pytester.makeconftest(source.replace("(before)", "(before, patience=0)"))
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(
        """
        import asyncio, socket, threading

        kept, release = [], threading.Event()

        async def test_leaves_a_thread():
            threading.Thread(target=release.wait, daemon=True, name="forgotten").start()

        async def test_leaves_a_socket():
            kept.append(socket.create_server(("127.0.0.1", 0)))

        async def test_leaves_a_task():
            kept.append(asyncio.create_task(asyncio.Event().wait(), name="forgotten"))

        async def test_is_careful():
            await asyncio.create_task(asyncio.sleep(0))

        def test_tidies_up():
            release.set()
            kept[0].close()
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=5, errors=3)
    for left in ("thread forgotten", "socket SOCK_STREAM", "task forgotten"):
        result.stdout.fnmatch_lines([f"*left behind: {left}*"])
