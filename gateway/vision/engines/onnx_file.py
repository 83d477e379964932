"""What a model file says before an engine sees it: read from the protobuf alone, so that nothing it names is opened.

Field numbers: onnx.proto of ONNX 1.23 (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, FunctionProto).
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_DEPTH = 60
"""Levels of messages within messages; a graph within a graph is three of them."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_GRAPH, _OPSET_IMPORT = 7, 8
_METADATA = 14


class DamagedModelError(Exception):
    """Not an ONNX file, or one built to harm."""


def external_data(model: bytes) -> bool:
    """Whether any tensor keeps its values outside the file; DamagedModelError if it cannot be told."""
    if not any(field == _GRAPH for field, _ in _fields(memoryview(model))):
        raise DamagedModelError("it holds no network")
    return _external(memoryview(model), "model", 0)


def opsets(model: bytes) -> dict[str, int]:
    """Version of each operator set by its domain, "ai.onnx" of ONNX itself; DamagedModelError."""
    found: dict[str, int] = {}
    for field, value in _fields(memoryview(model)):
        if field == _OPSET_IMPORT and isinstance(value, memoryview):
            parts = dict(_fields(value))
            domain, version = parts.get(1, b""), parts.get(2, 0)
            name = bytes(domain).decode("utf-8", "replace") if not isinstance(domain, int) else ""
            found[name or "ai.onnx"] = version if isinstance(version, int) else 0
    return found


def metadata(model: bytes) -> dict[str, str]:
    """The model's own notes (metadata_props), as an engine that hands them on tells them; DamagedModelError."""
    found: dict[str, str] = {}
    for field, value in _fields(memoryview(model)):
        if field == _METADATA and isinstance(value, memoryview):
            parts = dict(_fields(value))
            found[_words(parts.get(1))] = _words(parts.get(2))
    return found


def _words(value: int | memoryview | None) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else ""


def _external(data: memoryview, kind: str, depth: int) -> bool:
    if depth > MAX_DEPTH:
        raise DamagedModelError(f"graphs lie more than {MAX_DEPTH // 3} deep in one another")
    children = _CHILDREN.get(kind, {})
    for field, value in _fields(data):
        if kind == "tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0)):
            return True
        child = children.get(field)
        if child is not None and isinstance(value, memoryview) and _external(value, child, depth + 1):
            return True
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of one message (Protocol Buffers, Encoding)."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise DamagedModelError(f"wire type {kind} does not occur in ONNX")
        if size > end - at:
            raise DamagedModelError("it ends in the middle of a field")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise DamagedModelError("it ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise DamagedModelError("a number of more than 64 bits")
