"""The messages between control process and vision worker: length-prefixed JSON, decoded strictly and within bounds."""

from __future__ import annotations

import binascii
import json
import math
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from gateway.inspection import Finding, Observation
from protocols.faults import Code

MAX_MESSAGE = 64 * 1024
MAX_FINDINGS = 100
MAX_LABELS = 1000
MAX_TEXT = 2000
MAX_LABEL = 64
MAX_CYCLE = 2**63 - 1
MAX_PIXEL = 1e6
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


class WireError(Exception):
    """The other end sent what is not a message: end the connection."""


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


@dataclass(frozen=True, slots=True)
class Inspect:
    """Take a frame into `slot` and inspect it; `attempt` 1 repeats what a dead worker had begun."""

    cycle: int
    slot: int
    part_id: int
    trigger_seq: int
    grab_budget: float
    attempt: int = 0
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


ToWorker = Start | Inspect | Picture | Stop
FromWorker = Ready | Failed | Exposed | Observed | PictureDone | CameraDown | CameraUp


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


def _rows(findings: tuple[Finding, ...]) -> list[list[Any]]:
    return [[f.label, round(f.score, 5), *(round(v, 2) for v in f.box)] for f in findings]


def encode(message: ToWorker | FromWorker) -> bytes:
    """A message with its length in front; ValueError if it holds NaN or is too long."""
    kind = type(message).__name__
    match message:
        case Observed(cycle, seen):
            flat = {
                "cycle": cycle,
                "findings": _rows(seen.findings),
                "fault": int(seen.fault),
                "detail": seen.detail[:MAX_TEXT],
                "grab": seen.grab,
                "infer": seen.infer,
                "utc": seen.exposed_utc,
                "simulated": seen.simulated,
            }
            return _frame({"kind": kind, **flat})
        case Picture():
            flat = {name: getattr(message, name) for name in ("cycle", "slot", "path", "verdict", "caption", "keep")}
            return _frame({"kind": kind, **flat, "findings": _rows(message.findings)})
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


def _real(value: object, low: float, high: float, name: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        raise WireError(f"{name} is not a number {low:g}…{high:g}")
    return float(value)  # type: ignore[arg-type]


def _text(message: dict[str, Any], name: str, limit: int = MAX_TEXT) -> str:
    value = message.get(name)
    if not isinstance(value, str) or len(value) > limit:
        raise WireError(f"{name} is not a text of at most {limit} characters")
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


def _finding(row: object, labels: frozenset[str] | None) -> Finding:
    if not isinstance(row, list) or len(row) != 6 or not isinstance(row[0], str) or len(row[0]) > MAX_LABEL:
        raise WireError("a finding that is not label, score and box")
    if labels is not None and row[0] not in labels:
        raise WireError(f"label {row[0]!r} is none of the recipe's")
    x1, y1, x2, y2 = (_real(value, 0.0, MAX_PIXEL, "box") for value in row[2:])
    if x1 > x2 or y1 > y2:
        raise WireError("a box with its corners exchanged")
    return Finding(row[0], _real(row[1], 0.0, 1.0, "score"), (x1, y1, x2, y2))


def _findings(message: dict[str, Any], labels: frozenset[str] | None) -> tuple[Finding, ...]:
    rows = message.get("findings")
    if not isinstance(rows, list) or len(rows) > MAX_FINDINGS:
        raise WireError(f"findings is not a list of at most {MAX_FINDINGS}")
    return tuple(_finding(row, labels) for row in rows)


def _observation(message: dict[str, Any], labels: frozenset[str] | None) -> Observation:
    """Nonsense becomes a fault, never an exception: the trigger it answers must end."""
    try:
        fault = _code(message, "fault")
        if fault not in OBSERVED_FAULTS:
            raise WireError(f"fault {int(fault)} is not one a worker reports")
        return Observation(
            findings=_findings(message, labels) if fault is Code.NONE else (),
            fault=fault,
            detail=_text(message, "detail"),
            grab=_real(message.get("grab"), 0.0, MAX_SECONDS, "grab"),
            infer=_real(message.get("infer"), 0.0, MAX_SECONDS, "infer"),
            exposed_utc=_real(message.get("utc"), 0.0, 1e11, "utc"),
            simulated=_flag(message, "simulated"),
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
        recipe_name=_text(message, "recipe_name"),
        sha256=_text(message, "sha256", 64),
        model_crc=_integer(message, "model_crc", 0xFFFF),
        provider=_text(message, "provider"),
        warm_up=_real(message.get("warm_up"), 0.0, MAX_SECONDS, "warm_up"),
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
                _real(message.get("utc"), 0.0, 1e11, "utc"),
                _real(message.get("grab"), 0.0, MAX_SECONDS, "grab"),
            )
            return Exposed(_integer(message, "cycle"), utc, grab)
        case "Ready":
            return Ready(_facts(message))
        case "Failed":
            return Failed(_code(message, "code"), _text(message, "text"))
        case "PictureDone":
            return PictureDone(_integer(message, "cycle"), _text(message, "path", 4096), _text(message, "error"))
        case "CameraDown":
            return CameraDown(_code(message, "code"), _text(message, "text"))
        case "CameraUp":
            return CameraUp()
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
                findings = tuple(Finding(row[0], row[1], tuple(row[2:])) for row in message.pop("findings"))
                return Picture(findings=findings, **message)
            case "Start":
                return Start(**message)
            case "Stop":
                return Stop()
            case _:
                pass
    except (TypeError, KeyError, IndexError) as error:
        raise WireError(f"a {kind} message with wrong fields") from error
    raise WireError(f"a message of unknown kind {str(kind)[:40]!r}")
