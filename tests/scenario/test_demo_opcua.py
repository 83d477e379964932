"""`make demo ARGS="--link opcua"`: the real gateway as OPC UA client of the simulated PLC."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.scenario.stand import free_port

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(120)]

CONFIGS = Path(__file__).parents[2] / "configs"


async def test_the_demo_over_opcua_keeps_the_contract(tmp_path: Path) -> None:
    text = (CONFIGS / "demo-opcua.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("127.0.0.1:4841", f"127.0.0.1:{free_port()}"),
        ("data_dir: ../data", f"data_dir: {tmp_path}"),
        ("recipes/bracket", str(CONFIGS / "recipes" / "bracket")),
    ):
        assert old in text
        text = text.replace(old, new)
    config, figures = tmp_path / "demo.yaml", tmp_path / "figures.json"
    config.write_text(text, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators", "demo", "--link", "opcua", "--config", str(config), "--plain",
        "--parts", "10", "--rate", "4", "--json", str(figures),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    found = json.loads(figures.read_text())
    assert (found["parts"], found["gateway_exit"], found["violations"]) == (10, 0, {})
    assert found["unanswered"] == 0
    assert "contract kept" in said.decode()
