"""The messages between control process and carrier process: length-prefixed JSON, checked strictly and within bounds.

What comes from a carrier is not trusted: it talks to the network, and may be told to say anything.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NoReturn

from protocols.codec import COMMAND_BYTES, Codec
from protocols.faults import Code
from protocols.link import LinkState
from protocols.signals import Command
from protocols.station_view import RecipeFacts, Seat, StationFacts
from protocols.tags import Quality, TagValue, Value

MAX_MESSAGE = 64 * 1024
"""Bytes of what a carrier says at once."""
MAX_START = 16 * 2**20
"""Bytes of what a carrier is told at once: the names of all recipes of all stations."""
MAX_TEXT = 2000
MAX_NAME = 200
MAX_READINGS = 1000
MAX_STATIONS = 32
MAX_SECONDS = 1e11
_LENGTH = struct.Struct("<I")
_CODEC = Codec()


class WireError(Exception):
    """The other end sent what is not a message: end the connection."""


# ---------------------------------------------------------------- to the carrier


@dataclass(frozen=True, slots=True)
class CarriedStation:
    """A station as a carrier process is told of it; its board comes as a descriptor beside the message."""

    facts: StationFacts
    seats: tuple[Seat, ...]
    """For whom the carrier may command it."""
    link: dict[str, Any] | None = None
    """The configuration of its link, where that lives in this carrier."""


@dataclass(frozen=True, slots=True)
class CarriedDevice:
    """A device whose tags are read and written by the carrier."""

    name: str
    config: dict[str, Any]
    refresh: dict[str, float]
    """Outputs, and how often they are written anew (seconds, 0: not)."""
    first: tuple[str, ...] = ()
    """Tags to be read before the others of their group."""


@dataclass(frozen=True, slots=True)
class Start:
    """The first message to a carrier; with it come the doorbell's descriptor and one board a station, in order."""

    stations: tuple[CarriedStation, ...] = ()
    devices: tuple[CarriedDevice, ...] = ()
    server: dict[str, Any] | None = None
    """The configuration of the OPC UA server."""
    name: str = "gateway"
    """The gateway's own name."""
    data_dir: str = ""
    """Where certificates of our own making and trusted ones lie, unless the configuration says otherwise."""
    nice: int = 5
    memory_mb: int = 1024


@dataclass(frozen=True, slots=True)
class Want:
    """Have this output of a device at this value from now on."""

    device: str
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Stop:
    """End yourself."""


# ---------------------------------------------------------------- from the carrier


@dataclass(frozen=True, slots=True)
class Ready:
    """The carrier serves; `text` says where."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Alive:
    """Said every 200 ms by the loop that serves."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The carrier cannot work, and says why."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a person should know."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class Commanded:
    """A command block for the station with this number, from this seat."""

    station: int
    seat: Seat
    command: Command


@dataclass(frozen=True, slots=True)
class Linked:
    """A seat's link went up or down."""

    station: int
    seat: Seat
    state: LinkState
    reason: str


@dataclass(frozen=True, slots=True)
class Readings:
    """Tags of a device, of one moment."""

    device: str
    values: Mapping[str, TagValue]


@dataclass(frozen=True, slots=True)
class DeviceLinked:
    """A device answers, or does so no longer."""

    device: str
    up: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """A device has taken this value, or (a sentence) has not."""

    device: str
    name: str
    value: Value
    error: str


ToCarrier = Start | Want | Stop
FromCarrier = Ready | Alive | Failed | Event | Commanded | Linked | Readings | DeviceLinked | Written


