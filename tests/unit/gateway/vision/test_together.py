"""Several pictures in one run of a network: the same findings as one after the other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from gateway.inspection import Finding
from gateway.recipe import Recipe
from gateway.recipe_step import Step
from gateway.vision.engine_settings import OnnxRuntimeConfig
from gateway.vision.engines import Tensor
from gateway.vision.eyes import BATCH, NetworkEye
from gateway.vision.frames import Pixels
from tests import models

RULES = [{"name": "any", "when": {"any": True}, "verdict": "NG", "code": 100}]
WHOLE = (0, 0, 32, 32, 0, 0)
"""A row with a box around all of the input; its score is the picture's brightness."""


def network(first: int | str, last: int | str, *, planes: bool = False, lies: bool = False) -> bytes:
    """How bright each picture is, as a detection; `lies`: with a side of 1 inside, whatever the input says."""
    shape = (first, 3, 32, 32) if planes else (first, 32, 32, 3)
    mask = np.array([0, 0, 0, 0, 1 if planes else 1 / 255, 0], np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "none"], ["zeros"]),  # so that the side is not known before it is run
        helper.make_node("ReduceMean", ["zeros"], ["zero"], keepdims=1),
        helper.make_node("Cast", ["zero"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Add", ["sides", "whole"], ["told"]),
        helper.make_node("Reshape", ["mean", "told"], ["tall"]),
        helper.make_node("Mul", ["tall", "mask"], ["part"]),
        helper.make_node("Add", ["part", "row"], ["rows"]),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("sides", TensorProto.INT64, [3], [1 if lies else -1, 1, 1]),
        helper.make_tensor("none", TensorProto.FLOAT, [1], [0.0]),
        helper.make_tensor("mask", TensorProto.FLOAT, [1, 1, 6], mask),
        helper.make_tensor("row", TensorProto.FLOAT, [1, 1, 6], np.array(WHOLE, np.float32)),
    ]
    return models.build(
        nodes, constants, shape, (last, 1, 6), "rows", dtype=TensorProto.FLOAT if planes else TensorProto.UINT8
    )


class Counted(NetworkEye):
    """Counts how many pictures each run takes."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, proven=True)
        self.counts: list[int] = []
        run = self._engine.run

        def counted(count: int = 1) -> Mapping[str, Tensor]:
            self.counts.append(count)
            return run(count)

        self._engine.run = counted  # type: ignore[method-assign]


def eye(folder: Path, model: bytes, *, several: bool = True) -> Counted:
    import hashlib

    (folder / "m.onnx").write_bytes(model)
    step = {
        "name": "look",
        "model": {"file": "m.onnx", "sha256": hashlib.sha256(model).hexdigest()},
        "task": {"kind": "detect", "format": "end2end", "classes": ["bright"], "min_score": 0},
    }
    if several:
        step["picture"] = {"tiles": {"size": [64, 64], "overlap": 8}}
    recipe = Recipe.model_validate({"recipe": "r", "number": 1, "steps": [step], "rules": RULES}).placed(folder)
    first: Step = recipe.steps[0]
    assert first.model is not None
    ready = Counted(recipe, first, first.model, OnnxRuntimeConfig())
    ready.warm_up()
    ready.counts.clear()
    return ready


def pictures(count: int, seed: int = 1) -> list[Pixels]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 20 * (1 + n % 12), (50 + n, 60, 3), np.uint8) for n in range(count)]


def seen(found: list[tuple[Finding, ...]]) -> list[tuple[str, float, tuple[float, ...]]]:
    return [(one.label, round(one.score, 5), one.box) for findings in found for one in findings]


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("count", [1, 2, BATCH, BATCH + 1, 2 * BATCH + 3])
def test_together_they_are_what_each_is_alone(tmp_path: Path, count: int, planes: bool) -> None:
    shown = pictures(count)
    together = eye(tmp_path, network("n", "n", planes=planes))
    found = seen(together.look(shown))
    assert together.counts == [BATCH] * (count // BATCH) + ([count % BATCH] if count % BATCH else [])
    alone = eye(tmp_path, network(1, 1, planes=planes))
    assert seen(alone.look(shown)) == found
    assert alone.counts == [1] * count
    assert len({score for _, score, _ in found}) == len(found)  # each is another


def test_nothing_of_the_run_before_is_left(tmp_path: Path) -> None:
    ready = eye(tmp_path, network("n", "n"))
    ready.look(pictures(BATCH))
    later = pictures(3, seed=2)
    assert seen(ready.look(later)) == seen(eye(tmp_path, network(1, 1)).look(later))


@pytest.mark.parametrize(
    "model", [network("n", "m"), network("n", 1), network(1, 1), network("n", "n", lies=True)],
    ids=["other name", "closed output", "closed", "lies"],
)  # fmt: skip
def test_what_cannot_take_several_gets_one_after_the_other(tmp_path: Path, model: bytes) -> None:
    shown = pictures(5)
    ready = eye(tmp_path, model)
    assert seen(ready.look(shown)) == seen(eye(tmp_path, network(1, 1)).look(shown))
    assert ready.counts == [1] * 5


def test_a_step_that_looks_once_takes_memory_for_one(tmp_path: Path) -> None:
    assert len(eye(tmp_path, network("n", "n"), several=False)._resizers) == 1
