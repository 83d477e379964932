"""Wrong requests and broken frames, played against a running gateway."""

from __future__ import annotations

import struct

from gateway.plc.raw_wire import ClosedError, RawWire, SilentError
from gateway.plc.request_cases import STREAMS, RequestCase, Stream, frame, read_outputs, request_cases
from gateway.plc.server_check import Bench
from protocols.link import PeerError

SILENCE = 0.5
MANY = 100


async def requests(bench: Bench) -> None:
    """Each wrong request, then the command block: nothing may have changed."""
    cases = request_cases(bench.target.registers, bench.target.unit)
    before = await bench.side.block()
    wire = bench.wire()
    await wire.__aenter__()
    try:
        for number, case in enumerate(cases):
            good, found, alive = await _refused(wire, case)
            if not alive:
                await wire.__aexit__(None, None, None)
                wire = bench.wire()
                await wire.__aenter__()
            stands = await bench.side.block()
            if stands != before:
                good, found = False, f"{found}, and the command block has changed"
                await bench.side.put(before)
            bench.record.judge(f"request_{number}", good, found)
    finally:
        await wire.__aexit__(None, None, None)


async def _refused(wire: RawWire, case: RequestCase) -> tuple[bool, str, bool]:
    """Whether it was refused as demanded, what came, and whether the connection still works."""
    try:
        came = await wire.ask(case.pdu, case.unit, SILENCE if case.silence else 2.0)
    except SilentError as error:
        return case.silence, str(error), False
    except ClosedError as error:
        return False, str(error), False
    wanted = bytes((case.pdu[0] | 0x80, case.code))
    if len(came) == 2 and came[0] & 0x80:
        return came == wanted, f"exception {came[1]:02X}", True
    return False, f"answered {came[:16].hex(' ')}", True


# ---------------------------------------------------------------- framing


async def framing(bench: Bench) -> None:
    """What a careless network or a broken peer does to the byte stream."""
    plays = {"merged": _merged, "split": _split, "many": _many, "half": _half}
    for stream in STREAMS:
        try:
            good, found = await (_broken(bench, stream) if stream.sent else plays[stream.key](bench))
        except PeerError as error:
            good, found = False, str(error)
        bench.record.judge(stream.key, good, found)


async def _merged(bench: Bench) -> tuple[bool, str]:
    """A read, a write that means nothing, a read: as one segment."""
    user = bench.target.registers.command + 14
    read, write = struct.pack(">BHH", 3, user, 1), struct.pack(">BHH", 6, user, 0x1357)
    before = await bench.side.block()
    async with bench.wire() as wire:
        await wire.send(b"".join(wire.framed(pdu) for pdu in (read, write, read)))
        answers = [await wire.answer() for _ in range(3)]
    await bench.side.put(before)
    wanted = [b"\3\2" + before[28:30], write, b"\3\2\x13\x57"]
    good = [transaction for transaction, _, _ in answers] == [1, 2, 3] and [pdu for _, _, pdu in answers] == wanted
    return good, "three answers in order" if good else " / ".join(pdu.hex(" ") for _, _, pdu in answers)


async def _split(bench: Bench) -> tuple[bool, str]:
    registers = bench.target.registers
    async with bench.wire() as wire:
        for byte in wire.framed(read_outputs(registers)):
            await wire.send(bytes((byte,)))
            await bench.side.pause(0.001)
        _, _, answer = await wire.answer()
    return len(answer) == 130, f"{len(answer)} bytes came"


async def _many(bench: Bench) -> tuple[bool, str]:
    async with bench.wire() as wire:
        await wire.send(b"".join(wire.framed(read_outputs(bench.target.registers)) for _ in range(MANY)))
        numbers = [(await wire.answer())[0] for _ in range(MANY)]
    good = numbers == list(range(1, MANY + 1))
    return good, f"{len(numbers)} answers{'' if good else ', out of order'}"


async def _half(bench: Bench) -> tuple[bool, str]:
    """The other connection is the check's own: whatever it asks next must be answered."""
    async with bench.wire() as wire:
        await wire.send(frame(1, bench.target.unit, read_outputs(bench.target.registers))[:7])
    await bench.side.block()
    return True, "another connection goes on"


async def _broken(bench: Bench, stream: Stream) -> tuple[bool, str]:
    async with bench.wire() as wire:
        await wire.send(stream.sent)
        closed = await wire.closed()
    await bench.side.block()
    return closed, "closed, another one goes on" if closed else "answered, or left open"
