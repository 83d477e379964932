"""A PLC that is the master of a serial line with a drive on it, and a gateway that is one of its units."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocols.handshake import Style
from protocols.modbus.rtu import answer_length, framed, sound
from simulators.plc import Plc
from simulators.serial_master import RtuMaster
from tests.bus import Bus, joined
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import Line, Observer, Tap, TappedCarrier, judge, task
from tests.scenario.oracle import Evidence
from tests.scenario.stand import until
from tests.scenario.wire import Master

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(90)]

BAUD = 115200
INSIDE = framed(1, bytes.fromhex("06 0001 0063"))
"""A trigger for our station, as data of another device: who takes it for one inspects what nobody asked for."""


class SharedLine(TappedCarrier):
    """The PLC's scan on the line: it polls its drive too, and the oracle sees all that it reads."""

    def __init__(self, carrier: RtuMaster, observer: Observer, bus: Bus) -> None:
        super().__init__(carrier, observer.evidence)
        self._observer, self._bus = observer, bus
        self._scans = 0

    async def read(self) -> bytes:
        self._scans += 1
        address = (self._scans % 200).to_bytes(2, "big")
        for pdu in (b"\x03" + address + b"\0\5", b"\x03\x0a" + INSIDE + b"\0\0"):
            self._bus.carry(framed(2, pdu))
        for pdu in (b"\x10" + address + b"\0\5\x0a" + INSIDE + b"\0\0", b"\x10" + address + b"\0\5"):
            self._bus.carry(framed(2, pdu))
        raw = await self._carrier.read()
        self._observer._see(raw)  # a line bears no second reader: the PLC's own reads are the evidence
        return raw


def units_of(said: bytes) -> Iterator[int]:
    """Whose answers these are."""
    while said:
        length = answer_length(said)
        assert sound(said[:length]), f"no frame: {said[:16].hex(' ')}"
        yield said[0]
        said = said[length:]


def plc_of(bus: Bus, evidence: Evidence, observer: Observer, style: Style) -> Plc:
    master = RtuMaster(bus.tap("plc"), baud=BAUD, parity="none")  # a pseudo-terminal has none
    return Plc(SharedLine(master, observer, bus), style=style, scan=0.02, timeout=3.0, watch=Tap(evidence, style))


@pytest.mark.parametrize("style", Style)
async def test_parts_are_inspected_over_a_shared_serial_line(
    new_stand: NewStand, bench: Bench, tmp_path: Path, style: Style
) -> None:
    async with joined(tmp_path) as bus:
        link = {"kind": "modbus_rtu_server", "device": bus.tap("gateway"), "baud": BAUD, "unit": 1}
        stand = new_stand({"link": link})
        evidence = stand.evidence["cell1"]
        observer = Observer(evidence, Master(stand.port))
        plc = plc_of(bus, evidence, observer, style)
        await stand.start()
        async with task(plc.run(), "PLC"):
            plant = Line(stand, plc, observer)
            await plant.ready()
            for part in range(1, 7):
                answer = await plc.inspect(part, serial=f"S{part}")
                assert answer.judgement is bench.verdict(part), answer
            bus.taps["gateway"].cut()
            await until(lambda: not plc.connected, 10, "the PLC sees that the gateway's adapter was pulled")
            bus.taps["gateway"].mend()
            await plant.ready()
            for part in range(7, 10):
                answer = await plc.inspect(part, serial=f"S{part}")
                assert answer.judgement is bench.verdict(part), answer
            assert await stand.stop() == 0
        judge(stand)
        rows = [(row.trigger.part_id, row.trigger.serial) for row in stand.history()]
        assert rows == [(n, f"S{n}") for n in range(1, 10)]
        assert set(units_of(bus.taps["gateway"].said)) == {1}
