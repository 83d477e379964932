"""Tags of a CNC that node-opcua serves from the official nodeset of OPC 40502: found by type, watched, written.

The head of node_opcua.py says in which version the package comes, and how.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from protocols.faults import Code
from protocols.tags import Quality
from tests.contract.test_links import until
from tests.contract.test_opcua_tag_source import R20, R21, config, watched
from tests.interop import node_opcua
from tests.interop.node_peer import environment
from tests.scenario.stand import free_port

NODESET = node_opcua.NODESETS / "Opc.Ua.CNC.NodeSet.xml"
PATIENCE = 30.0
TAGS: list[dict[str, Any]] = [
    {"name": "program_state"},
    {"name": "tool_id"},
    {"name": "asked", "node": f"nsu=SinumerikVarProvider;s={R20}", "type": "uint32"},
    {"name": "answer", "node": f"nsu=SinumerikVarProvider;s={R21}", "access": "write"},
]


pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
]


class Control:
    """The server as a child process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def control(port: int, home: Path) -> AsyncIterator[Control]:
    process = await asyncio.create_subprocess_exec(
        "node", str(Path(__file__).with_name("node_cnc.js")), str(port), str(NODESET),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=environment(home),
    )  # fmt: skip
    made = Control(process)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while b"listening" not in (line := await process.stdout.readline()):
                assert line, "the server ended"
        yield made
    finally:
        await made.kill()
        # asyncio would close the pipe only when it is collected.
        process._transport.close()  # type: ignore[attr-defined]


async def test_another_stack_s_cnc_is_found_watched_written_and_found_again(tmp_path: Path) -> None:
    port = free_port()
    async with watched(config(port, "cnc", TAGS)) as (book, source):
        async with control(port, tmp_path) as cnc:
            await until(lambda: book.good("tool_id") == 3, PATIENCE)
            assert (book.good("program_state"), book.good("asked")) == ("running", 0)
            cnc.say("tool 12")
            cnc.say("asked 7")
            await until(lambda: book.good("tool_id") == 12 and book.good("asked") == 7, PATIENCE)
            source.want("answer", -7)
            await until(lambda: source.taken("answer") == -7, PATIENCE)
            rested = book.current["program_state"].at
            await until(lambda: book.current["program_state"].at > rested + 1, PATIENCE)
            assert book.good("program_state") == "running"
            cnc.say("bad")
            await until(lambda: book.current["asked"].quality is Quality.BAD, PATIENCE)
            assert "BadDeviceFailure" in book.current["asked"].reason
            assert book.good("tool_id") == 12
            await cnc.kill()
            await until(lambda: book.links[-1] is False, PATIENCE)
            assert {reading.code for reading in book.current.values()} == {Code.LINK_LOST}
        async with control(port, tmp_path):
            await until(lambda: book.good("tool_id") == 3, PATIENCE)
            await until(lambda: source.taken("answer") == -7, PATIENCE)
