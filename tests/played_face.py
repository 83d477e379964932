"""The far end of a played server: tells faces what to do, and hears what they are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any


class FaceClient:
    """One connection to `tests.played_server`; `heard` is all that came, oldest first."""

    def __init__(self, port: int) -> None:
        self.heard: list[dict[str, Any]] = []
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, within: float = 30.0) -> None:
        """Connect as soon as somebody listens."""
        end = time.monotonic() + within
        while self._task is None:
            try:
                reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
                self._task = asyncio.create_task(self._hear(reader), name="face client")
            except OSError:
                assert time.monotonic() < end, "no played server listens"
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                self.heard.append(json.loads(line))

    def send(self, **message: Any) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(message).encode() + b"\n")

    def write(self, face: str, **fields: Any) -> None:
        """The face writes these fields of its command block."""
        self.send(face=face, write=fields)

    def of(self, face: str, key: str) -> list[Any]:
        """All that this face was told under this key."""
        return [message[key] for message in self.heard if message.get("face") == face and key in message]

    def status(self, face: str) -> dict[str, Any]:
        told = self.of(face, "status")
        return dict(told[-1]) if told else {}

    def ready(self, face: str) -> bool:
        return bool(self.status(face).get("bits", 0) & 2)

    def driver(self, face: str) -> str:
        told = self.of(face, "driven")
        return str(told[-1]) if told else ""

    async def until(self, holds: Callable[[], Any], what: str, within: float = 20.0) -> None:
        end = time.monotonic() + within
        while not holds():
            assert time.monotonic() < end, f"not within {within:g} s: {what}; last heard: {self.heard[-3:]}"
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def face_client(port: int) -> AsyncIterator[FaceClient]:
    """A connected client."""
    client = FaceClient(port)
    await client.open()
    try:
        yield client
    finally:
        await client.close()
