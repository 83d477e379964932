"""One Modbus TCP connection as a master, against PLCs that answer rightly, wrongly, late or not at all."""

import asyncio
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from protocols.link import MapError, PeerError
from protocols.modbus.exchange import Exchange, RefusedByPeerError
from protocols.modbus.quirks import Quirks
from protocols.modbus.registers import Table
from protocols.modbus.tcp_exchange import TcpExchange
from tests.contract.scripted_plc import ScriptedPlc, exception, framed

PATIENCE = 5.0
"""Seconds of a time-out that a test must not wait for: what ends at once ends long before."""

Call = Callable[[Exchange], Awaitable[object]]
CALLS: dict[str, Call] = {
    "holding registers": lambda e: e.read_registers(1, Table.HOLDING, 4, 3),
    "input registers": lambda e: e.read_registers(1, Table.INPUT, 4, 3),
    "coils": lambda e: e.read_bits(1, Table.COIL, 4, 11),
    "discrete inputs": lambda e: e.read_bits(1, Table.DISCRETE, 4, 11),
    "write registers": lambda e: e.write_registers(1, 4, bytes.fromhex("0001 0002")),
    "write one register": lambda e: e.write_registers(1, 4, bytes.fromhex("0001")),
    "write coils": lambda e: e.write_bits(1, 4, [True, False]),
    "write one coil": lambda e: e.write_bits(1, 4, [True]),
}


