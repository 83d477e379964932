"""Straight pixels, and the way of findings between them and the frame."""

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gateway import recipe as recipes
from gateway.calibration import Calibration
from gateway.inspection import Finding
from gateway.judge import judge
from gateway.recipe import Recipe, RecipeError
from gateway.vision.engine_settings import OnnxRuntimeConfig
from gateway.vision.frames import Pixels
from gateway.vision.lens import Lens
from gateway.vision.pipeline import Pipeline
from gateway.vision.places import Place
from gateway.vision.tasks import TaskError
from protocols.faults import Code
from tests import models

WIDTH, HEIGHT = 320, 256
CAMERA, BENT = (350.0, 351.0, 161.0, 126.0), (-0.22, 0.08, 0.0006, -0.0004, 0.0)
TENTH = (0.1, 0, 0, 0, 0.1, 0, 0, 0, 1)
"""Millimetres for each straight pixel."""


def document(**parts: Any) -> dict[str, Any]:
    made = {"kind": "camera calibration", "width": WIDTH, "height": HEIGHT, "camera": CAMERA, "distortion": BENT}
    return {**made, "boards": 10, "error_px": 0.1, **parts}


LENS = Lens(Calibration.model_validate(document()))
MATRIX = np.array([[CAMERA[0], 0, CAMERA[2]], [0, CAMERA[1], CAMERA[3]], [0, 0, 1]])


def test_points_are_bent_as_opencv_does() -> None:
    for x, y in ((3.0, 4.0), (160.0, 128.0), (310.0, 20.0), (100.0, 250.0)):
        expected = cv2.undistortPoints(np.array([[[x - 0.5, y - 0.5]]]), MATRIX, np.array(BENT), P=MATRIX).ravel() + 0.5
        assert LENS.calibration.straighten(x, y) == pytest.approx(expected, abs=0.01)


def spot(x: float, y: float) -> Pixels:
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    grey = (200 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 18)).round().astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


@pytest.mark.parametrize(("x", "y"), [(40.0, 30.0), (160.0, 128.0), (290.0, 40.0), (60.0, 220.0)])
def test_pixels_and_points_agree(x: float, y: float) -> None:
    """The spot's centre of mass in the straight frame leads back to where it is in the frame."""
    straight = LENS.straight(spot(x, y), Place(WIDTH, HEIGHT))[:, :, 0].astype(float)
    straight[straight < 20] = 0
    top, left = np.unravel_index(straight.argmax(), straight.shape)
    straight[: max(0, top - 14)] = straight[top + 15 :] = 0
    straight[:, : max(0, left - 14)] = straight[:, left + 15 :] = 0
    at = (np.arange(WIDTH) + 0.5) @ straight.sum(0), (np.arange(HEIGHT) + 0.5) @ straight.sum(1)
    total = straight.sum()
    assert LENS.calibration.bend(at[0] / total, at[1] / total) == pytest.approx((x, y), abs=0.25)


def test_only_what_is_asked_for_is_made() -> None:
    """A part of the straight frame is that part of the whole."""
    frame = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    whole = LENS.straight(frame, Place(WIDTH, HEIGHT)).copy()
    other = Lens(LENS.calibration)
    part = other.straight(frame, Place(60, 40, (200.0, 30.0)))
    assert (part[30:70, 200:260] == whole[30:70, 200:260]).all()


def test_a_finding_goes_there_and_back() -> None:
    seen = Finding("a", 0.5, (250, 20, 300, 60), ((250, 20), (300, 20), (275, 60)), ((260, 30, 0.5),), 30.0)
    back = LENS.bent(LENS.straightened(seen))
    assert np.allclose(back.outline, seen.outline, atol=1e-6)
    assert np.allclose(back.points, seen.points, atol=1e-6)
    assert back.box == pytest.approx(seen.box, abs=1e-6)
    assert back.angle == pytest.approx(30, abs=0.05)


def test_the_box_holds_edges_that_became_bows() -> None:
    """Straight lines near the frame's edge bend outwards in their middle."""
    straight = LENS.straightened(Finding("a", 0.5, (10, 10, 310, 30)))
    assert straight.box[1] < LENS.calibration.straighten(160, 10)[1]


