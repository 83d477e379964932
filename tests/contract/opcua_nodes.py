"""Configurations of an OPC UA client link to the simulated PLC, as a person would write them."""

from __future__ import annotations

from typing import Any

from simulators.opcua_block import DB, MEMBERS
from simulators.opcua_server import SIEMENS, S7Server

BOOLEANS = {"CONTROL", "STATUS", "RESULT_BITS"}


def every_node(plc: S7Server, *, bitwise: bool = False, copy: bool = True, **changes: Any) -> dict[str, Any]:
    """All fields; CONTROL, STATUS and RESULT_BITS as words or as single Booleans; `changes` of the other keys."""
    command, outputs = {}, {}
    for member in MEMBERS.values():
        word, _, bit = member.name.partition(".")
        if word in BOOLEANS and bool(bit) is not bitwise:
            continue
        if member.name == "RESULT_SEQ_COPY" and not copy:
            continue
        fields = command if member.struct == "Cmd" else outputs
        fields[member.name] = member.node.removeprefix(f'"{DB}"')
    return {
        "url": plc.url,
        "security": "none",
        "namespaces": {"plc": SIEMENS},
        "scan_ms": 5,
        "timeout_ms": 2000,  # the machine of a test may be busy
        "nodes": {"base": f'ns=plc;s="{DB}"', "command": command, "outputs": outputs},
        **changes,
    }
