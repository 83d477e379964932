"""The structures of the model as Python classes that asyncua encodes and decodes.

asyncua's own import of a nodeset leaves out inherited fields and makes the three derived id types one class, with the
encoding id of their abstract base; so the classes are made here, from the tables, each registered under its own ids.
The registry of asyncua is one per process and knows a type by its namespace index alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Optional

from asyncua import ua

from protocols.opcua.model.rows import DataType, Field
from protocols.opcua.model.space import numbered

_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
"""DateTime 0 on the wire: not set."""
_BUILT_IN: dict[str, tuple[type[Any], Callable[[], Any]]] = {
    "Boolean": (ua.Boolean, bool),
    "Int32": (ua.Int32, int),
    "UInt32": (ua.UInt32, int),
    "String": (ua.String, str),
    "ByteString": (ua.ByteString, bytes),
    "Duration": (ua.Double, float),
    "UtcTime": (ua.DateTime, lambda: _EPOCH),
    "LocalizedText": (ua.LocalizedText, ua.LocalizedText),
    "BaseDataType": (ua.Variant, ua.Variant),
}
_made: dict[int, dict[str, type[Any]]] = {}


def structures(data_types: tuple[DataType, ...], index: int) -> Mapping[str, type[Any]]:
    """Classes of all structures and enumerations by name, registered with asyncua for this namespace index.

    A second call for the same index returns the same classes.
    """
    if index not in _made:
        _made[index] = {}
        for found in data_types:
            _add(_made[index], found, index)
    return _made[index]


def _add(known: dict[str, type[Any]], found: DataType, index: int) -> None:
    data_type = numbered(found.id, index)
    if found.structure:
        made = known[found.name] = _structure(known, found, data_type)
        encoding = numbered(found.encodings[0], index)
        ua.extension_objects_by_datatype[data_type] = made
        ua.extension_objects_by_typeid[encoding] = made
        ua.uatypes.datatype_by_extension_object[made] = data_type
        ua.typeid_by_extension_objects[made] = encoding
    elif found.members:
        make: Any = IntEnum
        made = known[found.name] = make(found.name, {member.name: member.value for member in found.members})
        ua.enums_by_datatype[data_type] = made
        ua.uatypes.enums_datatypes[made] = data_type
    else:
        _BUILT_IN.setdefault(found.name, _BUILT_IN[found.supertype])
        ua.uatypes.basetype_by_datatype[data_type] = found.supertype


def _structure(known: Mapping[str, type[Any]], found: DataType, data_type: ua.NodeId) -> type[Any]:
    fields: list[Any] = []
    if any(field.optional for field in found.fields):
        # asyncua fills this field with the mask of the optional fields that are not None
        fields.append(("Encoding", ua.UInt32, dataclasses.field(default=0, repr=False, compare=False, kw_only=True)))
    fields += [_member(known, field) for field in found.fields]
    made = dataclasses.make_dataclass(found.name, fields, slots=True)
    made.__module__ = __name__
    made.data_type = data_type  # type: ignore[attr-defined]  # asyncua reads it from every structure
    return made


def _member(known: Mapping[str, type[Any]], field: Field) -> tuple[str, Any, Any]:
    kind, default = _plain(known, field.type)
    annotation: Any = list[kind] if field.array else kind  # type: ignore[valid-type]  # made at run time
    if field.optional:
        return field.name, Optional[annotation], None  # noqa: UP045  # asyncua does not know `X | None` of all types
    return field.name, annotation, dataclasses.field(default_factory=list if field.array else default)


def _plain(known: Mapping[str, type[Any]], name: str) -> tuple[Any, Callable[[], Any]]:
    if name not in known:
        return _BUILT_IN[name]
    made = known[name]
    if issubclass(made, IntEnum):
        first = next(iter(made))
        return made, lambda: first
    return made, made
