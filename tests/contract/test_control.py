"""The control socket: one line each way, for the gateway's own user, whatever the other end does."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import control
from gateway.control import CALLERS, CROWD, SOCKET, Control, ControlError, ask
from protocols.faults import Code

REQUEST = {"command": "activate", "station": "cell1", "recipe": 2}


class Station:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []
        self.answer = (Code.NONE, "done")

    async def by_person(self, number: int, who: str) -> tuple[Code, str]:
        self.asked.append((number, who))
        return self.answer


@asynccontextmanager
async def served(folder: Path, station: Station) -> AsyncIterator[None]:
    running = asyncio.create_task(Control(folder, {"cell1": station}).run())
    try:
        for _ in range(3):  # it listens after its first steps, which wait for nothing
            await asyncio.sleep(0)
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def asked(folder: Path, request: Any = REQUEST, patience: float = 5.0) -> tuple[int, str]:
    return await asyncio.to_thread(ask, folder, request, patience)


async def test_a_request_is_answered_and_told_who_made_it(tmp_path: Path) -> None:
    station = Station()
    async with served(tmp_path, station):
        assert await asked(tmp_path) == (0, "done")
        station.answer = (Code.MODEL_HASH, "another file")
        assert await asked(tmp_path) == (2002, "another file")
    assert station.asked == [(2, f"uid {os.geteuid()}, pid {os.getpid()}")] * 2
    assert not (tmp_path / SOCKET).exists()


async def test_nobody_else_may_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station()
    async with served(tmp_path, station):
        assert stat.S_IMODE((tmp_path / SOCKET).stat().st_mode) == 0o600
        monkeypatch.setattr(control, "_peer", lambda connection: (os.geteuid() + 1, 1))
        assert (await asked(tmp_path))[1] == "only the user the gateway runs as, and root, may ask"
    assert station.asked == []


async def test_where_no_gateway_runs_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no gateway runs with data_dir"):
        await asked(tmp_path)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / SOCKET))
    dead.close()
    with pytest.raises(ControlError, match="no gateway runs with data_dir"):
        await asked(tmp_path)
    async with served(tmp_path, Station()):  # what a killed gateway left is taken over
        assert await asked(tmp_path) == (0, "done")


@pytest.mark.parametrize(
    "raw",
    [
        b"no request\n",
        b"{}\n",
        b"[" * 2000 + b"\n",
        b"x" * 100_000,
        b'{"command": "activate", "station": "cell1", "recipe": true}\n',
        b'{"command": "activate", "station": "cell1", "recipe": "2"}\n',
        b'{"command": "stop", "station": "cell1", "recipe": 2}\n',
        b"\xff\xfe\n",
        b"\n",
    ],
)
async def test_what_is_no_request_is_told_so(raw: bytes, tmp_path: Path) -> None:
    station = Station()
    async with served(tmp_path, station):
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
        writer.write(raw)
        said = json.loads(await reader.readline())
        assert said["code"] == Code.OUT_OF_ORDER
        assert "that is no request" in said["text"]
        writer.close()
        await writer.wait_closed()
        assert await asked(tmp_path) == (0, "done")


async def test_an_unknown_station_is_named(tmp_path: Path) -> None:
    async with served(tmp_path, Station()):
        code, text = await asked(tmp_path, {**REQUEST, "station": "cell2"})
    assert (code, text) == (3007, "there is no station 'cell2'; there are cell1")


async def test_callers_who_say_nothing_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.05)
    async with served(tmp_path, Station()):
        silent = [await asyncio.open_unix_connection(tmp_path / SOCKET) for _ in range(CALLERS + 2)]
        for reader, writer in silent:
            async with asyncio.timeout(5):
                assert json.loads(await reader.readline())["code"] == Code.OUT_OF_ORDER
            writer.close()
            await writer.wait_closed()
        assert await asked(tmp_path) == (0, "done")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_crowd_takes_no_more_descriptors_than_there_are_places(tmp_path: Path) -> None:
    async with served(tmp_path, Station()):
        before = descriptors()
        crowd = [await asyncio.open_unix_connection(tmp_path / SOCKET) for _ in range(CROWD + 30)]
        async with asyncio.timeout(5):
            for reader, _ in crowd[CROWD:]:
                assert await reader.read() == b""  # nobody listens to these
        assert descriptors() <= before + len(crowd) + CROWD
        for _, writer in crowd:
            writer.close()


async def test_a_gateway_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET))
        listener.listen(1)
        with pytest.raises(ControlError, match=r"has not answered for 0\.05 s"):
            await asked(tmp_path, patience=0.05)


async def test_the_end_waits_for_no_caller(tmp_path: Path) -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    class Hung(Station):
        async def by_person(self, number: int, who: str) -> tuple[Code, str]:
            begun.set()
            await never.wait()
            return self.answer

    async with served(tmp_path, Hung()):
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
        writer.write(json.dumps(REQUEST).encode() + b"\n")
        await begun.wait()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_a_long_path_is_no_trouble(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    async with served(folder, Station()):
        assert await asked(folder) == (0, "done")


async def test_a_folder_that_is_gone_keeps_nobody_from_running(tmp_path: Path) -> None:
    running = asyncio.create_task(Control(tmp_path / "none", {}).run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
