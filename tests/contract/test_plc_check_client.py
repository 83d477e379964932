"""`gateway plc check --client`: a PLC's blocks looked at as the gateway would, before any station runs."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator

import pytest

from gateway.plc import client_check
from gateway.plc.acceptance import Record, Verdict
from protocols.codec import Codec
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.quirks import Quirks
from protocols.signals import Command, Control
from tests.contract.scripted_plc import ScriptedPlc, exception

STATUS = 100


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_check, "WATCHED", 0.4)


def config(plc: ScriptedPlc, **changes: object) -> ModbusClientConfig:
    return ModbusClientConfig.model_validate({"host": "127.0.0.1", "port": plc.port, **changes})


def failed(record: Record) -> list[str]:
    return [finding.name for finding in record.findings if finding.verdict is Verdict.FAILED]


def put(plc: ScriptedPlc, command: Command) -> None:
    plc.registers[0:32] = struct.unpack(">32H", Codec().encode_command(command))


@contextlib.asynccontextmanager
async def program(plc: ScriptedPlc, at: int, period: float = 0.05) -> AsyncIterator[None]:
    """Something that counts a register: a PLC's heartbeat, or a gateway's."""

    async def count() -> None:
        while True:
            plc.registers[at] += 1
            await asyncio.sleep(period)

    task = asyncio.create_task(count())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_plc_that_is_ready_for_the_gateway() -> None:
    plc = ScriptedPlc()
    plc.registers[STATUS : STATUS + 64] = [0xFFFF] * 64
    put(plc, Command(Control.ENABLE, trigger_seq=5, part_id=77))
    async with plc.open(), program(plc, 3):
        record = await client_check.run(config(plc))
    assert record.passed, (record.ended, failed(record))
    assert [one.verdict for one in record.findings] == [Verdict.PASSED] * len(record.findings)
    assert plc.registers[STATUS] == 0, "no bit of STATUS"
    assert plc.registers[STATUS + 16] == plc.registers[STATUS + 63] == plc.registers[STATUS + 20] == 0, "no result"
    assert {frame[7] for frame in plc.asked} == {3, 16}
    assert all(struct.unpack_from(">H", frame, 8)[0] >= STATUS for frame in plc.asked if frame[7] == 16)


async def test_a_heartbeat_that_stands_still_is_a_note_and_nonsense_a_failure() -> None:
    plc = ScriptedPlc()
    put(plc, Command(0x00C0, command=99))
    plc.registers[7] = 0xBEEF
    async with plc.open():
        record = await client_check.run(config(plc))
    assert failed(record) == ["Words make sense"]
    nonsense = next(one.found for one in record.findings if one.name == "Words make sense")
    assert ["beef" in nonsense, "0x00c0" in nonsense, "COMMAND 99" in nonsense] == [True] * 3
    assert [one.name for one in record.findings if one.verdict is Verdict.NOTE] == ["The PLC's heartbeat"]


async def test_a_gateway_that_polls_already_is_seen_and_nothing_is_written() -> None:
    plc = ScriptedPlc()
    async with plc.open(), program(plc, STATUS + 1):
        record = await client_check.run(config(plc))
    assert failed(record) == ["No gateway writes there yet"]
    assert "polling this PLC already" in record.ended
    assert {frame[7] for frame in plc.asked} == {3}


async def test_a_plc_that_gives_fewer_registers_at_once_is_measured() -> None:
    plc = ScriptedPlc()

    def few(frame: bytes) -> bytes | None:
        return exception(frame, 3) if struct.unpack_from(">H", frame, 10)[0] > 20 else plc.right(frame)

    plc.answer = few
    async with plc.open():
        record = await client_check.run(config(plc))
        again = await client_check.run(config(plc, quirks={"max_read": 20, "max_write": 20}))
    assert failed(record) == ["Command block readable"]
    assert "quirks.max_read: 20" in next(one.found for one in record.findings if one.verdict is Verdict.FAILED)
    assert again.passed, (again.ended, failed(again))
    assert [one.name for one in again.findings if one.verdict is Verdict.NOTE] == ["The PLC's heartbeat", "One request"]


async def test_a_write_protected_status_block() -> None:
    plc = ScriptedPlc()
    plc.answer = lambda frame: exception(frame, 2) if frame[7] == 16 else plc.right(frame)
    async with plc.open():
        record = await client_check.run(config(plc))
    assert failed(record) == ["Writable"]


async def test_a_plc_with_one_connection_is_not_asked_for_two() -> None:
    plc = ScriptedPlc()
    async with plc.open():
        record = await client_check.run(config(plc, quirks=Quirks(one_connection=True).model_dump()))
    assert record.passed
    assert plc.together == 1
