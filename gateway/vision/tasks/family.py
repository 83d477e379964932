"""Which kind and format a network has, told by its metadata or its outputs' names; never guessed from shapes alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.vision.engines import EngineInfo
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.formats import FORMATS, ROW
from protocols.faults import Code

Told = tuple[str, str]
"""Kind and format of a recipe's task."""
OWN = frozenset({"end2end", *FORMATS})
"""`format` in the metadata, in our own words: what this project's training writes."""
_BY_FAMILY = {"yolox": "yolox", "yolo9": "yolov8", "rfdetr": "detr", "dfine": "detr", "rtdetr": "detr"}
"""`model_family` as LibreYOLO writes it."""
_BY_TYPE = {"yolov8": "yolov8", "yolo11": "yolov8", "yolox": "yolox", "yolov5": "yolov5", "ssd": "boxes"}
"""`model_info model_type` as OpenVINO's model API writes it."""
_BY_NAMES: tuple[tuple[set[str], Told], ...] = (
    ({"dets", "labels", "masks"}, ("segment", "detr")),
    ({"pred_boxes", "logits", "pred_masks"}, ("segment", "detr")),
    ({"boxes", "labels", "scores", "masks"}, ("segment", "boxes")),
    ({"dets", "labels"}, ("detect", "detr")),
    ({"pred_boxes", "logits"}, ("detect", "detr")),
    ({"pred_boxes", "pred_logits"}, ("detect", "detr")),
    ({"boxes", "labels", "scores"}, ("detect", "boxes")),
    ({"detection_boxes", "detection_classes", "detection_scores"}, ("detect", "tf_boxes")),
)
_KINDS = {"detect": "detect", "obb": "oriented", "segment": "segment", "pose": "keypoints", "semantic": "semantic"}
"""`task` in the metadata, as Ultralytics and LibreYOLO write it."""
_PLANES = 4


def told(info: EngineInfo) -> Told:
    """Kind and format; TaskError 2006 with what the model shows of itself when that does not tell."""
    return _first(info, None)


def format_of(info: EngineInfo, kind: str = "detect") -> str:
    """The format that the model tells for a task of this kind; TaskError 2006."""
    return _first(info, kind)[1]


def _first(info: EngineInfo, kind: str | None) -> Told:
    """What is told first; the names of outputs may tell of several kinds, for masks need not be used."""
    by_metadata = _by_metadata(info.metadata, info.outputs)
    found = [by_metadata] if by_metadata else list(_by_names(info.outputs))
    if fitting := next((one for one in found if kind in (None, one[0])), None):
        return fitting
    if found:
        text = f"the model tells that it is a network of kind {found[0][0]}, task.kind is {kind}"
        raise TaskError(Code.MODEL_MISMATCH, f"{text}; put it right, or give task.format in recipe.yaml")
    outputs = "; ".join(f"{name} {list(shape)}" for name, shape in list(info.outputs.items())[:4])
    text = f"neither the model's metadata nor the names of its outputs ({outputs or 'none'}) tell what they hold"
    raise TaskError(Code.MODEL_MISMATCH, f"{text}; give task.format in recipe.yaml")


def _by_metadata(metadata: Mapping[str, str], outputs: Mapping[str, tuple[int, ...]]) -> Told | None:
    if (own := metadata.get("format", "")) in OWN:
        return "detect", own
    if family := metadata.get("model_family"):
        return _libre(family.lower(), metadata.get("task", "detect"))
    if kind := metadata.get("model_info model_type"):
        form = _BY_TYPE.get(kind.lower())
        return ("detect", form) if form else None
    if "ultralytics" in metadata.get("description", "").lower() or "ultralytics" in metadata.get("author", "").lower():
        return _ultralytics(metadata, outputs)
    return None


def _libre(family: str, task: str) -> Told | None:
    form = _BY_FAMILY.get(family)
    if form and (task == "detect" or (task == "segment" and form == "detr")):
        return task, form
    return None


def _ultralytics(metadata: Mapping[str, str], outputs: Mapping[str, tuple[int, ...]]) -> Told | None:
    """YOLOv8 to 12, or 10 and 26: the same metadata, told apart by `end2end` or, of boxes alone, finished rows."""
    kind = _KINDS.get(metadata.get("task", "detect"))
    if kind is None or len(outputs) != (2 if kind == "segment" else 1):
        return None
    shape = next(iter(outputs.values()))
    if kind == "semantic":
        return kind, "logits" if len(shape) == _PLANES else "labels"
    if metadata.get("end2end", "").lower() == "true" or (kind == "detect" and shape[-1] == ROW):
        return kind, "end2end"
    return kind, "yolov8"


def _by_names(outputs: Mapping[str, tuple[int, ...]]) -> Iterator[Told]:
    return (one for names, one in _BY_NAMES if names <= set(outputs))
