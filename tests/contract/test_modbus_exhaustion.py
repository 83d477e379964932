"""No descriptors left (F-9), and a peer that vanishes without a word (D-12)."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from protocols.faults import Code
from tests.contract.masters import LOCAL, Plant
from tests.contract.test_links import until
from tests.contract.test_modbus_server import Master, read

POLL = b"\x04\x02\0\0"


@contextmanager
def hardly_any_descriptors(left: int) -> Iterator[Callable[[], None]]:
    """This process may open no more than a few; then all but `left` are taken until the function given is called."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []

    def release() -> None:
        while taken:
            os.close(taken.pop())

    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 20, hard))  # noqa: PTH208
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            pass
        for _ in range(left):
            os.close(taken.pop())
        yield release
    finally:
        release()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_f09_the_listener_outlives_the_last_descriptor(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def main() -> None:
        async with Plant().open() as plant, plant.master_at() as other:
            await other.ask(read(1))
            with hardly_any_descriptors(left=1) as release:
                newcomer = socket.create_connection((LOCAL, plant.server.port), 2)  # the backlog's; it took the last
                await until(lambda: bool(plant.events))
                for tid in range(50):
                    assert await other.ask(read(tid)) == POLL
                release()
                newcomer.setblocking(False)
                reader, writer = await asyncio.open_connection(sock=newcomer)
                assert await Master(reader, writer).ask(read(1)) == POLL
                writer.close()
            async with plant.master_at() as later:
                assert await later.ask(read(1)) == POLL
        assert plant.codes == [Code.CLIENT_LIMIT]
        assert "cannot take a connection (Too many open files) and tries again" in plant.events[0][1]

    run(main())


VANISHED = """
import asyncio, fcntl, socket, struct, time, uvloop
from protocols.modbus.server import ModbusServer

def loopback(up):
    with socket.socket() as any:
        request = struct.pack("16sh", b"lo", 0x1 if up else 0)
        fcntl.ioctl(any, 0x8914, request)  # SIOCSIFFLAGS

async def main():
    server = ModbusServer("127.0.0.1", 0)
    server.unit(1)
    task = asyncio.create_task(server.run())
    await server.bound.wait()
    silent = await asyncio.open_connection("127.0.0.1", server.port)
    silent[1].write(bytes.fromhex("0001 0000 0006 01 04 0000 0001"))
    await silent[0].readexactly(11)
    assert len(server.connections) == 1
    loopback(False)
    begin = time.monotonic()
    while server.connections and time.monotonic() - begin < 20:
        await asyncio.sleep(0.05)
    print(f"{time.monotonic() - begin:.1f}")
    task.cancel()
    await asyncio.wait([task])

loopback(True)
uvloop.run(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
def test_d12_a_peer_that_vanished_gives_its_slot_back_within_10_s() -> None:
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this computer gives no network namespaces")
    done = subprocess.run(
        [*alone, sys.executable, "-c", VANISHED], check=False, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    assert 3 < float(done.stdout) <= 11, "10 s, and what a busy computer adds"
