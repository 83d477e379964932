"""Each PLC family, in both roles, runs whole cycles with a gateway's link; what it cannot do is refused as there."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pymodbus.client import AsyncModbusTcpClient

from protocols import handshake as hs
from protocols.codec import Codec
from protocols.handshake import CycleSettings, Style
from protocols.link import Link, LinkState
from protocols.modbus.client import ClientLink
from protocols.modbus.server import ModbusServer
from protocols.signals import Command, Judgement, Result
from protocols.vision_role import VisionRole
from simulators import __main__ as simulators
from simulators.carriers import Carrier, ModbusMaster
from simulators.plc import Plc
from simulators.profiles import PROFILES, READ_HOLDING, Profile
from simulators.slave import ModbusSlave
from simulators.watch import Watch
from tests.contract.test_links import running, until
from tests.scenario.stand import free_port

TICK = 0.01
CASES = [
    *((name, Style.SEQUENCE) for name in PROFILES if name != "slow"),
    *((name, Style.BITS) for name in ("s7", "softplc", "reopening")),
    pytest.param("slow", Style.SEQUENCE, marks=pytest.mark.slow),
]
"""Every family in sequence style; in bit style those whose masters do something of their own."""


class Vision:
    """A station of a few lines: every part takes 30 ms, every third is bad."""

    def __init__(self, link: Link) -> None:
        self.role = VisionRole(CycleSettings(), boot_id=7)
        self.accepted: list[hs.Accepted] = []
        self._link = link
        self._now = asyncio.get_running_loop().time
        link.attach(self)

    def command(self, command: Command) -> None:
        self._take(self.role.command(command, self._now()))

    def link_changed(self, state: LinkState, reason: str) -> None:
        if state is LinkState.UP:
            self.role.resync(self._now())

    def _take(self, actions: list[hs.Action]) -> None:
        for action in actions:
            if isinstance(action, hs.Accepted):
                self.accepted.append(action)
                asyncio.get_running_loop().call_later(0.03, self._finish, action)
        self._show()

    def _finish(self, request: hs.Accepted) -> None:
        judgement = Judgement.NG if request.part_id % 3 == 0 else Judgement.OK
        seq = self.role.reserve_seq()
        result = Result(seq, request.trigger_seq, request.part_id, judgement, bits=1 << (judgement - 1), score=0.5)
        self._take(self.role.finish(request.cycle, result, self._now()))

    def _show(self) -> None:
        self._link.publish(self.role.outputs(self._now()))

    async def run(self) -> None:
        """The scan: 10 ms, a heartbeat at every 20th."""
        for turn in itertools.count():
            if turn % 20 == 0:
                self.role.beat()
            self._take(self.role.tick(self._now()))
            await asyncio.sleep(TICK)


@asynccontextmanager
async def cabled(profile: Profile, role: str, style: Style) -> AsyncIterator[tuple[Plc, Vision, Carrier]]:
    """The PLC of this family and a gateway; `role` is the gateway's."""
    codec = Codec(profile.words, profile.strings)
    carrier: Carrier
    if role == "server":
        server = ModbusServer("127.0.0.1", 0)
        link: Link = server.unit(1, codec)
        vision = Vision(link)
        async with running(server.run()):
            await server.bound.wait()
            status = 100 if profile.asking.function == READ_HOLDING else 0
            carrier = ModbusMaster("127.0.0.1", server.port, asking=profile.asking, status_address=status)
            async with _scanning(_plc(carrier, style, profile), vision, link) as plc:
                yield plc, vision, carrier
    else:
        port = free_port()
        carrier = ModbusSlave("127.0.0.1", port, serving=profile.serving, scan=profile.scan)
        link = ClientLink("127.0.0.1", port, codec=codec)
        vision = Vision(link)
        async with _scanning(_plc(carrier, style, profile), vision, link) as plc:
            yield plc, vision, carrier


def _plc(carrier: Carrier, style: Style, profile: Profile) -> Plc:
    """A slow PLC sees an outcome some scans later, and a loaded machine later still."""
    watch = Watch(style, margin=1.0 + 5 * profile.scan)
    codec = Codec(profile.words, profile.strings)
    return Plc(carrier, style=style, scan=profile.scan, codec=codec, watch=watch, timeout=5)