@asynccontextmanager
async def opened(
    plc: ScriptedPlc, *, patience: float = PATIENCE, quirks: Quirks | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[TcpExchange]:
    async with plc.open():
        exchange = TcpExchange("127.0.0.1", plc.port, timeout=patience, quirks=quirks or Quirks(), context=context)
        await exchange.open()
        try:
            yield exchange
        finally:
            exchange.close()


async def test_every_table_is_read_and_written() -> None:
    plc = ScriptedPlc()
    async with opened(plc) as exchange:
        plc.registers[10:13] = [0x1234, 0, 0xFFFF]
        plc.coils[20:30] = [True, False, True, True, False, False, True, False, True, True]
        assert await exchange.read_registers(1, Table.HOLDING, 10, 3) == bytes.fromhex("1234 0000 FFFF")
        assert await exchange.read_registers(1, Table.INPUT, 10, 1) == bytes.fromhex("1234")
        assert await exchange.read_bits(1, Table.COIL, 20, 10) == tuple(plc.coils[20:30])
        assert await exchange.read_bits(1, Table.DISCRETE, 22, 1) == (True,)
        await exchange.write_registers(1, 100, bytes.fromhex("0001 8000"))
        await exchange.write_registers(1, 102, bytes.fromhex("0003"))
        assert plc.registers[100:103] == [1, 0x8000, 3]
        await exchange.write_bits(1, 50, [True, True, False, True])
        await exchange.write_bits(1, 54, [True])
        assert plc.coils[50:55] == [True, True, False, True, True]
        assert plc.functions == [3, 4, 1, 2, 16, 6, 15, 5]


@pytest.mark.parametrize(
    ("quirks", "functions"),
    [
        (Quirks(), [16, 6, 15, 5]),
        (Quirks(fc16=False, fc15=False), [6, 6, 6, 6, 5, 5, 5]),
        (Quirks(fc6=False, fc5=False), [16, 16, 15, 15]),
    ],
)
async def test_a_device_is_asked_by_the_functions_it_knows(quirks: Quirks, functions: list[int]) -> None:
    plc = ScriptedPlc()
    async with opened(plc, quirks=quirks) as exchange:
        await exchange.write_registers(1, 5, bytes.fromhex("0001 0002 0003"))
        await exchange.write_registers(1, 8, bytes.fromhex("0004"))
        await exchange.write_bits(1, 5, [True, True])
        await exchange.write_bits(1, 7, [True])
        assert plc.functions == functions
        assert plc.registers[5:9] == [1, 2, 3, 4]
        assert plc.coils[5:8] == [True] * 3


@pytest.mark.parametrize("size", [1, 5, 8])
async def test_d18_an_answer_in_pieces_is_put_together(size: int) -> None:
    plc = ScriptedPlc()
    plc.split = size
    async with opened(plc) as exchange:
        plc.registers[0:4] = [1, 2, 3, 4]
        assert await exchange.read_registers(1, Table.HOLDING, 0, 4) == bytes.fromhex("0001 0002 0003 0004")


def _tid(frame: bytes, right: bytes) -> bytes:
    return bytes((frame[0] ^ 0x40, frame[1])) + right[2:]


WRONG: dict[str, Callable[[bytes, bytes], bytes]] = {
    "another transaction": _tid,
    "transaction 0": lambda frame, right: b"\0\0" + right[2:],
    "another protocol": lambda frame, right: right[:3] + b"\1" + right[4:],
    "another unit": lambda frame, right: right[:6] + b"\x09" + right[7:],
    "another function": lambda frame, right: framed(frame, bytes((4 if frame[7] == 3 else 3, 2, 0, 0))),
    "an exception of another function": lambda frame, right: framed(frame, bytes((frame[7] ^ 0x81, 2))),
    "function 0": lambda frame, right: framed(frame, b"\0\0"),
    "a length beyond the frame": lambda frame, right: right[:4] + b"\xff\xff" + right[6:],
    "a length of 0": lambda frame, right: right[:4] + b"\0\0" + right[6:],
    "a value too few": lambda frame, right: framed(frame, bytes((right[7], max(right[8] - 1, 0))) + right[9:-1]),
    "a value too many": lambda frame, right: framed(frame, bytes((right[7], right[8] + 1)) + right[9:] + b"\0"),
    "bytes behind it": lambda frame, right: right + b"\0",
    "the answer twice": lambda frame, right: right + right,
    "garbage": lambda frame, right: b"\xff" * 300,
    "text": lambda frame, right: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "nothing and the end": lambda frame, right: b"",
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", WRONG)
async def test_d18_a_wrong_answer_is_refused_at_once_and_ends_the_connection(
    kind: str, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    plc = ScriptedPlc()

    def answer(frame: bytes) -> bytes:
        wrong = WRONG[kind](frame, plc.right(frame))
        if not wrong:
            plc.cut()
        return wrong

    async with opened(plc) as exchange:
        plc.answer = answer
        began = time.monotonic()
        with pytest.raises(PeerError, match=r"modbus tcp 127\.0\.0\.1:\d+: ") as refused:
            await CALLS[call](exchange)
        assert not isinstance(refused.value, RefusedByPeerError)
        assert time.monotonic() - began < PATIENCE / 2
        plc.answer = plc.right
        asked = len(plc.asked)
        with pytest.raises(PeerError):
            await CALLS[call](exchange)
        assert len(plc.asked) == asked
        await exchange.open()
        await CALLS[call](exchange)
        assert not caplog.records  # no traceback of a library either


async def test_d18_a_late_answer_is_never_taken_for_that_of_the_next_request() -> None:
    plc = ScriptedPlc()
    held: list[bytes] = []

    def late(frame: bytes) -> bytes | None:
        held.append(plc.right(frame))
        return None if len(held) == 1 else held[0] + held[1]

    async with opened(plc, patience=0.2) as exchange:
        plc.answer = late
        with pytest.raises(PeerError, match=r"did not answer the read of 1 holding registers from 7 within 0\.2 s"):
            await exchange.read_registers(1, Table.HOLDING, 7, 1)
        with pytest.raises(PeerError):
            await exchange.read_registers(1, Table.HOLDING, 8, 1)


async def test_d18_bytes_that_nobody_asked_for_end_the_connection() -> None:
    plc = ScriptedPlc()
    async with opened(plc) as exchange:
        await exchange.read_registers(1, Table.HOLDING, 7, 1)
        again = plc.right(plc.asked[-1])
        for writer in plc.writers:
            writer.write(again)
        with pytest.raises(PeerError):
            await asyncio.wait_for(_forever(exchange), PATIENCE)


async def _forever(exchange: Exchange) -> None:
    while True:
        await exchange.read_registers(1, Table.HOLDING, 9, 1)
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8, 10, 11, 0])
@pytest.mark.parametrize("call", CALLS)
async def test_d18_an_exception_leaves_the_connection_usable(call: str, code: int) -> None:
    plc = ScriptedPlc()
    async with opened(plc) as exchange:
        plc.answer = lambda frame: exception(frame, code)
        with pytest.raises(RefusedByPeerError, match=f"exception {code:02X} to the ") as refused:
            await CALLS[call](exchange)
        assert refused.value.code == code
        plc.answer = plc.right
        await CALLS[call](exchange)
        assert plc.connections == 1


@pytest.mark.parametrize("call", CALLS)
async def test_d19_silence_ends_at_the_time_out(call: str) -> None:
    plc = ScriptedPlc()
    async with opened(plc, patience=0.1) as exchange:
        plc.answer = lambda frame: None
        began = time.monotonic()
        with pytest.raises(PeerError, match=r"within 0\.1 s"):
            await CALLS[call](exchange)
        assert 0.09 <= time.monotonic() - began < 2


async def test_a_lost_connection_is_told_at_once() -> None:
    plc = ScriptedPlc()
    async with opened(plc) as exchange:
        plc.answer = lambda frame: plc.cut()
        began = time.monotonic()
        with pytest.raises(PeerError, match="the connection was lost"):
            await exchange.read_registers(1, Table.HOLDING, 7, 1)
        assert time.monotonic() - began < PATIENCE / 2


async def test_nobody_there_is_one_sentence_with_the_cause() -> None:
    plc = ScriptedPlc()
    async with plc.open():
        pass
    exchange = TcpExchange("127.0.0.1", plc.port)
    with pytest.raises(PeerError, match=r"no connection \(.*refused|Connect.*\)"):
        await exchange.open()
    with pytest.raises(PeerError, match="not connected"):
        await exchange.read_registers(1, Table.HOLDING, 0, 1)
    exchange.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda e: e.read_registers(1, Table.HOLDING, 0, 126),
        lambda e: e.read_registers(1, Table.HOLDING, 65535, 2),
        lambda e: e.read_registers(1, Table.HOLDING, 0, 0),
        lambda e: e.read_registers(1, Table.COIL, 0, 1),
        lambda e: e.read_bits(1, Table.COIL, 0, 2001),
        lambda e: e.read_bits(1, Table.INPUT, 0, 1),
        lambda e: e.write_registers(1, 0, bytes(248)),
        lambda e: e.write_bits(1, 0, [True] * 1969),
    ],
)
async def test_what_no_request_can_carry_is_our_mistake_and_never_sent(call: Call) -> None:
    plc = ScriptedPlc()
    async with opened(plc) as exchange:
        with pytest.raises(MapError):
            await call(exchange)
        assert not plc.asked
        await exchange.read_registers(1, Table.HOLDING, 0, 1)


