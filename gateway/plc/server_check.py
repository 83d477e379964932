"""Plays the PLC against a running gateway: link, map, orders, rights. Nothing is written to what is no gateway."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.plc import family as families
from gateway.plc.acceptance import Record, StopError, times
from gateway.plc.plc_side import PlcSide
from gateway.plc.raw_wire import RawWire
from gateway.plc.request_cases import read_outputs
from gateway.plc.target import Target
from protocols.codec import Codec, StringOrder, WordOrder
from protocols.link import PeerError
from protocols.modbus.exchange import Exchange, RefusedByPeerError
from protocols.modbus.registers import (
    COILS,
    COMMAND_WORDS,
    DISCRETES,
    OUTPUT_WORDS,
    SHOWN_WORDS,
    SIGNATURE_WORDS,
    STATUS_WORDS,
    Table,
)
from protocols.signals import MAP_VERSION

READS = 100
SLOW = 0.1
PASSIVE = 1.5
"""Seconds in which nobody of us writes: longer than the heartbeat period of usual PLC programs."""
ACTIVE = 0.6
"""Seconds in which a word written by us must stay: longer than the poll of usual PLC programs."""
RETRIES = 10
BEATS = 5
BEAT_LIMIT = 1.0

NewWire = Callable[[], RawWire]


@dataclass(slots=True)
class Bench:
    """What every stage of the check works with."""

    target: Target
    record: Record
    exchange: Exchange
    wire: NewWire
    side: PlcSide
    parts: int = 20
    triggers: bool = True
    styles: tuple[str, ...] = ("sequence", "bits")
    counters: tuple[int, int] = (0, 0)
    """MISSED and LOST as found."""
    first_part: int = field(default_factory=lambda: 900_000_000 + int(time.time()) % 99_000 * 1000)
    """Parts of the check, told apart in the history from those of production."""

    def part(self) -> int:
        """The next one."""
        self.first_part += 1
        return self.first_part


async def link(bench: Bench) -> None:
    """Reachable, answering, quick; a second connection beside the first."""
    record, target = bench.record, bench.target
    began = time.monotonic()
    try:
        await bench.exchange.open()
    except PeerError as error:
        record.judge("reach", False, str(error).partition("; is the PLC")[0])
        raise StopError(f"there is no Modbus TCP server at {target.host}:{target.port}") from error
    record.judge("reach", True, f"connected in {(time.monotonic() - began) * 1000:.1f} ms")
    try:
        await _latency(bench)
    except PeerError as error:
        record.judge("answers", False, str(error))
        raise StopError(f"{target.host}:{target.port} answers no read of a station's registers") from error
    try:
        async with bench.wire() as second:
            await second.ask(read_outputs(target.registers))
            record.judge("second", True, "answered")
    except PeerError as error:
        record.judge("second", False, str(error))


async def _latency(bench: Bench) -> None:
    target, seconds = bench.target, []
    await bench.exchange.read_registers(target.unit, Table.INPUT, target.registers.status, OUTPUT_WORDS)
    bench.record.judge("answers", True, f"unit {target.unit}, 64 input registers from {target.registers.status}")
    for _ in range(READS):
        began = time.monotonic()
        await bench.exchange.read_registers(target.unit, Table.INPUT, target.registers.status, OUTPUT_WORDS)
        seconds.append(time.monotonic() - began)
    slow = sum(one > SLOW for one in seconds)
    bench.record.judge("latency", slow <= READS // 100, times(seconds))


# ---------------------------------------------------------------- map and orders


async def meaning(bench: Bench) -> None:
    """What the words mean; ends the check before anything is written where there is no gateway."""
    record, target, registers = bench.record, bench.target, bench.target.registers
    raw = await bench.exchange.read_registers(target.unit, Table.INPUT, registers.status, STATUS_WORDS)
    status = bench.side.codec.decode_status(raw)
    known = record.judge("version", status.map_version == MAP_VERSION, f"{status.map_version}")
    try:
        signature = await bench.exchange.read_registers(
            target.unit, Table.INPUT, registers.status + OUTPUT_WORDS, SIGNATURE_WORDS
        )
    except RefusedByPeerError as refused:
        signature = b""
        record.judge("words", False, str(refused))
    found = order_of(signature)
    if found is None:
        record.judge("words", False, f"no signature: {signature.hex(' ', 2)}" if signature else "no signature")
        raise StopError(
            f"what answers at {target.name} is no gateway, or its status block lies elsewhere than at input register "
            f"{registers.status}: compare unit and addresses with `gateway map FILE`; nothing was written"
        )
    if not known:
        raise StopError(f"the gateway at {target.name} speaks another version of the map; nothing was written")
    bench.side.codec = Codec(*found)
    _judge_orders(bench, *found)
    record.facts.update(
        {
            "orders": f"words {found[0].value}, strings {found[1].value}",
            "boot": f"{status.boot_id}",
            "configuration": f"{status.config_crc:#06x}",
            "recipe": f"{status.recipe_active}",
        }
    )
    record.judge(
        "boot",
        bool(status.boot_id and status.config_crc),
        f"BOOT_ID {status.boot_id}, CONFIG_CRC {status.config_crc:#06x}",
    )
    await _same_twice(bench)


def order_of(signature: bytes) -> tuple[WordOrder, StringOrder] | None:
    """The orders in which this signature block reads as it must, or None."""
    pairs = itertools.product(WordOrder, StringOrder)
    return next((pair for pair in pairs if Codec(*pair).encode_signature() == signature), None)


def _judge_orders(bench: Bench, words: WordOrder, strings: StringOrder) -> None:
    target = bench.target
    wanted = ((target.word_order, words, "word"), (target.string_order, strings, "string"))
    for asked, found, what in wanted:
        if asked is None:
            bench.record.judge(
                f"{what}s", True, f"{found.value}, as {_spoken(what, found)}", demanded="readable in a known order"
            )
            continue
        bench.record.judge(
            f"{what}s",
            asked is found,
            f"the gateway speaks {found.value}, {target.because} says {asked.value}",
            demanded=f"{asked.value}, as {target.because} says",
            remedy=f"set {what}_order: {asked.value} in the station's link, or the PLC to {found.value}; until then "
            f"{'part numbers and values' if what == 'word' else 'serials'} are wrong",
        )


def _spoken(what: str, order: WordOrder | StringOrder) -> str:
    """The families that use an order: what a PLC has to be set to, in names an engineer knows."""
    known = (families.load(name) for name in families.names())
    same = [family.name for family in known if getattr(family, f"{what}_order") is order]
    return ", ".join(same) or "no family known here"


async def _same_twice(bench: Bench) -> None:
    """The same moment by another table: read until two reads of one frame the other unchanged."""
    exchange, unit, registers = bench.exchange, bench.target.unit, bench.target.registers

    async def shown() -> bytes:
        return await exchange.read_registers(unit, Table.INPUT, registers.status, SHOWN_WORDS)

    mirrored = discrete = False
    for _ in range(RETRIES):
        before = await shown()
        mirror = await exchange.read_registers(unit, Table.HOLDING, registers.mirror, SHOWN_WORDS)
        bits = await exchange.read_bits(unit, Table.DISCRETE, registers.discrete, DISCRETES)
        if before != await shown():
            continue
        mirrored, discrete = mirror == before, bits == _bits(before)
        break
    bench.record.judge("mirror", mirrored, "equal" if mirrored else "differs from the input registers")
    bench.record.judge("discrete", discrete, "equal" if discrete else "differ from STATUS and RESULT_BITS")


def _bits(shown: bytes) -> tuple[bool, ...]:
    status, result = struct.unpack_from(">H", shown)[0], struct.unpack_from(">H", shown, 42)[0]
    return tuple(bool((result << 16 | status) >> n & 1) for n in range(DISCRETES))


# ---------------------------------------------------------------- alone


async def alone(bench: Bench, found: bytes) -> None:
    """Nobody else writes here, where `found` was read; meanwhile the gateway's heartbeat is timed."""
    side = bench.side
    side.adopt(found)
    _judge_beat(bench, [(at, outputs.status.heartbeat) for at, outputs in await side.watch(_beat_time(bench))])
    outputs = await side.outputs()
    bench.counters = (outputs.status.missed, outputs.status.lost)
    # A PLC whose heartbeat stands still rewrites its block all the same: change a word that means nothing, and wait.
    users = side.command.user
    await side.write(user=(*users[:5], users[5] ^ 0x5A5A))
    try:
        await side.watch(ACTIVE)
    finally:
        await side.write(user=users)
    bench.record.judge("alone", True, f"unchanged in {PASSIVE + ACTIVE:g} s")


