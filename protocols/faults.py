"""The catalogue of fault codes: one row a code, from which CLI, log, HMI and docs speak."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, unique


class FaultClass(Enum):
    """What a code does to the station."""

    FAULT = "F"
    """Ready off; a running trigger ends as FAULT."""
    DEGRADED = "D"
    """Results go on, the Degraded bit is set."""
    REFUSED = "R"
    """A request was refused, the cycle is untouched."""
    SECURITY = "S"
    """Somebody was turned away, the cycle is untouched."""


@unique
class Code(IntEnum):
    """Fault codes by name; 0 is none."""

    NONE = 0
    CAMERA_LINK = 1001
    FRAME_TIMEOUT = 1002
    FRAME_REPEATED = 1003
    IMAGE_INVALID = 1004
    IMAGE_FORMAT = 1005
    MODEL_LOAD = 2001
    MODEL_HASH = 2002
    DEADLINE_MISSED = 2003
    WORKER_DIED = 2004
    OUTPUT_INVALID = 2005
    MODEL_MISMATCH = 2006
    CRASH_LOOP = 2007
    NOTHING_TO_LOOK_AT = 2008
    ENGINE_UNPROVEN = 2009
    ENGINE_FALLBACK = 2010
    LINK_LOST = 3001
    PLC_HEARTBEAT_LOST = 3002
    TRIGGER_WHILE_BUSY = 3003
    REPEATED_SEQ = 3004
    ACK_TIMEOUT = 3005
    OUT_OF_ORDER = 3006
    UNKNOWN_RECIPE = 3007
    TOO_FAST = 3008
    NOT_ENABLED = 3009
    ABORTED = 3010
    COMMAND_TIMEOUT = 3011
    OFFLINE = 3012
    REQUEST_REFUSED = 3013
    DRIVEN_BY_OTHER = 3014
    TAG_DOUBTFUL = 3020
    OUTPUT_FAILED = 3021
    STORE_WRITE = 4001
    DISK_LOW = 4002
    DISK_FULL = 4003
    STORE_CORRUPT = 4004
    ARCHIVE_BACKLOG = 4005
    INTERNAL = 5001
    LOOP_STALLED = 5002
    CLOCK_STEPPED = 5003
    MEMORY = 5004
    STOPPING = 5005
    RESTARTED = 5006
    STARTING = 5007
    CERT_EXPIRED = 6001
    CERT_EXPIRES = 6002
    PEER_REFUSED = 6003
    CLIENT_LIMIT = 6004
    FRAMING = 6005
    CONFIG_INVALID = 7001
    CONFIG_ROLLED_BACK = 7002
    BROKER_DOWN = 8001
    OUTBOX_FULL = 8002
    REMOTE_STORE_DOWN = 8003


@dataclass(frozen=True, slots=True)
class FaultInfo:
    """One row of the catalogue: what happened, why it happens, what a person at the machine does."""

    code: Code
    cls: FaultClass
    text: str
    cause: str
    remedy: str

    @property
    def name(self) -> str:
        return self.code.name.lower()


_F, _D, _R, _S = FaultClass.FAULT, FaultClass.DEGRADED, FaultClass.REFUSED, FaultClass.SECURITY

_ROWS = (
    (
        Code.CAMERA_LINK,
        _F,
        "Camera not reachable",
        "cable, power or network of the camera; folder missing",
        "Check cable and power; the station comes back by itself",
    ),
    (
        Code.FRAME_TIMEOUT,
        _F,
        "No frame within the grab time",
        "camera waits for a hardware trigger, or is overloaded",
        "Check trigger wiring and exposure; raise grab_timeout_ms if the camera is merely slow",
    ),
    (
        Code.FRAME_REPEATED,
        _F,
        "The same frame came twice",
        "frozen camera or driver",
        "Restart the camera; the frame was not judged",
    ),
    (
        Code.IMAGE_INVALID,
        _F,
        "Image cannot be judged",
        "black, saturated, or the file is corrupt",
        "Check light, lens cap and exposure; replace the corrupt file",
    ),
    (
        Code.IMAGE_FORMAT,
        _F,
        "Image has another size or format than configured",
        "camera settings were changed",
        "Set the camera back, or change width, height and max_bytes in the configuration",
    ),
    (
        Code.MODEL_LOAD,
        _F,
        "Model cannot be loaded",
        "file missing, damaged, needs too much memory, or uses an operator this engine lacks",
        "Run `gateway check`; copy the model file again",
    ),
    (
        Code.MODEL_HASH,
        _F,
        "Model file is not the one the recipe names",
        "the file was changed after its SHA-256 was written into the recipe",
        "Restore the file, or put the new SHA-256 into recipe.yaml after a test",
    ),
    (
        Code.DEADLINE_MISSED,
        _F,
        "No verdict within the decision deadline",
        "model too slow for this computer, or another program uses the cores",
        "See TOTAL of earlier results; raise deadline_ms or use a faster model",
    ),
    (
        Code.WORKER_DIED,
        _F,
        "The vision process died during the inspection",
        "crash in a driver, codec or engine, or out of memory",
        "It is replaced by itself; if it repeats, see the log for the signal it died of",
    ),
    (
        Code.OUTPUT_INVALID,
        _F,
        "The network's output makes no sense",
        "NaN, infinite or wrongly shaped output",
        "Run `gateway check`; the model may not fit the recipe's format",
    ),
    (
        Code.MODEL_MISMATCH,
        _F,
        "Model and recipe do not fit",
        "inputs or outputs have other names or shapes",
        "Compare recipe.yaml with the model; run `gateway check`",
    ),
    (
        Code.CRASH_LOOP,
        _F,
        "The vision process died too often and is held",
        "model, driver or memory fault at every start",
        "Mend the cause told in the log, then set ClearFault",
    ),
    (
        Code.NOTHING_TO_LOOK_AT,
        _F,
        "A step of the recipe had nothing to look at",
        "the part is missing, out of the picture, or not found",
        "Compare the picture with the recipe's steps; a rule on the label unseen gives a code of its own",
    ),
    (
        Code.ENGINE_UNPROVEN,
        _F,
        "This engine has not been compared with the reference",
        "the model, the engine, its version or the computer is new, or the comparison failed",
        "Run `gateway model compare` with pictures of parts, or use kind onnxruntime on the cpu",
    ),
    (
        Code.ENGINE_FALLBACK,
        _D,
        "The network runs on another device than wished",
        "the graphics card, its driver or package is missing, or cannot run this network",
        "See the log for what is missing; mend it, or change the wish list (engine)",
    ),
    (
        Code.LINK_LOST,
        _F,
        "No connection to the PLC",
        "PLC off, cable, address, or another client holds its only connection",
        "Check PLC and network; the gateway reconnects by itself",
    ),
    (
        Code.PLC_HEARTBEAT_LOST,
        _F,
        "The PLC's heartbeat stopped",
        "PLC in STOP, its program stuck, or the network is down",
        "Put the PLC into RUN; Ready returns with the next beat",
    ),
    (
        Code.TRIGGER_WHILE_BUSY,
        _R,
        "Trigger while busy",
        "the PLC triggered before Ready",
        "Wait for Ready before each trigger",
    ),
    (
        Code.REPEATED_SEQ,
        _R,
        "Trigger number repeated",
        "the PLC sent the same TRIGGER_SEQ for the same part again",
        "None needed: the stored result is shown again",
    ),
    (
        Code.ACK_TIMEOUT,
        _D,
        "The PLC does not acknowledge results",
        "RESULT_ACK_SEQ or ResultAck is never written",
        "Acknowledge each result, or set `queue: 0` if the PLC only reads the newest",
    ),
    (
        Code.OUT_OF_ORDER,
        _R,
        "Request out of order",
        "an ack of a result not shown, number 0 after 65535, Trigger held at connection, or a recipe change while busy",
        "Follow the trigger cycle; count 1…65535, then 1",
    ),
    (
        Code.UNKNOWN_RECIPE,
        _R,
        "No such recipe or command",
        "COMMAND or COMMAND_PARAM names nothing this station has",
        "Use a recipe number listed by `gateway check`",
    ),
    (
        Code.TOO_FAST,
        _R,
        "Triggers come too fast",
        "more triggers than min_trigger_interval_ms allows",
        "Slow down, or lower min_trigger_interval_ms",
    ),
    (Code.NOT_ENABLED, _R, "Station is not enabled", "the Enable bit is 0", "Set CONTROL bit 0 (Enable)"),
    (Code.ABORTED, _F, "Inspection aborted by the PLC", "the Abort bit was set", "None needed"),
    (
        Code.COMMAND_TIMEOUT,
        _R,
        "Command not finished in time",
        "a recipe takes too long to load",
        "Raise command_timeout_s or see the log",
    ),
    (Code.OFFLINE, _R, "Station was taken offline", "command 3 (go offline) was given", "Give command 4 (go online)"),
    (
        Code.REQUEST_REFUSED,
        _R,
        "A request got an exception answer",
        "the PLC program asks for a register, quantity or function that the map does not have",
        "Compare the addresses in the PLC program with `gateway map`",
    ),
    (
        Code.DRIVEN_BY_OTHER,
        _R,
        "Another one drives this station",
        "the station was enabled over OPC UA while the PLC's Enable was 0, and is still held there",
        "Look who drives (variable Driver, log line `driver`); let it disable the station, then enable it here",
    ),
    (
        Code.TAG_DOUBTFUL,
        _R,
        "A device's value cannot be trusted",
        "it is old, outside its range or no number, or the device refuses it",
        "See the reason beside the value; check the tag's address, type, range and poll period",
    ),
    (
        Code.OUTPUT_FAILED,
        _F,
        "An output of the station cannot be written",
        "the device of a reject gate or lamp does not answer, or refuses the value",
        "Check the device and the tag named in the log; Ready returns with the next write that succeeds",
    ),
    (
        Code.STORE_WRITE,
        _F,
        "History cannot be written",
        "disk slow, locked or read-only",
        "Check the data directory's disk; results are held back until it is writable",
    ),
    (Code.DISK_LOW, _D, "Disk space low", "pictures or logs fill the disk", "Free space in the data directory"),
    (
        Code.DISK_FULL,
        _F,
        "Disk full",
        "pictures, logs or another program filled the disk",
        "Free space in the data directory; the station comes back by itself",
    ),
    (
        Code.STORE_CORRUPT,
        _D,
        "History was damaged and set aside",
        "power loss on a faulty disk",
        "Nothing to do for production; keep the *.corrupt file for analysis",
    ),
    (
        Code.ARCHIVE_BACKLOG,
        _D,
        "Pictures are not written fast enough",
        "disk too slow",
        "Keep fewer pictures; they are skipped, results are not",
    ),
    (
        Code.INTERNAL,
        _F,
        "Internal error",
        "a defect of the gateway",
        "Note the time, send the log; the station restarts by itself",
    ),
    (
        Code.LOOP_STALLED,
        _D,
        "Control loop was held up",
        "computer overloaded or suspended",
        "Look for other programs on this computer",
    ),
    (
        Code.CLOCK_STEPPED,
        _D,
        "The computer's clock jumped",
        "time was set by hand or by NTP",
        "None for production: no deadline depends on it",
    ),
    (
        Code.MEMORY,
        _F,
        "Out of memory",
        "model or image too large for the limit",
        "Raise memory_limit_mb or use a smaller model",
    ),
    (Code.STOPPING, _F, "Gateway is stopping", "service stop or shutdown", "Start it again"),
    (
        Code.RESTARTED,
        _F,
        "Gateway restarted during the inspection, or a trigger stood there before it looked",
        "power loss, crash or restart; a trigger written before Ready",
        "Inspect the part again, with a new trigger number",
    ),
    (
        Code.STARTING,
        _F,
        "Gateway is starting",
        "model and camera are being made ready",
        "Wait; if it stays, see the log",
    ),
    (Code.CERT_EXPIRED, _F, "Own certificate expired", "not renewed in time", "Make a new certificate"),
    (Code.CERT_EXPIRES, _D, "Own certificate expires soon", "not renewed yet", "Make a new certificate in time"),
    (
        Code.PEER_REFUSED,
        _S,
        "A peer was refused",
        "its address or certificate is not allowed",
        "Allow it in the configuration if it is yours",
    ),
    (
        Code.CLIENT_LIMIT,
        _S,
        "Too many connections",
        "a client leaks connections, or more clients than max_connections",
        "Find the client in the log; raise max_connections if it is right",
    ),
    (
        Code.FRAMING,
        _S,
        "A peer sent a broken frame and was disconnected",
        "not a Modbus TCP client, or a faulty one",
        "Find the client by its address in the log",
    ),
    (
        Code.CONFIG_INVALID,
        _F,
        "Configuration invalid",
        "a value or file named in the message",
        "Run `gateway check` and mend what it names",
    ),
    (
        Code.CONFIG_ROLLED_BACK,
        _D,
        "Change undone, the former state runs on",
        "the new recipe or configuration failed its check",
        "See the log for what failed",
    ),
    (
        Code.BROKER_DOWN,
        _D,
        "Message broker not reachable",
        "network or broker",
        "None for production; messages wait in the outbox",
    ),
    (
        Code.OUTBOX_FULL,
        _D,
        "Outbox full",
        "broker away too long",
        "Restore the broker; the oldest messages are dropped",
    ),
    (
        Code.REMOTE_STORE_DOWN,
        _D,
        "Remote data base not reachable",
        "network or data base",
        "None for production; records wait",
    ),
)

CATALOGUE: dict[int, FaultInfo] = {int(row[0]): FaultInfo(*row) for row in _ROWS}


def describe(code: int) -> str:
    """One line for people: number, text and what to do; unknown numbers say so."""
    info = CATALOGUE.get(code)
    if info is None:
        return f"{code}: unknown code"
    return f"{code} {info.text}. {info.remedy}."


def fault_class(code: int) -> FaultClass:
    """The class of a code; an unknown one counts as a fault (fail-safe)."""
    info = CATALOGUE.get(code)
    return FaultClass.FAULT if info is None else info.cls
