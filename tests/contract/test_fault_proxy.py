"""The faulty wire between two sockets: it passes everything on until told otherwise, and leaves nothing behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from simulators import __main__ as simulators
from simulators.fault_proxy import FaultProxy, ProxyError
from simulators.faults import Direction, parse_script
from tests.contract.test_links import running, until
from tests.scenario.stand import free_port

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that sends back what comes, and remembers its connections and their ends."""

    def __init__(self) -> None:
        self.port = 0
        self.ends: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while data := await reader.read(65536):
                writer.write(data)
            self.ends.append("fin")
        except ConnectionResetError:
            self.ends.append("rst")
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield
            for writer in self.writers:
                writer.transport.abort()
            await asyncio.sleep(0.02)


class Rig:
    def __init__(self, echo: Echo, proxy: FaultProxy, told: list[str]) -> None:
        self.echo, self.proxy, self.told = echo, proxy, told

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Streams]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    echo, told = Echo(), list[str]()
    async with echo.open():
        proxy = FaultProxy("127.0.0.1", echo.port, seed=7, tell=told.append)
        async with proxy.open():
            yield Rig(echo, proxy, told)
        assert proxy.alive == 0


async def said_back(streams: Streams, data: bytes, within: float = 20.0) -> bytes:
    streams[1].write(data)
    async with asyncio.timeout(within):
        return await streams[0].readexactly(len(data))


async def test_a_good_wire_passes_a_megabyte_both_ways(rig: Rig) -> None:
    data = bytes(range(256)) * 4096
    async with rig.connection() as streams:
        assert await said_back(streams, data, 10) == data
        streams[1].write_eof()
        async with asyncio.timeout(20):
            assert await streams[0].read() == b""
    assert rig.echo.ends == ["fin"]
    assert rig.proxy.passed == {Direction.UP: len(data), Direction.DOWN: len(data)}


async def test_fin_is_an_orderly_end_on_both_sides(rig: Rig) -> None:
    async with rig.connection() as streams:
        await said_back(streams, b"hello")
        rig.proxy.fin()
        async with asyncio.timeout(20):
            assert await streams[0].read() == b""
        await until(lambda: rig.echo.ends == ["fin"])
    assert "fin (1 connections)" in rig.told[-1]


async def test_rst_is_a_reset_on_both_sides(rig: Rig) -> None:
    async with rig.connection() as streams:
        await said_back(streams, b"hello")
        rig.proxy.rst()
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(20):
                await streams[0].read()
        await until(lambda: rig.echo.ends == ["rst"])


async def test_a_peer_that_resets_is_a_reset_for_the_other(rig: Rig) -> None:
    async with rig.connection() as streams:
        await said_back(streams, b"hello")
        rig.echo.writers[0].get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 0
        rig.echo.writers[0].transport.abort()
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(20):
                await streams[0].read()


async def test_dropped_is_silence_and_only_for_the_connections_that_are_there(rig: Rig) -> None:
    async with rig.connection() as lost, rig.connection() as later:
        await said_back(lost, b"hello")
        rig.proxy.drop()
        lost[1].write(b"anybody?")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await lost[0].read(1)
        with pytest.raises(TimeoutError):
            await said_back(later, b"?", 0.2)
        async with rig.connection() as fresh:
            assert await said_back(fresh, b"hello") == b"hello"
    await asyncio.sleep(0.05)
    assert rig.echo.ends == ["fin"], "the server of a dropped connection hears of no end"


async def test_one_direction_alone_is_dropped(rig: Rig) -> None:
    async with rig.connection() as streams:
        await said_back(streams, b"hello")
        rig.proxy.drop(Direction.DOWN)
        streams[1].write(b"to the server only")
        await until(lambda: rig.proxy.passed[Direction.UP] == 5 + 18)
        assert rig.proxy.passed[Direction.DOWN] == 5


async def test_refused_connections_are_closed_and_come_again(rig: Rig) -> None:
    rig.proxy.refuse()
    async with rig.connection() as streams:
        with suppress(ConnectionResetError):
            assert await streams[0].read() == b""
    rig.proxy.refuse(False)
    async with rig.connection() as streams:
        assert await said_back(streams, b"hello") == b"hello"


