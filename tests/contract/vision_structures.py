"""Values of every structure of the type model, for tests that send them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from asyncua import ua

from protocols.opcua.model.install import Model
from protocols.opcua.model.model_tables import tables

STRUCTURES = [found for found in tables().data_types if found.structure]


def filled(model: Model, name: str, *, optional: bool) -> Any:
    """A structure with a value in every field, or in those only that must have one."""
    values: dict[str, Any] = {
        "String": "a ä",
        "TrimmedString": "b",
        "ByteString": b"\0\1",
        "LocalizedText": ua.LocalizedText("Teil", "de"),
        "Boolean": True,
        "Duration": 12.5,
        "ResultStateDataType": -3,
        "UtcTime": datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC),
        "BaseDataType": [ua.Variant(True), ua.Variant([1.5, 2.5], ua.VariantType.Double), ua.Variant("x")],
    }
    (found,) = [one for one in tables().data_types if one.name == name]
    if found.members:
        return model.structure(name)(found.members[-1].value)
    given = {
        field.name: values[field.type] if field.type in values else filled(model, field.type, optional=optional)
        for field in found.fields
        if optional or not field.optional
    }
    return model.structure(name)(**given)
