"""What a user may map, and the sentence he gets for what cannot be."""

from typing import Any

import pytest
from pydantic import ValidationError

from protocols.codec import WordOrder
from protocols.link import MapError
from protocols.links import build
from protocols.modbus.client_fields import Mapped, client_map
from protocols.modbus.client_rules import check_fields
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.quirks import Quirks
from protocols.modbus.registers import Table

SEQUENCE: dict[str, dict[str, Any]] = {
    "command": {"CONTROL.ENABLE": {"table": "coil", "address": 8}, "TRIGGER_SEQ": 40, "RESULT_ACK_SEQ": 41},
    "outputs": {"STATUS": 60, "HEARTBEAT": 61, "RESULT_SEQ": 70, "TRIGGER_SEQ": 71, "JUDGEMENT": 72},
}
BITS: dict[str, dict[str, Any]] = {
    "command": {"CONTROL": 40},
    "outputs": {
        "STATUS.READY": {"table": "coil", "address": 1},
        "STATUS.TRIGGER_ACK": {"table": "coil", "address": 2},
        "STATUS.RESULT_VALID": {"table": "coil", "address": 3},
        "HEARTBEAT": 61,
        "RESULT_BITS.OK": {"address": 62, "bit": 0},
    },
}


def config(fields: dict[str, dict[str, Any]], **more: object) -> ModbusClientConfig:
    return ModbusClientConfig.model_validate({"host": "plc", "fields": fields, **more})


