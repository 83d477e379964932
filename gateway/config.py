"""The configuration file, read and checked: every mistake at once with file, line and column."""

from __future__ import annotations

import binascii
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from gateway import validation, yamlfile
from gateway.link_clashes import device_clashes, link_clash
from gateway.settings import CycleConfig, GatewayConfig, LogConfig, PicturesConfig, StationConfig
from gateway.tag_settings import StationTagsConfig
from gateway.vision.camera_settings import SimulatedCamera
from gateway.yamlfile import Document, FileError, Location, Problem
from protocols.devices import DeviceConfig, model_of
from protocols.modbus.rtu_settings import ModbusRtuClientConfig, ModbusRtuServerConfig
from protocols.modbus.server_settings import ModbusServerConfig
from protocols.opcua.server_link_settings import OpcUaServerLinkConfig
from protocols.opcua.server_settings import place_paths

if TYPE_CHECKING:
    from gateway.recipe import Recipe

__all__ = [
    "ConfigError",
    "CycleConfig",
    "GatewayConfig",
    "Loaded",
    "LogConfig",
    "PicturesConfig",
    "StationConfig",
    "config_crc",
    "load",
    "read",
]


P = TypeVar("P", bound=BaseModel)


class ConfigError(FileError):
    """A configuration that cannot be used: all problems, each with its place."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that passed every check, its recipes by station, and what is allowed but doubtful."""

    config: GatewayConfig
    recipes: dict[str, tuple[Recipe, ...]]
    warnings: tuple[Problem, ...]


def load(path: Path) -> GatewayConfig:
    """The configuration in `path`, all paths absolute; raises ConfigError. Does not look into the recipes: `read` does.

    Two functions, because the port of the PLC opens between them: the models of a recipe take their time to import.
    """
    return _checked(path, with_recipes=False).config


def read(path: Path) -> Loaded:
    """The configuration in `path` with its recipes and warnings; raises ConfigError with all problems of all files."""
    return _checked(path, with_recipes=True)


def _checked(path: Path, *, with_recipes: bool) -> Loaded:
    try:
        document = yamlfile.read(path)
    except FileError as error:
        raise ConfigError(error.problems) from None
    _place_paths(document.data, path.parent)
    problems: list[Problem] = []
    config: GatewayConfig | None = None
    try:
        config = validation.build(document, GatewayConfig)
        stations = dict(enumerate(config.stations))
        devices = dict(enumerate(config.devices))
    except FileError as error:
        problems = list(error.problems)
        stations = _sound(document, "stations", lambda data: StationConfig)
        devices = _sound(document, "devices", model_of)
    books: dict[str, tuple[Recipe, ...]] = {}
    if with_recipes:
        books, found = _read_recipes(document, stations)
        problems += found
    problems += (document.problem(place, text) for place, text in mistakes(stations))
    problems += (document.problem(place, text) for place, text in _tag_mistakes(stations, devices, document))
    problems += (document.problem(place, text) for place, text in opcua_mistakes(stations, document.at(("opcua",))))
    if "opcua" in document.data and document.data["opcua"] is None:
        empty = "is empty, and there would be no OPC UA server; add users, or remove the key"
        problems.append(document.problem(("opcua",), empty))
    data_dir = document.at(("data_dir",))
    if data_dir == "":
        problems.append(document.problem(("data_dir",), "is empty; name a folder"))
    elif isinstance(data_dir, str) and (text := _unusable_folder(Path(data_dir))):
        problems.append(document.problem(("data_dir",), text))
    if problems or config is None:
        raise ConfigError(sorted(problems, key=lambda problem: (problem.file != str(path), problem.line)))
    return Loaded(config, books, tuple(document.problem(place, text) for place, text in doubts(config)))


def config_crc(config: GatewayConfig | StationConfig, recipes: Iterable[Recipe]) -> int:
    """CRC-16 (polynomial 0x1021, start 0xFFFF) of all that decides how parts are judged; never 0.

    Where files lie, what is logged and who may look on is left out, so that two computers with the same set-up show the
    same number.
    """
    content = config.model_dump(mode="json", exclude={"data_dir", "log", "opcua"})
    for station in content.get("stations", [content]):
        del station["recipes"]
        for key in ("path", "password_file"):
            station["camera"].pop(key, None)
        for key in ("tls", "security", "user"):
            station["link"].pop(key, None)
    for device in content.get("devices", ()):
        for key in ("tls", "security", "user"):
            device["link"].pop(key, None)
    content["recipes"] = [recipe.model_dump(mode="json") for recipe in recipes]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return binascii.crc_hqx(text.encode("ascii"), 0xFFFF) or 1


