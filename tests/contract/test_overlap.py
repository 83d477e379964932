"""Real vision processes that take the next frame while the last one is judged, and keep to their processors."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.vision.settings import PoolSettings, WorkerConfig
from protocols.faults import Code
from tests import models
from tests.contract.test_worker_process import ROW, Line, line_of, settings_of

JUDGING = 1500.0
"""Milliseconds that the judging of part 1 is held up: time to take another frame, also on a busy computer."""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return models.recipe(tmp_path / "bracket", models.detector([ROW]))


def overlapping(recipe: Path, **inject: Any) -> PoolSettings:
    return replace(settings_of(recipe, **inject), overlap=True)


async def both_taken(line: Line) -> None:
    """Part 1 is being judged, part 2 has its frame."""
    await line.ready()
    line.trigger(1)
    await line.until(lambda: line.exposures == [1])
    line.trigger(2)
    await line.until(lambda: line.exposures == [1, 2])
    assert not line.outcomes, "part 1 was judged before part 2 was taken"


async def test_the_next_frame_is_taken_while_the_last_is_judged(recipe: Path) -> None:
    async with line_of(overlapping(recipe, late_at=[1], late_ms=JUDGING)) as line:
        await both_taken(line)
        await line.until(lambda: len(line.outcomes) == 2)
        assert list(line.outcomes) == [1, 2], "outcomes come in the order of the triggers"
        assert all(seen.findings and seen.fault is Code.NONE for seen in line.outcomes.values())


async def test_without_overlap_the_next_frame_waits(recipe: Path) -> None:
    async with line_of(settings_of(recipe, late_at=[1], late_ms=300)) as line:
        await line.ready()
        line.trigger(1)
        line.trigger(2)
        await line.until(lambda: len(line.outcomes) == 2)
        assert line.told == [("exposed", 1), ("observed", 1), ("exposed", 2), ("observed", 2)]


async def test_a_frame_that_cannot_be_had_is_told_behind_the_part_before(recipe: Path) -> None:
    async with line_of(overlapping(recipe, late_at=[1], late_ms=JUDGING, unplug_at=[2], unplug_s=0.5)) as line:
        await line.ready()
        line.trigger(1)
        await line.until(lambda: line.exposures == [1])
        line.trigger(2)
        await line.until(lambda: len(line.outcomes) == 2)
        assert list(line.outcomes) == [1, 2]
        assert line.outcomes[1].fault is Code.NONE
        assert line.outcomes[2].fault is Code.CAMERA_LINK
        await line.until(lambda: line.facts is not None)
        assert (await line.inspect(3)).fault is Code.NONE


async def test_a_death_repeats_both_with_the_frames_that_were_taken(recipe: Path) -> None:
    async with line_of(overlapping(recipe, late_at=[1], late_ms=JUDGING)) as line:
        await both_taken(line)
        os.kill(line.pids[0], signal.SIGKILL)
        await line.until(lambda: len(line.outcomes) == 2)
        assert all(seen.findings and seen.fault is Code.NONE for seen in line.outcomes.values())
        assert line.exposures == [1, 2], "a part was taken twice"
        assert line.pool.counts.repeated == 2


async def test_a_part_that_hangs_does_not_take_the_next_one_with_it(recipe: Path) -> None:
    async with line_of(overlapping(recipe, hang_at=[1])) as line:
        await both_taken(line)
        line.pool.give_up(1)
        await line.until(lambda: 2 in line.outcomes)
        assert line.outcomes[2].findings
        assert list(line.outcomes) == [2], "what was given up has no outcome"
        assert line.exposures == [1, 2], "a part was taken twice"


async def test_a_vision_process_keeps_to_its_processors(recipe: Path) -> None:
    core = min(os.sched_getaffinity(0))
    settings = settings_of(recipe, standby=False)
    async with line_of(replace(settings, worker=WorkerConfig(standby=False, nice=0, cores=(core,)))) as line:
        await line.ready(1)
        process = psutil.Process(line.pids[0])
        assert process.cpu_affinity() == [core]
        assert all(os.sched_getaffinity(thread.id) == {core} for thread in process.threads())


async def test_a_processor_that_is_not_there_is_told(recipe: Path) -> None:
    settings = settings_of(recipe, standby=False)
    async with line_of(replace(settings, worker=WorkerConfig(standby=False, nice=0, cores=(1023,)))) as line:
        await line.until(lambda: line.down is not None and line.down[0] is Code.CONFIG_INVALID)
        assert line.down is not None
        assert "worker.cores: there is no processor 1023 to be had here; use numbers of" in line.down[1]
