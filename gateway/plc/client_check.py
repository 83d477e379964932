"""Looks at a real PLC as the gateway's client role would: its two blocks, its limits, its heartbeat."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from dataclasses import dataclass

from gateway.plc.acceptance import Check, Group, Record, StopError, times
from protocols.codec import Codec
from protocols.link import PeerError
from protocols.modbus.client_fields import client_map
from protocols.modbus.client_map import ClientMap
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.exchange import Exchange, RefusedByPeerError
from protocols.modbus.planning import BIT_TABLES, Answer
from protocols.modbus.registers import COMMAND_WORDS, OUTPUT_WORDS, Table
from protocols.modbus.tcp_exchange import TcpExchange
from protocols.signals import Command, CommandCode, Control, Outputs

READS = 50
SLOW = 0.25
WATCHED = 1.5
LIMIT = 45.0
BEATS = 2

_KNOWN = sum(int(bit) for bit in Control) | 0xFF00
"""CONTROL: the bits of the contract, and eight for the user."""

GROUPS = (
    Group(
        "A",
        "Link",
        (
            Check(
                "reach",
                "TCP connection",
                "host and port accept a connection within 2 s",
                "is the PLC on, its Modbus server enabled, the cable in, and no other client on its only connection?",
            ),
            Check(
                "command",
                "Command block readable",
                "every register of it is given",
                "compare command_address (PDU, from 0) and unit with the PLC program; set quirks.max_read where it "
                "gives fewer at once",
            ),
            Check(
                "status",
                "Status block readable",
                "every register of it is given",
                "compare status_address (PDU, from 0) and unit with the PLC program",
            ),
            Check(
                "latency",
                "Read of the command block",
                "49 of 50 within 250 ms",
                "look for a slow communication load setting in the PLC, or a busy network",
            ),
            Check(
                "second",
                "Second connection",
                "accepted beside the first, or known as a quirk",
                "set quirks.one_connection: true",
            ),
        ),
    ),
    Group(
        "B",
        "Command block",
        (
            Check(
                "alone",
                "No gateway writes there yet",
                "the status block stays as it is",
                "stop the gateway that polls this PLC; then start the check anew",
            ),
            Check(
                "plausible",
                "Words make sense",
                "reserved word 0, known COMMAND, no reserved bit in CONTROL, printable SERIAL",
                "is it another data block, or off by one? Compare the addresses; reset the PLC's block to 0",
            ),
            Check(
                "beat",
                "The PLC's heartbeat",
                "PLC_HEARTBEAT moves, at most 1 s apart",
                "put the PLC into RUN, and call the function block cyclically",
            ),
        ),
    ),
    Group(
        "C",
        "Status block",
        (
            Check(
                "write",
                "Writable",
                "the outputs of a stopped station (Ready 0, nothing valid) are taken",
                "allow writing in the PLC (data block not write-protected, not optimised); quirks.fc16: false if it "
                "knows FC6 only",
            ),
            Check(
                "same",
                "Read back",
                "what was written stands there",
                "does the PLC program write its status block itself? It must only read it",
            ),
            Check(
                "whole",
                "One request",
                "the 64 words of status and result are taken by one FC16",
                "the station works in pieces too; a result then takes several requests",
            ),
        ),
    ),
)


@dataclass(slots=True)
class _Bench:
    link: ModbusClientConfig
    exchange: Exchange
    plan: ClientMap
    record: Record

    async def command(self) -> bytes:
        """The command block, read as the gateway reads it."""
        answers: list[Answer] = []
        for request in self.plan.reads:
            read = self.exchange.read_bits if request.table in BIT_TABLES else self.exchange.read_registers
            answers.append(await read(self.link.unit_id, request.table, request.address, request.count))
        return self.plan.command(answers)

    async def status(self) -> list[Answer]:
        """What stands where status and result are written."""
        found: list[Answer] = []
        most = self.link.quirks.max_read
        for write in self.plan.writes:
            request = write.request
            if request.table in BIT_TABLES:
                bits = await self.exchange.read_bits(self.link.unit_id, request.table, request.address, request.count)
                found.append(bits)
                continue
            words = b""
            for first in range(0, request.count, most):
                count = min(most, request.count - first)
                words += await self.exchange.read_registers(
                    self.link.unit_id, Table.HOLDING, request.address + first, count
                )
            found.append(words)
        return found


async def run(link: ModbusClientConfig, exchange: Exchange | None = None) -> Record:
    """Every check gets its finding; never raises for what it finds."""
    timeout = max(1.0, link.timeout_ms / 1000)
    exchange = exchange or TcpExchange(link.host, link.port, timeout=timeout, quirks=link.quirks)
    plan = client_map(link.command_area, link.outputs_area, link.word_order, link.quirks)
    record = Record(GROUPS)
    try:
        async with asyncio.timeout(LIMIT):
            await _stages(_Bench(link, exchange, plan, record))
    except StopError as error:
        record.ended = str(error)
    except PeerError as error:
        record.ended = f"the PLC failed an ordinary request: {error}"
    except TimeoutError:
        record.ended = "the check took too long and was ended; is the network very slow?"
    finally:
        exchange.close()
    record.close(record.ended or "not needed")
    return record


async def _stages(bench: _Bench) -> None:
    await _reach(bench)
    await _blocks(bench)
    await _watch(bench)
    await _write(bench)
    await _second(bench)


async def _reach(bench: _Bench) -> None:
    began = time.monotonic()
    try:
        await bench.exchange.open()
    except PeerError as error:
        bench.record.judge("reach", False, str(error))
        raise StopError(f"there is no Modbus server at {bench.link.host}:{bench.link.port}") from error
    bench.record.judge("reach", True, f"connected in {(time.monotonic() - began) * 1000:.1f} ms")
    await asyncio.sleep(bench.link.quirks.pause_after_connect_ms / 1000)


async def _blocks(bench: _Bench) -> None:
    for key, read, words in (("command", bench.command, COMMAND_WORDS), ("status", bench.status, OUTPUT_WORDS)):
        try:
            await read()
        except PeerError as error:
            fewer = await _most(bench, key) if isinstance(error, RefusedByPeerError) else 0
            hint = f"; it gives {fewer} at once: set quirks.max_read: {fewer}" if fewer else ""
            bench.record.judge(key, False, f"{error}{hint}")
            raise StopError("a station's blocks cannot be read from this PLC; nothing was written") from error
        bench.record.judge(key, True, f"unit {bench.link.unit_id}, {words} words in {len(bench.plan.reads)} request(s)"
                           if key == "command" else f"{words} words")  # fmt: skip
    seconds = []
    for _ in range(READS):
        began = time.monotonic()
        await bench.command()
        seconds.append(time.monotonic() - began)
    slow = sum(one > SLOW for one in seconds)
    bench.record.judge("latency", slow <= READS // 50, times(seconds))


async def _most(bench: _Bench, key: str) -> int:
    """How many registers from a block's first the PLC gives at once, by halves; 0 for none."""
    area = bench.link.command_area if key == "command" else bench.link.outputs_area
    if not isinstance(area, int):
        return 0
    good, bad = 0, COMMAND_WORDS if key == "command" else OUTPUT_WORDS
    while bad - good > 1:
        count = (good + bad) // 2
        try:
            await bench.exchange.read_registers(bench.link.unit_id, Table.HOLDING, area, count)
            good = count
        except RefusedByPeerError:
            bad = count
    return good