def _place_paths(data: Any, folder: Path) -> None:
    """Make the paths of a parsed file absolute, seen from the file's folder; what is no path is left to validation."""

    def place(holder: Any, key: Any) -> None:
        if isinstance(holder, dict | list) and isinstance(holder[key], str) and holder[key]:
            path = folder / os.path.expanduser(holder[key])  # noqa: PTH111 - expanduser() of Path raises
            holder[key] = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links

    if not isinstance(data, dict):
        return
    if "data_dir" in data:
        place(data, "data_dir")
    stations = data.get("stations")
    for station in stations if isinstance(stations, list) else ():
        if not isinstance(station, dict):
            continue
        recipes, camera, link = station.get("recipes"), station.get("camera"), station.get("link")
        for index in range(len(recipes) if isinstance(recipes, list) else 0):
            place(recipes, index)
        for key in ("path", "password_file"):
            if isinstance(camera, dict) and key in camera:
                place(camera, key)
        _place_tls(link, place)
    place_paths(data.get("opcua"), place)
    devices = data.get("devices")
    for device in devices if isinstance(devices, list) else ():
        _place_tls(device.get("link") if isinstance(device, dict) else None, place)


def _place_tls(link: Any, place: Callable[[Any, Any], None]) -> None:
    tls = link.get("tls") if isinstance(link, dict) else None
    for key in ("certificate", "key", "trust", "pinned"):
        if isinstance(tls, dict) and key in tls:
            place(tls, key)
    _place_opcua(link, place)


def _place_opcua(link: Any, place: Callable[[Any, Any], None]) -> None:
    """The files of a connection to an OPC UA server."""
    for part in ("security", "user"):
        files = link.get(part) if isinstance(link, dict) else None
        for key in ("certificate", "key", "trust", "pinned", "rejected", "password_file"):
            if isinstance(files, dict) and key in files:
                place(files, key)


def _sound(document: Document, key: str, model: Callable[[Any], type[P]]) -> dict[int, P]:
    """The parts of a list that are right in themselves, so that one mistake does not hide those between the others."""
    sound = {}
    parts = document.at((key,))
    for index, data in enumerate(parts if isinstance(parts, list) else ()):
        part = Document(document.file, data)
        try:
            sound[index] = validation.build(part, model(data))
        except FileError:
            continue
    return sound


def _tag_mistakes(
    stations: dict[int, StationConfig], devices: dict[int, DeviceConfig], document: Document
) -> Iterator[tuple[Location, str]]:
    if not devices and all(station.tags == StationTagsConfig() for station in stations.values()):
        return
    from gateway import tag_names  # a line without devices starts without

    yield from device_clashes(devices, stations)
    yield from tag_names.device_mistakes(devices)
    if len(devices) == len(document.at(("devices",)) or ()):  # a device that is wrong in itself has no names yet
        yield from tag_names.station_mistakes(stations, tag_names.known(devices.values()))


def _read_recipes(
    document: Document, stations: dict[int, StationConfig]
) -> tuple[dict[str, tuple[Recipe, ...]], list[Problem]]:
    from gateway import recipe as recipe_book

    books: dict[str, tuple[Recipe, ...]] = {}
    problems: list[Problem] = []
    seen: dict[Path, Recipe | None] = {}
    for index, station in stations.items():
        book: dict[int, tuple[int, Recipe]] = {}
        for position, folder in enumerate(station.recipes):
            place: Location = ("stations", index, "recipes", position)
            if folder not in seen:
                try:
                    seen[folder] = recipe_book.load(folder)
                except recipe_book.RecipeError as error:
                    seen[folder] = None
                    problems += error.problems or (document.problem(place, error.text),)
            if (recipe := seen[folder]) is None:
                continue
            for _, ref in recipe.tags:
                if ref not in station.tags.record:
                    text = f"recipe {recipe.name!r} has a rule for the tag {ref}, which this station does not record"
                    problems.append(document.problem(place, f"{text}; add it to tags.record"))
            first, _ = book.setdefault(recipe.number, (position, recipe))
            if first != position:
                text = f"recipe number {recipe.number} is already that of recipes[{first}], so the PLC could not choose"
                problems.append(document.problem(place, f"{text}; give one of them another number"))
        books[station.name] = tuple(recipe for _, recipe in book.values())
    return books, problems


def mistakes(stations: dict[int, StationConfig]) -> Iterator[tuple[Location, str]]:
    """What cannot work, though every value is right in itself: place in the file and one sentence."""
    names: dict[str, int] = {}
    for index, station in stations.items():
        here: Location = ("stations", index)
        first = names.setdefault(station.name, index)
        if first != index:
            yield (*here, "name"), f"{station.name!r} is already the name of stations[{first}]; give it another one"
        for place, text in _station_mistakes(station):
            yield (*here, *place), text
        for other in range(index):
            if other in stations and (clash := link_clash(stations[other].link, station.link)):
                key, text = clash
                yield (*here, "link", key), text.format(other=f"stations[{other}]")
                break


def opcua_mistakes(stations: dict[int, StationConfig], server: Any) -> Iterator[tuple[Location, str]]:
    """What cannot work between the stations' links and the gateway's OPC UA server, as the file has it."""
    for index, station in stations.items():
        link = station.link
        if isinstance(link, OpcUaServerLinkConfig) and server is None:
            text = "opcua_server needs the gateway's own OPC UA server; add the key opcua to the file"
            yield ("stations", index, "link", "kind"), text
        if isinstance(link, ModbusServerConfig) and isinstance(server, dict) and server.get("port") == link.port != 0:
            text = f"{link.port} is already the port of stations[{index}].link; use another one"
            yield ("opcua", "port"), text
            return


