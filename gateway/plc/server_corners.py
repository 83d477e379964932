"""Heartbeats, commands and the corners of the trigger cycle, as an engineer would try them by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.plc.plc_side import PlcSide
from gateway.plc.request_cases import write_command
from gateway.plc.server_check import Bench
from gateway.plc.server_cycle import settled, timeout
from protocols.faults import Code, describe
from protocols.signals import CommandCode, CommandResult, Control, Outputs, Status, StatusBit, next_seq

SOON = 2.0
"""Seconds in which a gateway answers what takes it no time."""
QUIET = 0.3
"""Seconds in which nothing may happen."""
START = 15.0
LOST = 5.0
FIRST_SEQ = 65_000
LONG = 30.0
MOST_PART = 0xFFFF_FFFF
SERIAL = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
NOWHERE = 65_535
"""A recipe and command number that no station has."""


async def blank(bench: Bench) -> None:
    """From words that mean something to zeros: a PLC that starts."""
    side = bench.side
    before = (await side.look()).status
    await side.put(bytes(64))
    side.command = side.codec.decode_command(bytes(64))
    after = await _quiet(side)
    bench.record.judge("blank", not _happened(before, after), _told(before, after))


def _happened(before: Status, after: Status) -> bool:
    same = (before.newest_result_seq, before.missed) == (after.newest_result_seq, after.missed)
    return not same or bool(after.bits & StatusBit.BUSY)


def _told(before: Status, after: Status) -> str:
    if not _happened(before, after):
        return "nothing happened"
    return (
        f"NEWEST_RESULT_SEQ {before.newest_result_seq} → {after.newest_result_seq}, "
        f"MISSED {before.missed} → {after.missed}"
    )


async def _quiet(side: PlcSide) -> Status:
    return (await side.watch(QUIET))[-1][1].status


# ---------------------------------------------------------------- heartbeats


async def heartbeats(bench: Bench) -> None:
    """Ours stops, and comes back; what stays latched is cleared."""
    side, record = bench.side, bench.record
    side.beating = True
    await side.watch(3 * 0.2)
    side.beating = False
    began = side.clock()
    cycle = bench.target.cycle
    limit = LOST if cycle is None else cycle.plc_heartbeat_timeout + 1.0
    outputs, lost = await side.until(lambda o: o.status.not_ready_reason == Code.PLC_HEARTBEAT_LOST, limit)
    safe = bool(outputs.status.bits & StatusBit.FAIL_SAFE) and not outputs.status.ready
    found = f"after {(side.clock() - began) * 1000:.0f} ms" if lost else f"reason {outputs.status.not_ready_reason}"
    demanded = f"NOT_READY_REASON 3002 and FailSafe within {limit:.1f} s"
    record.judge("lost", lost and safe, found, demanded=demanded)
    side.beating = True
    began = side.clock()
    outputs, back = await side.until(lambda o: o.status.not_ready_reason != Code.PLC_HEARTBEAT_LOST, SOON)
    record.judge("back", back, f"after {(side.clock() - began) * 1000:.0f} ms" if back else "3002 stays")
    latched = outputs.status.fault_code
    await side.control(on=Control.CLEAR_FAULT)
    outputs, _ = await side.until(lambda o: o.status.fault_code != Code.PLC_HEARTBEAT_LOST, SOON)
    await side.control(off=Control.CLEAR_FAULT)
    cleared = latched == Code.PLC_HEARTBEAT_LOST and outputs.status.fault_code != Code.PLC_HEARTBEAT_LOST
    record.judge("clear", cleared, f"{latched}, then {outputs.status.fault_code}")


# ---------------------------------------------------------------- commands


async def commands(bench: Bench) -> None:
    """Commands that must be refused; nothing changes by them."""
    side, record = bench.side, bench.record
    recipe = (await side.look()).status.recipe_active
    await side.write(command=CommandCode.ACTIVATE_RECIPE, command_param=NOWHERE)
    await side.control(on=Control.EXECUTE)
    outputs, failed = await side.until(lambda o: bool(o.status.bits & StatusBit.COMMAND_FAILED), SOON)
    result = outputs.status.command_result
    await side.control(off=Control.EXECUTE)
    after, fell = await side.until(lambda o: o.status.command_result == CommandResult.NONE, SOON)
    good = failed and result == Code.UNKNOWN_RECIPE and fell
    record.judge("recipe_bit", good, f"COMMAND_RESULT {result}, then {after.status.command_result}")
    result = await _command(side, CommandCode.ACTIVATE_RECIPE, NOWHERE, SOON)
    record.judge("recipe_seq", result == Code.UNKNOWN_RECIPE, f"COMMAND_RESULT {result}")
    result = await _command(side, NOWHERE, 0, SOON)
    record.judge("command", result == Code.UNKNOWN_RECIPE, f"COMMAND_RESULT {result}")
    now = (await side.look()).status.recipe_active
    record.judge("kept", now == recipe, f"{now}" if now == recipe else f"{recipe} → {now}")


async def orders(bench: Bench) -> None:
    """Commands that are carried out: the active recipe once more, and the counters if they were 0 as found."""
    side, record = bench.side, bench.record
    recipe = (await side.look()).status.recipe_active
    result = await _command(side, CommandCode.ACTIVATE_RECIPE, recipe, LONG)
    outputs, ready = await side.until(lambda o: o.status.ready, SOON)
    good = result == CommandResult.DONE and ready and outputs.status.recipe_active == recipe
    record.judge("activate", good, f"recipe {recipe}: COMMAND_RESULT {result}{'' if ready else ', not Ready'}")
    if any(bench.counters):
        record.skip(f"they counted {bench.counters[0]} and {bench.counters[1]} before the check", "reset")
        return
    await _command(side, CommandCode.RESET_COUNTERS, 0, SOON)
    status = (await side.look()).status
    record.judge("reset", status.missed == status.lost == 0, f"MISSED {status.missed}, LOST {status.lost}")


async def _command(side: PlcSide, command: int, param: int, within: float) -> int:
    """COMMAND_RESULT of one command by COMMAND_SEQ; 0 when there was none in time."""
    seq = next_seq(side.command.command_seq)
    await side.write(command=command, command_param=param, command_seq=seq)
    unfinished = (CommandResult.NONE, CommandResult.RUNNING)
    outputs, done = await side.until(
        lambda o: o.status.command_seq_ack == seq and o.status.command_result not in unfinished, within
    )
    return outputs.status.command_result if done else 0


# ---------------------------------------------------------------- triggers


async def disabled(bench: Bench) -> None:
    """A trigger while Enable is 0."""
    side = bench.side
    before = (await side.look()).status
    await side.write(control=0, part_id=bench.part(), trigger_seq=FIRST_SEQ)
    outputs, seen = await side.until(lambda o: o.status.trigger_seq_ack == FIRST_SEQ, SOON)
    status = outputs.status
    good = seen and status.trigger_refused == Code.NOT_ENABLED and status.missed == before.missed + 1
    none = status.newest_result_seq == before.newest_result_seq
    bench.record.judge(
        "disabled", good and none, f"TRIGGER_REFUSED {status.trigger_refused}, MISSED {before.missed} → {status.missed}"
    )


async def enable(bench: Bench) -> bool:
    """Ready; False when the station cannot inspect, with the reason in the report."""
    side = bench.side
    await side.control(on=Control.ENABLE)
    outputs, ready = await side.until(lambda o: o.status.ready, START)
    found = "Ready" if ready else f"not Ready: {describe(outputs.status.not_ready_reason)}"
    bench.record.judge("ready", ready, found)
    if outputs.status.bits & StatusBit.SIMULATED:
        bench.record.facts["camera"] = "simulated: the results mean nothing for real parts"
    return ready


async def zero(bench: Bench) -> None:
    """TRIGGER_SEQ from a number to 0."""
    side = bench.side
    before = (await side.look()).status
    await side.write(trigger_seq=0)
    after = await _quiet(side)
    bench.record.judge("zero", not _happened(before, after), _told(before, after))


async def again(bench: Bench) -> None:
    """The same number for the same part, as after a PLC's retry: the stored result, nothing new."""
    side = bench.side
    part, seq = bench.part(), FIRST_SEQ + 1
    first = await _inspected(bench, part, seq)
    await side.write(trigger_seq=0)
    await side.write(trigger_seq=seq)
    outputs, shown = await side.until(
        lambda o: o.status.trigger_refused == Code.REPEATED_SEQ and bool(o.status.bits & StatusBit.RESULT_VALID), SOON
    )
    newest = outputs.status.newest_result_seq
    good = shown and newest == first.status.newest_result_seq and outputs.result.result_seq == first.result.result_seq
    await settled(side)
    found = f"TRIGGER_REFUSED {outputs.status.trigger_refused}, RESULT_SEQ {first.result.result_seq} → {newest}"
    bench.record.judge("again", good, found)


