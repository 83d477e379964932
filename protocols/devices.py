"""The list of devices beside the PLC: one configuration model for each kind; what becomes of them is for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from protocols.modbus.device_settings import DeviceConfig as ModbusDeviceConfig
from protocols.opcua.device_settings import OpcUaDeviceConfig

__all__ = ["AnyDevice", "DeviceConfig", "ModbusDeviceConfig", "OpcUaDeviceConfig", "model_of"]


def _carrier(data: Any) -> str:
    """By the kind of the link. What is wrong there is told in the words of the commonest."""
    link = data.get("link") if isinstance(data, Mapping) else getattr(data, "link", None)
    kind = link.get("kind") if isinstance(link, Mapping) else getattr(link, "kind", None)
    return "opcua" if kind == "opcua" else "modbus"


DeviceConfig = ModbusDeviceConfig | OpcUaDeviceConfig
AnyDevice = Annotated[
    Annotated[ModbusDeviceConfig, Tag("modbus")] | Annotated[OpcUaDeviceConfig, Tag("opcua")], Discriminator(_carrier)
]
"""A device in the configuration."""


def model_of(data: Any) -> type[ModbusDeviceConfig] | type[OpcUaDeviceConfig]:
    """The model that a part of a file is to be read as."""
    return OpcUaDeviceConfig if _carrier(data) == "opcua" else ModbusDeviceConfig
