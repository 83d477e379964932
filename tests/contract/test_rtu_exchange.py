"""The gateway as master of a serial line: against pymodbus, against our own server, and against rude slaves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from protocols.link import MapError, PeerError
from protocols.modbus.exchange import Exchange, RefusedByPeerError
from protocols.modbus.registers import Table
from protocols.modbus.rtu import framed
from protocols.modbus.rtu_exchange import RtuExchange, SerialMaster
from protocols.modbus.rtu_server import RtuServer
from protocols.modbus.rtu_settings import ModbusRtuClientConfig
from protocols.modbus.serial_port import Line, SerialPort, opened
from protocols.signals import Command, Outputs, Status
from tests.bus import Bus, joined
from tests.contract.test_links import Recorder, running, until

BAUD = 115200
PATIENT = 3.0
"""Seconds for an answer that must come, on a machine that has other work."""
HASTY = 0.2
"""Seconds for an answer that does not come."""


class Slave:
    """A device by hand: says what it is told to, whenever a whole request of its own was heard."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.answers: Callable[[bytes, int], object] = lambda request, number: None
        self.port: SerialPort | None = None

    def take(self, data: bytes) -> None:
        self.heard.append(data)
        self.answers(data, len(self.heard))

    def say(self, frame: bytes, after: float = 0.0) -> None:
        assert self.port is not None
        if after:
            asyncio.get_running_loop().call_later(after, self.port.write, frame)
        else:
            self.port.write(frame)


@asynccontextmanager
async def slave(bus: Bus) -> AsyncIterator[Slave]:
    device = Slave()
    device.port = await opened(Line(bus.tap("slave"), BAUD), device.take, lambda reason: None)
    try:
        yield device
    finally:
        device.port.close()


@asynccontextmanager
async def asking(
    bus: Bus, *, within: float = PATIENT, echo: bool = False, retries: int = 1
) -> AsyncIterator[RtuExchange]:
    master = SerialMaster(Line(bus.tap("gateway", echo=echo), BAUD, echo=echo))
    exchange = RtuExchange(master, timeout=within, retries=retries)
    await exchange.open()
    try:
        yield exchange
    finally:
        exchange.close()


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with joined(tmp_path) as bus:
        yield bus


# ------------------------------------------------------------ other people's stack, and our own


async def test_against_pymodbus(bus: Bus) -> None:
    device = SimDevice(
        5,
        simdata=(
            [SimData(0, values=[False] * 32, datatype=DataType.BITS)],
            [SimData(0, values=[True, False] * 16, datatype=DataType.BITS)],
            [SimData(0, values=[0] * 200, datatype=DataType.REGISTERS)],
            [SimData(0, values=list(range(100, 200)), datatype=DataType.REGISTERS)],
        ),
    )
    server = ModbusSerialServer(device, port=bus.tap("slave"), baudrate=BAUD)
    await server.serve_forever(background=True)
    try:
        async with asking(bus) as exchange:
            await exchange.write_registers(5, 10, bytes.fromhex("0001 0002 ABCD"))
            assert await exchange.read_registers(5, Table.HOLDING, 9, 5) == bytes.fromhex("0000 0001 0002 ABCD 0000")
            await exchange.write_registers(5, 9, b"\x00\x07")
            assert await exchange.read_registers(5, Table.HOLDING, 9, 1) == b"\x00\x07"
            assert await exchange.read_registers(5, Table.INPUT, 3, 2) == bytes((0, 103, 0, 104))
            await exchange.write_bits(5, 1, [True, False, True, True, False, True, True, True, True])
            await exchange.write_bits(5, 12, [True])
            bits = await exchange.read_bits(5, Table.COIL, 0, 13)
            assert [n for n, on in enumerate(bits) if on] == [1, 3, 4, 6, 7, 8, 9, 12]
            assert await exchange.read_bits(5, Table.DISCRETE, 1, 3) == (False, True, False)
            with pytest.raises(RefusedByPeerError, match="exception 02 to the read of 5 holding registers") as caught:
                await exchange.read_registers(5, Table.HOLDING, 1000, 5)
            assert caught.value.code == 2
            assert await exchange.read_registers(5, Table.HOLDING, 9, 1) == b"\x00\x07"
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


