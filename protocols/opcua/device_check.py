"""What cannot work in the configuration of an OPC UA device, though every value is right in itself. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from protocols.opcua.cnc import PLACES, Profile
from protocols.opcua.nodes import NodeTextError, Reference

if TYPE_CHECKING:
    from protocols.opcua.device_settings import OpcUaDeviceConfig, OpcUaTagConfig

Found = Iterator[tuple[tuple[str | int, ...], str]]


def mistakes(device: OpcUaDeviceConfig) -> Found:
    """Place in the device and one sentence, for each."""
    names: dict[str, int] = {}
    for index, tag in enumerate(device.tags):
        if names.setdefault(tag.name, index) != index:
            yield ("tags", index, "name"), f"{tag.name!r} is already the name of tags[{names[tag.name]}]; rename one"
        if text := _nowhere(device, tag):
            yield ("tags", index, "standard" if tag.standard else "name"), text
    yield from _references(device)
    yield from _too_much(device)
    alive = device.alive
    if alive is not None and (alive.tag not in names or device.tags[names[alive.tag]].access != "read"):
        text = f"{alive.tag!r} is no tag of this device that is read{_hint(alive.tag, names)}"
        yield ("alive", "tag"), text


def _nowhere(device: OpcUaDeviceConfig, tag: OpcUaTagConfig) -> str | None:
    """Why the profile cannot find a standard name."""
    meant = tag.meant
    if meant is None or device.found(tag) is not None:
        return None
    if device.profile is Profile.NONE:
        return f"{meant} is found by a profile and there is none; set profile, or name a node"
    having = [profile.value for profile, places in PLACES.items() if meant in places]
    return f"a control of profile {device.profile.value} has no {meant} (only {', '.join(having)}); name a node"


def _references(device: OpcUaDeviceConfig) -> Found:
    """Nodes that are no nodes, and outputs that are the same node."""
    written: dict[Reference, str] = {}
    for index, tag in enumerate(device.tags):
        try:
            reference = device.reference(tag)
        except NodeTextError as error:
            yield ("tags", index, "node"), str(error)
            continue
        if tag.access == "write" and reference is not None and written.setdefault(reference, tag.name) != tag.name:
            text = f"{tag.name!r} is the same node as {written[reference]!r}, which is written too; name another one"
            yield ("tags", index, "node"), text


def _too_much(device: OpcUaDeviceConfig) -> Found:
    sampling, groups = device.sampling, device.groups()
    if len(groups) > sampling.max_subscriptions:
        intervals = ", ".join(f"{interval} ms" for interval in dict.fromkeys(interval for interval, _ in groups))
        text = f"{len(groups)} subscriptions ({intervals}) are more than max_subscriptions {sampling.max_subscriptions}"
        yield ("sampling",), f"{text}; use fewer intervals, or fewer tags"
    if (samples := device.samples()) > sampling.samples_per_s:
        text = f"the tags ask for {samples:.0f} samples a second, more than samples_per_s {sampling.samples_per_s:g}"
        yield ("sampling",), f"{text}; make sample_ms of some tags longer"


def _hint(word: str, known: Iterable[str]) -> str:
    words = list(known)
    close = difflib.get_close_matches(word, words, 1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(words[:12]) or 'none'}"
