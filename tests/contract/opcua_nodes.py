"""An OPC UA client link on the simulated PLC: its configuration as a person would write it, and both running."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from protocols.link import LinkState
from protocols.opcua.client import OpcUaClientLink, build
from protocols.opcua.client_settings import OpcUaClientConfig
from simulators.opcua_block import DB, MEMBERS
from simulators.opcua_server import SIEMENS, Manners, S7Server

BOOLEANS = {"CONTROL", "STATUS", "RESULT_BITS"}


def every_node(plc: S7Server, *, bitwise: bool = False, copy: bool = True, **changes: Any) -> dict[str, Any]:
    """All fields; CONTROL, STATUS and RESULT_BITS as words or as single Booleans; `changes` of the other keys."""
    command: dict[str, str] = {}
    outputs: dict[str, str] = {}
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


@dataclass
class Events:
    """What a person was told."""

    told: list[tuple[int, str]] = field(default_factory=list)

    def __call__(self, code: int, text: str) -> None:
        self.told.append((code, text))

    def about(self, word: str) -> list[tuple[int, str]]:
        return [one for one in self.told if word in one[1]]


@asynccontextmanager
async def server(**manners: Any) -> AsyncIterator[S7Server]:
    """The simulated PLC's server alone, with no program in it."""
    plc = S7Server(manners=Manners(**manners))
    await plc.start()
    try:
        yield plc
    finally:
        await plc.stop()


def link_to(plc: S7Server, events: Events, **changes: Any) -> OpcUaClientLink:
    return build(OpcUaClientConfig.model_validate(every_node(plc, **changes)), events)


UP, DOWN = LinkState.UP, LinkState.DOWN