class Splitter:
    """Cuts a byte stream into message bodies of at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The complete bodies after `data` has come; WireError for an impossible length."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if not 0 < length <= self._limit:
                raise WireError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield body


# ---------------------------------------------------------------- encoding


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def encode(message: ToCarrier | FromCarrier) -> bytes:
    """A message with its length in front; ValueError if it holds NaN or is too long."""
    limit = MAX_START if isinstance(message, Start) else MAX_MESSAGE
    body = _ENCODER.encode({"kind": type(message).__name__, **_flat(message)}).encode()
    if len(body) > limit:
        raise ValueError(f"a message of {len(body)} bytes, at most {limit} go")
    return _LENGTH.pack(len(body)) + body


def _flat(message: ToCarrier | FromCarrier) -> dict[str, Any]:  # noqa: PLR0911 - one a kind
    match message:
        case Commanded(station, seat, command):
            return {"station": station, "seat": int(seat), "block": _CODEC.encode_command(command).hex()}
        case Linked(station, seat, state, reason):
            return {"station": station, "seat": int(seat), "state": state.value, "reason": reason[:MAX_TEXT]}
        case Failed(code, text) | Event(code, text):
            return {"code": int(code), "text": text[:MAX_TEXT]}
        case Readings(device, values):
            return {"device": device, "values": {name: _row(value) for name, value in values.items()}}
        case DeviceLinked(device, up, reason):
            return {"device": device, "up": up, "reason": reason[:MAX_TEXT]}
        case Written(device, name, value, error):
            return {"device": device, "name": name, "value": value, "error": error[:MAX_TEXT]}
        case Start():
            return {**asdict(message), "stations": [_station(station) for station in message.stations]}
        case _:
            return {field.name: getattr(message, field.name) for field in fields(message)}


def _row(value: TagValue) -> list[Any]:
    max_age = None if math.isinf(value.max_age) else value.max_age
    plain, quality = value.value, value.quality.value
    if isinstance(plain, float) and not math.isfinite(plain):
        plain, quality = None, Quality.BAD.value
    return [plain, quality, int(value.code), value.reason[:MAX_TEXT], value.at, value.utc, max_age]


def _station(station: CarriedStation) -> dict[str, Any]:
    facts = station.facts
    recipes = [{**asdict(recipe), "digest": recipe.digest.hex()} for recipe in facts.recipes]
    told = {"name": facts.name, "boot_id": facts.boot_id, "config_crc": facts.config_crc, "recipes": recipes}
    return {"facts": told, "seats": [int(seat) for seat in station.seats], "link": station.link}


# ---------------------------------------------------------------- what a carrier is told


def _no_constant(name: str) -> NoReturn:
    raise WireError(f"{name} in a message")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _object(body: bytes) -> dict[str, Any]:
    try:
        message = _DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise WireError("a message that is not JSON") from error
    if not isinstance(message, dict):
        raise WireError("a message that is not an object")
    return message


def decode_from_control(body: bytes) -> ToCarrier:
    """A message of the control process, which is trusted; WireError if it is none."""
    message = _object(body)
    kind = message.pop("kind", None)
    try:
        match kind:
            case "Start":
                return _start(message)
            case "Want":
                return Want(**message)
            case "Stop":
                return Stop()
            case _:
                pass
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise WireError(f"a {kind} message with wrong fields: {error}") from error
    raise WireError(f"a message of unknown kind {str(kind)[:40]!r}")


def _start(message: dict[str, Any]) -> Start:
    stations = tuple(_carried(station) for station in message.pop("stations"))
    devices = tuple(CarriedDevice(**{**row, "first": tuple(row["first"])}) for row in message.pop("devices"))
    return Start(stations=stations, devices=devices, **message)


def _carried(row: dict[str, Any]) -> CarriedStation:
    facts = row["facts"]
    recipes = tuple(_recipe(recipe) for recipe in facts["recipes"])
    told = StationFacts(facts["name"], recipes, boot_id=facts["boot_id"], config_crc=facts["config_crc"])
    return CarriedStation(told, tuple(Seat(number) for number in row["seats"]), row["link"])


def _recipe(row: dict[str, Any]) -> RecipeFacts:
    return RecipeFacts(
        number=row["number"],
        name=row["name"],
        revision=row["revision"],
        description=row["description"],
        digest=bytes.fromhex(row["digest"]),
        values=tuple(row["values"]),
        checks=tuple(row["checks"]),
        codes=tuple((int(code), str(name)) for code, name in row["codes"]),
    )


# ---------------------------------------------------------------- what a carrier says


def decode_from_carrier(body: bytes) -> FromCarrier:  # noqa: PLR0911 - one a kind
    """A carrier's message, not trusted: anything odd is a WireError."""
    m = _object(body)
    match m.get("kind"):
        case "Alive":
            return Alive()
        case "Commanded":
            return Commanded(_integer(m, "station", MAX_STATIONS - 1), _seat(m), _command(m))
        case "Linked":
            state = LinkState.UP if _text(m, "state", 4) == "up" else LinkState.DOWN
            return Linked(_integer(m, "station", MAX_STATIONS - 1), _seat(m), state, _text(m, "reason"))
        case "Readings":
            return Readings(_text(m, "device", MAX_NAME), _readings(m))
        case "DeviceLinked":
            return DeviceLinked(_text(m, "device", MAX_NAME), _flag(m, "up"), _text(m, "reason"))
        case "Written":
            value = _value(m.get("value"))
            if value is None:
                raise WireError("value is missing")
            return Written(_text(m, "device", MAX_NAME), _text(m, "name", MAX_NAME), value, _text(m, "error"))
        case "Ready":
            return Ready(_text(m, "text"))
        case "Failed":
            return Failed(_code(m.get("code")), _text(m, "text"))
        case "Event":
            return Event(_code(m.get("code")), _text(m, "text"))
        case _:
            pass
    raise WireError(f"a message of unknown kind {str(m.get('kind'))[:40]!r}")


