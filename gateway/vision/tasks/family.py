"""Which format a detector has, told by its metadata or its outputs' names; never guessed from shapes alone."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.vision.engines import EngineInfo
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.formats import FORMATS
from protocols.faults import Code

ROW = 6
"""Columns of a row that is a finished detection."""
OWN = frozenset({"end2end", *FORMATS})
"""`format` in the metadata, in our own words: what this project's training writes."""
_BY_FAMILY = {"yolox": "yolox", "yolo9": "yolov8", "rfdetr": "detr", "dfine": "detr", "rtdetr": "detr"}
"""`model_family` as LibreYOLO writes it."""
_BY_TYPE = {"yolov8": "yolov8", "yolo11": "yolov8", "yolox": "yolox", "yolov5": "yolov5", "ssd": "boxes"}
"""`model_info model_type` as OpenVINO's model API writes it."""
_BY_NAMES = (
    ({"dets", "labels"}, "detr"),
    ({"pred_boxes", "logits"}, "detr"),
    ({"pred_boxes", "pred_logits"}, "detr"),
    ({"boxes", "labels", "scores"}, "boxes"),
    ({"detection_boxes", "detection_classes", "detection_scores"}, "tf_boxes"),
)


def format_of(info: EngineInfo) -> str:
    """The format; TaskError 2006 with what the model shows of itself when that does not tell."""
    told = _by_metadata(info.metadata, info.outputs) or _by_names(info.outputs)
    if told:
        return told
    outputs = "; ".join(f"{name} {list(shape)}" for name, shape in list(info.outputs.items())[:4])
    text = f"neither the model's metadata nor the names of its outputs ({outputs or 'none'}) tell what they hold"
    raise TaskError(Code.MODEL_MISMATCH, f"{text}; give task.format in recipe.yaml")


def _by_metadata(metadata: Mapping[str, str], outputs: Mapping[str, tuple[int, ...]]) -> str | None:
    if (own := metadata.get("format", "")) in OWN:
        return own
    if family := metadata.get("model_family"):
        return _BY_FAMILY.get(family.lower())
    if kind := metadata.get("model_info model_type"):
        return _BY_TYPE.get(kind.lower())
    if "ultralytics" in metadata.get("description", "").lower() or "ultralytics" in metadata.get("author", "").lower():
        return _ultralytics(metadata, outputs)
    return None


def _ultralytics(metadata: Mapping[str, str], outputs: Mapping[str, tuple[int, ...]]) -> str | None:
    """YOLOv8 to 12, or 10 and 26: the same metadata, told apart by `end2end` or finished rows."""
    if metadata.get("task", "detect") != "detect" or len(outputs) != 1:
        return None
    shape = next(iter(outputs.values()))
    if metadata.get("end2end", "").lower() == "true" or shape[-1] == ROW:
        return "end2end"
    return "yolov8"


def _by_names(outputs: Mapping[str, tuple[int, ...]]) -> str | None:
    return next((told for names, told in _BY_NAMES if names <= set(outputs)), None)