async def test_single_bytes_arrive_as_they_were_sent(rig: Rig) -> None:
    rig.proxy.set(split=1)
    chunks: list[bytes] = []
    async with rig.connection() as (reader, writer):
        writer.write(b"x" * 200)
        async with asyncio.timeout(20):
            while sum(map(len, chunks)) < 200:
                chunks.append(await reader.read(65536))
    assert len(chunks) > 5, "the bytes came in one piece"


def window(seconds: float) -> tuple[float, float]:
    """A `merge` in whose grid this moment's window ends in so many seconds, and when that is (monotonic)."""
    end = time.monotonic() + seconds
    return end / int(end / (2 * seconds)), end


async def test_merged_segments_arrive_together(rig: Rig) -> None:
    async with rig.connection() as (reader, writer), asyncio.timeout(30):
        within = False
        while not within:  # a machine that stood still for so long has proved nothing
            merge, end = window(0.2)
            rig.proxy.set(Direction.UP, merge=merge)
            for _ in range(5):
                writer.write(b"ab")
                await asyncio.sleep(0.002)
            within = time.monotonic() < end
            came = await reader.read(65536)
            assert came == b"ab" * 5 or not within
            await reader.readexactly(10 - len(came))
    assert set(rig.proxy.faults) == {"merge"}


async def test_delayed_bytes_come_later(rig: Rig) -> None:
    rig.proxy.set(delay=0.1)
    loop = asyncio.get_running_loop()
    async with rig.connection() as streams:
        began = loop.time()
        await said_back(streams, b"hello")
        assert loop.time() - began >= 0.19
        rig.proxy.clear()
        await said_back(streams, b"hello")


async def test_turned_bits_are_counted_and_told(rig: Rig) -> None:
    rig.proxy.set(Direction.DOWN, flip=0.05)
    async with rig.connection() as streams:
        back = await said_back(streams, bytes(2000))
    turned = sum(byte.bit_count() for byte in back)
    assert turned == rig.proxy.faults["flipped"] > 20
    assert any("bits turned down" in line for line in rig.told)


async def test_a_server_that_is_not_there_is_told(rig: Rig) -> None:
    rig.proxy.target = ("127.0.0.1", free_port())
    async with rig.connection() as (reader, _):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    assert "cannot be reached: Connection refused" in rig.told[-1]


async def test_a_script_happens_at_its_times_and_connections(rig: Rig) -> None:
    script = parse_script(["after 2 connections fin", "at 0 s delay 30 ms for 100 ms", "every 20 ms split up"])
    async with running(rig.proxy.play(script)), rig.connection() as streams:
        await said_back(streams, b"hello")
        assert rig.proxy.faults["delay+jitter"] >= 1
        async with rig.connection() as second:
            async with asyncio.timeout(20):
                assert await second[0].read() == b""
                assert await streams[0].read() == b""
        await until(lambda: rig.proxy.faults["delay+jitter"] == 2)
        await until(lambda: rig.proxy.faults["split"] >= 3)
        assert rig.proxy.faults["fin"] == 1


async def test_a_port_that_is_taken_is_one_sentence(rig: Rig) -> None:
    second = FaultProxy("127.0.0.1", rig.echo.port, listen=("127.0.0.1", rig.proxy.port))
    with pytest.raises(ProxyError, match="Address already in use; is another program there"):
        async with second.open():
            pass


def test_the_command_ends_by_itself_and_tells(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fault-proxy", "--listen", "127.0.0.1:0", "--fault", "at 0 s rst", "--seconds", "0.1"]
    assert simulators.main(arguments) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("leads to 127.0.0.1:5020; seed 0, 1 faults in the script")
    assert said[1].endswith("rst (0 connections)")
    assert simulators.main(["fault-proxy", "--fault", "at 0 s nothing"]) == 1
    assert "no fault is called nothing" in capsys.readouterr().err