def changed(fields: dict[str, dict[str, Any]], **areas: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Fields with others beside or instead; None takes one away."""
    merged = {area: {**fields[area], **areas.get(area, {})} for area in fields}
    return {area: {name: at for name, at in names.items() if at is not None} for area, names in merged.items()}


@pytest.mark.parametrize("fields", [SEQUENCE, BITS, {"command": BITS["command"]}, {"outputs": SEQUENCE["outputs"]}])
def test_the_least_of_each_style_is_enough_and_the_other_side_may_be_a_block(fields: dict[str, Any]) -> None:
    config(fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (changed(SEQUENCE, command={"CONTROL.ENABLE": None}), "command lacks CONTROL.ENABLE: the station could never"),
        (changed(SEQUENCE, outputs={"HEARTBEAT": None}), "outputs lacks HEARTBEAT: the PLC could not tell a dead"),
        (changed(SEQUENCE, outputs={"STATUS": None}), "outputs lacks STATUS.READY: .* or the whole word"),
        (changed(SEQUENCE, outputs={"JUDGEMENT": None}), "outputs lacks JUDGEMENT or RESULT_BITS.OK"),
        (
            changed(SEQUENCE, command={"RESULT_ACK_SEQ": None}),
            "lacks command.RESULT_ACK_SEQ; .* lacks command.CONTROL.TRIGGER, command.CONTROL.RESULT_ACK; map all",
        ),
        (changed(SEQUENCE, outputs={"RESULT_SEQ": None}), "the sequence style lacks outputs.RESULT_SEQ;"),
        (changed(BITS, outputs={"STATUS.RESULT_VALID": None}), "the bit style lacks outputs.STATUS.RESULT_VALID"),
        (changed(SEQUENCE, command={"TRIGER_SEQ": 5}), "TRIGER_SEQ is no field of the command .* mean TRIGGER_SEQ?"),
        (changed(SEQUENCE, outputs={"SERIAL": 5}), "SERIAL is no field of status and result"),
        (changed(BITS, outputs={"STATUS.REDY": {"address": 9, "bit": 1}}), "did you mean STATUS.READY?"),
        (changed(SEQUENCE, outputs={"RECIPE": 61}), "RECIPE at 61 overlaps HEARTBEAT at 61 of outputs"),
        (changed(SEQUENCE, outputs={"PART_ID": 39}), "PART_ID at 39 to 40 overlaps TRIGGER_SEQ at 40 of command"),
        (
            changed(SEQUENCE, outputs={"RESULT_BITS.OK": {"address": 40, "bit": 0}}),
            "RESULT_BITS.OK at 40 overlaps TRIGGER_SEQ",
        ),
        (changed(SEQUENCE, outputs={"STATUS.READY": {"address": 9, "bit": 1}}), "STATUS is mapped as a whole and bit"),
        (changed(BITS, command={"CONTROL": {"table": "coil", "address": 1}}), "is a word, which no coil can hold"),
        (changed(BITS, command={"PART_ID": {"address": 1, "bit": 1}}), "PART_ID is a word; `bit` is for single bits"),
        (changed(BITS, outputs={"STATUS.BUSY": 9}), "STATUS.BUSY lies in a register: say which `bit`"),
        (
            changed(BITS, outputs={"STATUS.BUSY": {"table": "coil", "address": 9, "bit": 2}}),
            "lies in a coil, which has no `bit`",
        ),
        (
            changed(BITS, outputs={"STATUS.BUSY": {"table": "discrete", "address": 9}}),
            "STATUS.BUSY: the gateway cannot write discretes",
        ),
        (changed(BITS, outputs={"SCORE": {"address": 9, "type": "UINT"}}), "SCORE cannot be of another type"),
        (changed(BITS, command={"USER_0": {"address": 9, "words": 2}}), "USER_0 has a fixed length"),
        (changed(BITS, command={"TRIGGER_SEQ": {"address": 9, "type": "UDINT"}}), "TRIGGER_SEQ has 1 word"),
        (changed(BITS, command={"PART_ID": 65535}), "leaves the table"),
        ({"command": {"CONTROL": 120}}, "overlap"),
    ],
)
def test_what_cannot_be_mapped_is_one_clear_sentence(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(fields)


def test_a_place_that_nothing_says_twice() -> None:
    with pytest.raises(ValidationError, match=r"command_address and fields.command both say where it lies"):
        config(SEQUENCE, command_address=5)
    with pytest.raises(ValidationError, match=r"status_address and fields.outputs both say"):
        config(SEQUENCE, status_address=500)


def test_bits_of_one_register_may_lie_beside_each_other_and_not_upon() -> None:
    both = {"STATUS.BUSY": {"address": 62, "bit": 1}}
    config(changed(BITS, outputs=both))
    with pytest.raises(ValidationError, match=r"STATUS.BUSY at 62 overlaps RESULT_BITS.OK at 62"):
        config(changed(BITS, outputs={"STATUS.BUSY": {"address": 62, "bit": 0}}))


def test_two_blocks_that_overlap_are_told_by_the_rules_too() -> None:
    with pytest.raises(MapError, match="overlaps"):
        check_fields(0, 31)


@pytest.mark.parametrize(
    ("quirks", "message"),
    [
        ({"max_read": 0}, "max_read"),
        ({"max_read": 126}, "max_read"),
        ({"max_write": 124}, "max_write"),
        ({"fc6": False, "fc16": False}, "no register could be written"),
        ({"fc5": False, "fc15": False}, "no coil could be written"),
        ({"max_registers": 5}, "max_registers"),
        ({"unit": 256}, "unit"),
    ],
)
def test_quirks_that_no_device_has(quirks: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Quirks.model_validate(quirks)


def test_a_device_without_fc16_is_written_word_by_word() -> None:
    assert Quirks(fc16=False, max_write=100).write_words == 1
    assert Quirks(fc15=False, max_write_bits=100).write_bits == 1
    outputs = {"PART_ID": Mapped(5), "STATUS.READY": Mapped(1, Table.COIL)}
    plan = client_map(0, outputs, WordOrder.CDAB, Quirks(fc16=False))
    assert sorted(write.request.count for write in plan.writes) == [1, 1, 1]


def test_the_unit_of_the_link_comes_before_that_of_the_device() -> None:
    quirks = {"unit": 255}
    assert ModbusClientConfig.model_validate({"host": "plc", "quirks": quirks}).unit_id == 255
    assert ModbusClientConfig.model_validate({"host": "plc", "quirks": quirks, "unit": 1}).unit_id == 1
    assert ModbusClientConfig(host="plc").unit_id == 1


def ignore(code: int, text: str) -> None:
    raise AssertionError(text)


def test_who_shares_the_one_connection_describes_the_device_alike() -> None:
    one = Quirks(one_connection=True)
    with pytest.raises(
        MapError, match="a and b share the one connection of plc:502 but set other quirks, time-outs or TLS"
    ):
        build([ModbusClientConfig(host="plc", quirks=one), ModbusClientConfig(host="plc", unit=2)], ignore, ["a", "b"])
    build([ModbusClientConfig(host="plc", quirks=one), ModbusClientConfig(host="plc", unit=2, quirks=one)], ignore)
    build([ModbusClientConfig(host="plc"), ModbusClientConfig(host="plc", unit=2, timeout_ms=90)], ignore)
