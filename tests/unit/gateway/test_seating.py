"""What stands between a station and all that drive or show it: the link alone sees no difference."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.board import BoardReader, BoardWriter
from gateway.inspection import Observation
from gateway.seating import Seating
from gateway.station import Station
from gateway.station_setup import Setup
from gateway.vision.wire import ModelFacts
from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.link import LinkState
from protocols.loopback import Loopback
from protocols.signals import NO_RESULT, Command, CommandCode, Judgement, Outputs, StatusBit
from protocols.station_view import Seat
from tests.unit.gateway.played import ON, Disk, Vision, recipe


class Plant:
    """A station with a played PLC on its link and two more seats."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.plc = Loopback()
        self.board = BoardWriter()
        self.reader = BoardReader(os.dup(self.board.descriptor))
        self.rings = 0
        self.seating = Seating(self.plc, self.board, [self._ring], lambda: 1.9e9)
        self.disk, self.vision = Disk(), Vision()
        setup = Setup("cell1", CycleSettings(), {1: recipe(), 2: recipe(2, "lid")}, 7, 99)
        setup = replace(setup, shared=True, outcome=self.seating.outcome)
        self.station = Station(setup, self.seating, self.disk, lambda: self.now, lambda: 1.8e9)
        self.station.use(self.vision)
        self.seating.attach(self.station)
        self.commands = {seat: Command() for seat in Seat}

    def _ring(self) -> None:
        self.rings += 1

    def ready(self) -> Plant:
        self.station.recover(None)
        self.station.workers_ready(ModelFacts(recipe=1, model_crc=111))
        self.seating.open()
        return self

    def send(self, seat: Seat = Seat.LINK, **fields: object) -> None:
        self.commands[seat] = replace(self.commands[seat], **fields)  # type: ignore[arg-type]
        if seat is Seat.LINK:
            self.plc.write(self.commands[seat])
        else:
            self.seating.port(seat).command(self.commands[seat])

    def seen(self) -> None:
        self.station.observed(self.vision.asked[-1].cycle, Observation(exposed_utc=1.7e9))

    @property
    def shown(self) -> Outputs:
        """What the PLC is shown."""
        return self.plc.outputs


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    plant = Plant().ready()
    yield plant
    plant.reader.close()
    plant.board.close()


async def test_the_link_alone_is_shown_the_station_s_own_outputs_and_the_board_as_well(plant: Plant) -> None:
    plant.send(control=ON)
    rings = plant.rings
    plant.send(trigger_seq=1, part_id=5)
    plant.seen()
    assert (plant.shown.result.part_id, plant.shown.result.judgement) == (5, Judgement.OK)
    image = plant.reader.read()
    assert (image.seat, image.command, image.newest) == (Seat.LINK, plant.commands[Seat.LINK], 1)
    assert image.outputs.status == plant.shown.status
    assert image.link is image.outputs
    assert plant.rings > rings
    (outcome,) = plant.reader.outcomes(0, 1)
    assert (outcome.seat, outcome.accepted, outcome.exposed, outcome.decided) == (Seat.LINK, 1.8e9, 1.7e9, 1.9e9)
    assert outcome.result.result_seq == plant.shown.result.result_seq


async def test_a_face_that_takes_the_station_is_shown_its_results_and_the_link_is_not(plant: Plant) -> None:
    plant.send(control=0)
    plant.send(Seat.VARIABLES, control=ON)
    plant.send(Seat.VARIABLES, trigger_seq=1, part_id=6)
    plant.seen()
    assert plant.shown.result is NO_RESULT
    assert plant.shown.status.not_ready_reason == Code.DRIVEN_BY_OTHER
    image = plant.reader.read()
    assert (image.seat, image.outputs.result.part_id, image.link.result.part_id) == (Seat.VARIABLES, 6, 0)
    assert plant.reader.outcomes(0, 1)[0].seat is Seat.VARIABLES
    assert plant.disk.rows[1].trigger.by_bit, "a restart must not take it for the PLC's"
    plant.send(Seat.VARIABLES, control=0)
    assert plant.shown.status.not_ready_reason == Code.NOT_ENABLED
    assert plant.shown.result is NO_RESULT
    assert plant.reader.read().seat is Seat.LINK


async def test_a_refused_trigger_of_the_link_is_shown_at_once_and_counted(plant: Plant) -> None:
    plant.send(control=0)
    plant.send(Seat.MACHINE_VISION, control=ON)
    plant.send(trigger_seq=9)
    assert (plant.shown.status.trigger_seq_ack, plant.shown.status.trigger_refused) == (9, Code.DRIVEN_BY_OTHER)
    assert plant.station.metrics.refusals[Code.DRIVEN_BY_OTHER] == 1


async def test_a_link_that_is_down_is_3001_only_while_it_drives(plant: Plant) -> None:
    link = plant.seating.port(Seat.LINK)
    link.link_changed(LinkState.UP, "")
    link.link_changed(LinkState.DOWN, "cut")
    assert plant.shown.status.not_ready_reason == Code.LINK_LOST
    plant.send(Seat.VARIABLES, control=ON)
    assert plant.reader.read().outputs.status.not_ready_reason == Code.NONE
    plant.seating.port(Seat.VARIABLES).link_changed(LinkState.DOWN, "killed")
    assert plant.shown.status.not_ready_reason == Code.LINK_LOST


async def test_a_driver_is_let_go_when_its_recipe_change_has_ended(plant: Plant) -> None:
    plant.send(Seat.VARIABLES, control=ON)
    plant.send(Seat.VARIABLES, command=CommandCode.ACTIVATE_RECIPE, command_param=2, command_seq=1)
    plant.send(Seat.VARIABLES, control=0)
    assert plant.reader.read().seat is Seat.VARIABLES
    plant.station.role.command_finished(1, Code.NONE)
    plant.station.tick()
    assert plant.reader.read().seat is Seat.VARIABLES, "not in the middle of the station's own work"
    await asyncio.sleep(0)
    assert plant.reader.read().seat is Seat.LINK
    assert not plant.shown.status.bits & StatusBit.COMMAND_DONE, "the answer was another's"


async def test_nobody_takes_a_station_that_does_not_know_its_past() -> None:
    plant = Plant()
    plant.seating.port(Seat.VARIABLES).command(Command(control=ON))
    assert plant.reader.read().seat is Seat.LINK
    plant.reader.close()
    plant.board.close()


def test_what_cannot_be_handed_over_is_refused() -> None:
    board = BoardWriter()
    with pytest.raises(TypeError, match="cannot be handed over"):
        Seating(Loopback(), board, []).attach(Loopback())  # type: ignore[arg-type]
    board.close()
