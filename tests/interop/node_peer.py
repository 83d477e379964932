"""A node program of this folder that is led by lines of JSON: requests, answers, and what it tells by itself."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = HERE.parents[1] / "build" / "node" / "node_modules"
START, ANSWER, END = 60.0, 40.0, 10.0
"""Seconds that the program may take to start, to answer, and to end when its input has ended."""
LINE = 64 * 1024 * 1024

Told = dict[str, Any]


def missing(**versions: str) -> str:
    """Why node, or one of these packages in just this version, cannot be used; empty when all can."""
    if shutil.which("node") is None:
        return "node is not installed"
    for name, version in versions.items():
        package = PACKAGES / name.replace("_", "-") / "package.json"
        if not package.exists():
            return f"{package.parent.name} is not in {PACKAGES.parent}; the head of this file says how it comes there"
        found = json.loads(package.read_text(encoding="utf-8"))["version"]
        if found != version:
            return f"{package.parent.name} is {found}, these tests want {version}"
    return ""


class NodeError(Exception):
    """The program could not do it; `status` is the OPC UA status that stopped it, if there was one."""

    def __init__(self, text: str, status: str) -> None:
        super().__init__(f"{text} [{status}]")
        self.status = status


@dataclass
class Node:
    """A running program."""

    process: asyncio.subprocess.Process
    told: list[Told] = field(default_factory=list)
    """All that it told by itself, in order."""
    over: bool = False
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _waiting: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def do(self, command: str, within: float = ANSWER, /, **arguments: Any) -> Any:
        """Its answer, waited for so many seconds; NodeError if it could not do it."""
        assert self.process.stdin is not None
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self.process.stdin.write(json.dumps({"id": number, "do": command, **arguments}, default=str).encode() + b"\n")
        async with asyncio.timeout(within):
            await self.process.stdin.drain()
            return await self._waiting[number]

    async def tells(self, true: Callable[[Told], bool], seconds: float = 15.0, since: int = 0) -> Told:
        """The first of what it told by itself, from number `since` on, that is so; waits for it."""
        async with asyncio.timeout(seconds):
            while True:
                for told in self.told[since:]:
                    if true(told):
                        return told
                if self.over:
                    raise NodeError("the program has ended; its log lies beside its certificates", "")
                self._news.clear()
                await self._news.wait()

    async def listen(self) -> None:
        """Take its lines until it ends."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self._take(json.loads(line, object_hook=_value))
        self.over = True
        self._news.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(NodeError("the program has ended", ""))

    def _take(self, message: Told) -> None:
        if "told" in message:
            self.told.append(message)
            self._news.set()
            return
        waiting = self._waiting.pop(message["id"])
        if waiting.done():
            return
        if "error" in message:
            waiting.set_exception(NodeError(message["error"], message["status"]))
        else:
            waiting.set_result(message["ok"])


def _value(told: Told) -> Any:
    """What JSON has no word for."""
    if told.keys() == {"$float"}:
        return float(told["$float"].replace("Infinity", "inf"))
    if told.keys() == {"$bytes"}:
        return bytes.fromhex(told["$bytes"])
    return told


def environment(folder: Path) -> dict[str, str]:
    """Of a node program that writes below `folder` alone: node-opcua keeps certificates in the home folder."""
    homes = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "TMPDIR")}
    return {**os.environ, "NODE_PATH": str(PACKAGES), **homes}


@asynccontextmanager
async def node(script: str | Path, folder: Path, *, nice: int = 0) -> AsyncIterator[Node]:
    """Run the script with `folder` for all that it writes; ended with its input, killed when that is not enough.

    `script`: a file of this folder by its name, or any by its path.
    """
    with (folder / f"{Path(script).name}.log").open("ab") as log:
        command = ["nice", "-n", str(nice), "node", str(HERE / script)]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
            env=environment(folder), limit=LINE, cwd=folder,
        )  # fmt: skip
    peer = Node(process)
    listening = asyncio.create_task(peer.listen())
    try:
        await peer.tells(lambda told: told["told"] == "ready", START)
        yield peer
    finally:
        await _end(process)
        await listening


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(END):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
