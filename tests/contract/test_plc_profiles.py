"""Each PLC family, in both roles, runs whole cycles with a gateway's link; what it cannot do is refused as there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pymodbus.client import AsyncModbusTcpClient

from protocols.codec import Codec
from protocols.handshake import Style
from protocols.link import Link
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.server import ModbusServer
from protocols.signals import Judgement
from simulators import __main__ as simulators
from simulators.carriers import Carrier, ModbusMaster
from simulators.fault_proxy import FaultProxy
from simulators.faults import Direction
from simulators.plc import Plc
from simulators.profiles import PROFILES, READ_HOLDING, Profile
from simulators.slave import ModbusSlave
from simulators.watch import Watch
from tests.contract.test_links import running, until
from tests.contract.vision import Vision
from tests.scenario.stand import free_port

CASES = [
    *((name, Style.SEQUENCE) for name in PROFILES if name != "slow"),
    *((name, Style.BITS) for name in ("s7", "softplc", "reopening")),
    pytest.param("slow", Style.SEQUENCE, marks=pytest.mark.slow),
]
"""Every family in sequence style; in bit style those whose masters do something of their own."""


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
        settings = ModbusClientConfig(
            host="127.0.0.1", port=port, word_order=profile.words, string_order=profile.strings
        )
        link = settings.build(lambda code, text: None)
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


async def test_c16_a_block_read_in_pieces_is_rejected_where_it_is_torn() -> None:
    """The second request is held back, so that results change between the two."""
    server = ModbusServer("127.0.0.1", 0)
    link = server.unit(1)
    vision = Vision(link)
    async with running(server.run()):
        await server.bound.wait()
        proxy = FaultProxy("127.0.0.1", server.port, seed=1)
        async with proxy.open():
            carrier = ModbusMaster("127.0.0.1", proxy.port, asking=PROFILES["pieces"].asking)
            plc = _plc(carrier, Style.SEQUENCE, PROFILES["pieces"])
            proxy.set(Direction.UP, delay=0.01, jitter=0.01)
            async with _scanning(plc, vision, link):
                assert await plc.until_ready(10), plc.trouble
                answers = [await plc.inspect(part) for part in range(1, 16)]
    assert [answer.judgement.name for answer in answers] == ["OK", "OK", "NG"] * 5
    assert plc.torn > 0, "nothing was torn: the test proves nothing"
    assert plc.watch.counts.keys() == {"torn"}


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
