"""The gateway's control socket: what a person on this computer asks of a running gateway, and its answer.

A Unix socket in the data directory, open to the user the gateway runs as and to root: who may write there may change
the gateway anyway. One line of JSON each way; every request is logged with who made it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog

from protocols.faults import Code

SOCKET = "control.sock"
MAX_LINE = 4096
PATIENCE = 2.0
"""Seconds in which a request must be said, and may be read."""
CALLERS = 4
"""At one time; more are turned away."""
CROWD = 8 * CALLERS
"""Who come while so many are there are not even listened to."""
_CREDENTIALS = struct.Struct("3i")

log = structlog.get_logger("control")


class ControlError(Exception):
    """Nobody answers, or not in time: one sentence."""


class Recipes(Protocol):
    """What of a station can be asked for."""

    async def by_person(self, number: int, who: str) -> tuple[Code, str]:
        """Change its recipe: NONE, or the code and why not."""


class Control:
    """Serves the socket; to be made with the lock on the data directory held."""

    name = "control socket"

    def __init__(self, data_dir: Path, stations: Mapping[str, Recipes]) -> None:
        self._folder, self._stations = data_dir, stations
        self._callers: set[asyncio.Task[Any]] = set()
        self._ended = False

    async def run(self) -> None:
        """Serve until cancelled. A socket that cannot be made is told, and missed by nobody else."""
        try:
            listener = _listen(self._folder)
        except OSError as error:
            log.warning("no_control_socket", path=str(self._folder / SOCKET), reason=error.strerror)
            await asyncio.Event().wait()
            return
        try:
            server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE)
            try:
                await asyncio.Event().wait()
            finally:
                self._ended = True
                server.close()
                for caller in self._callers:
                    caller.cancel()
                await asyncio.gather(*self._callers, return_exceptions=True)
        finally:
            with contextlib.suppress(FileNotFoundError):
                (self._folder / SOCKET).unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._callers) >= CROWD:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - the server makes one for each caller
        self._callers.add(task)
        try:
            answer = await self._answer(reader, _peer(writer.get_extra_info("socket")))
            writer.write(json.dumps(answer).encode() + b"\n")
            async with asyncio.timeout(PATIENCE):
                await writer.drain()
        except (OSError, TimeoutError):
            pass  # it went away, or does not read
        finally:
            self._callers.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, who: tuple[int, int]) -> dict[str, Any]:
        user, process = who
        try:
            async with asyncio.timeout(PATIENCE):
                request = json.loads(await reader.readline())
        except (ValueError, RecursionError, TimeoutError):
            return _said(Code.OUT_OF_ORDER, "that is no request")
        if user not in (os.geteuid(), 0):
            log.warning("control_refused", uid=user, pid=process)
            return _said(Code.OUT_OF_ORDER, "only the user the gateway runs as, and root, may ask")
        if self._ended or len(self._callers) > CALLERS:
            return _said(Code.OUT_OF_ORDER, f"the gateway is stopping, or {CALLERS} others are asking; ask again")
        match request:
            case {"command": "activate", "station": str(station), "recipe": int(number)} if number is not True:
                return await self._activate(station, number, f"uid {user}, pid {process}")
            case _:
                return _said(Code.OUT_OF_ORDER, "that is no request this gateway knows")

    async def _activate(self, station: str, number: int, who: str) -> dict[str, Any]:
        recipes = self._stations.get(station)
        if recipes is None:
            return _said(Code.UNKNOWN_RECIPE, f"there is no station {station!r}; there are {', '.join(self._stations)}")
        return _said(*await recipes.by_person(number, who))


def ask(data_dir: Path, request: Mapping[str, Any], patience: float) -> tuple[int, str]:
    """Ask the gateway that runs with this data directory: code (0 is done) and text. ControlError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller, _short(data_dir) as path:
            caller.settimeout(patience)
            caller.connect(path)
            caller.sendall(json.dumps(request).encode() + b"\n")
            with caller.makefile("rb") as answer:
                said = json.loads(answer.readline(2 * MAX_LINE))
        return int(said["code"]), str(said["text"])
    except TimeoutError:
        raise ControlError(f"the gateway with data_dir {data_dir} has not answered for {patience:g} s") from None
    except PermissionError:
        raise ControlError(f"{data_dir / SOCKET} belongs to another user; ask as that user, or as root") from None
    except (OSError, AttributeError):
        text = f"no gateway runs with data_dir {data_dir}; start it by `gateway run`, or check the configuration"
        raise ControlError(text) from None
    except (ValueError, KeyError, TypeError):
        raise ControlError(f"the gateway with data_dir {data_dir} gave no answer; see its log") from None


def _said(code: Code, text: str) -> dict[str, Any]:
    return {"code": int(code), "text": text}


def _listen(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            (folder / SOCKET).unlink()  # of a gateway that was killed: nobody else holds the lock
        os.fchmod(listener.fileno(), 0o600)  # before it has a name, so that it never has other rights
        with _short(folder) as path:
            listener.bind(path)
        listener.listen(CALLERS)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """The socket's path, by way of the open folder: the system takes 107 characters at most."""
    if sys.platform != "linux":
        yield str(folder / SOCKET)
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{number}/{SOCKET}"
    finally:
        os.close(number)


def _peer(connection: Any) -> tuple[int, int]:
    """User and process id of the caller; of a system that does not tell, the file's rights must do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.geteuid(), 0
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(raw)
    return user, process
