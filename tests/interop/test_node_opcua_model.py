"""The structures of the type model as node-opcua understands them, with nothing but what the server tells it.

The package is fetched once into the build folder, in this version:
npm install --prefix build/node --omit=optional --no-audit --no-fund --no-package-lock node-opcua@2.182.2
"""

import asyncio
import dataclasses
import json
import os
import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import Server, ua

from protocols.opcua.model.install import install
from protocols.opcua.model.space import numbered
from tests.contract.vision_structures import STRUCTURES, filled

PACKAGES = Path(__file__).parents[2] / "build" / "node" / "node_modules"
VERSION = re.search(r"node-opcua@(\S+)", __doc__ or "")[1]  # type: ignore[index]


def missing() -> str:
    """Why these tests cannot run; empty when they can."""
    if shutil.which("node") is None:
        return "node is not installed"
    package = PACKAGES / "node-opcua" / "package.json"
    if not package.exists():
        return f"node-opcua is not in {PACKAGES.parent}; the head of this file says how it comes there"
    found = json.loads(package.read_text(encoding="utf-8"))["version"]
    return "" if found == VERSION else f"node-opcua is {found}, these tests want {VERSION}"


pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing())]


async def test_node_opcua_decodes_every_structure_with_and_without_its_optional_fields(tmp_path: Path) -> None:
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.register_namespace("urn:vision-plc-gateway:stations")
    model = await install(server)
    expected = {}
    for found in STRUCTURES:
        for optional in (False, True):
            node_id = numbered(f"{found.name}-{optional}", 2)
            value = filled(model, found.name, optional=optional)
            await server.nodes.objects.add_variable(node_id, found.name, value)
            expected[node_id.to_string()] = {"status": "Good", "type": found.name, "value": as_node_tells(value)}
    async with server:
        assert server.bserver is not None
        seen = await node(tmp_path, f"opc.tcp://127.0.0.1:{server.bserver.port}", *expected)
        async with asyncio.timeout(10):
            while server.bserver.clients:  # noqa: ASYNC110  # asyncua tells nobody when a client has gone
                await asyncio.sleep(0.01)
    assert seen == expected


async def node(home: Path, *arguments: str) -> Any:
    """What the script prints. `home`: node-opcua makes itself a certificate there."""
    process = await asyncio.create_subprocess_exec(
        "node", str(Path(__file__).with_name("node_structures.js")), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_PATH": str(PACKAGES), "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(50):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    (told,) = [line for line in out.decode().splitlines() if line.startswith("{")]  # among what node-opcua logs
    return json.loads(told)


def as_node_tells(value: Any) -> Any:
    """A value of ours in node-opcua's JSON: names begin small, what is not there is not named."""
    if isinstance(value, ua.Variant):
        elements = value.Value
        array = isinstance(elements, list)
        plain = {str(place): element for place, element in enumerate(elements)} if array else elements
        return {"dataType": value.VariantType.name, "arrayType": "Array" if array else "Scalar", "value": plain}
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {
            name[0].lower() + name[1:]: as_node_tells(given)
            for name, given in fields.items()
            if name != "Encoding" and given is not None
        }
    if isinstance(value, list):
        return [as_node_tells(one) for one in value]
    if isinstance(value, bytes):
        return {"type": "Buffer", "data": list(value)}
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
