"""One suite for every carrier: what a station may expect of its link, and a PLC of the gateway."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pytest
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from protocols.codec import Codec, StringOrder, WordOrder
from protocols.link import Link, LinkState
from protocols.links import build
from protocols.loopback import Loopback
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.rtu_server import RtuServer
from protocols.modbus.rtu_settings import ModbusRtuClientConfig
from protocols.modbus.serial_port import Line
from protocols.modbus.server import ModbusServer
from protocols.opcua.client_settings import OpcUaClientConfig
from protocols.signals import BLANK_COMMAND, VALUES, Command, Outputs, Result, Status, StatusBit
from simulators.opcua_server import S7Server
from simulators.opcua_slave import OpcUaSlave
from tests.bus import joined
from tests.contract.opcua_nodes import every_node
from tests.contract.opcua_plain import served

CODEC = Codec(WordOrder.CDAB, StringOrder.LITTLE)
COMMAND = Command(1, 17, 3, 4, 1, 2, 5, 0xDEADBEEF, (1, 2, 3, 4, 5, 6), "DMX-0042")
OUTPUTS = Outputs(
    Status(bits=StatusBit.READY | StatusBit.RESULT_TOGGLE, heartbeat=77, boot_id=9),
    Result(result_seq=5, trigger_seq=17, part_id=0xDEADBEEF, judgement=1, score=0.25, values=(1.5,) * VALUES),
)


@dataclass
class Recorder:
    """A station that writes down what its link tells it."""

    told: list[Command | LinkState] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    answer: Callable[[Command], None] = lambda command: None

    def command(self, command: Command) -> None:
        self.told.append(command)
        self.answer(command)

    def link_changed(self, state: LinkState, reason: str) -> None:
        self.told.append(state)
        self.reasons.append(reason)

    @property
    def commands(self) -> list[Command]:
        """Each other command, in order: a poll repeats the one before."""
        seen: list[Command] = []
        for told in self.told:
            if isinstance(told, Command) and (not seen or told != seen[-1]):
                seen.append(told)
        return seen

    @property
    def last(self) -> Command:
        """The newest command; a blank one before the first."""
        return next((told for told in reversed(self.told) if isinstance(told, Command)), BLANK_COMMAND)

    @property
    def states(self) -> list[LinkState]:
        return [told for told in self.told if isinstance(told, LinkState)]


PATIENCE = 20.0
"""Seconds to wait for what must come: how soon is no question here, and the machine may be busy."""


async def until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for it; fail after `seconds`."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for happens behind a wire
            await asyncio.sleep(0.002)


class Plc(Protocol):
    """The other end of the wire."""

    async def write(self, command: Command) -> None: ...

    async def read(self) -> Outputs: ...

    async def leave(self) -> None: ...

    async def come_back(self) -> None: ...


async def shown(plc: Plc, true: Callable[[Outputs], bool], seconds: float = PATIENCE) -> None:
    """Wait until the PLC reads it; fail after `seconds`."""
    async with asyncio.timeout(seconds):
        while not true(await plc.read()):  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def ignore(code: int, text: str) -> None:
    """What a person should know is no matter of these tests."""


def outputs_of(words: Sequence[int]) -> Outputs:
    block = b"".join(word.to_bytes(2, "big") for word in words)
    result = CODEC.decode_result(block[32:])
    assert result is not None, "torn"
    return Outputs(CODEC.decode_status(block[:32]), result)


def words_of(block: bytes) -> list[int]:
    return [int.from_bytes(block[at : at + 2], "big") for at in range(0, len(block), 2)]


class LoopbackPlc:
    def __init__(self, link: Loopback) -> None:
        self.link = link

    async def write(self, command: Command) -> None:
        self.link.write(command)

    async def read(self) -> Outputs:
        return self.link.outputs

    async def leave(self) -> None:
        """The two ends of a loopback cannot part."""

    async def come_back(self) -> None:
        raise AssertionError


class MasterPlc:
    """A PLC that polls the gateway, as pymodbus's client."""

    def __init__(self, client: AsyncModbusTcpClient | AsyncModbusSerialClient) -> None:
        self.client = client

    async def write(self, command: Command) -> None:
        answer = await self.client.write_registers(0, words_of(CODEC.encode_command(command)))
        assert not answer.isError()

    async def read(self) -> Outputs:
        return outputs_of((await self.client.read_input_registers(0, count=64)).registers)

    async def leave(self) -> None:
        self.client.close()

    async def come_back(self) -> None:
        assert await self.client.connect()