async def _watch(bench: _Bench) -> None:
    """Both blocks for a while, before anything is written: a gateway that polls already, and the PLC's heartbeat."""
    codec = bench.link.codec()
    before = await bench.status()
    end, seen = time.monotonic() + WATCHED, []
    last = await bench.command()
    while time.monotonic() < end:
        last = await bench.command()
        seen.append((time.monotonic(), codec.decode_command(last).plc_heartbeat))
        if await bench.status() != before:
            bench.record.judge("alone", False, "status and result change while the PLC is looked at")
            raise StopError("a gateway is polling this PLC already; stop it, then start the check anew")
        await asyncio.sleep(0.01)
    bench.record.judge("alone", True, f"unchanged in {WATCHED:g} s")
    _judge_command(bench.record, codec, last)
    _judge_beat(bench.record, seen)


def _judge_command(record: Record, codec: Codec, block: bytes) -> None:
    command, doubts = codec.decode_command(block), []
    if block[14:16] != b"\0\0":
        doubts.append(f"word 7 is reserved and holds {block[14:16].hex()}")
    if command.control & ~_KNOWN:
        doubts.append(f"CONTROL {command.control:#06x} has reserved bits")
    if command.command > max(CommandCode):
        doubts.append(f"COMMAND {command.command} is none")
    if not command.serial.isprintable() or "\ufffd" in command.serial:
        doubts.append(f"SERIAL {command.serial!r} is no text")
    record.judge("plausible", not doubts, "; ".join(doubts) or _shown(command))


