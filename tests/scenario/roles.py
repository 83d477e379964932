"""One PLC by hand for both Modbus roles: it polls the gateway, or the gateway polls it through a faulty wire."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from simulators.fault_proxy import FaultProxy
from simulators.slave import ModbusSlave
from tests.scenario import wire
from tests.scenario.observer import Observer, note, watched
from tests.scenario.oracle import Evidence
from tests.scenario.panel import Panel, panel
from tests.scenario.stand import POLL, Stand, free_port
from tests.scenario.wire import Block, Master

Role = Literal["server", "client"]
"""What the gateway is."""
ROLES: tuple[Role, Role] = ("server", "client")

LINK_TIMEOUT_MS = 250
"""Soon enough for a test, late enough for a loaded machine."""


class PolledPanel(Panel):
    """The PLC is the server: its words lie in its own memory, the gateway fetches and writes them."""

    def __init__(self, evidence: Evidence, slave: ModbusSlave, proxy: FaultProxy) -> None:
        super().__init__(evidence, slave.port)
        self.slave, self.proxy = slave, proxy
        self._cut_at: float | None = None

    async def connect(self, within: float = 10) -> None:
        """Wait until the gateway polls, which it does by itself."""
        await self._polled(within)
        if self._cut_at is not None:
            self.evidence.excused.append((self._cut_at, time.time()))
            self._cut_at = None

    async def cut(self, how: str) -> None:
        """Cut the gateway's connection in the proxy: `fin`, `rst`, or `silence`, which the gateway must find out."""
        self._cut_at = time.time()
        {"fin": self.proxy.fin, "rst": self.proxy.rst, "silence": self.proxy.drop}[how]()

    async def close(self) -> None:
        """Nothing of its own is open."""

    async def write(self, *, unheard: bool = False, **changes: Any) -> None:
        """As Panel; unless `unheard` it waits until the gateway has read this."""
        before, self.command = self.command, self._changed(changes)
        note(self.evidence, before, self.command, time.time())
        await self.slave.write(self.command.encode())
        if not unheard and self._cut_at is None:
            await self._polled(5)

    async def rush(self, **changes: Any) -> None:
        """The gateway reads when it reads."""
        await self.write(unheard=True, **changes)

    async def read(self) -> Block:
        block = wire.decode(await self.slave.read())
        self.evidence.plc_read(block, time.time())
        return block

    async def _polled(self, within: float) -> None:
        """The second poll from now is asked for after the first has been dealt with."""
        end, wanted = time.monotonic() + within, self.slave.polls + 2
        while self.slave.polls < wanted:
            assert time.monotonic() < end, f"the gateway has not polled the PLC for {within:g} s"
            await asyncio.sleep(POLL)


@dataclass(slots=True)
class Cell:
    """A gateway at work with a PLC by hand, watched by the oracle."""

    stand: Stand
    plc: Panel
    observer: Observer
    proxy: FaultProxy
    """The wire between the two."""


class Plant(NamedTuple):
    """A gateway that runs through a whole module, and the port at which it polls its PLC; 0 = it is polled."""

    stand: Stand
    port: int


def link_to(port: int) -> dict[str, Any]:
    """The gateway polls the PLC at this port."""
    return {
        "kind": "modbus_client", "host": "127.0.0.1", "port": port, "scan_ms": 10, "timeout_ms": LINK_TIMEOUT_MS
    }  # fmt: skip


@contextlib.asynccontextmanager
async def plc_memory(port: int, **how: Any) -> AsyncIterator[ModbusSlave]:
    """The memory of a PLC that is polled, at this port or a free one."""
    slave = ModbusSlave("127.0.0.1", port, **how)
    await slave.open()
    try:
        yield slave
    finally:
        await slave.close()


@contextlib.asynccontextmanager
async def cell(
    new_stand: Callable[..., Stand], role: Role, changes: dict[str, Any] | None = None
) -> AsyncIterator[Cell]:
    """A gateway started in this role; the PLC has not connected yet. At the end the oracle speaks."""
    if role == "server":
        stand = new_stand(changes or {})
        await stand.start()
        async with polling(stand) as one:
            yield one
        return
    port = free_port()
    stand = new_stand({**(changes or {}), "link": link_to(port)})
    async with polled(stand, port) as one:
        yield one


@contextlib.asynccontextmanager
async def polling(stand: Stand) -> AsyncIterator[Cell]:
    """A PLC that polls this gateway through the proxy."""
    proxy = FaultProxy("127.0.0.1", stand.port)
    async with (
        proxy.open(),
        panel(stand.evidence["cell1"], proxy.port) as plc,
        watched(stand, Master(stand.port)) as observer,
    ):
        yield Cell(stand, plc, observer, proxy)


@contextlib.asynccontextmanager
async def polled(stand: Stand, port: int) -> AsyncIterator[Cell]:
    """A gateway that polls the proxy at this port, started unless it runs, and the PLC behind it."""
    async with plc_memory(0) as slave:
        proxy = FaultProxy("127.0.0.1", slave.port, listen=("127.0.0.1", port))
        async with proxy.open():
            if not stand.running:
                await stand.start()
            plc = PolledPanel(stand.evidence["cell1"], slave, proxy)
            async with watched(stand, Master(slave.port), in_plc=True) as observer:
                yield Cell(stand, plc, observer, proxy)


def planted(role: Role, folder: Path, recipe: Path, changes: dict[str, Any]) -> Iterator[Plant]:
    """A gateway in this role that has been Ready once; at the end none of it is left. For a fixture."""
    port = free_port() if role == "client" else 0
    plant = Plant(Stand(folder, recipe, {**changes, **({"link": link_to(port)} if port else {})}), port)
    asyncio.run(_started(plant))
    yield plant
    left = plant.stand.close()
    assert not left, left


async def _started(plant: Plant) -> None:
    await plant.stand.start()
    async with at_work(plant) as one:
        await one.plc.ready()
        plant.stand.measure()


@contextlib.asynccontextmanager
async def at_work(plant: Plant) -> AsyncIterator[Cell]:
    """A PLC by hand at this plant, whose gateway runs on behind it."""
    stand, port = plant
    stand.evidence["cell1"].blanks.append(time.time())  # each of these PLCs begins with zeros
    if port:
        async with polled(stand, port) as one:
            yield one
        return
    async with polling(stand) as one:
        yield one


async def begun(plc: Panel) -> None:
    """Take whatever results still wait, until the gateway is Ready with nothing pending."""
    end = time.monotonic() + 10
    while (block := await plc.read()).valid or block.pending or not block.ready:
        assert time.monotonic() < end, f"it does not come to rest: {block}"
        if block.valid:
            await plc.write(result_ack_seq=block.result_seq)
        await asyncio.sleep(POLL)