async def wrong_ack(bench: Bench) -> None:
    """Another number than the shown one in RESULT_ACK_SEQ."""
    side = bench.side
    shown = await _shown(bench, bench.part(), FIRST_SEQ + 2)
    seq = shown.result.result_seq
    await side.write(result_ack_seq=(seq + 6) % 0xFFFF + 1)
    after = (await side.watch(QUIET))[-1][1]
    stays = bool(after.status.bits & StatusBit.RESULT_VALID) and after.result.result_seq == seq
    await side.write(result_ack_seq=seq)
    _, gone = await side.until(lambda o: not o.status.bits & StatusBit.RESULT_VALID, SOON)
    found = "the result stays until its own number comes" if stays and gone else "the result went, or never goes"
    bench.record.judge("wrong_ack", stays and gone, found)


async def busy(bench: Bench) -> None:
    """Two triggers in one segment: the second comes before the first can have ended."""
    side, registers = bench.side, bench.target.registers
    await settled(side)
    parts, seq = (bench.part(), bench.part()), FIRST_SEQ + 3
    before = (await side.look()).status
    blocks = []
    for part, number in zip(parts, (seq, seq + 1), strict=True):
        side.command = replace(side.command, part_id=part, trigger_seq=number)
        blocks.append(side.codec.encode_command(side.command))
    async with bench.wire() as wire:
        await wire.send(b"".join(wire.framed(write_command(registers, block)) for block in blocks))
        for _ in blocks:
            await wire.answer()
    side.adopt(blocks[-1])
    outputs, done = await side.until(lambda o: bool(o.status.bits & StatusBit.RESULT_VALID), timeout(bench))
    status, result = outputs.status, outputs.result
    refused = status.trigger_refused == Code.TRIGGER_WHILE_BUSY and status.missed == before.missed + 1
    own = done and (result.trigger_seq, result.part_id) == (seq, parts[0])
    await settled(side)
    found = f"TRIGGER_REFUSED {status.trigger_refused}, result of trigger {result.trigger_seq}"
    bench.record.judge("busy", refused and own, found)


