"""A reference picture, found in drawn frames."""

import hashlib
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gateway.inspection import Finding
from gateway.recipe_measure import TemplateTask
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.template import Template
from protocols.faults import Code


def part(height: int = 40, width: int = 60) -> np.ndarray:
    """Something without symmetry."""
    picture = np.full((height, width), 90, np.uint8)
    cv2.rectangle(picture, (6, 6), (25, 16), 220, cv2.FILLED)
    cv2.circle(picture, (45, 26), 9, 30, cv2.FILLED)
    cv2.line(picture, (4, 34), (30, 24), 160, 3)
    return picture


def saved(folder: Path, picture: np.ndarray) -> dict[str, str]:
    content = cv2.imencode(".png", picture)[1].tobytes()
    (folder / "reference.png").write_bytes(content)
    return {"file": "reference.png", "sha256": hashlib.sha256(content).hexdigest()}


def template(folder: Path, picture: np.ndarray | None = None, **given: Any) -> Template:
    image = saved(folder, part() if picture is None else picture)
    return Template(TemplateTask.model_validate({"kind": "template", "image": image} | given), folder)


def frame(*places: tuple[float, float, float]) -> np.ndarray:
    """The part with its middle at x, y, turned clockwise by so many degrees."""
    picture = np.full((240, 320), 100, np.uint8)
    height, width = part().shape
    for x, y, angle in places:
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        middle = (width - 1) / 2, (height - 1) / 2
        move = np.array(
            [
                [c, -s, x - 0.5 - c * middle[0] + s * middle[1]],
                [s, c, y - 0.5 - s * middle[0] - c * middle[1]],
            ]
        )
        drawn = cv2.warpAffine(part(), move, (320, 240))
        mask = cv2.warpAffine(np.full_like(part(), 255), move, (320, 240)) > 127
        picture[mask] = drawn[mask]
    return np.repeat(picture[:, :, None], 3, axis=2)


def middles(found: tuple[Finding, ...]) -> list[tuple[float, float]]:
    return [tuple(np.mean(f.outline, axis=0).tolist()) for f in found]


@pytest.mark.parametrize(("x", "y"), [(100, 80), (100.5, 80.5), (203.3, 121.7)])
def test_it_is_found_where_it_is(tmp_path: Path, x: float, y: float) -> None:
    (found,) = template(tmp_path).look(frame((x, y, 0)))
    assert middles((found,))[0] == pytest.approx((x, y), abs=0.15)
    assert found.score > 0.9
    assert found.angle == 0


@pytest.mark.parametrize("angle", [-20, 10, 15])
def test_it_is_found_turned(tmp_path: Path, angle: float) -> None:
    (found,) = template(tmp_path, rotate=30).look(frame((150, 110, angle)))
    assert found.angle == angle
    assert middles((found,))[0] == pytest.approx((150, 110), abs=0.3)
    assert found.score > 0.9
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    assert found.outline[0] == pytest.approx((150 - 30 * c + 20 * s, 110 - 30 * s - 20 * c), abs=0.4)


def test_as_many_as_are_asked_for(tmp_path: Path) -> None:
    picture = frame((60, 50, 0), (160, 50, 0), (60, 150, 0))
    assert len(template(tmp_path).look(picture)) == 1
    found = template(tmp_path, most=10).look(picture)
    assert sorted((round(x), round(y)) for x, y in middles(found)) == [(60, 50), (60, 150), (160, 50)]


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((240, 320, 3), np.uint8),
        np.full((240, 320, 3), 255, np.uint8),
        np.random.default_rng(1).integers(0, 256, (240, 320, 3)).astype(np.uint8),
        np.full((30, 320, 3), 90, np.uint8),
        frame(),
        frame((150, 110, 0)) // 40,
    ],
    ids=["black", "white", "noise", "too small", "empty", "a shadow of a few grey levels"],
)
def test_nothing_is_nothing(tmp_path: Path, picture: np.ndarray) -> None:
    assert template(tmp_path, rotate=10, min_score=0.3).look(picture) == ()


def test_another_or_no_picture_is_refused(tmp_path: Path) -> None:
    image = saved(tmp_path, part())
    settings = TemplateTask.model_validate({"kind": "template", "image": image})
    (tmp_path / "reference.png").write_bytes(b"something else")
    codes = []
    for content in (b"something else", None):
        if content is None:
            (tmp_path / "reference.png").unlink()
        with pytest.raises(TaskError) as refused:
            Template(settings, tmp_path)
        codes.append(refused.value.code)
    assert codes == [Code.MODEL_HASH, Code.MODEL_LOAD]


def test_what_is_no_picture_or_shows_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reference.png").write_bytes(b"no picture")
    image = {"file": "reference.png", "sha256": hashlib.sha256(b"no picture").hexdigest()}
    with pytest.raises(TaskError, match="no picture"):
        Template(TemplateTask.model_validate({"kind": "template", "image": image}), tmp_path)
    with pytest.raises(TaskError, match="shows nothing"):
        template(tmp_path, np.full((40, 60), 90, np.uint8))
