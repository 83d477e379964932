"""The map as pymodbus sees it, with every function that it has and we serve."""

from collections.abc import AsyncIterator
from typing import cast

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse
from pymodbus.pdu.other_message import ReportDeviceIdResponse

from protocols.codec import Codec, WordOrder
from protocols.modbus.server import ModbusServer
from protocols.signals import Outputs, Result, Status
from tests.contract.test_links import Recorder, running

pytestmark = pytest.mark.interop

Client = AsyncModbusTcpClient


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    server = ModbusServer("127.0.0.1", 0)
    for unit, order in ((1, WordOrder.ABCD), (2, WordOrder.CDAB)):
        link = server.unit(unit, Codec(order))
        link.attach(Recorder())
        link.publish(Outputs(Status(bits=0x8001, heartbeat=unit), Result(result_seq=9, score=0.25, bits=1)))
    async with running(server.run()):
        await server.bound.wait()
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=2, retries=0, reconnect_delay=0)
        assert await client.connect()
        yield client
        client.close()


async def test_reads(client: Client) -> None:
    shown = (await client.read_input_registers(0, count=74, device_id=1)).registers
    assert shown == (await client.read_holding_registers(100, count=74, device_id=1)).registers
    assert (shown[0], shown[1], shown[16], shown[63]) == (0x8001, 1, 9, 9)
    assert (await client.read_discrete_inputs(0, count=17, device_id=1)).bits[:17] == [True, *[False] * 14, True, True]


@pytest.mark.parametrize(("unit", "order"), [(1, "big"), (2, "little")])
async def test_a_real_in_the_order_of_its_unit(client: Client, unit: int, order: str) -> None:
    words = (await client.read_input_registers(67, count=2, device_id=unit)).registers
    real = client.convert_from_registers(words, ModbusClientMixin.DATATYPE.FLOAT32, word_order=order)  # type: ignore[arg-type]
    assert real == pytest.approx(123.456, rel=1e-6)


async def test_writes(client: Client) -> None:
    assert not (await client.write_registers(0, [1, 7, 0], device_id=1)).isError()
    assert not (await client.write_register(3, 42, device_id=1)).isError()
    assert not (await client.write_coil(1, True, device_id=1)).isError()
    assert not (await client.write_coils(8, [True, False, True], device_id=1)).isError()
    assert not (await client.mask_write_register(address=0, and_mask=0xFFFE, or_mask=0, device_id=1)).isError()
    assert (await client.read_holding_registers(0, count=4, device_id=1)).registers == [0x0502, 7, 0, 42]
    assert (await client.read_coils(0, count=16, device_id=1)).bits == [n in (1, 8, 10) for n in range(16)]
    both = await client.readwrite_registers(read_address=0, read_count=2, write_address=1, values=[8], device_id=1)
    assert both.registers == [0x0502, 8]
    assert (await client.read_holding_registers(0, count=4, device_id=2)).registers == [0, 0, 0, 0]


async def identification(client: Client, code: int, first: int) -> ReadDeviceInformationResponse:
    answer = await client.read_device_information(read_code=code, object_id=first, device_id=1)
    return cast(ReadDeviceInformationResponse, answer)


async def test_who_it_is(client: Client) -> None:
    told = cast(ReportDeviceIdResponse, await client.report_device_id(device_id=2))
    assert (told.identifier, told.status) == (b"\x02", True)
    for code, objects in ((1, {0, 1, 2}), (2, {0, 1, 2, 4}), (3, {0, 1, 2, 4})):
        device = await identification(client, code, 0)
        assert set(device.information) == objects
        assert (device.information[1], device.conformity) == (b"vision-plc-gateway", 0x82)
    single = await identification(client, 4, 4)
    assert set(single.information) == {4}
    assert (await client.read_device_information(read_code=4, object_id=3, device_id=1)).exception_code == 2


@pytest.mark.parametrize(("unit", "address", "code"), [(1, 74, 2), (3, 0, 11), (0, 0, 11)])
async def test_exceptions(client: Client, unit: int, address: int, code: int) -> None:
    answer = await client.read_input_registers(address, count=1, device_id=unit)
    assert answer.exception_code == code