@asynccontextmanager
async def _scanning(plc: Plc, vision: Vision, link: Link) -> AsyncIterator[Plc]:
    async with running(plc.run()), running(link.run()), running(vision.run()):
        yield plc


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize(("name", "style"), CASES)
async def test_whole_cycles_in_both_roles_and_styles(name: str, role: str, style: Style) -> None:
    async with cabled(PROFILES[name], role, style) as (plc, vision, _):
        assert await plc.until_ready(10), plc.trouble
        answers = [await plc.inspect(part, f"S{part}") for part in (1, 2, 3)]
    assert [answer.judgement.name for answer in answers] == ["OK", "OK", "NG"]
    assert [(request.part_id, request.serial) for request in vision.accepted] == [(1, "S1"), (2, "S2"), (3, "S3")]
    accused = plc.watch.counts.keys() - ({"torn"} if PROFILES[name].asking.max_read < 64 else set())
    assert not accused, plc.watch.violations


async def test_a_master_that_reconnects_at_an_exception_loses_no_part() -> None:
    async with cabled(PROFILES["reopening"], "server", Style.SEQUENCE) as (plc, _, carrier):
        assert await plc.until_ready(10)
        for part in range(1, 9):
            assert (await plc.inspect(part)).result is not None
        assert isinstance(carrier, ModbusMaster)
        assert carrier.reopened >= 3
    assert plc.watch.ok, plc.watch.violations


async def test_a_second_connection_is_closed_and_the_first_stays() -> None:
    async with cabled(PROFILES["one-connection"], "client", Style.SEQUENCE) as (plc, _, carrier):
        assert isinstance(carrier, ModbusSlave)
        assert await plc.until_ready(10)
        reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port)
        async with asyncio.timeout(3):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert carrier.refused == 1
        assert (await plc.inspect(1)).judgement is Judgement.OK
        assert plc.connected


async def test_what_an_s7_cannot_do_is_answered_so() -> None:
    carrier = ModbusSlave("127.0.0.1", 0, serving=PROFILES["s7"].serving, scan=0.005)
    await carrier.open()
    client = AsyncModbusTcpClient("127.0.0.1", port=carrier.port, timeout=2, retries=0, reconnect_delay=0)
    try:
        assert await client.connect()
        both = await client.readwrite_registers(read_address=0, read_count=1, write_address=1, values=[8])
        assert both.exception_code == 1
        assert (await client.mask_write_register(address=0, and_mask=0, or_mask=1)).exception_code == 1
        assert not (await client.read_holding_registers(0, count=32)).isError()
        assert carrier.denied == 2
    finally:
        client.close()
        await carrier.close()


async def test_more_registers_than_a_family_takes_are_refused() -> None:
    carrier = ModbusSlave("127.0.0.1", 0, status_address=32, serving=PROFILES["rockwell"].serving)
    await carrier.open()
    client = AsyncModbusTcpClient("127.0.0.1", port=carrier.port, timeout=2, retries=0, reconnect_delay=0)
    try:
        assert await client.connect()
        assert (await client.read_holding_registers(0, count=121)).exception_code == 3
        assert (await client.write_registers(0, [0] * 121)).exception_code == 3
        assert not (await client.write_registers(0, [1] * 90)).isError()
    finally:
        client.close()
        await carrier.close()


async def test_who_only_reads_is_no_gateway() -> None:
    carrier = ModbusSlave("127.0.0.1", 0)
    await carrier.open()
    client = AsyncModbusTcpClient("127.0.0.1", port=carrier.port, timeout=2, retries=0, reconnect_delay=0)
    try:
        assert await client.connect()
        await client.read_holding_registers(0, count=32)
        assert not carrier.connected
        assert carrier.polls == 1
        await client.write_registers(100, [0] * 64)
        await until(lambda: carrier.connected)
        client.close()
        await until(lambda: not carrier.connected)
    finally:
        client.close()
        await carrier.close()


def test_the_command_knows_its_families(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        simulators.main(["plc", "--help"])
    help_text = capsys.readouterr().out
    assert all(f"  {name} " in help_text for name in PROFILES)
