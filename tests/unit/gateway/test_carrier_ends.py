"""The control ends of what lives in a carrier: a seat's port, a device's tags, and which process carries what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.carrier_process import _Port
from gateway.carrier_tags import CarrierTagSource
from gateway.carriers import Carriers
from gateway.facts import digest, station_facts
from gateway.opcua import wire
from gateway.settings import GatewayConfig
from gateway.station_setup import Setup
from protocols.carried import CarrierLink
from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.link import Link, LinkState
from protocols.loopback import Loopback
from protocols.signals import Command
from protocols.station_view import Seat
from protocols.tags import Quality, Tag, TagValue, Value
from tests.unit.gateway.played import recipe

UP, DOWN = LinkState.UP, LinkState.DOWN


class Heard:
    """A station that remembers what came."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def command(self, command: Command) -> None:
        self.told.append(command.trigger_seq)

    def link_changed(self, state: LinkState, reason: str) -> None:
        self.told.append(state)


def port(seat: Seat = Seat.LINK) -> tuple[_Port, Heard]:
    heard = Heard()
    return _Port(seat, heard), heard


def seq(number: int) -> Command:
    return Command(trigger_seq=number)


# ---------------------------------------------------------------- a seat's port


def test_what_a_carrier_says_for_a_seat_comes_through() -> None:
    it, heard = port()
    it.linked(UP, "")
    it.command(seq(1))
    it.linked(DOWN, "")
    assert heard.told == [UP, 1, DOWN]


def test_a_silent_carrier_is_down_and_the_link_s_newest_command_is_its_baseline_afterwards() -> None:
    it, heard = port()
    it.linked(UP, "")
    it.command(seq(1))
    it.silent("")
    it.command(seq(2))
    it.command(seq(3))
    it.back("")
    assert heard.told == [UP, 1, DOWN, UP, 3]


def test_what_a_face_said_late_is_no_claim() -> None:
    it, heard = port(Seat.VARIABLES)
    it.linked(UP, "")
    it.silent("")
    it.command(seq(2))
    it.back("")
    it.command(seq(3))
    assert heard.told == [UP, DOWN, UP, 3]


def test_a_link_that_went_down_while_the_carrier_was_silent_stays_down() -> None:
    it, heard = port()
    it.linked(UP, "")
    it.silent("")
    it.linked(DOWN, "")
    it.back("")
    assert heard.told == [UP, DOWN, DOWN]
    it.silent("")
    assert heard.told == [UP, DOWN, DOWN]


def test_a_process_that_ends_takes_its_seat_down_once() -> None:
    it, heard = port()
    it.gone("")
    assert heard.told == [], "who was never up does not go down"
    it.linked(UP, "")
    it.silent("")
    it.gone("")
    it.gone("")
    assert heard.told == [UP, DOWN]
    it.linked(UP, "")
    it.command(seq(4))
    assert heard.told == [UP, DOWN, UP, 4]


# ---------------------------------------------------------------- a device's tags


class Sink:
    """The book of tags."""

    def __init__(self) -> None:
        self.now: dict[str, TagValue] = {}
        self.links: list[bool] = []
        self.writes: list[tuple[str, Value, str]] = []

    def values(self, readings: Mapping[str, TagValue]) -> None:
        self.now |= readings

    def link(self, up: bool, reason: str) -> None:
        self.links.append(up)

    def written(self, name: str, value: Value, error: str) -> None:
        self.writes.append((name, value, error))


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def source(sink: Sink) -> CarrierTagSource:
    return CarrierTagSource("cnc", {"speed": Tag("speed"), "passed": Tag("passed")}, sink, lambda: 50.0)


def reading(at: float = 40.0) -> TagValue:
    return TagValue(7, Quality.GOOD, Code.NONE, "", at, 1.8e9, 2.0)


def test_readings_reach_the_book_and_none_is_newer_than_now(source: CarrierTagSource, sink: Sink) -> None:
    source.heard(wire.DeviceLinked("cnc", True, ""))
    source.heard(wire.Readings("cnc", {"speed": reading(1e9)}))
    assert (sink.links, sink.now["speed"].at, sink.now["speed"].value) == ([True], 50.0, 7)


@pytest.mark.parametrize("message", [wire.Readings("cnc", {"other": reading()}), wire.Written("cnc", "other", 1, "")])
def test_a_tag_that_the_device_has_not_is_refused(source: CarrierTagSource, message: Any, sink: Sink) -> None:
    with pytest.raises(wire.WireError, match="other"):
        source.heard(message)
    assert not sink.now


