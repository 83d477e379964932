"""The messages between control process and vision worker: length-prefixed JSON, decoded strictly and within bounds."""

from __future__ import annotations

import binascii
import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from gateway.inspection import Finding, FrameFacts, Observation
from gateway.vision.finding_rows import MAX_LABEL, WireError, findings_of, real, rows_of, sentence, text
from protocols.faults import CATALOGUE, Code, FaultClass

MAX_MESSAGE = 640 * 1024
"""More than the longest labels, texts and outlines that the bounds below allow, written in JSON."""
MAX_LABELS = 1000
MAX_TEXT = 2000
MAX_CYCLE = 2**63 - 1
MAX_SECONDS = 3600.0
_LENGTH = struct.Struct("<I")

OBSERVED_FAULTS = frozenset(
    {
        Code.NONE,
        Code.CAMERA_LINK,
        Code.FRAME_TIMEOUT,
        Code.FRAME_REPEATED,
        Code.IMAGE_INVALID,
        Code.IMAGE_FORMAT,
        Code.WORKER_DIED,
        Code.OUTPUT_INVALID,
        Code.MODEL_MISMATCH,
        Code.INTERNAL,
        Code.MEMORY,
    }
)
"""What a worker may report of one inspection."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the worker says of the recipe it loaded; seconds."""

    recipe: int = 0
    recipe_name: str = ""
    sha256: str = ""
    model_crc: int = 0
    provider: str = ""
    warm_up: float = field(default=0.0, compare=False)
    labels: tuple[str, ...] = ()
    input_width: int = 0
    input_height: int = 0
    simulated: bool = False
    missed: str = ""
    """Why not what was wished first runs the network, in one sentence; "" if it does."""


@dataclass(frozen=True, slots=True)
class Start:
    """The first message to a worker: settings as JSON values, the recipe's folder."""

    camera: dict[str, Any]
    engine: dict[str, Any]
    worker: dict[str, Any]
    frames: dict[str, Any]
    recipe: str
    content: dict[str, Any] | None = None
    """The recipe as the control process read it; None: read the folder's."""
    overlap: bool = False
    """The next frame is taken while the last one is judged."""


@dataclass(frozen=True, slots=True)
class Inspect:
    """Take a frame into `slot` and inspect it; `attempt` 1 repeats what a dead worker had begun."""

    cycle: int
    slot: int
    part_id: int
    trigger_seq: int
    grab_budget: float
    attempt: int = 0
    triggered: float = 0.0
    """When the trigger was accepted, by the monotonic clock that all processes of a computer share."""
    frame: int = 0
    """The frame that was the trigger, as FrameCame named it; 0: none was."""
    reuse_frame: bool = False
    """The exposure was done and reported: judge the frame in the slot, never a new one."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Draw the findings onto the frame of `cycle` and write it to `path`; keep the newest `keep` of its folder."""

    cycle: int
    slot: int
    path: str
    verdict: str
    caption: str = ""
    findings: tuple[Finding, ...] = ()
    keep: int = 20


@dataclass(frozen=True, slots=True)
class Lead:
    """You are the active one: take hold of the camera, where only one process can have it."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End yourself."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Model loaded and warmed up."""

    facts: ModelFacts


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot start, and says why."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class Exposed:
    """The frame is in its slot: the part may move. Wall clock of the exposure, seconds the grab took."""

    cycle: int
    utc: float
    grab: float


@dataclass(frozen=True, slots=True)
class Observed:
    """The outcome of one inspection."""

    cycle: int
    observation: Observation


