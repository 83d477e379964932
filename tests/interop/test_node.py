"""The map as node's modbus-serial sees it, in both roles: a whole trigger cycle.

The package is fetched once into the build folder, in this version, without its serial port:
npm install --prefix build/node --omit=optional --no-audit --no-fund --no-package-lock modbus-serial@8.0.25
"""

import asyncio
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.server import ModbusServer
from tests.contract.test_links import running
from tests.contract.vision import Vision
from tests.scenario.stand import free_port

PACKAGES = Path(__file__).parents[2] / "build" / "node" / "node_modules"
VERSION = re.search(r"modbus-serial@(\S+)", __doc__ or "")[1]  # type: ignore[index]


def missing() -> str:
    """Why these tests cannot run; empty when they can."""
    if shutil.which("node") is None:
        return "node is not installed"
    package = PACKAGES / "modbus-serial" / "package.json"
    if not package.exists():
        return f"modbus-serial is not in {PACKAGES.parent}; the head of this file says how it comes there"
    found = json.loads(package.read_text(encoding="utf-8"))["version"]
    return "" if found == VERSION else f"modbus-serial is {found}, these tests want {VERSION}"


pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing())]


async def node(script: str, port: int) -> Any:
    """What the script prints."""
    process = await asyncio.create_subprocess_exec(
        "node", str(Path(__file__).with_name(script)), str(port),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "NODE_PATH": str(PACKAGES)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(25):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return json.loads(out)


async def test_a_master_reads_the_signature_and_runs_a_cycle() -> None:
    server = ModbusServer("127.0.0.1", 0)
    vision = Vision(server.unit(1))
    async with running(server.run()), running(vision.run()):
        await server.bound.wait()
        saw = await node("node_master.js", server.port)
    assert (saw["udint"], saw["text"], saw["mirror"]) == (0x12345678, "ABCDEFGH", True)
    assert saw["real"] == pytest.approx(123.456, rel=1e-6)
    assert (saw["enabled"], saw["user"]) == ([True, False], 0x0501)
    assert saw["result"] == {"seq": 1, "copy": 1, "trigger": 4711, "part": 65538}
    assert (saw["judgement"], saw["bits"]) == (2, [True, False, True])  # the part's number is a multiple of 3: NG
    assert saw["exception"] == 2
    assert [(request.trigger_seq, request.part_id) for request in vision.accepted] == [(4711, 65538)]


async def test_a_slave_is_polled_through_a_cycle() -> None:
    port = free_port()
    link = ModbusClientConfig(host="127.0.0.1", port=port).build(lambda code, text: None)
    vision = Vision(link)
    async with running(link.run()), running(vision.run()):
        saw = await node("node_slave.js", port)
    assert saw.pop("functions") == ["read 32 from 0", "write 64 from 100"]
    assert saw == {"seq": 1, "copy": 1, "trigger": 4711, "part": 65538, "judgement": 2}
    assert [(request.trigger_seq, request.part_id) for request in vision.accepted] == [(4711, 65538)]
