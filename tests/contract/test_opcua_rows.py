"""Rows C and E-13 over the OPC UA client link: a station of a few lines, a PLC's program on its own data block."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from protocols.faults import Code
from protocols.handshake import Style
from protocols.signals import Judgement, StatusBit
from simulators import rude
from simulators.fault_proxy import FaultProxy
from simulators.opcua_command import MARGIN, SETTLE
from simulators.opcua_server import S7Server
from simulators.opcua_slave import OpcUaSlave
from simulators.plc import Answer, Plc
from simulators.watch import Watch
from tests.contract.opcua_nodes import DOWN, UP, Events, link_to, server
from tests.contract.test_links import Recorder, running, until
from tests.contract.test_opcua_client import BACK, black_hole
from tests.contract.vision import Vision
from tests.scenario.stand import free_port

STYLES = list(Style)


class Line:
    """Both ends at work."""

    def __init__(self, plc: Plc, slave: OpcUaSlave, vision: Vision) -> None:
        self.plc, self.slave, self.vision = plc, slave, vision

    @property
    def server(self) -> S7Server:
        return self.slave.server

    async def good(self, part: int) -> None:
        """The part is answered, and rightly; a PLC asks again when a cut has cost it its answer."""
        for _ in range(4):
            answer = await self.plc.inspect(part)
            if answer.result is not None:
                check(answer, part)
                return
            assert await self.plc.until_ready(10), self.plc.trouble
        raise AssertionError(f"part {part} has no answer")


def check(answer: Answer, part: int) -> None:
    assert answer.judgement is (Judgement.OK if part % 3 else Judgement.NG), answer


@asynccontextmanager
async def at_work(
    plc_server: S7Server,
    style: Style = Style.SEQUENCE,
    *,
    manners: rude.Rude | None = None,
    gives_up: float = 3.0,
    **changes: Any,
) -> AsyncIterator[Line]:
    """The station over the link, and a program on the server's data block; the contract is watched."""
    watch = Watch(style, deadline=1.0, margin=MARGIN + 2.0, stall=3.0, settle=SETTLE)
    slave = OpcUaSlave(plc_server)
    plc = Plc(slave, style=style, timeout=gives_up, rude=manners, watch=watch)
    vision = Vision(link := link_to(plc_server, Events(), **changes))
    async with running(plc.run()), running(link.run()), running(vision.run()):
        assert await plc.until_ready(20), plc.trouble
        yield Line(plc, slave, vision)
    if manners is None:
        assert watch.ok, watch.violations


@pytest.mark.parametrize("bitwise", [False, True])
@pytest.mark.parametrize("style", STYLES)
async def test_a_cycle_runs_in_both_styles_over_words_and_over_single_bits(style: Style, bitwise: bool) -> None:
    async with server() as plc, at_work(plc, style, bitwise=bitwise) as line:
        for part in range(1, 13):
            answer = await line.plc.inspect(part)
            assert answer.result is not None, answer
            check(answer, part)
        assert len(line.vision.accepted) == 12


@pytest.mark.parametrize("style", STYLES)
async def test_a_cycle_runs_where_time_passes_between_any_two_values(style: Style) -> None:
    async with server() as plc:

        async def between() -> None:
            await asyncio.sleep(0)

        plc.between = between
        async with at_work(plc, style, bitwise=True, copy=False) as line:
            for part in range(1, 7):
                await line.good(part)
            assert len(line.vision.accepted) == 6


SWITCHES = [
    (name, style) for name, switch in rude.SWITCHES.items() for style in sorted(switch.styles, key=lambda s: s.value)
]


@pytest.mark.parametrize(("name", "style"), SWITCHES)
async def test_a_mistake_of_the_plc_program_wedges_nothing(name: str, style: Style) -> None:
    async with server() as plc:
        async with at_work(plc, style, manners=rude.named([name], style), gives_up=0.5) as line:
            for part in range(1, 6):
                answer = await line.plc.inspect(part)
                if answer.result is not None and answer.judgement is not Judgement.FAULT:
                    check(answer, part)
        async with at_work(plc, style) as line:
            for part in (7, 9):
                await line.good(part)


Image = dict[str, Any]
STEPS: dict[str, Callable[[Image], bool]] = {
    "trigger sent": lambda i: i["TRIGGER_SEQ"] != i["TRIGGER_SEQ_ACK"],
    "trigger acknowledged": lambda i: i["TRIGGER_SEQ"] == i["TRIGGER_SEQ_ACK"] != i["Res TRIGGER_SEQ"],
    "result pending": lambda i: bool(i["STATUS"] & StatusBit.RESULT_VALID),
    "ack sent": lambda i: i["RESULT_ACK_SEQ"] == i["RESULT_SEQ"] != 0,
}


