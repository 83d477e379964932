"""What a person is told of the tags of an OPC UA device: all of them, once, in few lines."""

from collections.abc import Mapping

from protocols.faults import Code
from protocols.opcua.device_settings import OpcUaDeviceConfig
from protocols.opcua.tag_source import OpcUaTagSource
from protocols.tags import TagValue, Value

LINES_A_MINUTE = 30
"""What the log takes of one kind of line."""


class Nobody:
    """Takes values and says nothing."""

    def values(self, readings: Mapping[str, TagValue]) -> None: ...

    def written(self, name: str, value: Value, error: str) -> None: ...

    def link(self, up: bool, reason: str) -> None: ...


def test_which_node_was_found_for_each_of_a_thousand_tags_is_told_once_and_in_few_lines() -> None:
    link = {"kind": "opcua", "url": "opc.tcp://127.0.0.1:4840", "security": "none"}
    device = OpcUaDeviceConfig.model_validate(
        {"name": "cnc", "link": link, "tags": [{"name": "a", "node": "ns=2;s=a"}]}
    )
    told: list[tuple[int, str]] = []
    source = OpcUaTagSource(device, Nobody(), {}, on_event=lambda code, text: told.append((code, text)))
    found = [f"tag_{number} is ns=3;s=Machine/Channel/Value{number}" for number in range(600)]
    for _ in range(2):
        source._note(found)
    assert all(any(f"tag_{number} is" in line for _, line in told) for number in range(600))
    assert len(told) < LINES_A_MINUTE
    assert max(len(line) for _, line in told) < 2000
    source._note(["tag_601: there is no such node"], Code.TAG_DOUBTFUL)
    assert told[-1] == (Code.TAG_DOUBTFUL, "cnc: tag_601: there is no such node")
