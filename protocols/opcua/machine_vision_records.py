"""What the OPC 40100-1 face tells and is asked, as frozen records without an OPC UA library. Pure.

The names are those of OPC 40100-1; an empty Id means that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum

from protocols.opcua.machine_vision_tables import Transition
from protocols.signals import Judgement


@dataclass(frozen=True, slots=True)
class Ident:
    """MeasId, PartId: passed through unchanged. `description`: text and locale of a LocalizedText."""

    id: str = ""
    description: tuple[str, str] | None = None


NO_IDENT = Ident()


@dataclass(frozen=True, slots=True)
class BinaryId:
    """A recipe's or configuration's id; `digest` is its SHA-256."""

    id: str = ""
    version: str = ""
    digest: bytes = b""
    description: str = ""

    def named_by(self, asked: BinaryId) -> bool:
        """True when `asked` means this one: the same Id, and no other content where it names a digest."""
        return self.id == asked.id and asked.digest in (b"", self.digest)


class ResultState(IntEnum):
    """ResultStateDataType: whether processing worked, not whether the part is good."""

    UNDEFINED = 0
    COMPLETED = 1
    PROCESSING = 2
    ABORTED = 3
    FAILED = 4


class SystemState(IntEnum):
    """SystemStateDataType, after SEMI E10."""

    PRODUCTIVE = 1
    STANDBY = 2
    ENGINEERING = 3
    SCHEDULED_DOWNTIME = 4
    UNSCHEDULED_DOWNTIME = 5
    NON_SCHEDULED = 6


class MethodError(IntEnum):
    """The output argument Error: 0 is good, negative numbers are ours."""

    NONE = 0
    UNKNOWN_RECIPE = -1
    NOT_PREPARED = -2
    NO_PRODUCTS = -3
    NO_PARAMETERS = -4
    NO_SIMULATION = -5
    UNKNOWN_CONFIGURATION = -6
    UNKNOWN_RESULT = -7
    UNKNOWN_HANDLE = -8
    CONFIRM_FIRST = -9
    STILL_BUSY = -10


class Refusal(StrEnum):
    """A call that is not carried out; the value is the name of the call's StatusCode (OPC UA Part 4, §7.39)."""

    STATE = "BadInvalidState"
    SILENT = "BadNoCommunication"
    """The control process is silent: nobody would hear it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a method. With a refusal no output argument is sent; `why` is for the log and the operator."""

    error: MethodError = MethodError.NONE
    refusal: Refusal | None = None
    why: str = ""
    job_id: str = ""
    recipe: BinaryId = field(default_factory=BinaryId)
    completed: bool = False

    @property
    def good(self) -> bool:
        return self.refusal is None and self.error is MethodError.NONE


@dataclass(frozen=True, slots=True)
class NamedValue:
    """One of VALUE_0 … with the name that the recipe gives it."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Content:
    """What ResultContent carries; the order of the fields is the order of its elements."""

    good: bool = False
    judgement: Judgement = Judgement.NONE
    reason: int = 0
    reason_name: str = ""
    findings: int = 0
    score: float = 0.0
    bits: int = 0
    values: tuple[NamedValue, ...] = ()
    checks: tuple[tuple[str, bool], ...] = ()
    model_crc: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VisionResult:
    """A result of OPC 40100-1. Times in seconds since 1970 UTC, durations in ms."""

    result_id: str
    job_id: str
    state: ResultState
    created: float
    internal_recipe: BinaryId
    external_recipe: BinaryId
    internal_configuration: BinaryId
    meas: Ident = NO_IDENT
    part: Ident = NO_IDENT
    simulated: bool = False
    started: float = 0.0
    ended: float = 0.0
    acquisition_ms: float | None = None
    processing_ms: float | None = None
    content: Content = field(default_factory=Content)


class Diagnostic(IntEnum):
    """Severity of a VisionDiagnosticInfo event; told from DiagnosticLevel on (OPC 40100-1 §7.1, §11.3: 1…200)."""

    CYCLES = 50
    """Every job, from trigger to result."""
    COMMANDS = 100
    """Who drives, and what is asked of the station for a method."""
    REFUSALS = 150
    """Calls refused."""


NOTICE, IMPORTANT = 300, 400
"""Severities of VisionInformation events (OPC 40100-1 §11.3: 201…400)."""


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class StateChanged:
    """StateChangedEventType, and with `kind` ErrorEventType or ErrorResolvedEventType of the same transition."""

    transition: Transition
    kind: str = "StateChanged"
    text: str = ""


class JobStep(Enum):
    """The events that carry a JobId alone."""

    STARTED = "JobStarted"
    ACQUIRED = "AcquisitionDone"
    READY = "Ready"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """JobStartedEventType, AcquisitionDoneEventType, ReadyEventType. `at`: when it was; None = now."""

    step: JobStep
    job_id: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class RecipePrepared:
    """RecipePreparedEventType."""

    internal: BinaryId
    external: BinaryId


@dataclass(frozen=True, slots=True)
class ResultReady:
    """ResultReadyEventType."""

    result: VisionResult


@dataclass(frozen=True, slots=True)
class Told:
    """VisionInformationEventType, or with a `level` VisionDiagnosticInfoEventType."""

    text: str
    severity: int = NOTICE
    """Of information; that of a diagnostic event is its level."""
    level: Diagnostic | None = None
    job_id: str = ""
    code: int = 0


@dataclass(frozen=True, slots=True)
class SafetyReported:
    """VisionSafetyEventType."""

    triggered: bool
    information: str


class Grade(Enum):
    """The three condition types."""

    WARNING = "Warning"
    ERROR = "Error"
    PERSISTENT = "PersistentError"


@dataclass(frozen=True, slots=True)
class ConditionShown:
    """VisionWarning/Error/PersistentErrorConditionType at one moment. `comment`: text, locale and who wrote it."""

    grade: Grade
    code: int = 0
    text: str = ""
    active: bool = False
    acked: bool = True
    confirmed: bool = True
    stop_reaction: bool = False
    block_reaction: bool = False
    comment: tuple[str, str, str] = ("", "", "")
    serial: int = 0
    """Counts the changes of this condition; 0: it never held."""

    @property
    def retain(self) -> bool:
        """True while somebody has to know of it."""
        return self.active or not (self.acked and self.confirmed)


@dataclass(frozen=True, slots=True)
class ConditionChanged:
    """A condition's new state, to be told as an event of its type."""

    shown: ConditionShown


Event = StateChanged | JobEvent | RecipePrepared | ResultReady | Told | SafetyReported | ConditionChanged
