"""The configuration of an OPC UA client link: what is understood, and what a mistake is told as."""

from typing import Any

import pytest
from pydantic import ValidationError

from protocols.opcua.client_settings import OpcUaClientConfig
from protocols.opcua.nodes import Node, Path, Step

SECURITY = {"certificate": "gateway.pem", "key": "gateway.key", "trust": "trust"}
NODES = {
    "base": 'ns=plc;s="VisionDB"',
    "command": {
        "CONTROL": '."Cmd"."Control"',
        "TRIGGER_SEQ": "/Objects/plc:PLC_1/plc:Seq",
        "RESULT_ACK_SEQ": "ns=4;i=9",
    },
    "outputs": {name: f'."Res"."{name}"' for name in ("STATUS", "HEARTBEAT", "JUDGEMENT", "RESULT_SEQ", "TRIGGER_SEQ")},
}
WHOLE: dict[str, Any] = {
    "url": "opc.tcp://192.168.0.10",
    "security": SECURITY,
    "namespaces": {"plc": "urn:plc"},
    "nodes": NODES,
}


def changed(**changes: Any) -> OpcUaClientConfig:
    return OpcUaClientConfig.model_validate({**WHOLE, **changes})


def test_nodes_are_placed_by_base_alias_and_path() -> None:
    config = changed()
    plan = {entry.name: entry.node for entry in config.node_map().command}
    assert plan == {
        "CONTROL": Node("urn:plc", '"VisionDB"."Cmd"."Control"'),
        "TRIGGER_SEQ": Path("Objects", (Step("urn:plc", "PLC_1"), Step("urn:plc", "Seq"))),
        "RESULT_ACK_SEQ": Node(4, 9),
    }
    assert config.address == ("192.168.0.10", 4840)
    assert config.place == "192.168.0.10:4840"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"url": "http://plc"}, "is no endpoint"),
        ({"url": "opc.tcp://"}, "is no endpoint"),
        ({"url": "opc.tcp://plc:99999"}, "is no endpoint"),
        ({"security": None}, "security"),
        ({"security": "None"}, "security"),
        ({"security": {**SECURITY, "policy": "None"}}, "policy"),
        ({"security": {**SECURITY, "policy": "Basic128Rsa15"}}, "policy"),
        ({"security": {**SECURITY, "pinned": "plc.der"}}, "either `trust`"),
        ({"security": {"certificate": "a", "key": "b"}}, "either `trust`"),
        ({"security": "none", "user": {"name": "joe", "password_file": "x"}}, "in clear"),
        ({"user": {"name": "joe"}}, "needs either `name`"),
        ({"user": {"name": "joe", "password": "secret"}}, "password"),
        ({"user": {"certificate": "a"}}, "needs either `name`"),
        ({"user": {"name": "joe", "password_file": "x", "certificate": "a", "key": "b"}}, "needs either `name`"),
        ({"namespaces": {"plc": "siemens"}}, "is no URI"),
        ({"namespaces": {}}, "command.CONTROL"),
        ({"nodes": {**NODES, "base": ""}}, "does not say which node"),
        ({"nodes": {**NODES, "outputs": {}}}, "lacks HEARTBEAT"),
        ({"scan_ms": 1}, "scan_ms"),
        ({"session_timeout_s": 1}, "session_timeout_s"),
        ({"port": 4840}, "port"),
    ],
)
def test_a_mistake_is_told_with_its_place(changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValidationError) as told:
        changed(**changes)
    assert cause in str(told.value)


def test_security_has_no_default() -> None:
    with pytest.raises(ValidationError, match="security"):
        OpcUaClientConfig.model_validate({key: value for key, value in WHOLE.items() if key != "security"})
