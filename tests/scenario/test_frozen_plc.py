"""A PLC whose program stands still without closing anything: told by the age of its data, never by the socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from protocols.faults import Code
from protocols.signals import Judgement
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import watched
from tests.scenario.stand import Stand, free_port, until
from tests.scenario.test_lines import client_link
from tests.scenario.wire import Master

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]

LINK_TIMEOUT = 0.5
FROZEN = frozenset({"heartbeat", "late"})
"""What a PLC that is polled sees once it runs again: old words, until the gateway has reconnected. The observer's own
connection keeps it from noticing that the gateway's is gone.
"""


@contextlib.asynccontextmanager
async def plc_process(folder: Path, *arguments: str, pardoned: frozenset[str] = frozenset()) -> AsyncIterator[int]:
    """`python -m simulators plc` asking for parts until the end; its process id. It must see no rule broken, but for
    those `pardoned`.
    """
    figures = folder / "plc.json"
    with (folder / "plc.log").open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulators", "plc", "--parts", "0", "--rate", "8", "--json", str(figures),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield process.pid
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            await process.wait()
        broken = json.loads(figures.read_text())["violations"]
        assert broken.keys() <= pardoned, (folder / "plc.log").read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def last_inspection(stand: Stand) -> float:
    """When the newest part was accepted, UTC."""
    rows = stand.history()
    return rows[-1].trigger.utc if rows else 0.0


async def parts_go_by(stand: Stand, count: int, within: float) -> None:
    """Wait for so many more inspections."""
    before = stand.inspected()
    await until(lambda: stand.inspected() >= before + count, within, f"{count} more parts")


def check_verdicts(stand: Stand, bench: Bench) -> None:
    for row in stand.history():
        assert row.judgement in (bench.verdict(row.trigger.part_id), Judgement.FAULT)


async def test_c11_d19_the_gateway_polls_a_plc_that_freezes(new_stand: NewStand, bench: Bench) -> None:
    port = free_port()
    stand = new_stand({"link": client_link(port)})
    await stand.start()
    async with (
        plc_process(stand.folder, "--role", "server", "--port", str(port), pardoned=FROZEN) as pid,
        watched(stand, Master(port), in_plc=True, commands=True),
    ):
        await until(lambda: stand.told("started"), 10, "the history is open")
        await parts_go_by(stand, 5, 20)
        downs, ups = len(stand.told("link", state="down")), len(stand.told("link", state="up"))
        frozen = time.time()
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: len(stand.told("link", state="down")) > downs, LINK_TIMEOUT + 0.5, "3001 in the log")
        down = datetime.fromisoformat(stand.told("link", state="down")[-1]["time"]).timestamp()
        silence = down - last_inspection(stand)
        assert silence < LINK_TIMEOUT + 2 * stand.evidence["cell1"].margin
        os.kill(pid, signal.SIGCONT)
        await until(lambda: len(stand.told("link", state="up")) > ups, 5, "the link comes back")
        stand.evidence["cell1"].excused.append((frozen, time.time() + 0.5))
        await parts_go_by(stand, 3, 10)
    assert await stand.stop() == 0
    check_verdicts(stand, bench)


async def test_c11_a_plc_that_polls_the_gateway_freezes(new_stand: NewStand, bench: Bench) -> None:
    stand = new_stand()
    await stand.start()
    async with watched(stand, Master(stand.port), commands=True) as observer:
        async with plc_process(stand.folder, "--port", str(stand.port)) as pid:
            await until(lambda: stand.told("started"), 10, "the history is open")
            await parts_go_by(stand, 5, 20)
            os.kill(pid, signal.SIGSTOP)
            lost = lambda: observer.block is not None and observer.block.not_ready_reason == Code.PLC_HEARTBEAT_LOST  # noqa: E731
            await until(lost, 2, "3002: the PLC's heartbeat stopped")
            assert observer.block is not None
            assert observer.block.bit(1 << 14), "FailSafe"
            os.kill(pid, signal.SIGCONT)
            await parts_go_by(stand, 3, 10)
        assert await stand.stop() == 0
    check_verdicts(stand, bench)
