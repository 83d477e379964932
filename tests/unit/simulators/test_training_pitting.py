"""The pictures that the pitting network learns from, and the numbers of its card; without torch."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from simulators.training.pitting.data import CROP, INPUT, UNLABELLED, WEAR, Crops, Sample, load
from simulators.training.pitting.evaluate import Looked, _regions, pits, pixel_iou, table

SIZE = (1130, 460)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four pictures of each part of the data set; `pitting` with a square of 113 x 46 pixels."""
    rows: list[dict[str, object]] = []
    names = {"pitting": "01_200906{}", UNLABELLED: "01_200829{}", WEAR: "01_200830{}"}
    for number, (folder, pattern) in enumerate(names.items()):
        (tmp_path / folder).mkdir()
        for index in range(4):
            name = pattern.format(f"00000{index}_crop_2.jpg")
            shade = np.full((SIZE[1], SIZE[0], 3), 100 + 10 * number + index, np.uint8)
            cv2.imwrite(str(tmp_path / folder / name), shade)
            labelled = folder == "pitting"
            if labelled:
                square = [[113, 46], [226, 46], [226, 92], [113, 92]]
                notes = {"shapes": [{"label": "Pitting", "points": square}]}
                (tmp_path / folder / name).with_suffix(".json").write_text(json.dumps(notes))
            split = ("train", "test")[index % 2] if labelled else None
            rows.append({"folder": folder, "filename": name, "train_test_split": split, "labels": labelled})
    rows.append({"folder": WEAR, "filename": "01_200916071727.jpg", "train_test_split": None, "labels": False})
    (tmp_path / "manifest.json").write_text(json.dumps(rows))
    return tmp_path


def test_no_picture_is_in_both_parts(pictures: Path) -> None:
    train, test = load(pictures, "train"), load(pictures, "test")
    assert len(train) == 2 + 2
    assert len(test) == 2 + 2 + 4, "the pitted picture without a polygon counts as clean"
    assert not {sample.name for sample in train} & {sample.name for sample in test}
    assert not any(sample.name.startswith(WEAR) for sample in train)


def test_a_polygon_becomes_the_mask_of_the_networks_size(pictures: Path) -> None:
    sample = next(sample for sample in load(pictures, "train") if sample.mask.any())
    assert sample.picture.shape == (INPUT[1], INPUT[0], 3)
    rows, columns = np.nonzero(sample.mask)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (77, 154, 32, 64)
    assert sample.area == pytest.approx(0.01)


def sample_with(pits_at: list[tuple[int, int]]) -> Sample:
    picture, mask = np.full((INPUT[1], INPUT[0], 3), 200, np.uint8), np.zeros((INPUT[1], INPUT[0]), np.uint8)
    for x, y in pits_at:
        mask[y : y + 10, x : x + 10] = 1
    picture[mask > 0] = 20
    return Sample("a", picture, mask, float(mask.mean()))


def test_crops_show_pitting_where_the_mask_says_so_every_second_time() -> None:
    crops = Crops([sample_with([(300, 200)]), sample_with([])], seed=3)
    shown = 0
    for _ in range(10):
        picture, mask = crops.batch(8)
        assert picture.shape == (8, CROP, CROP, 3)
        for one, of in zip(picture, mask, strict=True):
            if of.any():
                assert one[of > 0].mean() < one[of == 0].mean() - 30
        shown += sum(bool(of.any()) for of in mask)
    assert 36 <= shown <= 60


def test_the_figures_count_pits_pixels_and_pictures() -> None:
    bad, clean = sample_with([(100, 100), (300, 100)]), sample_with([])
    seen = np.zeros((INPUT[1], INPUT[0]), np.float32)
    seen[100:110, 100:105] = 0.9  # the left half of the first pit
    spot = np.zeros_like(seen)
    spot[5, 5] = 0.9
    looked = [Looked(bad, seen, _regions(seen)), Looked(clean, spot, _regions(spot))]
    assert pits(looked[:1]) == (1, 2)
    assert pixel_iou(looked[:1]) == pytest.approx(50 / 200)
    assert table(looked, (1, 51))[0] == "area    1: escapes 0 of 1, false rejects 1 of 1"
    assert table(looked, (51,))[0] == "area   51: escapes 1 of 1, false rejects 0 of 1"