async def test_against_our_own_server_with_two_stations(bus: Bus) -> None:
    server = RtuServer(Line(bus.tap("slave"), BAUD))
    stations = {unit: Recorder() for unit in (1, 2)}
    for unit, station in stations.items():
        link = server.unit(unit)
        link.attach(station)
        link.publish(Outputs(Status(heartbeat=unit)))
    async with running(server.run()), asking(bus) as exchange:
        await server.bound.wait()
        for unit in (1, 2, 1):
            assert await exchange.read_registers(unit, Table.INPUT, 1, 1) == unit.to_bytes(2, "big")
        await exchange.write_registers(2, 0, bytes.fromhex("0001 0009"))
        assert stations[2].told[-1] == Command(control=1, trigger_seq=9)
        await exchange.write_registers(0, 1, bytes.fromhex("0005"))
        await until(lambda: stations[1].told[-1] == Command(trigger_seq=5))
        await exchange.write_bits(0, 0, [True])
        await until(lambda: stations[1].told[-1] == Command(control=1, trigger_seq=5))
        assert await exchange.read_bits(2, Table.COIL, 0, 2) == (True, False)


async def test_several_exchanges_take_turns_on_one_line(bus: Bus) -> None:
    server = RtuServer(Line(bus.tap("slave"), BAUD))
    for unit in (1, 2, 3):
        server.unit(unit).publish(Outputs(Status(heartbeat=unit)))
    config = ModbusRtuClientConfig(device=bus.tap("gateway"), baud=BAUD, timeout_ms=PATIENT * 1000)
    master = config.master()
    exchanges: list[Exchange] = [config.exchange(master) for _ in range(3)]

    async def ask(exchange: Exchange, unit: int) -> None:
        await exchange.open()
        for _ in range(10):
            assert await exchange.read_registers(unit, Table.INPUT, 1, 1) == unit.to_bytes(2, "big")
        exchange.close()

    async with running(server.run()):
        await server.bound.wait()
        await asyncio.gather(*(ask(exchange, unit) for unit, exchange in enumerate(exchanges, 1)))
        assert server.heard.requests == 30
        with pytest.raises(PeerError, match="is not open"):
            await exchanges[0].read_registers(1, Table.INPUT, 1, 1)


# ------------------------------------------------------------ rude slaves


async def test_silence_is_one_sentence_and_reads_are_tried_again(bus: Bus) -> None:
    async with slave(bus) as device, asking(bus, within=HASTY, retries=2) as exchange:
        with pytest.raises(PeerError, match="unit 4: no answer to the read of 2 input registers from 7 within"):
            await exchange.read_registers(4, Table.INPUT, 7, 2)
        assert b"".join(device.heard) == framed(4, bytes.fromhex("04 0007 0002")) * 3


async def test_a_write_is_sent_once_unless_the_rule_says_otherwise(bus: Bus) -> None:
    request = framed(4, bytes.fromhex("06 0007 0002"))
    async with slave(bus) as device, asking(bus, within=HASTY, retries=2) as exchange:
        with pytest.raises(PeerError, match="no answer to the write"):
            await exchange.write_registers(4, 7, b"\0\2")
        assert b"".join(device.heard) == request
        device.answers = lambda data, number: device.say(request) if number > 2 else None
        twice = RtuExchange(exchange._master, timeout=HASTY, write_retries=1)
        await twice.open()
        await twice.write_registers(4, 7, b"\0\2")
        twice.close()


def numbered(device: Slave, *delays: float) -> None:
    """Answer each request after its delay with its number; the last delay goes on."""
    device.answers = lambda data, number: device.say(
        framed(4, bytes((3, 2, 0, number))), HASTY * delays[min(number, len(delays)) - 1]
    )