def _shown(command: Command) -> str:
    if command.blank:
        return "all 0: a PLC that has just started"
    return f"CONTROL {command.control:#06x}, TRIGGER_SEQ {command.trigger_seq}, PART_ID {command.part_id}"


def _judge_beat(record: Record, seen: list[tuple[float, int]]) -> None:
    changes = [at for (_, last), (at, beat) in itertools.pairwise(seen) if beat != last]
    if not changes:
        record.note("beat", "stands still: such a PLC is not watched, and a PLC in STOP is not noticed")
        return
    gaps = [after - before for before, after in itertools.pairwise(changes)]
    longest = max(gaps, default=math.nan)
    good = len(changes) >= BEATS and longest <= 1.0
    record.judge("beat", good, f"{len(changes)} beats in {WATCHED:g} s, at most {longest * 1000:.0f} ms apart")


async def _write(bench: _Bench) -> None:
    """What a stopped station shows: nothing is Ready, nothing is valid."""
    codec, record = bench.link.codec(), bench.record
    safe = Outputs()
    block = codec.encode_status(safe.status) + codec.encode_result(safe.result)
    requests = 0
    try:
        for write, data in bench.plan.due(block, None):
            requests += 1
            if isinstance(data, bytes):
                await bench.exchange.write_registers(bench.link.unit_id, write.request.address, data)
            else:
                await bench.exchange.write_bits(bench.link.unit_id, write.request.address, data)
    except RefusedByPeerError as refused:
        record.judge("write", False, str(refused))
        return
    record.judge("write", True, f"taken, {requests} request(s)")
    stands, wanted = await bench.status(), [write.of(block) for write in bench.plan.writes]
    record.judge("same", stands == wanted, "the same" if stands == wanted else "something else stands there")
    if requests == 1:
        record.judge("whole", True, "one FC16 of 64 words")
    else:
        record.note(
            "whole", f"{requests} requests, by fields or quirks: the order keeps a result from being taken torn"
        )


async def _second(bench: _Bench) -> None:
    """Last, as some PLCs drop the first connection for it."""
    link = bench.link
    if link.quirks.one_connection:
        bench.record.skip("quirks.one_connection is set", "second")
        return
    other = TcpExchange(link.host, link.port, timeout=1.0, quirks=link.quirks)
    try:
        await other.open()
        request = bench.plan.reads[0]
        read = other.read_bits if request.table in BIT_TABLES else other.read_registers
        await read(link.unit_id, request.table, request.address, request.count)
        await bench.command()
    except PeerError as error:
        bench.record.judge("second", False, str(error))
    else:
        bench.record.judge("second", True, "both answered")
    finally:
        other.close()
