"""The machining cell over the wire, as pymodbus's client sees it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient

from simulators import __main__ as simulators
from simulators.carriers import CarrierError
from simulators.cell import FEED_OVERRIDE, WORDS, Cell
from simulators.cell_command import WATCHDOG, CellServer

Cabled = tuple[CellServer, AsyncModbusTcpClient]


@pytest.fixture
async def cabled() -> AsyncIterator[Cabled]:
    server = CellServer(Cell(seed=1, speed=20), unit=3)
    async with server.open():
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=2, retries=0, reconnect_delay=0)
        assert await client.connect()
        yield server, client
        client.close()


async def eventually(ask: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    """Ask until the answer is as it should be."""
    async with asyncio.timeout(5):
        while not holds(answer := await ask()):  # noqa: ASYNC110 - behind a wire
            await asyncio.sleep(0.005)
    return answer


async def words(client: AsyncModbusTcpClient) -> list[int]:
    return list((await client.read_input_registers(0, count=WORDS, device_id=3)).registers)


async def shown(client: AsyncModbusTcpClient) -> list[bool]:
    return list((await client.read_discrete_inputs(0, count=4, device_id=3)).bits[:4])


async def test_both_tables_show_the_same_and_live(cabled: Cabled) -> None:
    _, client = cabled
    first = await words(client)
    assert first[0] in (1001, 1002)
    now = await eventually(lambda: words(client), lambda now: now[6:8] > first[6:8] and now[14] > first[14])
    held = (await client.read_holding_registers(0, count=WORDS, device_id=3)).registers
    assert held[0] == now[0]


async def test_coils_are_taken_and_shown(cabled: Cabled) -> None:
    server, client = cabled
    await client.write_coils(0, [True, False, False, True], device_id=3)
    await eventually(lambda: shown(client), lambda seen: seen == [True, False, False, True])
    assert server.machine.outputs == 0b1001
    assert (await words(client))[15] == 0b1001


async def test_only_the_override_may_be_written(cabled: Cabled) -> None:
    _, client = cabled
    assert not (await client.write_register(FEED_OVERRIDE, 60, device_id=3)).isError()
    await eventually(lambda: words(client), lambda now: now[FEED_OVERRIDE] == 60)
    assert (await client.write_register(0, 1, device_id=3)).exception_code == 2
    assert (await client.write_registers(FEED_OVERRIDE, [1, 2], device_id=3)).exception_code == 2


async def test_outputs_that_nobody_refreshes_fall_to_reject(cabled: Cabled) -> None:
    server, client = cabled
    await client.write_coil(3, True, device_id=3)
    await eventually(lambda: shown(client), lambda seen: seen[3])
    server._written_at -= WATCHDOG
    await eventually(lambda: shown(client), lambda seen: not seen[3])
    assert server.machine.outputs == 0


async def test_a_port_that_is_taken_is_one_sentence(cabled: Cabled) -> None:
    with pytest.raises(CarrierError, match="cannot listen"):
        async with CellServer(Cell(), port=cabled[0].port).open():
            pass


def test_the_command_ends_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulators.main(["cell", "--port", "0", "--speed", "100", "--seconds", "0.4"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("machining cell at 127.0.0.1:")
    assert "rejected" in said[-1]
