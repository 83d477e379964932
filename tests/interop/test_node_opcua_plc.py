"""A PLC on node-opcua's server and the gateway as its client: three parts by node-opcua's own means.

The package is fetched once into the build folder, in this version:
npm install --prefix build/node --omit=optional --no-audit --no-fund --no-package-lock node-opcua@2.182.2
"""

import asyncio
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from simulators.opcua_block import BOOLEAN, FLOAT, MEMBERS, STRING, UINT16, UINT32
from simulators.opcua_server import S7Server
from tests.contract.opcua_nodes import Events, link_to
from tests.contract.test_links import running
from tests.contract.vision import Vision
from tests.scenario.stand import free_port

PACKAGES = Path(__file__).parents[2] / "build" / "node" / "node_modules"
VERSION = re.search(r"node-opcua@(\S+)", __doc__ or "")[1]  # type: ignore[index]
NAMES = {BOOLEAN: "Boolean", UINT16: "UInt16", UINT32: "UInt32", FLOAT: "Float", STRING: "String"}


def missing() -> str:
    """Why this test cannot run; empty when it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    package = PACKAGES / "node-opcua" / "package.json"
    if not package.exists():
        return f"node-opcua is not in {PACKAGES.parent}; the head of this file says how it comes there"
    found = json.loads(package.read_text(encoding="utf-8"))["version"]
    return "" if found == VERSION else f"node-opcua is {found}, this test wants {VERSION}"


pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing())]


async def test_a_plc_on_another_stack_asks_for_three_parts(tmp_path: Path) -> None:
    block, port = tmp_path / "block.json", free_port()
    members = [
        {"name": name, "node": member.node, "type": NAMES[member.type], "length": member.length}
        for name, member in MEMBERS.items()
    ]
    block.write_text(json.dumps(members), encoding="utf-8")
    events = Events()
    vision = Vision(link := link_to(S7Server(port=port), events))
    process = await asyncio.create_subprocess_exec(
        "node", str(Path(__file__).with_suffix(".js").with_stem("node_opcua_plc")), str(port), str(block),
        str(tmp_path / "pki"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_PATH": str(PACKAGES), "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
    )  # fmt: skip
    try:
        async with running(link.run()), running(vision.run()), asyncio.timeout(50):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{errors.decode()} {events.told}"
    saw = json.loads(out.decode().strip().splitlines()[-1])
    assert [(one["part"], one["judgement"]) for one in saw] == [(65537, 1), (65538, 2), (65539, 1)]
    assert all(one["seq"] == one["copy"] and one["score"] == 0.5 and one["values"] == 16 for one in saw)
    assert len(vision.accepted) == 3