def test_what_is_wanted_is_told_to_each_carrier_and_taken_only_once_it_is_confirmed(
    source: CarrierTagSource, sink: Sink
) -> None:
    sent: list[wire.ToCarrier] = []
    source.want("passed", 1)
    source.begin(sent.append)
    assert sent == [wire.Want("cnc", "passed", 1)]
    assert source.taken("passed") is None
    source.heard(wire.Written("cnc", "passed", 1, ""))
    assert source.taken("passed") == 1
    source.want("passed", 0)
    source.heard(wire.Written("cnc", "passed", 0, "BadTypeMismatch"))
    assert source.taken("passed") is None
    assert sink.writes == [("passed", 1, ""), ("passed", 0, "BadTypeMismatch")]
    source.lost("killed")
    source.want("passed", 1)
    again: list[wire.ToCarrier] = []
    source.begin(again.append)
    assert again == [wire.Want("cnc", "passed", 1)]
    assert len(sent) == 2


def test_with_the_carrier_all_values_and_confirmations_are_gone(source: CarrierTagSource, sink: Sink) -> None:
    source.heard(wire.DeviceLinked("cnc", True, ""))
    source.heard(wire.Readings("cnc", {"speed": reading()}))
    source.heard(wire.Written("cnc", "passed", 1, ""))
    source.lost("killed")
    assert {name: value.quality for name, value in sink.now.items()} == {"speed": Quality.BAD, "passed": Quality.BAD}
    assert (sink.links, source.taken("passed")) == ([True, False], None)
    source.lost("killed again")
    assert sink.links == [True, False]


# ---------------------------------------------------------------- which process carries what


def test_the_facts_tell_what_a_recipe_judges_by() -> None:
    plate, lid = recipe(2, "plate"), recipe(1, "lid")
    facts = station_facts("cell1", [plate, lid], 7, 99)
    assert [known.number for known in facts.recipes] == [1, 2]
    assert facts.recipes[0].codes == ((101, "scratch"),)
    assert len(facts.recipes[0].digest) == 32
    assert digest(plate) == digest(recipe(2, "plate"))
    other = plate.model_copy(update={"revision": 9})
    assert digest(other) != digest(plate)


def config(*links: dict[str, Any], **more: Any) -> GatewayConfig:
    stations = [
        {"name": f"cell{n}", "link": link, "camera": {"kind": "simulated"}, "recipes": [Path("/r")]}
        for n, link in enumerate(links, 1)
    ]
    return GatewayConfig.model_validate({"data_dir": Path("/d"), "stations": tuple(stations), **more})


LINKS: list[Link] = [Loopback(), CarrierLink()]
SETUP = Setup("cell1", CycleSettings(), {1: recipe()}, boot_id=7, config_crc=9)


@pytest.fixture
def built() -> Iterator[list[Carriers]]:
    made: list[Carriers] = []
    yield made
    for carriers in made:
        carriers.close()


def carriers_of(built: list[Carriers], known: GatewayConfig) -> Carriers:
    facts = [station_facts(station.name, [recipe()], 7, 9) for station in known.stations]
    built.append(Carriers(known, facts, lambda *_: None))
    return built[-1]


def test_the_server_shows_all_stations_and_speaks_for_the_link_where_that_is_its_own(built: list[Carriers]) -> None:
    known = config({"kind": "loopback"}, {"kind": "opcua_server"}, opcua={"port": 4841})
    carriers = carriers_of(built, known)
    (server,) = carriers.processes
    assert [station.facts.name for station in server.start.stations] == ["cell1", "cell2"]
    assert [station.seats for station in server.start.stations] == [
        (Seat.VARIABLES, Seat.MACHINE_VISION),
        (Seat.LINK, Seat.MACHINE_VISION),
    ]
    assert server.start.stations[1].link == {"kind": "opcua_server"}
    assert (server.start.server or {})["port"] == 4841
    assert server.start.data_dir == "/d"
    for station, link in zip(known.stations, LINKS, strict=True):
        between, setup = carriers.between(station, link, SETUP)
        assert between is not link
        assert setup.shared
        assert setup.outcome is not None
    assert set(server._ports) == {
        (0, Seat.VARIABLES),
        (0, Seat.MACHINE_VISION),
        (1, Seat.LINK),
        (1, Seat.MACHINE_VISION),
    }


class Lathe:
    """The configuration of a device."""

    name = "cnc"

    def definitions(self) -> dict[str, Tag]:
        return {"speed": Tag("speed")}

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        return {"mode": mode}


def test_a_device_has_the_client_process_started_for_it(built: list[Carriers], sink: Sink) -> None:
    carriers = carriers_of(built, config({"kind": "loopback"}))
    station = carriers._config.stations[0]
    assert carriers.processes == []
    link = Loopback()
    assert carriers.between(station, link, SETUP) == (link, SETUP), "nobody else knows this station"
    source = carriers.remote(Lathe(), sink, {"passed": 0.5}, ("speed",))
    (client,) = carriers.processes
    assert (client.process, client.start.stations) == ("client", ())
    assert client.start.devices == (wire.CarriedDevice("cnc", {"mode": "json"}, {"passed": 0.5}, ("speed",)),)
    client._received(wire.DeviceLinked("cnc", True, ""))
    client._received(wire.Readings("cnc", {"speed": reading(1.0)}))
    assert (sink.links, sink.now["speed"].value, source.taken("passed")) == ([True], 7, None)
