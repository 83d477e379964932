"""Outputs of every family of detectors, worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_task import Detect
from gateway.vision.engines import EngineInfo
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError, make_task
from gateway.vision.tasks.boxes import Candidates, without_overlaps
from gateway.vision.tasks.family import format_of
from protocols.faults import Code

LABELS = ("scratch", "burr")
WHOLE = Placement(1, 1, 0, 0, 320, 256)
Outputs = dict[str, Any]


def settings(**given: Any) -> Detect:
    return Detect.model_validate({"kind": "detect", "classes": LABELS, "min_score": 0.3} | given)


def info(outputs: dict[str, tuple[int, ...]], **metadata: str) -> EngineInfo:
    return EngineInfo("CPU", np.zeros((256, 320, 3), np.uint8), outputs, metadata)


def seen(settings: Detect, outputs: Outputs, placement: Placement = WHOLE) -> list[tuple[str, float, Any]]:
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    task = make_task(settings, info({name: array.shape for name, array in arrays.items()}))
    found: tuple[Finding, ...] = task.decode(arrays, placement)
    return [(f.label, round(f.score, 3), tuple(round(edge, 2) for edge in f.box)) for f in found]


def floats(rows: Any) -> np.ndarray:
    return np.asarray(rows, np.float32)


V5 = floats([[[100, 50, 20, 10, 0.9, 0.1, 0.8], [200, 100, 40, 40, 0.5, 0.9, 0.2], [9, 9, 9, 9, 0.2, 1, 1]]])
FIRST, SECOND = ("burr", 0.72, (90, 45, 110, 55)), ("scratch", 0.45, (180, 80, 220, 120))


def test_yolov5_weighs_the_class_by_the_objectness() -> None:
    assert seen(settings(format="yolov5"), {"output0": V5}) == [FIRST, SECOND]


def test_yolox_decoded_in_the_graph_is_read_alike() -> None:
    assert seen(settings(format="yolox"), {"output": V5}) == [FIRST, SECOND]


def test_yolov8_has_its_classes_in_columns() -> None:
    rows = floats([[100, 200, 9], [50, 100, 9], [20, 40, 9], [10, 40, 9], [0.1, 0.45, 0.2], [0.72, 0.1, 0.29]])[None]
    assert seen(settings(format="yolov8"), {"output0": rows}) == [FIRST, SECOND]


def test_the_same_layout_with_corners() -> None:
    rows = floats([[90, 180], [45, 80], [110, 220], [55, 120], [0.1, 0.45], [0.72, 0.1]])[None]
    assert seen(settings(format="yolov8", boxes="corners"), {"output0": rows}) == [FIRST, SECOND]


def test_yolox_in_cells_of_its_grids() -> None:
    cells = 40 * 32 + 20 * 16 + 10 * 8
    rows = np.zeros((1, cells, 7), np.float32)
    rows[0, 6 * 40 + 12] = (0.5, 0.25, math.log(2.5), math.log(1.25), 0.9, 0.1, 0.8)  # stride 8, column 12, row 6
    rows[0, 40 * 32 + 6 * 20 + 12] = (0.5, 0.25, 0.0, 0.0, 0.5, 0.9, 0.2)  # stride 16
    assert seen(settings(format="yolox_grid"), {"output": rows}) == [
        ("burr", 0.72, (90, 45, 110, 55)),
        ("scratch", 0.45, (192, 92, 208, 108)),
    ]


def logit(score: float) -> float:
    return math.log(score / (1 - score))


QUERIES = floats([[[100 / 320, 50 / 256, 20 / 320, 10 / 256], [200 / 320, 100 / 256, 40 / 320, 40 / 256]]])


def test_detr_takes_the_sigmoid_and_parts_of_the_size() -> None:
    logits = floats([[[-9, logit(0.72)], [logit(0.45), -9]]])
    assert seen(settings(format="detr"), {"dets": QUERIES, "labels": logits}) == [FIRST, SECOND]
    assert seen(settings(format="detr"), {"pred_boxes": QUERIES, "logits": logits}) == [FIRST, SECOND]


@pytest.mark.parametrize(("background", "at"), [("last", 2), ("first", 0)])
def test_detr_with_a_class_for_nothing(background: str, at: int) -> None:
    logits = np.insert(floats([[[-9, logit(0.72)], [logit(0.45), -9]]]), at, 5.0, axis=2)
    assert seen(settings(format="detr", background=background), {"dets": QUERIES, "labels": logits}) == [FIRST, SECOND]


def test_one_query_of_detr_may_be_two_things() -> None:
    logits = floats([[[logit(0.45), logit(0.72)], [-9, -9]]])
    found = seen(settings(format="detr"), {"dets": QUERIES, "labels": logits})
    assert [(label, score) for label, score, _ in found] == [("burr", 0.72), ("scratch", 0.45)]


CORNERS = floats([[180, 80, 220, 120], [90, 45, 110, 55], [1, 1, 9, 9]])


@pytest.mark.parametrize("batch", [False, True])
def test_boxes_labels_and_scores(batch: bool) -> None:
    outputs = {"labels": np.array([0, 1, 1]), "boxes": CORNERS, "scores": floats([0.45, 0.72, 0.1])}
    if batch:
        outputs = {name: array[None] for name, array in outputs.items()}
    assert seen(settings(format="boxes"), outputs) == [FIRST, SECOND]


def test_boxes_with_labels_from_one_and_a_background() -> None:
    outputs = {"boxes": CORNERS, "labels": np.array([1, 2, 0]), "scores": floats([0.45, 0.72, 0.9])}
    assert seen(settings(format="boxes", background="first"), outputs) == [FIRST, SECOND]


def test_boxes_that_carry_their_scores() -> None:
    rows = np.concatenate((CORNERS, floats([[0.45], [0.72], [0.1]])), axis=1)[None]
    assert seen(settings(format="boxes"), {"boxes": rows, "labels": np.array([[0, 1, 1]])}) == [FIRST, SECOND]


def test_post_processed_boxes_of_tensorflow() -> None:
    outputs = {
        "detection_boxes": floats(
            [[[45 / 256, 90 / 320, 55 / 256, 110 / 320], [80 / 256, 180 / 320, 120 / 256, 220 / 320]]]
        ),
        "detection_classes": floats([[2, 1]]),
        "detection_scores": floats([[0.72, 0.45]]),
        "num_detections": floats([2]),
    }
    assert seen(settings(format="tf_boxes"), outputs) == [FIRST, SECOND]


def test_a_detection_output_ends_where_it_says() -> None:
    row = [0, 1, 0.72, 90 / 320, 45 / 256, 110 / 320, 55 / 256]
    rows = floats([[[row, [0, 0, 0.45, 180 / 320, 80 / 256, 220 / 320, 120 / 256], [-1] * 7, row]]])
    assert seen(settings(format="detection_output"), {"detection_out": rows}) == [FIRST, SECOND]


SHARES = floats([[[90 / 320, 45 / 256, 110 / 320, 55 / 256], [180 / 320, 80 / 256, 220 / 320, 120 / 256]] * 2])


@pytest.mark.parametrize(("background", "at"), [("first", 0), ("last", 2), ("none", None)])
def test_an_ssd_gives_a_score_for_each_class_and_for_nothing(background: str, at: int | None) -> None:
    scores = floats([[[0.2, 0.72], [0.45, 0.3], [0.1, 0.7], [0.2, 0.1]]])  # the last two are told once, or not at all
    if at is not None:
        scores = np.insert(scores, at, [0.08, 0.25, 0.2, 0.99], axis=2)
    form = settings(format="ssd", background=background)
    assert seen(form, {"scores": scores, "boxes": SHARES}) == [FIRST, SECOND]


def test_the_background_of_an_ssd_is_its_first_class() -> None:
    scores = floats([[[0.9, 0.05, 0.05], [0.2, 0.45, 0.35]]])
    assert seen(settings(format="ssd"), {"scores": scores, "boxes": SHARES[:, :2]}) == [SECOND]


def test_rows_of_centres_from_a_built_in_suppression() -> None:
    rows = floats([[[100, 50, 20, 10, 0.72, 1], [200, 100, 40, 40, 0.45, 0], [0] * 6]])
    assert seen(settings(format="end2end", boxes="centre"), {"output0": rows}) == [FIRST, SECOND]


def test_boxes_come_back_to_the_frame() -> None:
    place = Placement(0.5, 0.25, 10, 20, 500, 500)
    ((_, _, box), _) = seen(settings(format="yolov5"), {"output0": V5}, place)
    assert box == ((90 - 10) / 0.5, (45 - 20) / 0.25, (110 - 10) / 0.5, (55 - 20) / 0.25)


# ---------------------------------------------------------------- overlaps


def test_of_two_boxes_of_one_class_the_better_stays_of_two_classes_both() -> None:
    rows = [
        [100, 50, 20, 10, 1, 0, 0.8],
        [101, 50, 20, 10, 1, 0, 0.7],
        [100, 50, 20, 10, 1, 0.6, 0],
        [150, 50, 20, 10, 1, 0, 0.5],
    ]
    found = seen(settings(format="yolov5"), {"output0": floats([rows])})
    assert [(label, score) for label, score, _ in found] == [("burr", 0.8), ("scratch", 0.6), ("burr", 0.5)]


def test_how_much_may_overlap_is_a_setting() -> None:
    rows = floats([[[10, 10, 20, 20, 1, 0.9, 0], [20, 10, 20, 20, 1, 0.8, 0]]])  # a third in common
    assert len(seen(settings(format="yolov5", max_overlap=0.34), {"o": rows})) == 2
    assert len(seen(settings(format="yolov5", max_overlap=0.33), {"o": rows})) == 1


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 4, st.integers(1, 100), st.integers(0, 1)), max_size=30))
def test_what_stays_does_not_overlap_and_what_goes_does(some: list[tuple[int, ...]]) -> None:
    some.sort(key=lambda row: -row[4])
    table = np.array(some, np.float64).reshape(-1, 6)
    table[:, 2:4] += table[:, :2] + 1
    kept = without_overlaps(Candidates(table[:, :4], table[:, 4], table[:, 5], np.arange(len(table))), 0.5)
    rows = [tuple(row) for row in np.column_stack((kept.boxes, kept.scores, kept.classes))]
    for index, row in enumerate(rows):
        assert all(iou(row, other) <= 0.5 or row[5] != other[5] for other in rows[:index])
    for gone in {tuple(row) for row in table} - set(rows):
        assert any(iou(gone, row) > 0.5 and row[5] == gone[5] and row[4] >= gone[4] for row in rows)


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inner = max(wide, 0) * max(high, 0)
    return inner / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner)


def test_cells_of_fastestdet_tell_where_and_how_large() -> None:
    planes = np.zeros((1, 7, 16, 20), np.float32)  # cells of 16 pixels
    planes[0, :, 3, 6] = [0.9, math.atanh(0.25), math.atanh(-0.5), logit(20 / 320), logit(64 / 256), 0.1, 0.8]
    planes[0, :, 9, 4] = [0.5, 0, 0, logit(0.1), logit(0.125), 0.9, 0.05]
    planes[0, :, 9, 5] = [0.2, 0, 0, 0, 0, 1, 0]  # hardly anything
    assert seen(settings(format="fastestdet"), {"758": planes}) == [
        ("burr", 0.72, (90, 8, 110, 72)),
        ("scratch", 0.45, (48, 128, 80, 160)),
    ]


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["yolov5", "yolov8", "yolox", "detection_output"])
def test_what_is_no_number_is_a_fault(name: str, wrong: float) -> None:
    rows = np.zeros(
        (1, 1, 5, 7) if name == "detection_output" else (1, 6, 9) if name == "yolov8" else (1, 9, 7), np.float32
    )
    rows[..., 0, 0] = wrong
    with pytest.raises(TaskError) as caught:
        seen(settings(format=name), {"o": rows})
    assert caught.value.code is Code.OUTPUT_INVALID


def test_scores_that_are_none_say_that_the_format_is_another() -> None:
    with pytest.raises(TaskError, match="format is another"):
        seen(settings(format="yolov5"), {"o": floats([[[9, 9, 9, 9, 4, 0, 3]]])})


def test_a_class_without_a_label_is_a_fault() -> None:
    with pytest.raises(TaskError, match=r"outside 0\.\.1"):
        seen(
            settings(format="boxes"),
            {"boxes": CORNERS, "labels": np.array([0, 2, 1]), "scores": floats([0.5, 0.5, 0.5])},
        )


@pytest.mark.parametrize(
    ("name", "shape"),
    [("yolov5", (1, 9, 8)), ("yolov8", (1, 7, 9)), ("yolox_grid", (1, 1680, 8)), ("fastestdet", (1, 8, 4, 5))],
)
def test_another_number_of_classes_than_labels_is_a_mismatch(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(TaskError, match="knows 3 classes") as caught:
        seen(settings(format=name), {"o": np.full(shape, 0.5, np.float32)})
    assert caught.value.code is Code.MODEL_MISMATCH


def test_grids_of_another_size_are_a_mismatch() -> None:
    with pytest.raises(TaskError, match="1680 cells; is the format yolox"):
        seen(settings(format="yolox_grid"), {"o": np.zeros((1, 99, 7), np.float32)})


@pytest.mark.parametrize("name", ["yolov8_grid", "fastestdet", "yolov5"])
def test_an_output_of_other_dimensions_is_a_mismatch(name: str) -> None:
    with pytest.raises(TaskError, match=r"task\.format") as caught:
        seen(settings(format=name), {"o": np.zeros((2, 7, 16, 20) if name != "yolov5" else (1, 2, 9, 7), np.float32)})
    assert caught.value.code is Code.MODEL_MISMATCH


def test_an_ssd_needs_scores_for_each_box() -> None:
    with pytest.raises(TaskError, match="4 boxes and 3 rows"):
        seen(settings(format="ssd"), {"scores": np.zeros((1, 3, 3), np.float32), "boxes": SHARES})


def test_lists_of_different_length_are_a_fault() -> None:
    with pytest.raises(TaskError, match="3 boxes, 2 scores and 3 labels"):
        seen(settings(format="boxes"), {"boxes": CORNERS, "labels": np.array([0, 1, 1]), "scores": floats([0.5, 0.5])})


@pytest.mark.parametrize(
    ("name", "text"), [("yolov8", "one output"), ("detr", "dets or pred_boxes"), ("boxes", "boxes")]
)
def test_a_format_that_the_outputs_do_not_have_is_a_mismatch(name: str, text: str) -> None:
    with pytest.raises(TaskError, match=text):
        make_task(settings(format=name), info({"a": (1, 2), "b": (1, 2)}))


# ---------------------------------------------------------------- which format it is


@pytest.mark.parametrize(
    ("outputs", "metadata", "told"),
    [
        ({"output0": (1, 6, 8400)}, {"description": "Ultralytics YOLO11n model", "task": "detect"}, "yolov8"),
        ({"output0": (1, 300, 6)}, {"author": "Ultralytics", "task": "detect"}, "end2end"),
        ({"output0": (1, -1, -1)}, {"author": "Ultralytics", "task": "detect", "end2end": "True"}, "end2end"),
        ({"o": (1, 50, 6)}, {"format": "end2end"}, "end2end"),
        ({"o": (1, 6, 8400)}, {"model_family": "yolo9"}, "yolov8"),
        ({"o": (1, 8400, 7)}, {"model_family": "yolox"}, "yolox"),
        ({"o": (1, 8400, 7)}, {"model_info model_type": "YOLOX"}, "yolox"),
        ({"dets": (1, 300, 4), "labels": (1, 300, 4)}, {}, "detr"),
        ({"logits": (1, 300, 2), "pred_boxes": (1, 300, 4)}, {}, "detr"),
        ({"boxes": (-1, 4), "labels": (-1,), "scores": (-1,)}, {}, "boxes"),
    ],
)
def test_the_model_tells_its_format(outputs: dict[str, tuple[int, ...]], metadata: dict[str, str], told: str) -> None:
    assert format_of(info(outputs, **metadata)) == told


@pytest.mark.parametrize(
    ("outputs", "metadata"),
    [
        ({"output0": (1, 6, 8400)}, {}),
        ({"output0": (1, 300, 6)}, {}),
        ({"output0": (1, 38, 8400), "output1": (1, 32, 64, 80)}, {"author": "Ultralytics", "task": "segment"}),
        ({"o": (1, 6, 8400)}, {"model_family": "unheard of"}),
    ],
)
def test_a_shape_alone_is_never_guessed_from(outputs: dict[str, tuple[int, ...]], metadata: dict[str, str]) -> None:
    with pytest.raises(TaskError, match=r"give task\.format"):
        format_of(info(outputs, **metadata))


def test_a_family_brings_its_way_of_resizing() -> None:
    shapes: dict[str, tuple[int, ...]] = {"o": (1, 6, 8400)}
    assert make_task(settings(format="yolov8"), info(shapes)).resize == "letterbox"
    assert make_task(settings(format="yolox"), info(shapes)).resize == "letterbox_corner"
    assert make_task(settings(format="yolov8", resize="stretch"), info(shapes)).resize == "stretch"
    assert make_task(settings(format="end2end"), info({"o": (1, 300, 6)})).resize == "stretch"
    assert make_task(settings(), info({"o": (1, 300, 6)}, author="Ultralytics")).resize == "letterbox"


# ---------------------------------------------------------------- heads as they are before any decoding


def heads(labels: int = 2, bins: int = 4) -> dict[str, Any]:
    """Three strides of an input of 320 x 256; whatever is not set scores nothing."""
    made = {}
    for stride in (8, 16, 32):
        planes = np.zeros((1, 4 * bins + labels, 256 // stride, 320 // stride), np.float32)
        planes[0, 4 * bins :] = -9
        made[f"stride{stride}"] = planes
    return made


def cell(planes: np.ndarray, row: int, column: int, bins: tuple[tuple[float, ...], ...], logits: list[float]) -> None:
    planes[0, :, row, column] = [*(np.log(np.maximum(bins, 1e-30)).ravel()), *logits]


def test_distances_are_the_means_of_their_distributions() -> None:
    outputs = heads()
    one, half = (0, 1, 0, 0), (0.5, 0.5, 0, 0)
    far = (0, 0, 0.25, 0.75)  # 2.75 cells
    cell(outputs["stride8"], 6, 12, (one, half, far, one), [-9, logit(0.72)])
    cell(outputs["stride32"], 3, 5, (one, one, one, one), [logit(0.45), -9])
    found = seen(settings(format="yolov8_grid"), outputs)
    assert found == [
        ("burr", 0.72, (92, 48, 122, 60)),  # centre of the cell 100, 52; strides of 8
        ("scratch", 0.45, (144, 80, 208, 144)),
    ]
    cell(outputs["stride8"], 6, 13, (one, half, far, one), [-9, logit(0.7)])
    assert len(seen(settings(format="yolov8_grid", max_overlap=0.5), outputs)) == 2, "overlaps are told once"


@pytest.mark.parametrize(
    ("outputs", "code"),
    [
        (heads(labels=3), Code.MODEL_MISMATCH),
        (heads(bins=1), Code.MODEL_MISMATCH),
        ({"a": np.zeros((1, 18, 32, 30), np.float32)}, Code.MODEL_MISMATCH),
        ({"a": np.zeros((1, 18, 32), np.float32)}, Code.MODEL_MISMATCH),
        ({"a": np.full((1, 18, 32, 40), np.nan, np.float32)}, Code.OUTPUT_INVALID),
        ({"a": np.full((1, 18, 32, 40), np.inf, np.float32)}, Code.OUTPUT_INVALID),
    ],
)
def test_heads_of_another_shape_are_a_fault(outputs: dict[str, Any], code: Code) -> None:
    with pytest.raises(TaskError) as refused:
        seen(settings(format="yolov8_grid"), outputs)
    assert refused.value.code is code


def test_a_crowd_of_candidates_hides_no_other_thing() -> None:
    """A thousand candidates of one thing, all surer than the scratch beside it."""
    many = [[100 + n / 100, 100, 50, 50, 0.1, 0.9] for n in range(1200)]
    columns = floats([*many, [250, 50, 20, 20, 0.5, 0.1]]).T[None]
    found = seen(settings(format="yolov8"), {"output0": columns})
    assert [label for label, *_ in found] == ["burr", "scratch"]


def test_what_lies_outside_the_frame_takes_no_place_among_the_findings() -> None:
    outside = [[-900 - 10 * n, 100, 5, 5, 0.1, 0.9] for n in range(MAX_FINDINGS)]
    columns = floats([*outside, [250, 50, 20, 20, 0.5, 0.1]]).T[None]
    assert [label for label, *_ in seen(settings(format="yolov8"), {"output0": columns})] == ["scratch"]
