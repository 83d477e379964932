"""One connection to somebody else's server: nodes by path, subscriptions that notice silence, bounds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asyncua import ua

from protocols.link import PeerError
from protocols.opcua.connection import Connection
from protocols.opcua.dialer import Dialer
from protocols.opcua.failures import ConnectionFailedError
from protocols.opcua.nodes import parse
from protocols.opcua.peer_settings import OpcUaPeer
from protocols.opcua.subscription import Item, Subscription
from simulators.opcua_server import SIEMENS, S7Server
from tests.contract.opcua_nodes import Events, server
from tests.contract.test_links import until
from tests.contract.test_opcua_client import behind_proxy, black_hole

ALIASES = {"plc": SIEMENS}
SEQ, PART = 'ns=plc;s="VisionDB"."Cmd"."TriggerSeq"', 'ns=plc;s="VisionDB"."Cmd"."PartId"'


@asynccontextmanager
async def connected(plc: S7Server, url: str = "", **changes: Any) -> AsyncIterator[Connection]:
    told = {"url": url or plc.url, "security": "none", "timeout_ms": 2000, **changes}
    async with Dialer(OpcUaPeer.model_validate(told), Events()).connection() as connection:
        yield connection


async def placed(connection: Connection, *texts: str) -> list[ua.NodeId]:
    return await connection.locate([parse(text, ALIASES) for text in texts])


async def test_a_path_and_an_identifier_lead_to_one_node() -> None:
    async with server() as plc, connected(plc) as connection:
        path = "/Objects/plc:PLC_1/plc:DataBlocksGlobal/plc:VisionDB/plc:Cmd/plc:TriggerSeq"
        by_path, by_id, objects = await placed(connection, path, SEQ, "/Objects")
        assert by_path == by_id
        assert objects == ua.NodeId(ua.Int32(85))
        with pytest.raises(PeerError, match="has no node /Objects/"):
            await placed(connection, path + "x")
        names = {found.BrowseName.Name for found in await connection.browse(objects)}
        assert {"Server", "PLC_1"} <= names


async def test_more_nodes_than_a_server_takes_at_once_are_asked_for_in_parts() -> None:
    async with server() as plc, connected(plc) as connection:
        ids = await placed(connection, *[SEQ, PART] * 5)
        connection._limits |= dict.fromkeys((11705, 11707), 3)
        before = plc.counts.reads
        assert len(await connection.read(ids)) == 10
        assert plc.counts.reads == before + 4
        values = [(ids[0], ua.Variant(5, ua.VariantType.UInt16)), (ids[1], ua.Variant(5, ua.VariantType.UInt16))]
        good, bad = await connection.write(values)
        assert (good.is_good(), bad.name) == (True, "BadTypeMismatch")


async def test_news_come_at_the_interval_that_the_server_grants() -> None:
    async with server(publishing=0.1) as plc, connected(plc) as connection:
        ids = await placed(connection, SEQ, PART)
        news = await connection.subscribe([Item(node) for node in ids], 0.01)
        assert news.interval == pytest.approx(0.1)
        assert news.patience >= 1.0
        assert {(await news.news())[0], (await news.news())[0]} == {0, 1}
        await plc.set({"PART_ID": 77})
        number, value = await news.news()
        assert (number, value.Value.Value if value.Value else None) == (1, 77)
        assert connection.age < 1.0


async def test_news_may_be_handed_over_at_once() -> None:
    got: list[tuple[int, object]] = []
    async with server() as plc, connected(plc) as connection:
        (node,) = await placed(connection, SEQ)
        await connection.subscribe([Item(node)], 0.05, on_news=lambda n, v: got.append((n, v.Value.Value)))  # type: ignore[union-attr]
        for seq in (3, 4, 5):
            await plc.set({"TRIGGER_SEQ": seq})
            await until(lambda wanted=seq: got[-1:] == [(0, wanted)])  # type: ignore[misc]


async def test_what_nobody_takes_is_dropped_and_counted() -> None:
    async with server(publishing=0.02) as plc, connected(plc) as connection:
        (node,) = await placed(connection, SEQ)
        news = await connection.subscribe([Item(node)], 0.02, queue=2)
        for seq in range(1, 30):
            await plc.set({"TRIGGER_SEQ": seq})
            await asyncio.sleep(0.03)
        await until(lambda: news.dropped > 3)
        number, value = await news.news()
        assert (number, value.Value is not None and value.Value.Value > 20) == (0, True)


async def test_a_quiet_server_is_no_dead_one() -> None:
    async with server() as plc, connected(plc) as connection:
        (node,) = await placed(connection, SEQ)
        news = await connection.subscribe([Item(node)], 0.1, age=1.0)
        await news.news()
        waiting = asyncio.create_task(news.watch())
        _, pending = await asyncio.wait([waiting], timeout=4)
        assert pending
        waiting.cancel()


async def dead(news: Subscription) -> str:
    async with asyncio.timeout(10):
        while True:
            try:
                await news.news()
            except ConnectionFailedError as error:
                return str(error)


async def test_e13_silence_ends_the_connection() -> None:
    async with behind_proxy() as (plc, proxy, url), connected(plc, url) as connection:
        (node,) = await placed(connection, SEQ)
        news = await connection.subscribe([Item(node)], 0.1, age=1.0)
        async with black_hole(proxy):
            assert "has told nothing for" in await dead(news)


async def test_a_lost_connection_wakes_who_waits_for_news() -> None:
    async with server() as plc, connected(plc) as connection:
        (node,) = await placed(connection, SEQ)
        news = await connection.subscribe([Item(node)], 0.1, age=60)
        await news.news()
        waiting = asyncio.create_task(dead(news))
        plc.cut()
        assert "was lost" in await waiting


async def test_an_item_that_is_not_there_is_refused_by_name() -> None:
    async with server() as plc, connected(plc) as connection:
        (node,) = await placed(connection, 'ns=plc;s="Nobody"')
        with pytest.raises(PeerError, match=r"does not watch .*Nobody"):
            await connection.subscribe([Item(node)], 0.1)


async def test_an_answer_without_end_is_not_kept() -> None:
    """A server that claims a chunk of 1 GiB and goes on sending is left after 64 KiB; the rest lay in the sockets."""

    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            writer.write(b"ACKF" + (28).to_bytes(4, "little") + b"\0\0\0\0" + b"\xff\xff\0\0" * 2 + bytes(8))
            await reader.read(1000)
            writer.write(b"OPNF" + (1 << 30).to_bytes(4, "little"))
            while True:
                nonlocal sent
                sent += 1 << 16
                writer.write(bytes(1 << 16))
                await writer.drain()
        except OSError:
            ended.set()
        finally:
            writer.close()

    ended = asyncio.Event()
    listening = await asyncio.start_server(endless, "127.0.0.1", 0)
    async with listening:
        url = f"opc.tcp://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        with pytest.raises(ConnectionFailedError):
            async with connected(S7Server(), url):
                raise AssertionError
        await asyncio.wait_for(ended.wait(), 5)
    assert sent < 16 << 20