async def skipped(bench: Bench) -> None:
    """A number far from the last one."""
    outputs = await _inspected(bench, bench.part(), FIRST_SEQ + 100)
    good = outputs.result.trigger_seq == FIRST_SEQ + 100
    bench.record.judge("skip", good, f"result of trigger {outputs.result.trigger_seq}")


async def wrap(bench: Bench) -> None:
    """The greatest number, then the first."""
    echoed = [(await _inspected(bench, bench.part(), seq)).result.trigger_seq for seq in (65_535, 1)]
    bench.record.judge("wrap", echoed == [65_535, 1], f"results of triggers {echoed[0]} and {echoed[1]}")


async def part(bench: Bench) -> None:
    """The greatest part number and the longest serial."""
    outputs = await _inspected(bench, MOST_PART, 2, SERIAL)
    await bench.side.write(serial="")
    bench.record.judge("part", outputs.result.part_id == MOST_PART, f"PART_ID {outputs.result.part_id:#x}")


async def held(bench: Bench) -> None:
    """Bit style: Trigger rises and stays, long after its result."""
    side = bench.side
    before = (await side.look()).status.newest_result_seq
    await side.write(trigger_seq=0, part_id=bench.part())
    await side.control(on=Control.TRIGGER)
    _, seen = await side.until(lambda o: bool(o.status.bits & StatusBit.TRIGGER_ACK), SOON)
    _, done = await side.until(lambda o: bool(o.status.bits & StatusBit.RESULT_VALID), timeout(bench))
    after = (await side.watch(QUIET))[-1][1].status
    once = after.newest_result_seq == next_seq(before)
    stays = bool(after.bits & StatusBit.TRIGGER_ACK)
    await side.control(off=Control.TRIGGER)
    _, fell = await side.until(lambda o: not o.status.bits & StatusBit.TRIGGER_ACK, SOON)
    await settled(side)
    found = f"NEWEST_RESULT_SEQ {before} → {after.newest_result_seq}, TriggerAck {'held' if stays else 'fell'}"
    bench.record.judge("held", seen and done and once and stays and fell, found)


async def _shown(bench: Bench, part: int, seq: int, serial: str = "") -> Outputs:
    """Trigger by number; the outputs with its result, or those at the time-out."""
    side = bench.side
    await settled(side)
    await side.until(lambda o: o.status.ready, SOON)
    await side.write(part_id=part, serial=serial, trigger_seq=seq)
    outputs, _ = await side.until(
        lambda o: bool(o.status.bits & StatusBit.RESULT_VALID) and o.result.part_id == part, timeout(bench)
    )
    return outputs


async def _inspected(bench: Bench, part: int, seq: int, serial: str = "") -> Outputs:
    """The same, and the result acknowledged."""
    outputs = await _shown(bench, part, seq, serial)
    await settled(bench.side)
    return outputs


TRIGGERS: tuple[tuple[str, Callable[[Bench], Awaitable[None]]], ...] = (
    ("zero", zero),
    ("again", again),
    ("wrong_ack", wrong_ack),
    ("busy", busy),
    ("skip", skipped),
    ("wrap", wrap),
    ("part", part),
    ("held", held),
)
