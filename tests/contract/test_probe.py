"""The trial start of a recipe, with real vision processes and models that are good or harmful."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import recipe as recipes
from gateway.config import StationConfig
from gateway.probe import Probed, probe
from tests import models
from tests.contract.mjpeg_server import MjpegServer

Try = Callable[..., Probed]


@pytest.fixture
def trial(tmp_path: Path) -> Try:
    def run(model: bytes, camera: dict[str, Any] | None = None, **worker: Any) -> Probed:
        folder = models.recipe(tmp_path / "part", model) if not (tmp_path / "part").exists() else tmp_path / "part"
        station = StationConfig.model_validate(
            {
                "name": "s",
                "link": {"kind": "loopback"},
                "camera": camera or {"kind": "simulated"},
                "recipes": [folder],
                "worker": worker,
            }
        )
        return probe(station, recipes.load(folder))

    return run


def test_a_good_model_tells_its_facts(trial: Try) -> None:
    probed = trial(models.detector())
    assert probed.facts is not None
    assert (probed.facts.input_width, probed.facts.input_height) == (320, 256)
    assert probed.facts.labels == models.NAMES
    assert (probed.error, probed.camera) == ("", "")


def test_a_camera_that_is_not_there_is_told_beside_a_good_model(trial: Try, tmp_path: Path) -> None:
    probed = trial(models.detector(), {"kind": "folder", "path": str(tmp_path / "none")})
    assert probed.facts is not None
    assert str(tmp_path / "none") in probed.camera


def test_a_camera_that_one_process_alone_can_have_is_tried_and_let_go(trial: Try) -> None:
    with MjpegServer() as server:
        for _ in range(2):
            probed = trial(models.detector(), {"kind": "opencv", "url": server.url, "open_timeout_s": 10})
            assert probed.facts is not None
            assert probed.camera == ""
    gone = trial(models.detector(), {"kind": "opencv", "url": server.url})
    assert gone.facts is not None
    assert server.url in gone.camera


@pytest.mark.parametrize(
    "model",
    [b"", b"no model", models.detector()[:-40], models.memory_bomb(), models.nested_functions()],
    ids=["empty", "garbage", "truncated", "memory", "stack"],
)
def test_a_harmful_model_is_an_answer_and_never_an_exception(trial: Try, model: bytes) -> None:
    probed = trial(model)
    assert probed.facts is None
    assert probed.error


def test_a_start_that_takes_too_long_is_given_up(trial: Try) -> None:
    assert trial(models.detector(), start_timeout_s=0.001).error == "not loaded after 0.001 s (worker.start_timeout_s)"