@pytest.mark.parametrize("step", STEPS)
async def test_c01_c02_a_cut_at_any_step_costs_no_part_and_doubles_none(step: str) -> None:
    async with server() as plc, at_work(plc) as line:
        for part in range(1, 6):
            asking = asyncio.create_task(line.good(part))
            async with asyncio.timeout(BACK):
                while not STEPS[step](plc.image()):  # noqa: ASYNC110
                    await asyncio.sleep(0)
            plc.cut()
            await asking
            assert await line.plc.until_ready(10)
        triggers = [request.trigger_seq for request in line.vision.accepted]
        assert len(triggers) == len(set(triggers)), "one trigger was inspected twice"


@pytest.mark.parametrize("style", STYLES)
async def test_c10_a_trigger_that_came_while_nobody_listened_is_no_edge(style: Style) -> None:
    async with server() as plc, FaultProxy("127.0.0.1", plc.port).open() as proxy:
        station, events = Recorder(), Events()
        link = link_to(plc, events, url=f"opc.tcp://127.0.0.1:{proxy.port}", timeout_ms=300)
        vision = Vision(link)
        told, vision.link_changed = vision.link_changed, station.link_changed  # type: ignore[method-assign]

        def both(state: Any, reason: str) -> None:
            station.link_changed(state, reason)
            told(state, reason)

        vision.link_changed = both  # type: ignore[method-assign]
        async with running(link.run()), running(vision.run()):
            await plc.set({"CONTROL": 1, "TRIGGER_SEQ": 4})
            await until(lambda: bool(plc.get("STATUS") & StatusBit.READY), BACK)
            async with black_hole(proxy):
                await until(lambda: station.states[-1:] == [DOWN])
                await plc.set({"CONTROL": 3, "TRIGGER_SEQ": 5} if style is Style.BITS else {"TRIGGER_SEQ": 5})
            await until(lambda: station.states[-1:] == [UP], BACK)
            if style is Style.BITS:
                await until(lambda: plc.get("NOT_READY_REASON") == Code.OUT_OF_ORDER, BACK)
                await until(lambda: not plc.get("STATUS") & StatusBit.READY, BACK)  # written behind its reason
            else:
                await until(lambda: plc.get("TRIGGER_SEQ_ACK") == 5, BACK)
            assert not vision.accepted
            await plc.set({"CONTROL": 1, "PART_ID": 8})
            await until(lambda: bool(plc.get("STATUS") & StatusBit.READY), BACK)
            await plc.set({"CONTROL": 3} if style is Style.BITS else {"TRIGGER_SEQ": 6})
            await until(lambda: len(vision.accepted) == 1, BACK)
            assert vision.accepted[0].part_id == 8


@asynccontextmanager
async def plc_process(folder: Path, port: int, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m simulators opcua-plc` asking for parts until the end."""
    with (folder / "plc.log").open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulators", "opcua-plc", "--port", str(port), *options,
            stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_e13_a_frozen_server_is_noticed_by_the_age_of_its_data_and_found_again(tmp_path: Path) -> None:
    plc = S7Server(port=free_port())
    station = Recorder()
    link = link_to(plc, Events(), timeout_ms=500)
    link.attach(station)
    async with plc_process(tmp_path, plc.port, "--parts", "0") as process, running(link.run()):
        await until(lambda: station.states[-1:] == [UP], 20)
        for _ in range(2):
            os.kill(process.pid, signal.SIGSTOP)
            await until(lambda: station.states[-1] is DOWN)
            await asyncio.sleep(1.5)  # it is called meanwhile, in vain
            os.kill(process.pid, signal.SIGCONT)
            await until(lambda: station.states[-1] is UP, BACK)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("options", [["--torn-ms", "1", "--moved"], ["--fault", "restart", "--fault-after", "0.3"]])
async def test_the_simulated_plc_says_that_the_contract_is_kept(tmp_path: Path, options: list[str]) -> None:
    plc = S7Server(port=free_port())
    vision = Vision(link := link_to(plc, Events(), timeout_ms=1000))
    arguments = ["--parts", "12", "--rate", "8", "--deadline-ms", "2000", "--margin-ms", "5000", *options]
    async with (
        running(link.run()),
        running(vision.run()),
        plc_process(tmp_path, plc.port, *arguments) as process,
        asyncio.timeout(150),
    ):
        status = await process.wait()
    log = (tmp_path / "plc.log").read_text()
    assert status == 0, log
    assert "contract kept" in log
    assert "12 parts" in log
