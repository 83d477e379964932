"""A factory gateway phones nobody and writes nowhere but into its data directory."""

from __future__ import annotations

import re
import shutil
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import pytest

from gateway import cli
from simulators.parts import PartSource
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import line

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(90)]

SECONDS = 10.0
CALLS = "connect,sendto,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat"
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|mkdir|rename|unlink|creat\(")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')
ALLOWED = ("/dev/", "/proc/")
"""Shared memory, /dev/null and what the kernel shows of ourselves."""


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed (make extras)")


ENGINES = [
    pytest.param({"kind": "onnxruntime"}, id="onnxruntime"),
    pytest.param({"kind": "openvino"}, id="openvino", marks=needs("openvino")),
    pytest.param(
        {"kind": "onnxruntime", "providers": ["openvino"], "require": True},
        id="onnxruntime by openvino",
        marks=needs("onnxruntime_ep_openvino"),
    ),
]
"""All tried to call somebody at some time, or come from somebody who did."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
async def test_no_outbound_socket_and_no_file_elsewhere(
    engine: dict[str, Any], new_stand: NewStand, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Path(shutil.copytree(bench.recipe, tmp_path / bench.recipe.name))
    if engine != {"kind": "onnxruntime"}:
        compare(recipe, engine, tmp_path / "shown", capsys)
    changes = {"pictures": {"keep": 5, "verdicts": ["OK", "NG"]}, "worker": {"standby": True}, "engine": engine}
    stand = new_stand(changes, recipe=recipe)
    trace, home = stand.folder / "trace", stand.folder / "home"
    home.mkdir()
    for name in ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        stand.environment.pop(name, None)
    stand.environment["HOME"] = str(home)
    stand.wrapper = ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "300", "-e", f"trace={CALLS}", "-o", str(trace)]
    evidence = stand.evidence["cell1"]
    evidence.margin *= 4  # under strace every system call of start and picture is a stop
    await stand.start()
    async with line(stand, watch=False) as plant:
        await plant.ready()
        end, part = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            part += 1
            assert (await plant.plc.inspect(part % 60 + 1)).judgement is bench.verdict(part % 60 + 1)
            await plant.plc.until(lambda _: False, 0.1)
        assert await stand.stop() == 0
    calls = trace.read_text(errors="replace").splitlines()
    assert any("history.sqlite3" in call for call in calls), "strace saw nothing"
    assert [call for call in calls if "AF_INET" in call] == []
    assert [call for call in calls if writes_elsewhere(call, str(stand.data_dir))] == []
    assert list(home.iterdir()) == []


def compare(recipe: Path, engine: dict[str, Any], pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Let the engine run this recipe; skip where it finds no device that it knows."""
    pictures.mkdir()
    for part in range(1, 6):
        cv2.imwrite(str(pictures / f"{part}.png"), PartSource().render(part))
    on = ["--on", ",".join(engine["providers"])] if "providers" in engine else []
    arguments = ["model", "compare", str(recipe), "--engine", engine["kind"], *on, "--pictures", str(pictures)]
    if cli.main(arguments) != 0:
        why = capsys.readouterr()
        if "finds no device" in why.err:
            pytest.skip(why.err.strip())
        pytest.fail(why.out + why.err)


def writes_elsewhere(call: str, data_dir: str) -> bool:
    """Whether this line of strace creates, changes or removes a file that is not the gateway's own."""
    if " = -1 " in call or not _WRITES.search(call):
        return False
    paths = _PATH.findall(call)
    return any(not path.startswith((data_dir, *ALLOWED)) for path in paths)