class ServerPlc:
    """A PLC that is polled by the gateway, as pymodbus's server."""

    def __init__(self) -> None:
        self.port = 0
        self.server: ModbusTcpServer | ModbusSerialServer | None = None
        self.words = [0] * 200

    async def write(self, command: Command) -> None:
        words = words_of(CODEC.encode_command(command))
        self.words[:32] = words
        if self.server is not None:
            await self.server.async_setValues(1, 16, 0, words)

    async def read(self) -> Outputs:
        assert self.server is not None
        words = await self.server.async_getValues(1, 3, 100, 64)
        return outputs_of([int(word) for word in words])

    async def leave(self) -> None:
        assert self.server is not None
        await self.server.shutdown()  # type: ignore[no-untyped-call]
        self.server = None

    async def come_back(self) -> None:
        device = SimDevice(1, simdata=[SimData(0, values=list(self.words), datatype=DataType.REGISTERS)])
        self.server = self.serve(device)
        await self.server.serve_forever(background=True)
        if isinstance(self.server, ModbusTcpServer):
            self.port = self.server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    def serve(self, device: SimDevice) -> ModbusTcpServer | ModbusSerialServer:
        return ModbusTcpServer(device, address=("127.0.0.1", self.port))


class SerialServerPlc(ServerPlc):
    """The same as a unit on a serial line."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def serve(self, device: SimDevice) -> ModbusSerialServer:
        return ModbusSerialServer(device, port=self.path, baudrate=115200)


class NodesPlc:
    """A PLC whose OPC UA server is read and written by the gateway; values are changed one by one."""

    def __init__(self) -> None:
        self.slave = OpcUaSlave(S7Server())

    async def write(self, command: Command) -> None:
        await self.slave.write(Codec().encode_command(command))

    async def read(self) -> Outputs:
        block = await self.slave.read()
        result = Codec().decode_result(block[32:])
        assert result is not None
        return Outputs(Codec().decode_status(block[:32]), result)

    async def leave(self) -> None:
        await self.slave.close()

    async def come_back(self) -> None:
        await self.slave.open()


@asynccontextmanager
async def loopback(station: Recorder) -> AsyncIterator[tuple[Link, Plc]]:
    link = Loopback()
    link.attach(station)
    async with running(link.run()):
        yield link, LoopbackPlc(link)


@asynccontextmanager
async def modbus_server(station: Recorder) -> AsyncIterator[tuple[Link, Plc]]:
    server = ModbusServer("127.0.0.1", 0)
    link = server.unit(1, CODEC)
    link.attach(station)
    async with running(server.run()), running(link.run()):
        await server.bound.wait()
        plc = MasterPlc(AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=2, retries=0, reconnect_delay=0))
        await plc.come_back()
        yield link, plc
        await plc.leave()


@asynccontextmanager
async def modbus_rtu_server(station: Recorder) -> AsyncIterator[tuple[Link, Plc]]:
    with TemporaryDirectory() as folder:
        async with joined(Path(folder)) as bus:
            server = RtuServer(Line(bus.tap("gateway"), 115200))
            link = server.unit(1, CODEC)
            link.attach(station)
            async with running(server.run()), running(link.run()):
                await server.bound.wait()
                plc = MasterPlc(
                    AsyncModbusSerialClient(bus.tap("plc"), baudrate=115200, timeout=2, retries=0, reconnect_delay=0)
                )
                await plc.come_back()
                yield link, plc
                await plc.leave()


@asynccontextmanager
async def modbus_client(station: Recorder) -> AsyncIterator[tuple[Link, Plc]]:
    plc = ServerPlc()
    await plc.come_back()
    config = ModbusClientConfig(
        host="127.0.0.1", port=plc.port, word_order=CODEC.word_order, string_order=CODEC.string_order
    )
    link = config.build(ignore)
    link.attach(station)
    async with running(link.run()):
        yield link, plc
    if plc.server is not None:
        await plc.leave()


@asynccontextmanager
async def modbus_rtu_client(station: Recorder) -> AsyncIterator[tuple[Link, Plc]]:
    with TemporaryDirectory() as folder:
        async with joined(Path(folder)) as bus:
            plc = SerialServerPlc(bus.tap("plc"))
            await plc.come_back()
            config = ModbusRtuClientConfig(
                device=bus.tap("gateway"),
                baud=115200,
                timeout_ms=1000,
                retries=0,
                scan_ms=5,
                word_order=CODEC.word_order,
                string_order=CODEC.string_order,
            )
            (link,), _ = build([config], ignore)
            link.attach(station)
            async with running(link.run()):
                yield link, plc
            if plc.server is not None:
                await plc.leave()


@asynccontextmanager
async def opcua_server(station: Recorder, *, apart: bool = False) -> AsyncIterator[tuple[Link, Plc]]:
    async with served() as found:
        link = found.face
        link.attach(station)
        async with running(link.run()), found.plc(apart=apart) as plc:
            yield link, plc


def opcua_server_written_in_two(station: Recorder) -> AbstractAsyncContextManager[tuple[Link, Plc]]:
    return opcua_server(station, apart=True)


@asynccontextmanager
async def opcua_client(station: Recorder) -> AsyncIterator[tuple[Link, Plc]]:
    plc = NodesPlc()
    await plc.come_back()
    link = OpcUaClientConfig.model_validate(every_node(plc.slave.server)).build(ignore)
    link.attach(station)
    async with running(link.run()):
        yield link, plc
    await plc.leave()


RIGS = [
    loopback,
    modbus_server,
    modbus_rtu_server,
    modbus_client,
    modbus_rtu_client,
    opcua_server,
    opcua_server_written_in_two,
    opcua_client,
]
CALLING = [modbus_client, modbus_rtu_client, opcua_client]


@pytest.fixture(params=RIGS, ids=lambda rig: rig.__name__)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Recorder, Link, Plc]]:
    station = Recorder()
    async with AsyncExitStack() as stack:
        link, plc = await stack.enter_async_context(request.param(station))
        yield station, link, plc


Rig = tuple[Recorder, Link, Plc]


async def test_a_command_arrives_whole_and_after_up(rig: Rig) -> None:
    station, _, plc = rig
    await plc.write(COMMAND)
    await until(lambda: COMMAND in station.told)
    assert station.told[0] is LinkState.UP
    assert station.states == [LinkState.UP]


async def test_outputs_are_shown_and_the_newest_wins(rig: Rig) -> None:
    station, link, plc = rig
    await plc.write(COMMAND)
    await until(lambda: LinkState.UP in station.told)
    for beat in (1, 2, 3):
        link.publish(replace(OUTPUTS, status=replace(OUTPUTS.status, heartbeat=beat)))
    link.publish(OUTPUTS)
    await shown(plc, lambda outputs: outputs == OUTPUTS)


async def test_what_the_station_answers_at_once_is_shown(rig: Rig) -> None:
    station, link, plc = rig
    station.answer = lambda command: link.publish(Outputs(Status(trigger_seq_ack=command.trigger_seq)))
    for seq in (1, 2, 3):
        await plc.write(Command(control=1, trigger_seq=seq))
        await shown(plc, lambda outputs, wanted=seq: outputs.status.trigger_seq_ack == wanted)  # type: ignore[misc]


async def test_edges_come_in_the_order_written(rig: Rig) -> None:
    station, _, plc = rig
    written = [Command(control=n % 4, trigger_seq=n) for n in range(1, 9)]
    for command in written:
        await plc.write(command)
        await until(lambda wanted=command: wanted in station.told)  # type: ignore[misc]
    assert [command for command in station.commands if command != Command()] == written


@pytest.mark.parametrize("rig", CALLING, indirect=True)
async def test_a_link_that_calls_goes_down_once_and_comes_back_with_a_baseline(rig: Rig) -> None:
    station, link, plc = rig
    await plc.write(COMMAND)
    await until(lambda: COMMAND in station.told)
    await plc.leave()
    await until(lambda: station.states[-1] is LinkState.DOWN)
    assert station.reasons[-1]
    link.publish(OUTPUTS)  # nobody is there: no error, and shown when somebody is
    await asyncio.sleep(0.1)
    assert station.states == [LinkState.UP, LinkState.DOWN]
    before = len(station.told)
    await plc.come_back()
    await plc.write(COMMAND)
    await until(lambda: len(station.told) > before + 1)
    assert station.told[before] is LinkState.UP
    assert station.told[before + 1] == COMMAND
    await shown(plc, lambda outputs: outputs == OUTPUTS)
