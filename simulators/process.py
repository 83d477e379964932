"""The gateway as a child process: started, watched, stopped in order, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path

STOP_WAIT = 10.0
"""Seconds from SIGTERM to SIGKILL."""


class GatewayProcess:
    """One run of `gateway run FILE`, with what it says in a log file."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self.log = log

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.returncode

    @property
    def ended(self) -> bool:
        return self.status is not None

    async def stop(self) -> int:
        """SIGTERM, and SIGKILL if that is not enough or one does not want to wait (cancelled); the exit status."""
        try:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            async with asyncio.timeout(STOP_WAIT):
                return await self._process.wait()
        except TimeoutError:
            pass
        finally:
            if not self.ended:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
        return await self._process.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


@contextlib.asynccontextmanager
async def running(config: Path, log: Path) -> AsyncIterator[GatewayProcess]:
    """The gateway of this configuration, stopped at the end whatever happens; OSError when the log cannot be written.

    It gets a session of its own: Ctrl-C reaches only us, and the line ends before its gateway.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "run", str(config),
            stdin=DEVNULL, stdout=out, stderr=STDOUT, start_new_session=True,
        )  # fmt: skip
    gateway = GatewayProcess(process, log)
    try:
        yield gateway
    finally:
        await gateway.stop()
