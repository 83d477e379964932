"""`gateway plc check` against gateways that keep the contract, that break it, and against what is no gateway."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from gateway.plc import server_check, server_corners, server_cycle, server_run
from gateway.plc.acceptance import Record, Verdict
from gateway.plc.server_run import Wishes
from gateway.plc.target import Target, Wish, server_target
from protocols.codec import Codec, StringOrder, WordOrder
from protocols.handshake import CycleSettings
from protocols.signals import Command, CommandCode, Control, Outputs, StatusBit
from simulators.slave import ModbusSlave
from tests.played_gateway import PlayedGateway

FEW = Wishes(parts=3)
NO_TRIGGER = Wishes(triggers=False)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one computer nobody needs the patience that real PLCs ask for."""
    monkeypatch.setattr(server_check, "PASSIVE", 0.3)
    monkeypatch.setattr(server_check, "ACTIVE", 0.2)
    monkeypatch.setattr(server_corners, "QUIET", 0.06)
    monkeypatch.setattr(server_corners, "LOST", 2.0)
    monkeypatch.setattr(server_corners, "SOON", 1.0)


def failed(record: Record) -> list[str]:
    """The names of the checks that failed."""
    return [finding.name for finding in record.findings if finding.verdict is Verdict.FAILED]


def finding(record: Record, name: str) -> str:
    return next(one.found for one in record.findings if one.name == name)


async def test_a_gateway_that_keeps_the_contract_passes_everything_and_its_block_is_left_as_found() -> None:
    codec = Codec(WordOrder.CDAB, StringOrder.LITTLE)
    async with PlayedGateway(codec).open() as gateway:
        await _left_by_a_plc(gateway, codec)
        wanted = server_target(Wish("127.0.0.1", gateway.port, family="codesys-3.5"))
        record = await server_run.check(wanted, FEW)
        assert failed(record) == []
        assert record.passed, record.ended
        assert [one.name for one in record.findings if one.verdict is not Verdict.PASSED] == []
        parts = len(gateway.accepted)
        await asyncio.sleep(0.1)
        assert gateway.commands[-1] == LEFT
        assert len(gateway.accepted) == parts, "what was restored is no trigger"
        assert gateway.role.outputs(0.0).status.bits & StatusBit.ONLINE, "nor is the old command carried out again"
        assert len({(one.part_id, one.trigger_seq, one.style) for one in gateway.accepted}) == parts == 2 * 3 + 8


async def test_a_check_that_is_interrupted_leaves_the_block_as_found() -> None:
    async with PlayedGateway().open() as gateway:
        await _left_by_a_plc(gateway, Codec())
        checking = asyncio.create_task(server_run.check(Target("127.0.0.1", gateway.port), Wishes(parts=1000)))
        async with asyncio.timeout(10):
            while len(gateway.accepted) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
        assert gateway.commands[-1] == LEFT


LEFT = Command(Control.ENABLE, 7, 0, 9, CommandCode.GO_OFFLINE, 0, 3, 4711, (1, 2, 3, 4, 5, 6), "LEFT")


async def _left_by_a_plc(gateway: PlayedGateway, codec: Codec) -> None:
    """A PLC that was here: its numbers stand, its command has been carried out and taken back."""
    block = codec.encode_command(replace(LEFT, control=0, command=0))
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for data in (block, codec.encode_command(LEFT)):
        writer.write(struct.pack(">HHHBBHHB", 1, 0, 71, 1, 16, 0, 32, 64) + data)
        await reader.readexactly(12)
    writer.close()
    await writer.wait_closed()
    gateway.role.missed = 0


async def test_c17_a_wrong_word_order_is_found_by_the_signature() -> None:
    order, asked = WordOrder.CDAB, WordOrder.ABCD
    async with PlayedGateway(Codec(order)).open() as gateway:
        target = Target("127.0.0.1", gateway.port, word_order=asked, because="family x")
        record = await server_run.check(target, NO_TRIGGER)
    assert failed(record) == ["Word order by the signature"]
    assert not record.passed
    assert finding(record, "Word order by the signature") == f"the gateway speaks {order}, family x says {asked}"


def test_c17_every_order_has_a_signature_of_its_own() -> None:
    pairs = list(itertools.product(WordOrder, StringOrder))
    assert [server_check.order_of(Codec(*pair).encode_signature()) for pair in pairs] == pairs
    assert server_check.order_of(bytes(20)) is None