async def test_a_late_answer_is_never_taken_for_the_next_one(bus: Bus) -> None:
    async with slave(bus) as device, asking(bus, within=HASTY, retries=0) as exchange:
        numbered(device, 1.3, 0.5)
        with pytest.raises(PeerError, match="no answer"):
            await exchange.read_registers(4, Table.HOLDING, 0, 1)
        assert await exchange.read_registers(4, Table.HOLDING, 50, 1) == b"\0\2"
        assert await exchange.read_registers(4, Table.HOLDING, 60, 1) == b"\0\3"


async def test_a_request_that_was_given_up_leaves_no_answer_for_the_next(bus: Bus) -> None:
    async with slave(bus) as device, asking(bus, within=HASTY, retries=0) as exchange:
        numbered(device, 0.4, 0.5)
        given_up = asyncio.create_task(exchange.read_registers(4, Table.HOLDING, 0, 1))
        await until(lambda: bool(device.heard))
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert await exchange.read_registers(4, Table.HOLDING, 50, 1) == b"\0\2"


async def test_a_unit_that_answered_wrongly_has_its_time_before_another_is_asked(bus: Bus) -> None:
    async with slave(bus) as device, asking(bus, within=HASTY, retries=0) as exchange:
        times: list[float] = []

        def answer(data: bytes, number: int) -> None:
            times.append(asyncio.get_running_loop().time())
            device.say(framed(data[0], b"\x04\x02\0\1" if number == 1 else b"\x03\x02\0\2"))

        device.answers = answer
        with pytest.raises(PeerError, match="is of function 4"):
            await exchange.read_registers(4, Table.HOLDING, 0, 1)
        assert await exchange.read_registers(5, Table.HOLDING, 0, 1) == b"\0\2"
        assert times[1] - times[0] > 0.9 * HASTY


async def test_a_late_answer_of_another_unit_harms_nobody(bus: Bus) -> None:
    async with slave(bus) as device, asking(bus, retries=0) as exchange:
        late, right = framed(3, b"\x03\x02\xab\xcd"), framed(4, b"\x03\x02\0\7")
        device.answers = lambda data, number: device.say(late + right)
        assert await exchange.read_registers(4, Table.HOLDING, 0, 1) == b"\0\7"


WRONG = [
    (framed(4, b"\x03\x02\0\7")[:-1] + b"\x00", "is garbled"),
    (framed(4, b"\x03\x02\0\7")[:-2], "no answer"),
    (framed(5, b"\x03\x02\0\7"), "no answer"),
    (framed(4, b"\x04\x02\0\7"), "is of function 4"),
    (framed(4, b"\x03\x04\0\7\0\0"), "is 6 bytes long, 4 were expected"),
    (bytes(range(0x30, 0x60)), "is garbled"),
]