def _integer(message: dict[str, Any], name: str, high: int) -> int:
    value = message.get(name)
    if type(value) is not int or not 0 <= value <= high:
        raise WireError(f"{name} is not an integer 0…{high}")
    return value


def _text(message: dict[str, Any], name: str, limit: int = MAX_TEXT) -> str:
    return _words(message.get(name), name, limit)


def _words(value: object, name: str, limit: int = MAX_TEXT) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise WireError(f"{name} is not a text of at most {limit} characters")
    return value


def _flag(message: dict[str, Any], name: str) -> bool:
    value = message.get(name)
    if not isinstance(value, bool):
        raise WireError(f"{name} is not true or false")
    return value


def _real(value: object, name: str) -> float:
    if type(value) is int:
        value = float(value) if abs(value) <= MAX_SECONDS else math.inf
    if type(value) is not float or not 0 <= value <= MAX_SECONDS:
        raise WireError(f"{name} is not a number 0…{MAX_SECONDS:g}")
    return value


def _code(value: object) -> Code:
    try:
        return Code(value) if type(value) is int else _no_code()
    except ValueError as error:
        raise WireError("code is no fault code") from error


def _no_code() -> NoReturn:
    raise WireError("code is no fault code")


def _seat(message: dict[str, Any]) -> Seat:
    return Seat(_integer(message, "seat", max(Seat)) or _no_seat())


def _no_seat() -> NoReturn:
    raise WireError("seat 0")


def _command(message: dict[str, Any]) -> Command:
    text = _text(message, "block", 2 * COMMAND_BYTES)
    try:
        block = bytes.fromhex(text)
    except ValueError as error:
        raise WireError("block is not hexadecimal") from error
    if len(block) != COMMAND_BYTES or len(text) != 2 * COMMAND_BYTES:
        raise WireError(f"block is not {COMMAND_BYTES} bytes")
    return _CODEC.decode_command(block)


def _value(value: object) -> Value | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _words(value, "value")
    if type(value) is int and abs(value) < 2**64:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    raise WireError("value is no text, number or truth value")


def _readings(message: dict[str, Any]) -> dict[str, TagValue]:
    values = message.get("values")
    if not isinstance(values, dict) or len(values) > MAX_READINGS:
        raise WireError(f"values is not an object of at most {MAX_READINGS}")
    return {_words(name, "name", MAX_NAME): _reading(row) for name, row in values.items()}


def _reading(row: object) -> TagValue:
    if not isinstance(row, list) or len(row) != 7:
        raise WireError("a reading that is not value, quality, code, reason, at, utc and max_age")
    value, quality, code, reason, at, utc, max_age = row
    if quality not in ("good", "uncertain", "bad"):
        raise WireError("quality is not good, uncertain or bad")
    plain = _value(value)
    if plain is None and quality != "bad":
        raise WireError("a reading without a value that is not bad")
    limit = math.inf if max_age is None else _real(max_age, "max_age")
    return TagValue(
        plain, Quality(quality), _code(code), _words(reason, "reason"), _real(at, "at"), _real(utc, "utc"), limit
    )