def _beat_time(bench: Bench) -> float:
    period = bench.target.cycle.heartbeat if bench.target.cycle else 0.0
    return max(PASSIVE, (BEATS + 1) * period)


def _judge_beat(bench: Bench, seen: list[tuple[float, int]]) -> None:
    """Every beat by one, at the configured pace, or at any steady one where no configuration is given."""
    changes = [(at, beat) for (_, last), (at, beat) in itertools.pairwise(seen) if beat != last]
    steps = {(b - a) & 0xFFFF for (_, a), (_, b) in itertools.pairwise(changes)}
    gaps = [b - a for (a, _), (b, _) in itertools.pairwise(changes)]
    if len(gaps) < 2:
        moved = f"{len(changes)} beats in {PASSIVE:g} s" if changes else f"stood still for {PASSIVE:g} s"
        bench.record.judge("beat", False, moved)
        return
    mean, longest = sum(gaps) / len(gaps), max(gaps)
    found = f"every {mean * 1000:.0f} ms, at most {longest * 1000:.0f} ms apart"
    cycle = bench.target.cycle
    if cycle is None:
        bench.record.judge("beat", steps == {1} and longest <= BEAT_LIMIT, found)
        return
    good = steps == {1} and 0.7 * cycle.heartbeat <= mean <= 1.3 * cycle.heartbeat and longest <= 3 * cycle.heartbeat
    demanded = f"by one every {cycle.heartbeat * 1000:.0f} ms (heartbeat_ms), never more than three periods apart"
    bench.record.judge("beat", good, found, demanded=demanded)


