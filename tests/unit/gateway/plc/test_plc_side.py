"""The PLC's side of a trial, over a played exchange: what it believes, when it stops, what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from gateway.plc.acceptance import StopError
from gateway.plc.plc_side import ForeignMasterError, PlcSide
from protocols.codec import Codec
from protocols.handshake import Style
from protocols.link import PeerError
from protocols.modbus.exchange import RefusedByPeerError
from protocols.modbus.registers import RegisterMap, Table
from protocols.plc_role import PlcRole
from protocols.signals import Command, Control, Judgement, Outputs, Result, Status, StatusBit

CODEC = Codec()
READY = Status(bits=StatusBit.ONLINE | StatusBit.READY, boot_id=5)


class Played:
    """Both blocks in memory; `react` answers what was written, `refuse` is the exception that writes get."""

    name = "played"

    def __init__(self) -> None:
        self.command, self.outputs = bytes(64), Outputs(READY)
        self.writes: list[Command] = []
        self.refuse = 0
        self.torn = 0
        self.react: Callable[[Command], None] = lambda command: None

    async def open(self) -> None: ...

    async def read_registers(self, unit: int, table: Table, address: int, count: int) -> bytes:
        if table is Table.HOLDING:
            return self.command
        block = CODEC.encode_status(self.outputs.status) + CODEC.encode_result(self.outputs.result)
        if self.torn:
            self.torn -= 1
            block = block[:-2] + b"\xff\xff"
        return block

    async def read_bits(self, unit: int, table: Table, address: int, count: int) -> tuple[bool, ...]:
        return (False,) * count

    async def write_registers(self, unit: int, address: int, words: bytes) -> None:
        if self.refuse:
            raise RefusedByPeerError("played: refused", self.refuse)
        self.command = words
        self.writes.append(CODEC.decode_command(words))
        self.react(self.writes[-1])

    async def write_bits(self, unit: int, address: int, values: Sequence[bool]) -> None: ...

    def close(self) -> None: ...


class Clock:
    """Moves only by pauses, and a little by each look at it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.now += max(seconds, 0.01)


@pytest.fixture
def wire() -> Played:
    return Played()


@pytest.fixture
def side(wire: Played) -> PlcSide:
    clock = Clock()
    return PlcSide(wire, 1, RegisterMap(), CODEC, clock, clock.pause)


async def test_a_word_of_somebody_else_ends_it_and_is_named(wire: Played, side: PlcSide) -> None:
    await side.write(trigger_seq=4)
    await side.look()
    wire.command = CODEC.encode_command(Command(trigger_seq=5, plc_heartbeat=9))
    with pytest.raises(ForeignMasterError, match="TRIGGER_SEQ 4 → 5, PLC_HEARTBEAT 0 → 9"):
        await side.look()


async def test_a_gateway_that_keeps_the_block_for_another_is_believed(wire: Played, side: PlcSide) -> None:
    wire.refuse = 6
    with pytest.raises(ForeignMasterError, match="exception 06"):
        await side.write(trigger_seq=4)
    wire.refuse = 2
    with pytest.raises(RefusedByPeerError):
        await side.write(trigger_seq=4)


async def test_a_restart_is_no_foreign_master(wire: Played, side: PlcSide) -> None:
    await side.write(trigger_seq=4)
    await side.look()
    wire.command, wire.outputs = bytes(64), Outputs(Status(boot_id=6))
    with pytest.raises(StopError, match="restarted") as stopped:
        await side.look()
    assert not isinstance(stopped.value, ForeignMasterError)


async def test_a_torn_block_is_counted_and_read_again(wire: Played, side: PlcSide) -> None:
    wire.torn = 2
    assert (await side.look()).status == READY
    assert (side.torn, side.reads) == (2, 3)
    wire.torn = 99
    with pytest.raises(PeerError, match="differ"):
        await side.look()


async def test_it_beats_while_it_waits(wire: Played, side: PlcSide) -> None:
    side.beating = True
    _, came = await side.until(lambda _: False, 1.05)
    assert not came
    assert [command.plc_heartbeat for command in wire.writes] == [1, 2, 3, 4, 5, 6]
    side.beating = False
    await side.until(lambda _: False, 1.0)
    assert len(wire.writes) == 6


async def test_one_part_is_timed_from_its_write_to_the_sight_of_its_result(wire: Played, side: PlcSide) -> None:
    def answer(command: Command) -> None:
        if command.trigger_seq:
            bits = READY.bits | (StatusBit.RESULT_VALID if not command.result_ack_seq else 0)
            result = Result(3, command.trigger_seq, command.part_id, Judgement.OK)
            wire.outputs = Outputs(Status(bits=bits, boot_id=5, trigger_seq_ack=command.trigger_seq), result)

    wire.react = answer
    await side.write(control=Control.ENABLE)
    answered = await side.inspect(side.role(PlcRole(Style.SEQUENCE)), 41)
    assert (answered.outcome.judgement, answered.outcome.part_id) == (Judgement.OK, 41)
    assert 0 < answered.seconds <= 0.02
    assert wire.writes[-1].result_ack_seq == 3


async def test_what_was_found_comes_back_without_an_edge(wire: Played, side: PlcSide) -> None:
    edges = Control.ENABLE | Control.TRIGGER | Control.EXECUTE | Control.RESULT_ACK | 0x4200
    found = Command(edges, 7, 3, 9, 1, 2, 4, 99, (1, 2, 3, 4, 5, 6), "X")
    await side.restore(CODEC.encode_command(found))
    blank, numbers, last = wire.writes
    assert blank.blank
    assert (numbers.control, numbers.command, numbers.trigger_seq, numbers.command_seq) == (0, 0, 7, 4)
    assert last.control == Control.ENABLE | 0x4200
    assert (last.command, last.trigger_seq, last.serial) == (1, 7, "X")


async def test_zeros_that_were_found_are_left_as_zeros(wire: Played, side: PlcSide) -> None:
    await side.write(trigger_seq=4)
    await side.restore(bytes(64))
    assert wire.writes[1:] == [Command()]
