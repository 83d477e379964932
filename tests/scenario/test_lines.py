"""A polite PLC and a healthy gateway: every verdict belongs to its part, over both roles and both styles."""

from __future__ import annotations

import pytest

from protocols.handshake import Style
from protocols.modbus.registers import FIELDS, Block
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import line
from tests.scenario.stand import free_port

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]


def client_link(port: int) -> dict[str, object]:
    """The gateway polls a PLC that is a Modbus server at `port`."""
    return {"kind": "modbus_client", "host": "127.0.0.1", "port": port, "scan_ms": 10}


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("role", ["server", "client"])
async def test_twenty_parts_have_the_right_verdicts(new_stand: NewStand, bench: Bench, role: str, style: Style) -> None:
    slave_port = free_port() if role == "client" else 0
    stand = new_stand({"link": client_link(slave_port)} if slave_port else {})
    await stand.start()
    async with line(stand, style=style, slave_port=slave_port) as plant:
        await plant.ready()
        for part in range(1, 21):
            answer = await plant.plc.inspect(part, serial=f"S{part}")
            assert answer.result is not None, answer
            assert answer.judgement is bench.verdict(part)
            assert answer.result.score == pytest.approx(bench.score(part), abs=0.002)
        assert await stand.stop() == 0
    rows = stand.history()
    assert [(row.trigger.part_id, row.trigger.serial) for row in rows] == [(n, f"S{n}") for n in range(1, 21)]


FIELD_BY_FIELD = {
    "command": {field.name: field.word for field in FIELDS if field.block is Block.COMMAND},
    "outputs": {field.name: 100 + field.word for field in FIELDS if field.block in (Block.STATUS, Block.RESULT)},
}
IN_PIECES = ("I3: torn", "I6: Ready is", "torn: ", "ready: ", "version: MAP_VERSION is 0")
"""What can be seen in the PLC between two requests: a block that says itself that it is half written, Ready and its
reason a request apart, and on the very first connection a memory that is still empty.
"""
DEVICES: dict[str, dict[str, object]] = {
    "requests of 9": {"quirks": {"max_read": 9, "max_write": 9}},
    "word by word": {"quirks": {"max_read": 16, "fc16": False}},
    "field by field": {"fields": FIELD_BY_FIELD, "quirks": {"max_write": 2, "one_connection": True}},
}


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("device", DEVICES)
async def test_a_plc_that_takes_small_requests_has_the_right_verdicts(
    new_stand: NewStand, bench: Bench, device: str, style: Style
) -> None:
    port = free_port()
    stand = new_stand({"link": {**client_link(port), **DEVICES[device]}})
    await stand.start()
    async with line(stand, style=style, slave_port=port, pardoned=IN_PIECES) as plant:
        await plant.ready()
        for part in range(1, 11):
            answer = await plant.plc.inspect(part, serial=f"S{part}")
            assert answer.result is not None, answer
            assert answer.judgement is bench.verdict(part)
        assert await stand.stop() == 0
    assert [(row.trigger.part_id, row.trigger.serial) for row in stand.history()] == [
        (n, f"S{n}") for n in range(1, 11)
    ]
