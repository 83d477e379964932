"""The acceptance as an engineer runs it: the real command against a real gateway, and the live view beside it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.scenario.conftest import NewStand
from tests.scenario.panel import Panel
from tests.scenario.stand import Stand

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(120)]


async def gateway(stand: Stand, *arguments: str) -> tuple[int, str, str]:
    """Run `gateway …` to its end: exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=stand.environment, cwd=stand.folder,
    )  # fmt: skip
    try:
        async with asyncio.timeout(90):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_acceptance_of_a_running_gateway(new_stand: NewStand) -> None:
    stand = new_stand({})
    await stand.start()
    report = stand.folder / "acceptance.json"
    code, out, err = await gateway(
        stand, "plc", "check", "127.0.0.1", "--port", str(stand.port), "--parts", "3", "--report", str(report)
    )
    assert code == 0, out + err
    assert "PASSED: " in out
    assert "triggers about 14" in err
    told = json.loads(report.read_text())
    assert told["passed"]
    assert [check for check in told["checks"] if check["verdict"] != "passed"] == []
    assert stand.inspected() == 2 * 3 + 8
    await _watched(stand)
    assert await stand.stop() == 0


async def _watched(stand: Stand) -> None:
    """The view says why Ready is low, follows the PLC, and ends cleanly when it is interrupted."""
    panel = Panel(stand.evidence["cell1"], stand.port)
    arguments = ("plc", "watch", "--config", str(stand.config), "--plain", "--seconds", "60")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=stand.environment, cwd=stand.folder,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            await _told(process.stdout, "Ready is low: 3009 Station is not enabled. Cause: the Enable bit is 0.")
            await panel.connect()
            await panel.write(enable=True)
            await _told(process.stdout, "ENABLE (PLC)", "READY EXPOSURE_DONE")
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    finally:
        await panel.close()
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, err) == (130, b"")


async def _told(out: asyncio.StreamReader, *texts: str) -> None:
    """Read lines until each of these was in one."""
    missing = set(texts)
    while missing:
        line = (await out.readline()).decode()
        assert line, f"it ended and never told {missing}"
        missing = {text for text in missing if text not in line}


async def test_no_gateway_there(tmp_path: Path, new_stand: NewStand) -> None:
    stand = new_stand({})  # never started
    code, out, err = await gateway(stand, "plc", "check", "--config", str(stand.config), "--report", "report.txt")
    assert code == 1
    assert "A1  FAILED  TCP connection" in out
    assert "Traceback" not in out + err
    assert "Engineer:" in (stand.folder / "report.txt").read_text()
