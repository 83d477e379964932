"""`python -m simulators cell`: the machining cell behind a Modbus server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from simulators import cell, report
from simulators.carriers import CarrierError
from simulators.cell import COILS, FEED_OVERRIDE, WORDS, Cell

if TYPE_CHECKING:
    from pymodbus.constants import ExcCodes
    from pymodbus.pdu import ModbusPDU
    from pymodbus.server import ModbusTcpServer

TICK = 0.1
"""Seconds between two looks of the machine at its coils."""
WATCHDOG = 2.0
"""Seconds without a write to the coils after which the machine takes them all as 0."""
WRITE_COIL, WRITE_COILS, READ_HOLDING, READ_INPUT, READ_COILS, READ_DISCRETE = 5, 15, 3, 4, 1, 2


class CellServer:
    """The cell's registers and coils on the network. `async with server.open():` keeps the machine running."""

    def __init__(self, machine: Cell, host: str = "127.0.0.1", port: int = 0, *, unit: int = 1) -> None:
        self.machine = machine
        self._address, self._unit = (host, port), unit
        self._server: ModbusTcpServer | None = None
        self._written_at = -WATCHDOG

    @property
    def port(self) -> int:
        """The port in use."""
        sockets = getattr(self._server and self._server.transport, "sockets", None)
        return int(sockets[0].getsockname()[1]) if sockets else self._address[1]

    @contextlib.asynccontextmanager
    async def open(self, tell: Callable[[str], None] = lambda text: None) -> AsyncIterator[Self]:
        """Serve, and let the machine run; CarrierError when the address cannot be had."""
        from pymodbus.server import ModbusTcpServer

        server = ModbusTcpServer(self._device(), address=self._address, trace_pdu=self._see)
        host, port = self._address
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise CarrierError(f"{host}:{port} cannot listen; does another program have the port?") from error
        self._server = server
        running = asyncio.create_task(self._run(server, tell), name="machining cell")
        try:
            yield self
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await server.shutdown()  # type: ignore[no-untyped-call]

    async def _run(self, server: ModbusTcpServer, tell: Callable[[str], None]) -> None:
        before = time.monotonic()
        while True:
            now = time.monotonic()
            if await self._tick(server, now - before, now):
                tell(_line(self.machine))
            before = now
            await asyncio.sleep(TICK)

    async def _tick(self, server: ModbusTcpServer, seconds: float, now: float) -> int:
        """Take the coils and the override, let the machine work, show its block; how many parts were finished."""
        unit = self._unit
        coils = await server.async_getValues(unit, READ_COILS, 0, len(COILS))
        (override,) = await server.async_getValues(unit, READ_HOLDING, FEED_OVERRIDE, 1)
        alive = now - self._written_at < WATCHDOG
        outputs = sum(bool(on) << n for n, on in enumerate(coils)) if alive else 0
        finished = self.machine.advance(seconds, outputs=outputs, override=int(override))
        words = list(struct.unpack(f">{WORDS}H", self.machine.block()))
        for function in (READ_HOLDING, READ_INPUT):
            await server.async_setValues(unit, function, 0, words)
        await server.async_setValues(unit, READ_DISCRETE, 0, [bool(outputs >> n & 1) for n in range(len(COILS))])
        return finished

    def _device(self) -> Any:
        from pymodbus.simulator import DataType, SimData, SimDevice

        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        words = list(struct.unpack(f">{WORDS}H", self.machine.block()))
        registers = [SimData(0, values=words, datatype=DataType.REGISTERS)]
        return SimDevice(self._unit, (bits, list(bits), registers, list(registers)), action=self._allowed)

    async def _allowed(
        self, function: int, start: int, address: int, count: int, current: list[int], values: Any
    ) -> ExcCodes | None:
        """Of the registers only FEED_OVERRIDE may be written (functions 6, 16, 22, 23); the rest is answered 02."""
        from pymodbus.constants import ExcCodes

        writes = function in (6, 16, 22, 23) and values is not None
        return ExcCodes.ILLEGAL_ADDRESS if writes and (address, count) != (FEED_OVERRIDE, 1) else None

    def _see(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if not sending and pdu.function_code in (WRITE_COIL, WRITE_COILS):
            self._written_at = time.monotonic()
        return pdu


def main(arguments: Sequence[str]) -> int:
    """Run the cell; 0 = ended as told, 1 = it could not listen, 2 = wrong usage."""
    options = _parser().parse_args(arguments)
    server = CellServer(Cell(seed=options.seed, speed=options.speed), options.host, options.port, unit=options.unit)
    try:
        asyncio.run(_work(server, options))
    except CarrierError as error:
        report.complain(str(error))
        return 1
    return 0


async def _work(server: CellServer, options: argparse.Namespace) -> None:
    async with server.open(report.say):
        pace = cell.seconds() / options.speed
        report.say(f"machining cell at {options.host}:{server.port}, unit {options.unit}; {pace:g} s a part")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(options.seconds):
                await asyncio.Event().wait()


def _line(machine: Cell) -> str:
    way = "to good" if machine.outputs & cell.GATE else "rejected"
    return f"part {machine.parts} of program {machine.program} done in {machine.cycle_time:.1f} s, {way}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators cell",
        description="A machining cell: program, tool, spindle, parts, temperatures and alarms as Modbus registers, "
        "lamps and a reject gate as coils.",
        epilog=cell.table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=5030, help="TCP port (default 5030)")
    parser.add_argument("--unit", type=int, default=1, help="unit id (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="X", help="so many times faster (default 1)")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so long (default: Ctrl-C)")
    return parser


def _speed(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 and at most 100")
    return value