BROKEN: dict[str, tuple[Callable[[Outputs], Outputs], set[str]]] = {
    "status": (
        lambda o: replace(
            o,
            status=replace(
                o.status, missed=0, heartbeat=5, bits=o.status.bits & ~(StatusBit.FAIL_SAFE | StatusBit.RESULT_TOGGLE)
            ),
        ),
        {"The gateway's heartbeat", "The PLC's heartbeat stops", "Trigger without Enable", "Trigger while busy"},
    ),
    "result": (
        lambda o: replace(
            o,
            status=replace(o.status, bits=o.status.bits | (StatusBit.RESULT_VALID if o.result.result_seq else 0)),
            result=replace(o.result, part_id=o.result.part_id & 0xFFFF),
        ),
        {"Trigger while busy", "PART_ID 16#FFFFFFFF and a SERIAL of 32 characters", "Parts inspected", "Acknowledged"},
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_gateway_that_breaks_the_contract_fails(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_corners, "SOON", 0.2)
    monkeypatch.setattr(server_cycle, "SETTLE", 0.05)
    monkeypatch.setattr(server_corners, "START", 0.3)
    tamper, names = BROKEN[broken]
    settings = CycleSettings(deadline=0.1, heartbeat=0.05, plc_heartbeat_timeout=0.5)
    async with PlayedGateway(settings=settings, tamper=tamper).open() as gateway:
        target = Target("127.0.0.1", gateway.port, cycle=settings)
        record = await server_run.check(target, Wishes(parts=1, styles=("sequence",)))
    assert names <= set(failed(record)), record.ended
    assert all(one.remedy for one in record.findings if one.verdict is Verdict.FAILED)


@pytest.mark.parametrize("counts", [True, False])
async def test_another_master_ends_the_check_with_one_sentence(counts: bool) -> None:
    async with PlayedGateway().open() as gateway, _master(gateway.port, counts=counts):
        record = await server_run.check(Target("127.0.0.1", gateway.port), FEW)
        assert gateway.accepted == []
    assert failed(record) == ["No other master writes"]
    assert record.ended.startswith("another master writes this station (")
    assert ("PLC_HEARTBEAT" if counts else "USER") in record.ended


@contextlib.asynccontextmanager
async def _master(port: int, *, counts: bool) -> AsyncIterator[None]:
    """A PLC that rewrites its block at every poll; its heartbeat counts, or the block is always the same."""

    async def poll() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            beat = 0
            while True:
                beat += counts
                block = Codec().encode_command(Command(plc_heartbeat=beat, user=(1, 2, 3, 4, 5, 6)))
                writer.write(struct.pack(">HHHBBHHB", 1, 0, 71, 1, 16, 0, 32, 64) + block)
                await reader.readexactly(12)
                await asyncio.sleep(0.05)
        finally:
            writer.transport.abort()

    task = asyncio.create_task(poll())
    await asyncio.sleep(0.1)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# ---------------------------------------------------------------- what is no gateway


async def test_a_modbus_server_that_is_no_gateway_is_told_and_not_written() -> None:
    device = ModbusSlave("127.0.0.1", 0, command_address=0, status_address=32)
    await device.open()
    try:
        await device.write(b"\x11\x22" * 32)
        record = await server_run.check(Target("127.0.0.1", device.port), FEW)
        stands = await device._running().async_getValues(1, 3, 0, 32)
    finally:
        await device.close()
    assert failed(record)
    assert "is no gateway" in record.ended or "answers no read" in record.ended
    assert stands == [0x1122] * 32
    assert record.count(Verdict.SKIPPED) > 70


async def test_a_port_that_accepts_and_says_nothing() -> None:
    server = await asyncio.start_server(_listen, "127.0.0.1", 0)
    async with server:
        record = await server_run.check(Target("127.0.0.1", server.sockets[0].getsockname()[1]), FEW)
    assert failed(record) == ["Unit answers"]
    assert "answers no read" in record.ended


async def _listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(100):
            pass
    writer.transport.abort()


async def test_a_port_that_nobody_has() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but it does not listen
        record = await server_run.check(Target("127.0.0.1", taken.getsockname()[1]), FEW)
    assert failed(record) == ["TCP connection"]
    assert not record.passed
