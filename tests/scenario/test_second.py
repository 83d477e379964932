"""A second gateway where one runs already: refused with one sentence, and the first does not notice."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import line

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]


async def refused(config: Path) -> str:
    """What `gateway run` says when it ends with 1, log lines left out."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "run", str(config),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 1
    return "\n".join(text for text in out.decode().splitlines() if not text.startswith("{"))


async def test_a_second_gateway_is_refused(new_stand: NewStand, bench: Bench) -> None:
    stand = new_stand()
    stand.evidence["cell1"].untouched = True
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        assert (await plant.plc.inspect(1)).judgement is bench.verdict(1)
        boot = plant.plc.outputs.status.boot_id

        sentence = await refused(stand.config)
        assert sentence.startswith("another gateway runs on data_dir")
        assert "\n" not in sentence

        elsewhere = stand.folder / "elsewhere.yaml"
        stand.write_config(elsewhere, stand.folder / "other data")
        sentence = await refused(elsewhere)
        assert f"127.0.0.1:{stand.port} cannot listen: another program has this port" in sentence
        assert "\n" not in sentence

        assert (await plant.plc.inspect(2)).judgement is bench.verdict(2)
        assert plant.plc.outputs.status.boot_id == boot
        assert plant.plc.connections == 1
        assert await stand.stop() == 0