def _station_mistakes(station: StationConfig) -> Iterator[tuple[Location, str]]:
    cycle, camera, frames = station.cycle, station.camera, station.frames
    if cycle.grab_timeout_ms >= cycle.deadline_ms:
        text = f"{cycle.grab_timeout_ms:g} must be less than deadline_ms ({cycle.deadline_ms:g})"
        yield ("cycle", "grab_timeout_ms"), f"{text}, or no time is left to judge the picture"
    if cycle.ack_timeout_s and cycle.result_valid_delay_ms >= cycle.ack_timeout_s * 1000:
        text = f"{cycle.result_valid_delay_ms:g} must be less than ack_timeout_s ({cycle.ack_timeout_s:g} s)"
        yield ("cycle", "result_valid_delay_ms"), f"{text}, or every acknowledgement is late"
    if cycle.overlap and cycle.queue < 2:
        text = (
            f"needs a queue of 2 or more, as the next result may come before the last is taken; queue is {cycle.queue}"
        )
        yield ("cycle", "overlap"), text
    if isinstance(camera, SimulatedCamera) and camera.width * camera.height * 3 > frames.max_bytes:
        size = camera.width * camera.height * 3
        text = f"{frames.max_bytes} is less than a frame of the camera ({camera.width} x {camera.height} x 3 bytes)"
        yield ("frames", "max_bytes"), f"{text}; set {size} or more"
    if camera.starts and station.tags.trigger is not None:
        yield ("camera", "starts"), "tags.trigger starts the inspections already; remove one of the two"
    folders: dict[Path, int] = {}
    for position, folder in enumerate(station.recipes):
        if folders.setdefault(folder, position) != position:
            yield ("recipes", position), f"is the same folder as recipes[{folders[folder]}]; remove one of the two"


def doubts(config: GatewayConfig) -> Iterator[tuple[Location, str]]:
    """What is allowed but seldom meant: place in the file and one sentence."""
    if len(config.devices) > 1:
        from gateway import tag_names

        yield from tag_names.device_doubts(config.devices)
    if config.opcua is not None:
        yield from ((("opcua",), text.removeprefix("opcua: ")) for text in config.opcua.warnings())
    for index, station in enumerate(config.stations):
        for place, text in _station_doubts(station):
            yield ("stations", index, *place), text


def _station_doubts(station: StationConfig) -> Iterator[tuple[Location, str]]:
    cycle, link = station.cycle, station.link
    if isinstance(link, ModbusServerConfig):
        yield from _listener_doubts(link, cycle.deadline_ms)
    if isinstance(link, ModbusRtuServerConfig | ModbusRtuClientConfig) and (wire := 1000 * link.line().timing.cycle) > (
        limit := cycle.plc_heartbeat_timeout_ms / 2
    ):
        text = f"at {link.baud} baud one reading and writing of the blocks takes {wire:.0f} ms, more than half of"
        text += f" plc_heartbeat_timeout_ms ({2 * limit:g})"
        yield ("link", "baud"), f"{text}; one garbled answer would stop the station: raise one of the two"
    if cycle.plc_heartbeat_timeout_ms < 2 * cycle.heartbeat_ms:
        text = f"{cycle.plc_heartbeat_timeout_ms:g} is less than two of our own heartbeats ({cycle.heartbeat_ms:g} ms)"
        yield ("cycle", "plc_heartbeat_timeout_ms"), f"{text}; one late poll of the PLC would stop the station"
    if cycle.grace_s * 1000 < cycle.deadline_ms:
        text = f"{cycle.grace_s:g} s is shorter than deadline_ms ({cycle.deadline_ms:g})"
        yield ("cycle", "grace_s"), f"{text}; a running inspection may be cut off at shutdown"


def _listener_doubts(link: ModbusServerConfig, deadline_ms: float) -> Iterator[tuple[Location, str]]:
    if link.open_to_all:
        text = f"{link.host} lets everybody who reaches this computer command the station, as Modbus knows no password"
        yield ("link", "host"), f"{text}; name the masters in allow, and keep the port inside the machine's network"
    if link.everywhere:
        text = f"{link.host} listens in every network of this computer, the office's too"
        yield ("link", "host"), f"{text}; give this computer's address in the machine's network"
    if 0 < link.held_reply_ms <= deadline_ms:
        text = f"{link.held_reply_ms:g} is not more than deadline_ms ({deadline_ms:g})"
        yield ("link", "held_reply_ms"), f"{text}; the PLC may be answered before the result is there"


def _unusable_folder(folder: Path) -> str | None:
    """Why `folder` can neither be used nor made, or None."""
    try:
        nearest = folder
        while not _there(nearest) and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir():
            return f"{nearest} is not a folder; name another place"
    except OSError as error:
        return f"cannot be used ({error.strerror}); name another place"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest} is not writable for this user; change its permissions or name another place"
    return None


def _there(path: Path) -> bool:
    """Whether something has this name, be it a link that leads nowhere: that is in the way too."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
