"""Values of Structured Text in memory: arrays, timers, bits of a word, and the limits of each type."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

Env = dict[str, Any]
LIMITS = {
    "INT": (-0x8000, 0x7FFF),
    "UINT": (0, 0xFFFF),
    "WORD": (0, 0xFFFF),
    "UDINT": (0, 0xFFFF_FFFF),
    "DWORD": (0, 0xFFFF_FFFF),
    "DINT": (-0x8000_0000, 0x7FFF_FFFF),
    "TIME": (0, 0x7FFF_FFFF),
}
TIMERS = {"TON": ("IN", "PT", "Q"), "FBD_TIMER": ("TimerEnable", "PRE", "DN")}


class StError(Exception):
    """The text is no Structured Text that every PLC takes, or a value left its type."""


@dataclass
class Array:
    """Elements of one type, counted from 0."""

    type: str
    items: list[Any]


@dataclass
class Timer:
    """TON of IEC 61131-3, or TONR of Logix: on after `preset` ms of running without a pause."""

    names: tuple[str, str, str]
    values: dict[str, Any] = field(default_factory=dict)
    since: float | None = None

    def __post_init__(self) -> None:
        running, preset, on = self.names
        self.values = {running: False, preset: 0, on: False}

    def scan(self, now: float) -> None:
        running, preset, on = self.names
        if not self.values[running]:
            self.since = None
        elif self.since is None:
            self.since = now
        self.values[on] = self.since is not None and now - self.since >= self.values[preset] - 1e-6


@dataclass
class Bits:
    """One word whose bits are selected."""

    holder: Any
    key: Any


def load(holder: Any, key: Any) -> Any:
    if isinstance(holder, Bits):
        return bool(load(holder.holder, holder.key) >> key & 1)
    return holder.items[key] if isinstance(holder, Array) else holder[key]


def store(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, Bits):
        word = load(holder.holder, holder.key) & 0xFFFF
        word = word | 1 << key if value else word & ~(1 << key)
        store(holder.holder, holder.key, word - 0x1_0000 if word & 0x8000 else word)
    elif isinstance(holder, Array):
        holder.items[key] = within(holder.type, value)
    else:
        holder[key] = value


def single(value: float) -> float:
    return float(struct.unpack(">f", struct.pack(">f", value))[0])


def within(kind: str, value: Any) -> Any:
    if kind in LIMITS and not LIMITS[kind][0] <= value <= LIMITS[kind][1]:
        raise StError(f"{value} leaves {kind}")
    return value