@dataclass(frozen=True, slots=True)
class PictureDone:
    """A picture was written, or `error` says why not."""

    cycle: int
    path: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class CameraDown:
    """The camera is gone; the worker goes on trying."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class CameraUp:
    """The camera is back."""


@dataclass(frozen=True, slots=True)
class FrameCame:
    """A frame came that is a trigger itself; its number is never used again by this process."""

    number: int


ToWorker = Start | Inspect | Picture | Lead | Stop
FromWorker = Ready | Failed | Exposed | Observed | PictureDone | CameraDown | CameraUp | FrameCame


def model_crc(sha256: str) -> int:
    """The 16-bit mark of a model in the result block: CRC-16/XMODEM of its SHA-256 (hex), never 0."""
    return binascii.crc_hqx(bytes.fromhex(sha256), 0) or 1


class Splitter:
    """Cuts a byte stream into message bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The complete bodies after `data` has come; WireError for an impossible length."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if not 0 < length <= MAX_MESSAGE:
                raise WireError(f"message of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield body


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def _frame(message: dict[str, Any]) -> bytes:
    body = _ENCODER.encode(message).encode()
    if len(body) > MAX_MESSAGE:
        raise ValueError(f"message of {len(body)} bytes, at most {MAX_MESSAGE} go")
    return _LENGTH.pack(len(body)) + body


def encode(message: ToWorker | FromWorker) -> bytes:
    """A message with its length in front; ValueError if it holds NaN or is too long."""
    kind = type(message).__name__
    match message:
        case Observed(cycle, seen):
            flat = {
                "cycle": cycle,
                "findings": rows_of(seen.findings),
                "fault": int(seen.fault),
                "detail": seen.detail[:MAX_TEXT],
                "grab": seen.grab,
                "infer": seen.infer,
                "utc": seen.exposed_utc,
                "simulated": seen.simulated,
                "frame": [seen.frame.number, seen.frame.device_time, seen.frame.clock_jumped],
            }
            return _frame({"kind": kind, **flat})
        case Picture():
            flat = {name: getattr(message, name) for name in ("cycle", "slot", "path", "verdict", "caption", "keep")}
            return _frame({"kind": kind, **flat, "findings": rows_of(message.findings)})
        case Failed(code, text) | CameraDown(code, text):
            return _frame({"kind": kind, "code": int(code), "text": text[:MAX_TEXT]})
        case Ready(facts):
            return _frame({"kind": kind, **asdict(facts)})
        case _:
            return _frame({"kind": kind, **{name: getattr(message, name) for name in message.__slots__}})


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


def _integer(message: dict[str, Any], name: str, high: int = MAX_CYCLE) -> int:
    value = message.get(name)
    if type(value) is not int or not 0 <= value <= high:
        raise WireError(f"{name} is not an integer 0…{high}")
    return value


def _flag(message: dict[str, Any], name: str) -> bool:
    value = message.get(name)
    if not isinstance(value, bool):
        raise WireError(f"{name} is not true or false")
    return value


def _code(message: dict[str, Any], name: str) -> Code:
    try:
        return Code(_integer(message, name, 0xFFFF))
    except ValueError as error:
        raise WireError(f"{name} is no fault code") from error


def _ailment(message: dict[str, Any]) -> Code:
    """Why nobody can look: a fault, or nothing seen would count as nothing found."""
    code = _code(message, "code")
    if code is Code.NONE or CATALOGUE[code].cls is not FaultClass.FAULT:
        raise WireError(f"code {int(code)} is no fault")
    return code


def _frame_facts(row: object) -> FrameFacts:
    match row:
        case [int() | None as number, int() | float() | None as at, bool() as jumped] if type(number) is not bool:
            if number is not None and not 0 <= number <= 2**64:
                raise WireError("a frame number that is none")
            seconds = None if at is None else real(at, -1e12, 1e12, "device time")
            return FrameFacts(number=number, device_time=seconds, clock_jumped=jumped)
        case _:
            pass
    raise WireError("frame is not number, device time and whether the clock jumped")


def _observation(message: dict[str, Any], labels: frozenset[str] | None) -> Observation:
    """Nonsense becomes a fault, never an exception: the trigger it answers must end."""
    try:
        fault = _code(message, "fault")
        if fault not in OBSERVED_FAULTS:
            raise WireError(f"fault {int(fault)} is not one a worker reports")
        return Observation(
            findings=findings_of(message, labels) if fault is Code.NONE else (),
            fault=fault,
            detail=sentence(message, "detail", MAX_TEXT),
            grab=real(message.get("grab"), 0.0, MAX_SECONDS, "grab"),
            infer=real(message.get("infer"), 0.0, MAX_SECONDS, "infer"),
            exposed_utc=real(message.get("utc"), 0.0, 1e11, "utc"),
            simulated=_flag(message, "simulated"),
            frame=_frame_facts(message.get("frame")),
        )
    except WireError as error:
        return Observation(fault=Code.OUTPUT_INVALID, detail=f"the vision process answered nonsense: {error}")


def _facts(message: dict[str, Any]) -> ModelFacts:
    labels = message.get("labels")
    if not isinstance(labels, list) or len(labels) > MAX_LABELS:
        raise WireError(f"labels is not a list of at most {MAX_LABELS}")
    if not all(isinstance(label, str) and len(label) <= MAX_LABEL for label in labels):
        raise WireError(f"a label that is not a text of at most {MAX_LABEL} characters")
    return ModelFacts(
        recipe=_integer(message, "recipe", 0xFFFF),
        recipe_name=sentence(message, "recipe_name", MAX_TEXT),
        sha256=text(message, "sha256", 64),
        model_crc=_integer(message, "model_crc", 0xFFFF),
        provider=sentence(message, "provider", MAX_TEXT),
        missed=sentence(message, "missed", MAX_TEXT),
        warm_up=real(message.get("warm_up"), 0.0, MAX_SECONDS, "warm_up"),
        labels=tuple(labels),
        input_width=_integer(message, "input_width", 2**20),
        input_height=_integer(message, "input_height", 2**20),
        simulated=_flag(message, "simulated"),
    )


def decode_from_worker(body: bytes, labels: frozenset[str] | None = None) -> FromWorker:  # noqa: PLR0911 - one a kind
    """A worker's message, not trusted: findings may carry only `labels`, nonsense is a WireError."""
    message = _object(body)
    match message.get("kind"):
        case "Observed":
            return Observed(_integer(message, "cycle"), _observation(message, labels))
        case "Exposed":
            utc, grab = (
                real(message.get("utc"), 0.0, 1e11, "utc"),
                real(message.get("grab"), 0.0, MAX_SECONDS, "grab"),
            )
            return Exposed(_integer(message, "cycle"), utc, grab)
        case "Ready":
            return Ready(_facts(message))
        case "Failed":
            return Failed(_ailment(message), sentence(message, "text", MAX_TEXT))
        case "PictureDone":
            path, error = text(message, "path", 4096), sentence(message, "error", MAX_TEXT)
            return PictureDone(_integer(message, "cycle"), path, error)
        case "CameraDown":
            return CameraDown(_ailment(message), sentence(message, "text", MAX_TEXT))
        case "CameraUp":
            return CameraUp()
        case "FrameCame":
            return FrameCame(_integer(message, "number"))
        case _:
            pass
    raise WireError(f"a message of unknown kind {str(message.get('kind'))[:40]!r}")


def decode_from_control(body: bytes) -> ToWorker:
    """A message of the control process, which is trusted; WireError if it is none."""
    message = _object(body)
    kind = message.pop("kind", None)
    try:
        match kind:
            case "Inspect":
                return Inspect(**message)
            case "Picture":
                return Picture(**(message | {"findings": findings_of(message, None)}))
            case "Start":
                return Start(**message)
            case "Lead":
                return Lead()
            case "Stop":
                return Stop()
            case _:
                pass
    except (TypeError, KeyError, IndexError) as error:
        raise WireError(f"a {kind} message with wrong fields") from error
    raise WireError(f"a message of unknown kind {str(kind)[:40]!r}")