@pytest.mark.parametrize(("wrong", "why"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
async def test_what_is_not_the_answer_is_a_peer_error_and_the_next_request_works(
    bus: Bus, wrong: bytes, why: str
) -> None:
    async with slave(bus) as device, asking(bus, within=HASTY, retries=0) as exchange:
        device.answers = lambda data, number: device.say(wrong if number == 1 else framed(4, b"\x03\x02\0\7"))
        with pytest.raises(PeerError, match=why):
            await exchange.read_registers(4, Table.HOLDING, 0, 1)
        assert await exchange.read_registers(4, Table.HOLDING, 0, 1) == b"\0\7"


async def test_a_garbled_answer_is_asked_for_again(bus: Bus) -> None:
    async with slave(bus) as device, asking(bus) as exchange:
        good = framed(4, b"\x03\x02\0\7")
        device.answers = lambda data, number: device.say(good if number == 2 else good[:-1] + b"\x00")
        assert await exchange.read_registers(4, Table.HOLDING, 0, 1) == b"\0\7"


async def test_a_line_that_is_never_silent_is_given_up(bus: Bus) -> None:
    async def babble() -> None:
        while True:
            bus.carry(b"\x31")
            await asyncio.sleep(0.001)

    async with asking(bus, within=HASTY, retries=0) as exchange:
        exchange._master._timing = exchange._master._timing.__class__(1e-4, 0.1, 0.2)
        async with running(babble()):
            await asyncio.sleep(0.05)
            with pytest.raises(PeerError, match="never silent"):
                await exchange.read_registers(4, Table.HOLDING, 0, 1)


async def test_an_echo_is_passed_over(bus: Bus) -> None:
    async with slave(bus) as device, asking(bus, echo=True) as exchange:
        device.answers = lambda data, number: device.say(data)
        await exchange.write_registers(4, 7, b"\0\2")
        await exchange.write_bits(4, 7, [True])


async def test_a_missing_echo_and_a_wrong_one_are_told(bus: Bus) -> None:
    path = bus.tap("gateway")
    async with slave(bus) as device:
        exchange = RtuExchange(SerialMaster(Line(path, BAUD, echo=True)), timeout=HASTY, retries=0)
        await exchange.open()
        with pytest.raises(PeerError, match="no answer"):
            await exchange.read_registers(4, Table.HOLDING, 0, 1)
        device.answers = lambda data, number: device.say(framed(4, b"\x03\x02\0\7") * 2)
        with pytest.raises(PeerError, match="another echo than what was sent"):
            await exchange.read_registers(4, Table.HOLDING, 0, 1)
        exchange.close()


# ------------------------------------------------------------ the line itself


async def test_a_line_that_is_pulled_ends_the_request_and_can_be_opened_again(bus: Bus) -> None:
    async with slave(bus) as device, asking(bus, within=1, retries=0) as exchange:
        tap = bus.taps["gateway"]
        device.answers = lambda data, number: tap.cut() if number == 1 else device.say(framed(4, b"\x03\x02\0\7"))
        with pytest.raises(PeerError, match="was lost"):
            await exchange.read_registers(4, Table.HOLDING, 0, 1)
        with pytest.raises(PeerError, match="was lost"):
            await exchange.write_registers(4, 0, b"\0\1")
        exchange.close()
        with pytest.raises(PeerError, match="no such device"):
            await exchange.open()
        tap.mend()
        await exchange.open()
        assert await exchange.read_registers(4, Table.HOLDING, 0, 1) == b"\0\7"


async def test_what_a_serial_line_cannot_is_our_own_mistake(bus: Bus) -> None:
    async with asking(bus) as exchange:
        with pytest.raises(MapError, match="unit 248 does not exist"):
            await exchange.read_registers(248, Table.HOLDING, 0, 1)
        with pytest.raises(MapError, match="they answer nothing"):
            await exchange.read_registers(0, Table.HOLDING, 0, 1)
        with pytest.raises(MapError, match="ask for bits"):
            await exchange.read_registers(1, Table.COIL, 0, 1)
        with pytest.raises(MapError, match="ask for registers"):
            await exchange.read_bits(1, Table.INPUT, 0, 1)


async def test_devices_that_lack_a_function_are_written_one_by_one(bus: Bus) -> None:
    class Old:
        fc5 = fc6 = True
        fc15 = fc16 = False

    class New:
        fc5 = fc6 = False
        fc15 = fc16 = True

    async with slave(bus) as device, asking(bus) as exchange:
        device.answers = lambda data, number: device.say(data if data[1] < 15 else framed(data[0], data[1:6]))
        old = RtuExchange(exchange._master, timeout=PATIENT, functions=Old())
        await old.write_registers(4, 7, bytes.fromhex("0001 0002"))
        await old.write_bits(4, 7, [True, False])
        new = RtuExchange(exchange._master, timeout=PATIENT, functions=New())
        await new.write_registers(4, 7, bytes.fromhex("0001"))
        await new.write_bits(4, 7, [True])
        assert [data[1] for data in device.heard] == [6, 6, 5, 5, 16, 15]
