"""The configuration file, read and checked: every mistake at once with file, line and column."""

from __future__ import annotations

import binascii
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway import validation, yamlfile
from gateway.settings import CycleConfig, GatewayConfig, LogConfig, PicturesConfig, StationConfig
from gateway.vision.settings import SimulatedCamera
from gateway.yamlfile import Document, FileError, Location, Problem
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.server_settings import ModbusServerConfig

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
    except FileError as error:
        problems = list(error.problems)
        stations = _sound_stations(document)
    books: dict[str, tuple[Recipe, ...]] = {}
    if with_recipes:
        books, found = _read_recipes(document, stations)
        problems += found
    problems += (document.problem(place, text) for place, text in mistakes(stations))
    data_dir = document.at(("data_dir",))
    if isinstance(data_dir, str) and data_dir and (text := _unusable_folder(Path(data_dir))):
        problems.append(document.problem(("data_dir",), text))
    if problems or config is None:
        raise ConfigError(sorted(problems, key=lambda problem: (problem.file != str(path), problem.line)))
    return Loaded(config, books, tuple(document.problem(place, text) for place, text in doubts(config)))


def config_crc(config: GatewayConfig | StationConfig, recipes: Iterable[Recipe]) -> int:
    """CRC-16 (polynomial 0x1021, start 0xFFFF) of all that decides how parts are judged; never 0.

    Where files lie and what is logged is left out, so that two computers with the same set-up show the same number.
    """
    content = config.model_dump(mode="json", exclude={"data_dir", "log"})
    for station in content.get("stations", [content]):
        del station["recipes"]
        station["camera"].pop("path", None)
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
        recipes, camera = station.get("recipes"), station.get("camera")
        for index in range(len(recipes) if isinstance(recipes, list) else 0):
            place(recipes, index)
        if isinstance(camera, dict) and "path" in camera:
            place(camera, "path")


def _sound_stations(document: Document) -> dict[int, StationConfig]:
    """The stations that are right in themselves, so that one mistake does not hide those between the others."""
    sound = {}
    stations = document.at(("stations",))
    for index, data in enumerate(stations if isinstance(stations, list) else ()):
        part = Document(document.file, data)
        try:
            sound[index] = validation.build(part, StationConfig)
        except FileError:
            continue
    return sound


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
            if other in stations and (clash := _link_clash(stations[other].link, station.link)):
                key, text = clash
                yield (*here, "link", key), text.format(other=f"stations[{other}]")
                break


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
    folders: dict[Path, int] = {}
    for position, folder in enumerate(station.recipes):
        if folders.setdefault(folder, position) != position:
            yield ("recipes", position), f"is the same folder as recipes[{folders[folder]}]; remove one of the two"


def _link_clash(first: object, second: object) -> tuple[str, str] | None:
    """The key of `second` that cannot be so beside `first`, and why."""
    if isinstance(first, ModbusServerConfig) and isinstance(second, ModbusServerConfig):
        return _server_clash(first, second)
    if isinstance(first, ModbusClientConfig) and isinstance(second, ModbusClientConfig):
        return _client_clash(first, second)
    return None


def _server_clash(first: ModbusServerConfig, second: ModbusServerConfig) -> tuple[str, str] | None:
    if first.port != second.port:
        return None
    where = f"{second.host}:{second.port}"
    if first.host != second.host:
        if not (second.port and (_any_address(first.host) or _any_address(second.host))):
            return None
        return "host", f"{where} and {first.host}:{first.port} of {{other}} are the same port; use one host for both"
    if first.unit == second.unit:
        return (
            "unit",
            f"{second.unit} at {where} is already that of {{other}}; give each station at a port its own unit",
        )
    if first.limits() != second.limits():
        text = f"{where} is shared with {{other}}, which sets other limits (max_connections, …_timeout_s)"
        return "port", f"{text}; set the same, or use another port"
    return None


def _client_clash(first: ModbusClientConfig, second: ModbusClientConfig) -> tuple[str, str] | None:
    if first.place != second.place:
        return None
    if (first.quirks.one_connection or second.quirks.one_connection) and not first.may_share(second):
        text = f"{second.place} has one connection, which {{other}} shares with other quirks or time-outs"
        return "quirks", f"{text}; set the same for both"
    if first.unit_id != second.unit_id:
        return None
    taken = list(first.extents())
    for key, mine in second.extents():
        for _, other in taken:
            if mine.clashes(other):
                return key, f"{mine.span} overlaps {other.span} of {{other}} in one PLC; move one of them"
    return None


def doubts(config: GatewayConfig) -> Iterator[tuple[Location, str]]:
    """What is allowed but seldom meant: place in the file and one sentence."""
    for index, station in enumerate(config.stations):
        for place, text in _station_doubts(station):
            yield ("stations", index, *place), text


def _station_doubts(station: StationConfig) -> Iterator[tuple[Location, str]]:
    cycle, link = station.cycle, station.link
    if isinstance(link, ModbusServerConfig) and not _loopback(link.host):
        text = f"{link.host} lets everybody who reaches this computer command the station, as Modbus knows no password"
        yield ("link", "host"), f"{text}; keep the port inside the machine's network"
    if cycle.plc_heartbeat_timeout_ms < 2 * cycle.heartbeat_ms:
        text = f"{cycle.plc_heartbeat_timeout_ms:g} is less than two of our own heartbeats ({cycle.heartbeat_ms:g} ms)"
        yield ("cycle", "plc_heartbeat_timeout_ms"), f"{text}; one late poll of the PLC would stop the station"
    if cycle.grace_s * 1000 < cycle.deadline_ms:
        text = f"{cycle.grace_s:g} s is shorter than deadline_ms ({cycle.deadline_ms:g})"
        yield ("cycle", "grace_s"), f"{text}; a running inspection may be cut off at shutdown"


def _any_address(host: str) -> bool:
    return host in ("", "0.0.0.0", "::", "*")  # noqa: S104 - compared, not bound


def _loopback(host: str) -> bool:
    if host in ("127.0.0.1", "::1", "localhost"):
        return True
    import ipaddress  # on the start path only where it is needed

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unusable_folder(folder: Path) -> str | None:
    """Why `folder` can neither be used nor made, or None."""
    try:
        nearest = folder
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir():
            return f"{nearest} is not a folder; name another place"
    except OSError as error:
        return f"cannot be used ({error.strerror}); name another place"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest} is not writable for this user; change its permissions or name another place"
    return None