def folder(place: Path, made: dict[str, Any], **parts: Any) -> Path:
    model = models.detector([(100, 100, 120, 110, 0.9, 0)])
    (place / "model.onnx").write_bytes(model)
    text = json.dumps(made)
    (place / "calibration.yaml").write_text(text)
    recipe = {
        "recipe": "flat",
        "number": 1,
        "model": {"file": "model.onnx", "sha256": hashlib.sha256(model).hexdigest()},
        "task": {"kind": "detect", "format": "end2end", "classes": ["hole"]},
        "calibration": {"file": "calibration.yaml", "sha256": hashlib.sha256(text.encode()).hexdigest()},
        "rules": [{"name": "any", "when": {"any": True}, "verdict": "NG", "code": 1}],
        "values": [{"name": take, "take": take, "of": {"any": True}} for take in ("x", "y", "width", "height", "area")],
        **parts,
    }
    (place / "recipe.yaml").write_text(json.dumps(recipe))
    return place


def test_a_step_sees_the_straight_picture_and_tells_places_of_the_frame(tmp_path: Path) -> None:
    recipe = recipes.load(folder(tmp_path, document(), picture={"undistort": True}))
    (finding,), _ = Pipeline(recipe, OnnxRuntimeConfig()).look(spot(50, 50), lambda picture: None)
    assert finding.box[:2] != (100, 100)
    assert LENS.straightened(finding).box == pytest.approx((100, 100, 120, 110), abs=0.2)  # a hull of a hull


def test_a_frame_of_another_size_is_a_fault(tmp_path: Path) -> None:
    ready = Pipeline(recipes.load(folder(tmp_path, document())), OnnxRuntimeConfig())
    with pytest.raises(
        TaskError, match="the frame has 320 x 250 pixels, the calibration was made for 320 x 256"
    ) as caught:
        ready.look(spot(50, 50)[:250], lambda picture: None)
    assert caught.value.code is Code.IMAGE_FORMAT


def test_findings_are_judged_in_millimetres(tmp_path: Path) -> None:
    """Without distortion, a tenth of a millimetre for each pixel."""
    recipe = recipes.load(folder(tmp_path, document(distortion=(0, 0, 0, 0, 0), plane=TENTH)))
    judged = judge(recipe, [Finding("hole", 0.9, (100, 100, 120, 110))])
    assert judged.values == pytest.approx((11, 10.5, 2, 1, 2))


def test_both_processes_read_the_same_calibration(tmp_path: Path) -> None:
    recipe = recipes.load(folder(tmp_path, document(plane=TENTH)))
    again = Recipe.model_validate(recipe.model_dump(mode="json")).placed(tmp_path)
    with pytest.raises(RuntimeError, match="was not read"):
        again.ruler  # noqa: B018 - looking at it is the test
    assert recipes.complete(again).lens == recipe.lens


@pytest.mark.parametrize(
    ("change", "parts", "expected"),
    [
        ("edit", {}, "calibration.yaml: the file has SHA-256"),
        ("remove", {}, "calibration.yaml: the calibration cannot be read (No such file or directory)"),
        ("", {"mm_per_px": 0.1}, "mm_per_px has no place beside a calibration with a plane"),
        ("", {"calibration": None, "picture": {"undistort": True}}, "picture.undistort: needs a calibration"),
        ("", {"calibration": {"file": "../c.yaml", "sha256": "0" * 64}}, "calibration.file: '../c.yaml' does not stay"),
    ],
)
def test_a_calibration_that_does_not_fit_is_refused(
    tmp_path: Path, change: str, parts: dict[str, Any], expected: str
) -> None:
    folder(tmp_path, document(plane=TENTH), **parts)
    file = tmp_path / "calibration.yaml"
    if change == "edit":
        file.write_text(file.read_text() + " ")
    elif change == "remove":
        file.unlink()
    with pytest.raises(RecipeError) as caught:
        recipes.load(tmp_path)
    assert expected in caught.value.text
    assert caught.value.code is Code.CONFIG_INVALID


def test_a_frame_of_more_pixels_than_there_is_memory_for_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        error = cv2.error("Insufficient memory")
        error.code = cv2.Error.STS_NO_MEM
        raise error

    monkeypatch.setattr(cv2, "initUndistortRectifyMap", full)
    with pytest.raises(MemoryError):
        Lens(Calibration.model_validate(document()))