async def test_a_cancelled_request_leaves_no_answer_for_the_next() -> None:
    plc = ScriptedPlc()
    async with opened(plc) as exchange:
        plc.answer = lambda frame: None
        task = asyncio.create_task(exchange.read_registers(1, Table.HOLDING, 7, 1))
        async with asyncio.timeout(PATIENCE):
            while not plc.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        plc.answer = plc.right
        with pytest.raises(PeerError, match="was left"):
            await exchange.read_registers(1, Table.HOLDING, 8, 1)


async def test_a_device_that_never_says_goodbye_leaves_no_socket() -> None:
    """The fixture looks for it: what is asked here is only that nothing is waited for."""
    plc = ScriptedPlc()
    async with opened(plc, patience=0.1) as exchange:
        plc.answer = lambda frame: None
        for _ in range(3):
            with pytest.raises(PeerError):
                await exchange.read_registers(1, Table.HOLDING, 7, 1)
            await exchange.open()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that signed itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "plc.pem"
    path.write_bytes(
        cert.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


async def test_the_same_requests_go_over_tls_however_they_are_cut(certificate: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    plc = ScriptedPlc(context=server)
    plc.split = 5
    async with opened(plc, context=ssl.create_default_context(cafile=str(certificate))) as exchange:
        assert exchange.name.startswith("modbus tls ")
        plc.registers[0:2] = [7, 8]
        assert await exchange.read_registers(1, Table.HOLDING, 0, 2) == struct.pack(">2H", 7, 8)
        await exchange.write_registers(1, 5, struct.pack(">2H", 3, 4))
        assert plc.registers[5:7] == [3, 4]


async def test_a_plc_with_another_certificate_is_refused_with_the_cause(certificate: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    plc = ScriptedPlc(context=server)
    async with plc.open():
        exchange = TcpExchange("127.0.0.1", plc.port, timeout=PATIENCE, context=ssl.create_default_context())
        with pytest.raises(PeerError, match=r"no connection \(.*certificate"):
            await exchange.open()


async def test_a_device_without_tls_is_no_connection(certificate: Path) -> None:
    plc = ScriptedPlc()
    plc.answer = lambda frame: None
    async with plc.open():
        exchange = TcpExchange("127.0.0.1", plc.port, timeout=0.3, context=ssl.create_default_context())
        with pytest.raises(PeerError, match="no connection"):
            await exchange.open()