# ---------------------------------------------------------------- rights


async def rights(bench: Bench) -> None:
    """Every function that writes, on words that mean nothing while CONTROL is 0; and what must not be written."""
    side, registers, unit = bench.side, bench.target.registers, bench.target.unit
    record = bench.record
    await side.put(bytes(2 * COMMAND_WORDS))  # a PLC that starts: its old heartbeat is not watched any more
    pattern = side.codec.encode_command(
        side.codec.decode_command(bytes(20) + bytes(range(1, 13)) + b"acceptance of the PLC link 0123456"[:32])
    )
    await side.put(pattern)
    block = await side.block()
    record.judge("fc16", block == pattern, "the same" if block == pattern else f"read back {block.hex(' ', 2)}")
    user = registers.command + 10
    async with bench.wire() as wire:
        await _single(
            bench, wire, struct.pack(">BHH", 6, user, 0xBEEF), "fc6", pattern[:20] + b"\xbe\xef" + pattern[22:]
        )
        await side.put(pattern)
        mask = struct.pack(">BHHH", 22, user + 1, 0xFF00, 0x0055)
        word = struct.unpack_from(">H", pattern, 22)[0] & 0xFF00 | 0x0055
        await _single(bench, wire, mask, "fc22", pattern[:22] + struct.pack(">H", word) + pattern[24:])
        await side.put(pattern)
        both = struct.pack(">BHHHHB", 23, registers.command, 32, user, 1, 2) + b"\xca\xfe"
        after = pattern[:20] + b"\xca\xfe" + pattern[22:]
        await _single(bench, wire, both, "fc23", after, answer=bytes((23, 64)) + after)
        await side.put(pattern)
        coil = struct.pack(">BHH", 5, registers.coils + 8, 0xFF00)
        await _single(bench, wire, coil, "fc5", b"\x01\x00" + pattern[2:])
        coils = struct.pack(">BHHBB", 15, registers.coils + 8, 8, 1, 0xA5)
        await _single(bench, wire, coils, "fc15", b"\xa5\x00" + pattern[2:])
    bits = await bench.exchange.read_bits(unit, Table.COIL, registers.coils, COILS)
    shown = sum(1 << n for n, bit in enumerate(bits) if bit)
    record.judge("fc15", shown == 0xA500, f"coils read {shown:#06x}")
    await side.put(pattern)
    await _readonly(bench)


async def _single(
    bench: Bench, wire: RawWire, pdu: bytes, key: str, block: bytes, *, answer: bytes | None = None
) -> None:
    """One write on a raw connection: its answer, and the block behind it."""
    wanted = (pdu[:5] if pdu[0] in (15, 16) else pdu) if answer is None else answer
    came = await wire.ask(pdu)
    stands = await bench.side.block()
    if came != wanted:
        bench.record.judge(key, False, f"answered {came.hex(' ')}")
        return
    bench.record.judge(key, stands == block, "the same" if stands == block else f"read back {stands.hex(' ', 2)}")


async def _readonly(bench: Bench) -> None:
    """The first and last words of what the gateway writes."""
    registers, wrong = bench.target.registers, []
    async with bench.wire() as wire:
        for offset in (0, 1, 16, 63, 64, SHOWN_WORDS - 1):
            came = await wire.ask(struct.pack(">BHH", 6, registers.mirror + offset, 0xFFFF))
            if came != b"\x86\x02":
                wrong.append(f"holding {registers.mirror + offset}: {came.hex(' ')}")
    bench.record.judge("readonly", not wrong, "; ".join(wrong) or "exception 02 everywhere")
