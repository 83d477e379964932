"""`gateway recipe try` with real vision processes: a network whose score is the brightness of the picture."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway import cli, recipe_try
from tests import models

Said = pytest.CaptureFixture[str]
RULES = """\
  - {name: bright, when: {any: true, min_score: 0.6}, verdict: NG, code: 100}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = models.recipe(tmp_path / "plate", models.detector([(10, 10, 90, 90, 0, 0)], bright=True))
    text = (place / "recipe.yaml").read_text()
    (place / "recipe.yaml").write_text(text[: text.index("rules:")] + "rules:\n" + RULES)
    return place


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Grey pictures by truth; the score is grey / 255: 0.3, 0.7, 0.31 of good parts, 0.8, 0.5, 0.9 of bad ones."""
    place = tmp_path / "pictures"
    for truth, greys in (("ok", (77, 178, 79)), ("ng", (210, 128, 230))):
        for grey in greys:
            (place / truth).mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(grey).integers(-20, 21, (256, 320, 1))
            picture = np.clip(grey + noise, 0, 255).astype(np.uint8).repeat(3, axis=2)
            assert cv2.imwrite(str(place / truth / f"{grey}.png"), picture)
    (place / "ng" / "broken.png").write_bytes(b"no picture")
    return place


def test_a_recipe_is_tried(folder: Path, pictures: Path, tmp_path: Path, capsys: Said) -> None:
    out = tmp_path / "out"
    assert cli.main(["recipe", "try", str(folder), str(pictures), "--out", str(out), "--worst", "4"]) == 0
    told = capsys.readouterr().out
    for line in (
        "good            2        1        0        0        3",
        "bad             1        2        0        1        4",
        "escapes: 1 of 4; with 95 % confidence at most 75 % of bad parts",
        "false rejects: 1 of 3; with 95 % confidence at most 86 % of good parts",
    ):
        assert line in told
    assert sorted(path.name for path in out.iterdir()) == [
        "01-escape-128.jpg",
        "02-false-reject-178.jpg",
        "04-right-79.jpg",
    ]
    drawn = cv2.imread(str(out / "01-escape-128.jpg"))
    assert drawn is not None
    assert drawn.shape[2] == 3


def test_a_program_gets_every_picture_and_limit(folder: Path, pictures: Path, capsys: Said) -> None:
    assert cli.main(["recipe", "try", str(folder), str(pictures), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["confusion"] == {
        "good": {"OK": 2, "NG": 1, "RECHECK": 0, "FAULT": 0},
        "bad": {"OK": 1, "NG": 2, "RECHECK": 0, "FAULT": 1},
    }
    words = {Path(one["file"]).name: (one["kind"], one["reason"]) for one in told["pictures"]}
    assert words["128.png"] == ("escape", 0)
    assert words["178.png"] == ("false reject", 100)
    assert words["broken.png"] == ("fault", 1004)
    limits = {row["value"]: (row["escapes"], row["false_rejects"]) for row in told["limits"]}
    assert limits[0.6] == (1, 1)
    assert limits[0.4] == (0, 1)
    assert limits[0.8] == (1, 0)


def test_a_model_that_cannot_be_loaded_is_one_sentence(pictures: Path, tmp_path: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "bad", models.nested_functions())
    assert cli.main(["recipe", "try", str(folder), str(pictures)]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert "the model was not loaded" in told.err


def test_pictures_that_kill_are_faults_and_end_the_trial(
    pictures: Path, tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe_try, "PATIENCE", 0.0)  # every picture takes too long
    folder = models.recipe(tmp_path / "plate", models.detector())
    assert cli.main(["recipe", "try", str(folder), str(pictures)]) == 1
    assert "3 vision processes ended at pictures" in capsys.readouterr().err


def test_where_every_part_went_wrong_the_share_is_all(folder: Path, pictures: Path, capsys: Said) -> None:
    shutil.rmtree(pictures / "ok")
    (pictures / "ok").mkdir()
    shutil.copy(pictures / "ng" / "230.png", pictures / "ok")
    assert cli.main(["recipe", "try", str(folder), str(pictures)]) == 0
    assert "false rejects: 1 of 1; with 95 % confidence at most 100 % of good parts" in capsys.readouterr().out
