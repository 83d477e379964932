"""The test cases of the folder `cases`: a configuration, a script and what is expected; docs/scenarios.md says how."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gateway.inspection import Inspection
from protocols.signals import Judgement
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.oracle import Evidence
from tests.scenario.panel import BITS, Panel
from tests.scenario.roles import ROLES, Role, cell
from tests.scenario.stand import POLL, Stand
from tests.scenario.wire import STATUS_BITS, Block

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").glob("*/script.yaml"))
RUNS = [
    pytest.param(
        folder,
        role,
        id=f"{folder.name}-{role}",
        marks=pytest.mark.slow if role == "client" and not re.match(r"c\d\d-", folder.name) else (),
    )
    for folder in CASES
    for role in ROLES
]
"""Every case in both roles; in the client role those that prove a row of docs/fault-matrix.md are the quick ones."""
WITHIN = 5.0
"""Seconds that `see` waits unless it says otherwise."""


class Script:
    """Carries out one script, step by step; every wait is bounded."""

    def __init__(self, stand: Stand, plc: Panel) -> None:
        self.stand, self.plc = stand, plc
        self.status: int | None = None
        self._lock: sqlite3.Connection | None = None
        self._verbs: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "ready": self._ready, "write": self._write, "see": self._see, "never": self._never,
            "inspect": self._inspect, "cut": plc.cut, "connect": lambda _: plc.connect(),
            "gateway": self._gateway, "worker": self._worker, "history": self._history,
        }  # fmt: skip

    async def run(self, steps: list[dict[str, Any]]) -> None:
        """Every step is one verb with what it needs."""
        try:
            for number, step in enumerate(steps, 1):
                ((verb, what),) = step.items()
                assert verb in self._verbs, f"step {number}: no such verb: {verb}; there are {', '.join(self._verbs)}"
                try:
                    await self._verbs[verb](what)
                except AssertionError as error:
                    raise AssertionError(f"step {number}, {verb} {what}: {error}") from error
        finally:
            if self._lock is not None:
                self._lock.close()

    async def _ready(self, within: float | None) -> None:
        await self.plc.ready(within or 20)

    async def _write(self, changes: dict[str, Any]) -> None:
        await self.plc.write(**changes)

    async def _see(self, fields: dict[str, Any]) -> None:
        fields = dict(fields)
        within = fields.pop("within", WITHIN)
        await self.plc.see(lambda block: shows(block, fields), within, str(fields))

    async def _never(self, fields: dict[str, Any]) -> None:
        fields = dict(fields)
        end = time.monotonic() + fields.pop("for", 0.5)
        while time.monotonic() < end:
            block = await self.plc.read()
            assert not shows(block, fields), f"the wire shows {block}"
            await asyncio.sleep(POLL)

    async def _inspect(self, parts: list[int]) -> None:
        for part in parts:
            await self.plc.inspect(part)

    async def _gateway(self, what: str) -> None:
        if what == "start":
            await self.stand.start()
        elif what == "kill":
            await self.stand.kill()
        elif what == "stop":
            self.status = await self.stand.stop()
        else:
            self.stand.signal({"freeze": signal.SIGSTOP, "thaw": signal.SIGCONT}[what])

    async def _worker(self, what: str) -> None:
        assert what == "kill"
        min(self.stand.workers(), key=lambda process: process.create_time()).kill()

    async def _history(self, what: str) -> None:
        if what == "lock":
            self._lock = sqlite3.connect(self.stand.data_dir / "history.sqlite3", isolation_level=None)
            self._lock.execute("BEGIN EXCLUSIVE")
        elif self._lock is not None:
            self._lock.close()
            self._lock = None


def shows(block: Block, fields: dict[str, Any]) -> bool:
    """Whether the words and STATUS bits are as named."""
    return all(value_of(block, name) == wanted for name, wanted in fields.items())


def value_of(block: Block, name: str) -> Any:
    """A word of status or result, or a bit of STATUS, by its name."""
    if name in STATUS_BITS:
        return block.bit(1 << STATUS_BITS.index(name))
    value = getattr(block, name)
    return Judgement(value).name if name == "judgement" else value


def row_value(row: Inspection, name: str) -> Any:
    """A column of the history by its name."""
    source = row.trigger if name in ("part_id", "trigger_seq", "serial", "by_bit") else row
    value = getattr(source, name)
    return value.name if isinstance(value, Judgement) else value


def compare(
    what: str, wanted: list[dict[str, Any]], got: list[Any], value: Callable[[Any, str], Any], bench: Bench
) -> None:
    """Each entry names some fields; all entries, in this order, and no others. `right` is the part's true verdict."""
    shown = []
    for entry, one in zip(wanted, got, strict=False):
        shown.append({name: value(one, name) for name in entry})
        if entry.get("judgement") == "right":
            entry["judgement"] = bench.verdict(value(one, "part_id")).name
    assert shown == wanted[: len(shown)], f"{what} holds something else"
    assert len(got) == len(wanted), f"{what} holds {len(got)} entries, expected are {len(wanted)}"


def results(evidence: Evidence) -> list[Block]:
    """The results that were valid on the wire, each once, in the order of their appearance."""
    first: dict[int, Block] = {}
    for view in evidence.shown():
        first.setdefault(view.block.result_seq, view.block)
    return list(first.values())


def load(folder: Path, name: str) -> Any:
    """One YAML file of a case; empty when there is none."""
    path = folder / f"{name}.yaml"
    return YAML(typ="safe").load(path) if path.exists() else {}


@pytest.mark.parametrize(("folder", "role"), RUNS)
async def test_case(folder: Path, role: Role, new_stand: NewStand, bench: Bench) -> None:
    expected = load(folder, "expected")
    async with cell(new_stand, role, load(folder, "config")) as at:
        stand, plc, evidence = at.stand, at.plc, at.stand.evidence["cell1"]
        script = Script(stand, plc)
        await plc.connect()
        await script.run(load(folder, "script")["script"])
        if stand.running:
            script.status = await stand.stop()
    assert script.status == 0
    last = evidence.views[-1].block
    compare("the wire", expected.get("wire", []), results(evidence), value_of, bench)
    compare("the history", expected.get("history", []), stand.history(), row_value, bench)
    for name, value in expected.get("counters", {}).items():
        assert getattr(last, name) == value, name
    for line in expected.get("log", []):
        assert any(line.items() <= told.items() for run in stand.runs for told in run.log), f"not in the log: {line}"


def test_there_are_cases() -> None:
    assert len(CASES) >= 8
    assert {path.name for path in CASES} == {path.name for path in (Path(__file__).parent / "cases").iterdir()}


def test_no_word_of_the_block_has_the_name_of_a_bit() -> None:
    assert not BITS.keys() & {"part_id", "trigger_seq", "result_ack_seq", "command"}
