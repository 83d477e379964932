"""What a PLC demands of the gateway as Modbus server, as data: the list that `gateway plc check` works through."""

from __future__ import annotations

from gateway.plc.acceptance import Check, Group
from gateway.plc.request_cases import STREAMS, request_cases
from protocols.modbus.registers import RegisterMap

_GUIDE = "is this the gateway of this project, and its newest version? Send the report with its log to the supplier"

LINK = Group(
    "A",
    "Link",
    (
        Check(
            "reach",
            "TCP connection",
            "host and port accept a connection within 2 s",
            "start the gateway; compare host and port with `link` in its configuration; look for a firewall, and for "
            "`allow` in the configuration",
        ),
        Check(
            "answers",
            "Unit answers",
            "a read of 64 registers (status and result) is answered",
            "compare unit and addresses with `gateway map FILE`",
        ),
        Check(
            "latency",
            "Read of status and result",
            "99 of 100 reads end within 100 ms",
            "look for a busy network, a wireless link, or other programs on the gateway's computer",
        ),
        Check(
            "second",
            "Second master",
            "another connection is answered beside the first",
            "raise max_connections, or end programs that hold connections",
        ),
        Check(
            "alone",
            "No other master writes",
            "the command block stays as it is while nobody of us writes it",
            "stop the PLC or disconnect it; then start the check anew",
        ),
    ),
)
MEANING = Group(
    "B",
    "Map and orders",
    (
        Check(
            "version", "MAP_VERSION", "reads 1", "is this a gateway, and are the addresses those of `gateway map FILE`?"
        ),
        Check(
            "words",
            "Word order by the signature",
            "16#1234, 16#12345678 and 123.456 in the word order of the PLC",
            "set word_order of the station's link to the PLC's, or swap the words in the PLC program",
        ),
        Check(
            "strings",
            "String order by the signature",
            "ABCDEFGH in the string order of the PLC",
            "set string_order of the station's link to the PLC's",
        ),
        Check(
            "mirror",
            "Mirror",
            "holding registers show the same 74 words as input registers",
            "compare mirror_address with `gateway map FILE`",
        ),
        Check(
            "discrete",
            "Discrete inputs",
            "the 32 discrete inputs are STATUS and RESULT_BITS",
            "compare the addresses with `gateway map FILE`",
        ),
        Check("boot", "BOOT_ID and CONFIG_CRC", "neither is 0", _GUIDE),
    ),
)
RIGHTS = Group(
    "C",
    "Access rights",
    (
        Check("fc16", "FC16 writes the command block", "32 words in one request, read back the same", _GUIDE),
        Check("fc6", "FC6 writes one word", "USER_0 reads back, its neighbours stay", _GUIDE),
        Check("fc5", "FC5 writes one coil", "coil 8 is bit 8 of CONTROL, both ways", _GUIDE),
        Check("fc15", "FC15 writes coils", "coils 8 to 15 are bits 8 to 15 of CONTROL", _GUIDE),
        Check("fc22", "FC22 masks one word", "USER_1 changes in the masked bits only", _GUIDE),
        Check("fc23", "FC23 writes and reads", "written first, then read, in one request", _GUIDE),
        Check("readonly", "Status, result and signature are read-only", "a write gets exception 02", _GUIDE),
    ),
)
HEARTBEATS = Group(
    "F",
    "Heartbeats",
    (
        Check(
            "beat",
            "The gateway's heartbeat",
            "HEARTBEAT counts up by one at a steady pace, at most 1 s apart",
            "the control loop is held up: look for other programs on the gateway's computer",
        ),
        Check(
            "lost",
            "The PLC's heartbeat stops",
            "NOT_READY_REASON 3002 and FailSafe within 5 s",
            "compare plc_heartbeat_timeout_ms",
        ),
        Check("back", "The PLC's heartbeat returns", "3002 is gone within 2 s", _GUIDE),
        Check("clear", "ClearFault", "FAULT_CODE holds 3002 until ClearFault rises, then reads 0", _GUIDE),
    ),
)
COMMANDS = Group(
    "G",
    "Commands",
    (
        Check(
            "recipe_bit",
            "Unknown recipe by Execute",
            "CommandFailed, COMMAND_RESULT 3007, then 0",
            _GUIDE,
        ),
        Check("recipe_seq", "Unknown recipe by COMMAND_SEQ", "COMMAND_SEQ_ACK, COMMAND_RESULT 3007", _GUIDE),
        Check("command", "Unknown command", "COMMAND_RESULT 3007", _GUIDE),
        Check("kept", "The recipe stays", "RECIPE_ACTIVE is the same after all refusals", _GUIDE),
        Check(
            "activate",
            "Active recipe activated again",
            "COMMAND_RESULT 2, then Ready",
            "see the gateway's log",
        ),
        Check("reset", "Counters reset", "COMMAND 2 sets MISSED and LOST to 0", _GUIDE),
    ),
)
TRIGGERS = Group(
    "H",
    "Triggers",
    (
        Check("blank", "Blank command block", "is no trigger and no refusal", _GUIDE),
        Check("disabled", "Trigger without Enable", "refused with 3009, MISSED + 1, no result", _GUIDE),
        Check("ready", "Enable", "Ready within 15 s", "see the reason found, and `gateway plc watch`"),
        Check("zero", "TRIGGER_SEQ 0", "is no trigger", _GUIDE),
        Check("again", "TRIGGER_SEQ repeated", "inspected once: the stored result again, reason 3004", _GUIDE),
        Check("wrong_ack", "Acknowledgement of another number", "ignored: the result stays valid", _GUIDE),
        Check("busy", "Trigger while busy", "refused with 3003, the running inspection is untouched", _GUIDE),
        Check("skip", "TRIGGER_SEQ skips numbers", "accepted", _GUIDE),
        Check("wrap", "TRIGGER_SEQ 65535, then 1", "both accepted, both answered", _GUIDE),
        Check("part", "PART_ID 16#FFFFFFFF and a SERIAL of 32 characters", "accepted, PART_ID echoed", _GUIDE),
        Check("held", "Trigger bit held high", "one inspection; TriggerAck until it falls", _GUIDE),
    ),
)
_CYCLE = (
    ("parts", "Parts inspected", "every part has its own result: OK, NG or RECHECK", "see the codes found"),
    (
        "time",
        "Trigger to result",
        "99 of 100 within the PLC's time-out",
        "use a faster model, or wait longer",
    ),
    ("whole", "Blocks whole", "RESULT_SEQ equals RESULT_SEQ_COPY in every read", _GUIDE),
    ("order", "Numbers and toggle", "RESULT_SEQ counts by one, ResultToggle flips with each result", _GUIDE),
    ("ack", "Acknowledged", "ResultValid falls, PENDING is 0", _GUIDE),
)
SEQUENCE = Group("I", "Trigger cycle in sequence style", tuple(Check(f"sequence_{row[0]}", *row[1:]) for row in _CYCLE))
BITS = Group("J", "Trigger cycle in bit style", tuple(Check(f"bits_{row[0]}", *row[1:]) for row in _CYCLE))


def groups(registers: RegisterMap, unit: int) -> tuple[Group, ...]:
    """All groups for a station with this map and unit id."""
    cases = tuple(
        Check(f"request_{n}", case.name, case.demanded, _GUIDE) for n, case in enumerate(request_cases(registers, unit))
    )
    streams = tuple(Check(stream.key, stream.name, stream.demanded, _GUIDE) for stream in STREAMS)
    requests, framing = Group("D", "Requests that must be refused", cases), Group("E", "Framing", streams)
    return (LINK, MEANING, RIGHTS, requests, framing, HEARTBEATS, COMMANDS, TRIGGERS, SEQUENCE, BITS)
