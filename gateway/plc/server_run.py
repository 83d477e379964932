"""The whole check of a gateway in its server role, stage by stage; the command block is left as it was found."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from gateway.plc import server_check, server_corners, server_cycle, server_frames, server_list
from gateway.plc.acceptance import Record, StopError
from gateway.plc.plc_side import ForeignMasterError, PlcSide
from gateway.plc.raw_wire import RawWire
from gateway.plc.server_check import Bench
from gateway.plc.target import Target
from protocols.link import PeerError

BASE, PER_PART = 60.0, 4.0
"""Seconds the whole may take: without parts, and for each part in each style."""
FAREWELL = 3.0
REQUEST = 1.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """How much is to be tried."""

    parts: int = 20
    """In each style."""
    styles: tuple[str, ...] = ("sequence", "bits")
    triggers: bool = True


async def check(target: Target, wishes: Wishes) -> Record:
    """Play the PLC over a connection of its own; never raises for what it finds."""
    from protocols.modbus.tcp_exchange import TcpExchange

    exchange = TcpExchange(target.host, target.port, timeout=REQUEST)
    return await run(
        Bench(
            target,
            Record(server_list.groups(target.registers, target.unit)),
            exchange,
            lambda: RawWire(target.host, target.port, target.unit),
            PlcSide(exchange, target.unit, target.registers, target.codec),
            parts=wishes.parts,
            triggers=wishes.triggers,
            styles=wishes.styles,
        )
    )


async def run(bench: Bench) -> Record:
    """Every check gets its finding; never raises for what it finds."""
    record = bench.record
    try:
        async with asyncio.timeout(BASE + PER_PART * bench.parts * len(bench.styles)):
            await _stages(bench)
    except StopError as error:
        record.ended = str(error)
    except PeerError as error:
        record.ended = f"the gateway failed an ordinary request: {error}"
    except TimeoutError:
        record.ended = "the check took too long and was ended; is the network very slow?"
    finally:
        bench.exchange.close()
    record.close(record.ended or "not needed")
    return record


async def _stages(bench: Bench) -> None:
    await server_check.link(bench)
    await server_check.meaning(bench)
    found = await bench.side.block()
    try:
        await server_check.alone(bench, found)
        await server_check.rights(bench)
        await server_frames.requests(bench)
        await server_frames.framing(bench)
        await server_corners.blank(bench)
        await server_corners.heartbeats(bench)
        await server_corners.commands(bench)
        await _triggered(bench)
    except ForeignMasterError as error:
        bench.record.judge("alone", False, error.seen)
        raise  # whoever writes there now must not be overwritten once more
    except BaseException:
        await _leave(bench, found)
        raise
    await _leave(bench, found)


async def _triggered(bench: Bench) -> None:
    if not bench.triggers:
        bench.record.close("--no-trigger")
        return
    await server_corners.disabled(bench)
    if not await server_corners.enable(bench):
        bench.record.close("the station is not Ready")
        return
    for _, corner in server_corners.TRIGGERS:
        await corner(bench)
    await server_cycle.cycles(bench)
    await server_corners.orders(bench)


async def _leave(bench: Bench, found: bytes) -> None:
    """In a task of its own, as this one may have been cancelled, and the exchange obeys that at every request."""
    bench.side.beating = False
    await asyncio.create_task(_restore(bench, found), name="restore the command block")


async def _restore(bench: Bench, found: bytes) -> None:
    """Best effort with a deadline of its own: what went wrong before is what the report tells."""
    with contextlib.suppress(PeerError, StopError, TimeoutError):
        async with asyncio.timeout(FAREWELL):
            try:
                await bench.side.restore(found)
            except PeerError:  # a request that was cut off has spoiled the connection
                await bench.exchange.open()
                await bench.side.restore(found)
