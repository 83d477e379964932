"""Rows E-7 to E-11, E-15 and E-18 of the fault programme at our OPC UA server."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import psutil
import pytest
import pytest_asyncio
from asyncua import Client, ua

from protocols.faults import Code
from protocols.opcua.compat.names import named, numeric
from protocols.opcua.guard import Connection, Patience
from tests.contract.opcua_rig import NODES, Rig, until
from tests.contract.opcua_wire import ENDLESS, additional, conversation, frame, hello, opening, raw
from tests.opcua_papers import Papers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
LIMITS = {
    "connections": 20,
    "sessions": 8,
    "sessions_per_address": 6,
    "subscriptions": 12,
    "subscriptions_per_session": 4,
    "items": 40,
    "items_per_session": 30,
    "queue": 5,
    "operations": 50,
    "hello_s": 2,
    "session_s": 3,
    "frame_s": 2,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with Rig(tmp_path_factory.mktemp("opcua"), Papers(), limits=LIMITS).running() as rig:
        yield rig


@pytest.fixture(autouse=True)
def afresh(rig: Rig) -> None:
    rig.forget()


def memory() -> float:
    """MiB of this process."""
    return float(psutil.Process().memory_info().rss) / 2**20


async def test_e07_no_role_writes_anything_but_what_it_may(rig: Rig) -> None:
    nodes = rig.hardened.server.iserver.aspace._nodes
    every = [node for node, data in nodes.items() if ua.AttributeIds.Value in data.attributes]
    may = {"anna": set(), "otto": {rig.trigger.nodeid}, "emil": {rig.trigger.nodeid, rig.gain.nodeid}}
    for user, allowed in may.items():
        async with rig.session(user) as client:
            good = set()
            for at in range(0, len(every), 50):
                batch = every[at : at + 50]
                values = [nodes[node].attributes[ua.AttributeIds.Value].value for node in batch]
                writes = [
                    ua.WriteValue(node, ua.AttributeIds.Value, None, ua.DataValue(value.Value if value else None))
                    for node, value in zip(batch, values, strict=True)
                ]
                results = await client.uaclient.write(ua.WriteParameters(writes))
                good |= {node for node, status in zip(batch, results, strict=True) if status.is_good()}
                refused = {status.name for status in results if not status.is_good()}
                assert refused <= {"BadUserAccessDenied"}
            assert good == allowed
    assert len(every) > 3000


async def test_e07_nodes_and_references_are_nobodys_to_change(rig: Rig) -> None:
    async with rig.session("emil") as client:
        add = ua.AddNodesItem()
        add.RequestedNewNodeId, add.ParentNodeId = named("new", NODES), numeric(85)
        reference = ua.DeleteReferencesItem(numeric(85), numeric(35), True, rig.press.nodeid, True)
        delete = ua.DeleteNodesParameters([ua.DeleteNodesItem(rig.result.nodeid, True)])
        for request in (
            client.uaclient.add_nodes([add]),
            client.uaclient.delete_nodes(delete),
            client.uaclient.delete_references([reference]),
        ):
            with pytest.raises(ua.UaStatusCodeError) as caught:
                await request
            assert caught.value.code == ua.StatusCodes.BadUserAccessDenied
        await client.get_node(rig.result.nodeid).read_value()


async def test_e07_calls_need_the_role_and_refusals_are_told(rig: Rig) -> None:
    async with rig.session("anna") as client:
        with pytest.raises(ua.UaStatusCodeError) as caught:
            await client.get_node(rig.press.nodeid).call_method(rig.start.nodeid)
        assert caught.value.code == ua.StatusCodes.BadUserAccessDenied
    assert rig.told(Code.REQUEST_REFUSED, "(anna, viewer) is refused call of ns=2;s=press.Start: BadUserAccessDenied")
    async with rig.session("otto") as client:
        await client.get_node(rig.press.nodeid).call_method(rig.start.nodeid)
    assert rig.calls[-1] is not None
    assert rig.calls[-1].user == "otto"


# ── E-8 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

CLAIMS = {
    "4-gib-message": (hello(), frame(b"MSG", b"", size=2**32 - 1)),
    "4-gib-hello": (frame(b"HEL", b"", size=2**32 - 1),),
    "4-gib-opening": (hello(), frame(b"OPN", b"", size=2**32 - 1)),
    "big-hello": (frame(b"HEL", b"", size=9_000),),
    "no-opc-ua": (b"GET / HTTP/1.1\r\n\r\n",),
    "shorter-than-its-header": (hello(), frame(b"MSG", b"", size=7)),
    "message-first": (frame(b"MSG", bytes(40)),),
    "message-without-channel": (hello(), frame(b"MSG", bytes(40))),
    "hello-twice": (hello(), hello()),
    "tiny-buffers": (hello(buffers=10),),
    "long-address": (hello(url="x" * 5000),),
    "acknowledge": (hello(), frame(b"ACK", bytes(20))),
    "opening-in-chunks": (hello(), frame(b"OPN", bytes(100), chunk=b"C")),
}


@pytest.mark.parametrize("case", CLAIMS)
async def test_e08_what_cannot_be_is_closed_at_once(rig: Rig, case: str) -> None:
    before = memory()
    async with raw(rig.hardened.port) as peer:
        for part in CLAIMS[case]:
            await peer.send(part)
        try:
            for _ in range(200):
                await asyncio.wait_for(peer.send(bytes(65_536)), 5)
        except (ConnectionError, TimeoutError):
            pass
        seen = await peer.closed()
    assert b"ERRF" in seen or not seen
    assert memory() - before < 5
    await rig.gone()


async def test_e08_the_peer_is_told_why_and_so_are_we(rig: Rig) -> None:
    async with raw(rig.hardened.port, "127.0.0.8") as peer:
        await peer.send(frame(b"HEL", b"", size=2**32 - 1))
        assert b"BadTcpMessageTooLarge" in await peer.closed()
    assert rig.told(Code.FRAMING, "client 127.0.0.8 announces a chunk of 4294967295 bytes")


async def test_e08_endless_chunks_end(rig: Rig) -> None:
    before = memory()
    async with raw(rig.hardened.port) as peer:
        await peer.send(hello() + opening())
        assert (await peer.answer())[:3] == b"ACK"
        answer = await peer.answer()
        assert answer[:3] == b"OPN"
        channel = answer[8:12]
        try:
            for number in range(2, 2000):
                head = channel + (13).to_bytes(4, "little") + number.to_bytes(4, "little") + bytes((9, 0, 0, 0))
                await asyncio.wait_for(peer.send(frame(b"MSG", head + bytes(60_000), chunk=b"C")), 5)
        except (ConnectionError, TimeoutError):
            pass
        await peer.closed()
    assert memory() - before < 15
    await rig.gone()


@pytest.mark.parametrize("kind", ENDLESS)
async def test_e08_lengths_of_nothing_hold_nobody_up(rig: Rig, kind: str) -> None:
    async with raw(rig.hardened.port) as peer:
        await peer.send(hello() + opening(more=additional(ENDLESS[kind])))
        assert b"ERRF" in await peer.closed()
    await rig.gone()


async def test_e09_a_thousand_silent_sockets_keep_nobody_out(rig: Rig) -> None:
    silent = []
    try:
        for _ in range(500):
            silent.append(await asyncio.open_connection("127.0.0.1", rig.hardened.port))
        started = asyncio.get_running_loop().time()
        client = await rig.client("otto")
        await client.connect()
        try:
            assert asyncio.get_running_loop().time() - started < 5  # 1 s on a quiet machine
            for _ in range(500):
                silent.append(await asyncio.open_connection("127.0.0.1", rig.hardened.port))
            await client.nodes.server_state.read_value()
            assert len(rig.hardened.listener.door.members) <= LIMITS["connections"]
        finally:
            await client.disconnect()
    finally:
        for _, writer in silent:
            writer.transport.abort()
        await rig.gone()
    assert rig.told(Code.CLIENT_LIMIT, "gives way to others: all is taken, and it asks nothing")


@pytest.mark.parametrize(
    ("beginning", "why"),
    [
        (b"", "did not say hello within 2 s"),
        (hello(), "did not open a channel within 4 s"),
        (hello() + opening(), "had no session for 3 s"),
        (hello()[:20], "did not end a message within 2 s"),
    ],
)
async def test_e09_who_does_not_go_on_has_to_go(rig: Rig, beginning: bytes, why: str) -> None:
    async with raw(rig.hardened.port, "127.0.0.9") as peer:
        await peer.send(beginning)
        await peer.closed(20)
    assert rig.told(Code.CLIENT_LIMIT, f"client 127.0.0.9 {why}")


async def test_e09_who_has_logged_out_is_not_told_off_for_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    serve, swept = Connection._process_one_msg, []

    async def served(self: Connection, *message: Any) -> bool:
        on = await serve(self, *message)
        if not on:  # a sweep at the very moment between the last message and the end of the socket
            swept.append(self.overdue(asyncio.get_running_loop().time(), Patience(hello=0, session=0, frame=60)))
        return on

    monkeypatch.setattr(Connection, "_process_one_msg", served)
    client = await rig.client("anna")
    await client.connect()
    await client.disconnect()
    await rig.gone()
    assert swept[-1] == ""


async def test_e09_who_does_not_read_is_not_served_and_has_to_go(rig: Rig) -> None:
    client = await rig.client("anna")
    await client.connect()
    protocol: Any = client.uaclient.protocol
    transport = protocol.transport
    transport.pause_reading()
    everything = ua.ReadParameters()
    everything.NodesToRead = [ua.ReadValueId(rig.big.nodeid, ua.AttributeIds.Value)] * 50
    request = ua.ReadRequest(Parameters=everything)
    before = memory()
    for _ in range(200):
        protocol._send_request(request, 60).add_done_callback(lambda f: f.cancelled() or f.exception())
    await rig.gone()
    assert rig.told(Code.CLIENT_LIMIT, "does not read its answers")
    assert memory() - before < 100
    transport.abort()
    await _end(client)


async def _end(client: Client) -> None:
    """Of a client whose server has left."""
    try:
        await client.disconnect()
    except (ConnectionError, TimeoutError, ua.UaError):
        client.disconnect_socket()


async def test_e09_who_asks_for_much_takes_turns_with_the_others_and_with_all_else(rig: Rig) -> None:
    listener = rig.hardened.listener
    served: list[str] = []
    between: list[int] = []

    async def asks(who: str) -> None:
        for _ in range(30):
            await listener.turn()
            served.append(who)
            listener.spent(0.5)
            await asyncio.sleep(0)

    async def works() -> None:
        while True:
            between.append(len(served))
            await asyncio.sleep(0)

    working = asyncio.create_task(works())
    async with asyncio.TaskGroup() as tasks:
        for who in "abc":
            tasks.create_task(asks(who))
    working.cancel()
    assert [served.count(who) for who in "abc"] == [30, 30, 30]
    assert all(set(served[at : at + 3]) == set("abc") for at in range(3, 87)), "".join(served)
    assert max(after - before for before, after in itertools.pairwise(between)) == 1


async def _status(request: Any) -> str:
    try:
        await request
    except ua.UaStatusCodeError as error:
        return ua.StatusCode(ua.UInt32(error.code)).name
    return "Good"


async def test_e10_sessions_are_counted_and_come_back(rig: Rig) -> None:
    for _ in range(3):
        clients = [await rig.client("anna") for _ in range(8)]
        found = [await _status(client.connect()) for client in clients]
        assert found == ["Good"] * 6 + ["BadTooManySessions"] * 2
        for client in clients[:6]:
            await client.disconnect()
        await rig.gone()
    assert not rig.hardened.server.iserver._external_sessions


class Seen:
    def __init__(self) -> None:
        self.values: list[ua.DataValue] = []

    def newest(self, value: object) -> bool:
        """Whether this came last."""
        return bool(self.values) and getattr(self.values[-1].Value, "Value", None) == value

    def datachange_notification(self, _: Any, __: Any, data: Any) -> None:
        self.values.append(data.monitored_item.Value)


async def test_e10_subscriptions_and_items_are_counted_and_come_back(rig: Rig) -> None:
    for _ in range(3):
        async with rig.session("anna") as client:
            made = [await client.create_subscription(1000, Seen()) for _ in range(4)]
            assert await _status(client.create_subscription(1000, Seen())) == "BadTooManySubscriptions"
            node, space = client.get_node(rig.result.nodeid), rig.hardened.server.iserver.aspace._nodes
            values = [each for each, data in space.items() if ua.AttributeIds.Value in data.attributes][:32]
            items = [await _status(made[0].subscribe_data_change(client.get_node(each))) for each in values]
            assert items == ["Good"] * 30 + ["BadTooManyMonitoredItems"] * 2
            await made[0].delete()
            again = await client.create_subscription(1000, Seen())
            assert await _status(again.subscribe_data_change(node)) == "Good"
    assert not rig.hardened.server.iserver.subscription_service.subscriptions


async def test_e10_many_items_of_one_node_and_many_for_events_are_refused(rig: Rig) -> None:
    def asked(node: ua.NodeId, attribute: ua.AttributeIds, wanted: Any = None) -> ua.MonitoredItemCreateRequest:
        parameters = ua.MonitoringParameters(1, 0, wanted, 1, True)
        return ua.MonitoredItemCreateRequest(ua.ReadValueId(node, attribute), ua.MonitoringMode.Reporting, parameters)

    path = [ua.QualifiedName("Message")]
    fields = ua.EventFilter([ua.SimpleAttributeOperand(numeric(2041), path, ua.AttributeIds.Value)])
    event = asked(numeric(ua.ObjectIds.Server), ua.AttributeIds.EventNotifier, fields)
    value, both = asked(rig.result.nodeid, ua.AttributeIds.Value), ua.TimestampsToReturn.Both
    async with rig.session() as client:
        for item, most in ((value, 10), (event, 20)):
            subscription = await client.create_subscription(1000, Seen())
            number = subscription.subscription_id
            names = []
            for _ in range(2):
                wanted = ua.CreateMonitoredItemsParameters(number, both, [item] * 14)
                names += [each.StatusCode.name for each in await client.uaclient.create_monitored_items(wanted)]
            assert names == ["Good"] * most + ["BadTooManyMonitoredItems"] * (28 - most)
            await subscription.delete()
        wide = asked(
            numeric(ua.ObjectIds.Server), ua.AttributeIds.EventNotifier, ua.EventFilter(fields.SelectClauses * 90)
        )
        subscription = await client.create_subscription(1000, Seen())
        number = subscription.subscription_id
        made = await client.uaclient.create_monitored_items(
            ua.CreateMonitoredItemsParameters(number, both, [event, *[wide] * 4])
        )
        assert [each.StatusCode.name for each in made] == ["Good"] * 4 + ["BadTooManyMonitoredItems"]
        wider = ua.MonitoredItemModifyRequest(made[0].MonitoredItemId, wide.RequestedParameters)
        params = ua.ModifyMonitoredItemsParameters(number, both, [wider])
        (modified,) = await client.uaclient.modify_monitored_items(params)
        assert modified.StatusCode.name == "BadEventFilterInvalid"


async def test_e10_subscriptions_left_behind_are_few_and_go(rig: Rig) -> None:
    service = rig.hardened.server.iserver.subscription_service
    for _ in range(30):
        client = await rig.client("anna")
        await client.connect()
        found = [await _status(client.create_subscription(1000, Seen())) for _ in range(2)]
        assert found == ["Good"] * 2 or "BadTooManySubscriptions" in found
        await client.uaclient.close_session(False)
        client.disconnect_socket()
        await _end(client)
        await rig.gone()
    await until(lambda: len(service.subscriptions) <= 10)
    for subscription in service.subscriptions.values():
        subscription.orphaned = -1e9  # type: ignore[attr-defined]
    await until(lambda: not service.subscriptions)


async def test_e10_nobody_touches_the_subscriptions_of_others(rig: Rig) -> None:
    async with await rig.client("otto") as owner:
        subscription = await owner.create_subscription(1000, Seen())
        number: Any = subscription.subscription_id
        async with await rig.client("anna") as other:
            deleted = await other.uaclient.delete_subscriptions([number])
            transferred = await other.uaclient.transfer_subscriptions(
                ua.TransferSubscriptionsParameters([number], True)
            )
            assert deleted[0].name == "BadSubscriptionIdInvalid"
            item = ua.MonitoredItemCreateRequest(ua.ReadValueId(rig.result.nodeid, ua.AttributeIds.Value))
            both = ua.TimestampsToReturn.Both
            items = ua.CreateMonitoredItemsParameters(number, both, [item])
            assert await _status(other.uaclient.create_monitored_items(items)) == "BadSubscriptionIdInvalid"
            assert transferred[0].StatusCode.name == "BadUserAccessDenied"
        assert number in rig.hardened.server.iserver.subscription_service.subscriptions
    await rig.gone()


async def test_e10_one_request_asks_for_so_much_and_not_more(rig: Rig) -> None:
    async with rig.session("anna") as client:
        reads = ua.ReadParameters()
        reads.NodesToRead = [ua.ReadValueId(rig.result.nodeid, ua.AttributeIds.Value)] * 51
        assert await _status(client.uaclient.read(reads)) == "BadTooManyOperations"
        assert await _status(client.uaclient.read(ua.ReadParameters())) == "BadNothingToDo"
        await client.nodes.server_state.read_value()


async def test_e10_a_hundred_connects_leave_nothing(rig: Rig) -> None:
    async def once() -> None:
        async with rig.session("anna") as client:
            await client.create_subscription(1000, Seen())

    for _ in range(10):
        await once()
    before = memory()
    for _ in range(90):
        await once()
    assert memory() - before < 8
    inner = rig.hardened.server.iserver
    assert not inner._external_sessions
    assert not inner.subscription_service.subscriptions
    assert not rig.hardened.listener.door.members


async def test_e11_a_client_that_stops_publishing_gets_the_newest_and_hears_of_the_loss(rig: Rig) -> None:
    slow, seen = Seen(), Seen()
    async with await rig.client("anna") as client, await rig.client("otto") as other:
        late = await client.create_subscription(1000, slow)
        await late.subscribe_data_change(client.get_node(rig.result.nodeid), queuesize=3)
        prompt = await other.create_subscription(20, seen)
        await prompt.subscribe_data_change(other.get_node(rig.result.nodeid), queuesize=5)
        await until(lambda: bool(slow.values) and bool(seen.values))
        held = rig.hardened.server.iserver.subscription_service.subscriptions[late.subscription_id or 0]
        slow.values.clear()
        for number in range(1, 21):
            await rig.result.write_value(ua.Variant(number, ua.VariantType.UInt16))
            await until(partial(seen.newest, number))
        waiting = next(iter(held._triggered_datachanges.values()), [])
        assert len(waiting) <= 3
        await until(partial(slow.newest, 20))
        assert any(value.StatusCode and value.StatusCode.value & 0x480 == 0x480 for value in slow.values)
        numbers = [value.Value.Value for value in seen.values if value.Value]
        assert numbers[-20:] == list(range(1, 21))
    await rig.gone()


# ── E-15 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

VALUES = {
    "wrong-type": ua.Variant(1, ua.VariantType.Int32),
    "text": ua.Variant("7"),
    "array": ua.Variant([1, 2], ua.VariantType.UInt16),
    "nothing": ua.Variant(),
    "huge": ua.Variant("x" * 500_000),
    "structure": ua.Variant(ua.Argument()),
    "deep": ua.Variant([[1] * 10] * 10, ua.VariantType.UInt16),
}


@pytest.mark.parametrize("case", VALUES)
async def test_e15_a_command_of_another_type_is_refused(rig: Rig, case: str) -> None:
    rig.written.clear()
    async with rig.session("otto") as client:
        write = ua.WriteValue(rig.trigger.nodeid, ua.AttributeIds.Value, None, ua.DataValue(VALUES[case]))
        results = await client.uaclient.write(ua.WriteParameters([write]))
        assert results[0].name == "BadTypeMismatch"
        await client.nodes.server_state.read_value()
    assert not rig.written


async def test_e18_random_messages_crash_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    dice = random.Random(18)
    before = memory()
    async with await rig.client("otto") as client:
        for _ in range(300):
            async with raw(rig.hardened.port) as peer:
                try:
                    await peer.send(conversation(dice))
                    await asyncio.wait_for(peer.reader.read(200), 0.02)
                except (ConnectionError, TimeoutError):
                    pass
        await client.nodes.server_state.read_value()
    await rig.gone()
    assert memory() - before < 15
    assert [record for record in caplog.records if record.exc_info] == []
