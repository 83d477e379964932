"""What protocols.opcua.compat adds to asyncua: calls, writes, events, the caller, the end of a session."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, Server, ua
from asyncua.common.event_objects import BaseEvent, Condition, TransitionEvent
from asyncua.crypto.permission_rules import User
from asyncua.server.internal_server import InternalServer

from protocols.link import LinkError
from protocols.opcua import compat
from protocols.opcua.compat import Caller, LoggedIn, Role
from protocols.opcua.compat.names import named, now, numeric, status

pytestmark = pytest.mark.asyncio(loop_scope="module")
NODES = 2
ROLES = {"anna": Role.VIEWER, "otto": Role.OPERATOR, "emil": Role.ENGINEER}


class _Users:
    def get_user(self, _: Any, username: str | None = None, **__: Any) -> User | None:
        return LoggedIn(name=username, may=ROLES[username]) if username in ROLES else None


class Bench:
    """A small server with everything bound once, and what its handlers saw."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.calls: list[tuple[Any, ...]] = []
        self.writes: list[tuple[Caller, Any]] = []
        self.closed: list[str] = []
        self.answer: Any = ua.StatusCode()
        self.verdict = ua.StatusCode()

    async def fill(self) -> None:
        server = self.server
        self.kind = await server.nodes.base_object_type.add_object_type(NODES, "MachineType")
        await self.kind.add_method(named("Type.Start", NODES), ua.QualifiedName("Start", NODES), _never, [], [])
        self.machine = await server.nodes.objects.add_object(named("M", NODES), "M", objecttype=self.kind.nodeid)
        name = ua.QualifiedName("Start", NODES)
        self.start = await self.machine.add_method(named("M.Start", NODES), name, _never, [], [])
        self.count = await self.machine.add_variable(named("M.Count", NODES), "Count", 1, ua.VariantType.UInt32)
        self.gain = await self.machine.add_variable(named("M.Gain", NODES), "Gain", 1.0)
        self.result = await self.machine.add_variable(named("M.Result", NODES), "Result", 0)
        await self.machine.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
        kinds = (ua.VariantType.Double, compat.Array(ua.VariantType.String))
        compat.bind_method(server, self.start, self._start, role=Role.OPERATOR, inputs=kinds)
        compat.bind_write(server, self.count, self._write, role=Role.OPERATOR)
        compat.bind_write(server, self.gain, self._write, role=Role.ENGINEER)
        compat.on_session_closed(server, self.closed.append)

    def _start(self, *values: Any) -> Any:
        self.calls.append((compat.caller(), *values))
        return self.answer

    def _write(self, who: Caller, value: ua.DataValue) -> ua.StatusCode:
        assert value.Value is not None
        self.writes.append((who, value.Value.Value))
        return self.verdict

    @asynccontextmanager
    async def client(self, user: str) -> AsyncIterator[Client]:
        """A client of this user; leaves when the server has let go of its socket."""
        server = self.server.bserver
        assert server is not None
        client = Client(f"opc.tcp://127.0.0.1:{server.port}", timeout=20)
        client.set_user(user)
        async with client:
            yield client
        await _until(lambda: not server.clients)


async def _until(met: Callable[[], bool]) -> None:
    """asyncua tells nobody when it is done."""
    async with asyncio.timeout(10):
        while not met():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _never(*_: Any) -> None:
    raise AssertionError("asyncua's own way to a method is closed")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench() -> AsyncIterator[Bench]:
    compat.install()
    server = Server(user_manager=_Users())  # type: ignore[arg-type]
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    bench = Bench(server)
    await bench.fill()
    async with server:
        yield bench


async def _call(client: Client, target: ua.NodeId, method: ua.NodeId, *args: ua.Variant) -> ua.CallMethodResult:
    request = ua.CallMethodRequest(target, method, list(args))
    return (await client.uaclient.call([request]))[0]


GOOD = (ua.Variant(1.5), ua.Variant(["a"], ua.VariantType.String))


async def test_a_method_gets_its_values_and_its_caller_and_returns_outputs(bench: Bench) -> None:
    bench.answer = [ua.Variant(7, ua.VariantType.Int32)]
    async with bench.client("otto") as client:
        result = await _call(client, bench.machine.nodeid, bench.start.nodeid, *GOOD)
    assert result.StatusCode.is_good()
    assert [each.Value for each in result.OutputArguments] == [7]
    who, *values = bench.calls.pop()
    assert values == [1.5, ["a"]]
    assert (who.user, who.role) == ("otto", Role.OPERATOR)
    assert compat.caller() is None


async def test_a_status_that_a_method_returns_is_that_of_the_call(bench: Bench) -> None:
    bench.answer = status("BadInvalidState")
    async with bench.client("otto") as client:
        result = await _call(client, bench.machine.nodeid, bench.start.nodeid, *GOOD)
    assert result.StatusCode.name == "BadInvalidState"


async def test_a_method_can_be_called_by_the_method_of_its_type(bench: Bench) -> None:
    bench.answer = ua.StatusCode()
    async with bench.client("otto") as client:
        result = await _call(client, bench.machine.nodeid, named("Type.Start", NODES), *GOOD)
    assert result.StatusCode.is_good()


@pytest.mark.parametrize(
    ("user", "args", "expected"),
    [
        ("anna", GOOD, "BadUserAccessDenied"),
        ("otto", GOOD[:1], "BadArgumentsMissing"),
        ("otto", (*GOOD, GOOD[0]), "BadTooManyArguments"),
        ("otto", (ua.Variant(1, ua.VariantType.Int16), GOOD[1]), "BadInvalidArgument"),
        ("otto", (GOOD[0], ua.Variant("a")), "BadInvalidArgument"),
        ("otto", (ua.Variant(math.nan), GOOD[1]), "BadInvalidArgument"),
    ],
)
async def test_a_call_that_is_not_as_it_must_be_never_arrives(
    bench: Bench, user: str, args: tuple[ua.Variant, ...], expected: str
) -> None:
    before = len(bench.calls)
    async with bench.client(user) as client:
        result = await _call(client, bench.machine.nodeid, bench.start.nodeid, *args)
    assert result.StatusCode.name == expected
    assert len(bench.calls) == before
    if expected == "BadInvalidArgument":
        assert [each.is_good() for each in result.InputArgumentResults].count(False) == 1


async def test_what_is_no_method_of_an_object_is_not_called_on_it(bench: Bench) -> None:
    async with bench.client("emil") as client:
        wrong = await _call(client, numeric(85), bench.start.nodeid, *GOOD)
        unknown = await _call(client, bench.machine.nodeid, named("nothing", NODES), *GOOD)
        unbound = await _call(client, numeric(2253), numeric(11492), ua.Variant(1, ua.VariantType.UInt32))
    assert [r.StatusCode.name for r in (wrong, unknown, unbound)] == [
        "BadMethodInvalid",
        "BadMethodInvalid",
        "BadNotExecutable",
    ]


async def _write(client: Client, node: ua.NodeId, value: ua.DataValue, **fields: Any) -> str:
    item = ua.WriteValue(node, fields.get("attribute", ua.AttributeIds.Value), fields.get("range"), value)
    status: ua.StatusCode = (await client.uaclient.write(ua.WriteParameters([item])))[0]
    return status.name


def _uint(value: Any) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value, ua.VariantType.UInt32))


async def test_a_write_is_decided_by_its_handler_and_stored_with_our_stamp(bench: Bench) -> None:
    async with bench.client("otto") as client:
        assert await _write(client, bench.count.nodeid, _uint(41)) == "Good"
        stored = await client.get_node(bench.count.nodeid).read_data_value()
        assert stored.Value is not None
        assert (stored.Value.Value, bench.writes.pop()[1]) == (41, 41)
        assert stored.SourceTimestamp is not None
        bench.verdict = status("BadInvalidState")
        try:
            assert await _write(client, bench.count.nodeid, _uint(42)) == "BadInvalidState"
        finally:
            bench.verdict = ua.StatusCode()
        assert await client.get_node(bench.count.nodeid).read_value() == 41


@pytest.mark.parametrize(
    ("user", "node", "value", "expected"),
    [
        ("anna", "M.Count", _uint(5), "BadUserAccessDenied"),
        ("otto", "M.Gain", ua.DataValue(ua.Variant(2.0)), "BadUserAccessDenied"),
        ("emil", "M.Gain", ua.DataValue(ua.Variant(math.nan)), "BadOutOfRange"),
        ("emil", "M.Gain", ua.DataValue(ua.Variant(2.0), status("Bad")), "BadWriteNotSupported"),
        ("emil", "M.Result", ua.DataValue(ua.Variant(1)), "BadUserAccessDenied"),
        ("emil", "nothing", ua.DataValue(ua.Variant(1)), "BadNodeIdUnknown"),
        ("otto", "M.Count", ua.DataValue(ua.Variant(5, ua.VariantType.Int32)), "BadTypeMismatch"),
        ("otto", "M.Count", _uint([5, 6]), "BadTypeMismatch"),
        ("otto", "M.Count", ua.DataValue(ua.Variant("x" * 100_000)), "BadTypeMismatch"),
    ],
)
async def test_a_write_that_is_not_as_it_must_be_never_arrives(
    bench: Bench, user: str, node: str, value: ua.DataValue, expected: str
) -> None:
    before = len(bench.writes)
    async with bench.client(user) as client:
        assert await _write(client, named(node, NODES), value) == expected
    assert len(bench.writes) == before


async def test_only_values_are_written_and_only_as_a_whole(bench: Bench) -> None:
    name = ua.DataValue(ua.Variant(ua.LocalizedText("x")))
    async with bench.client("emil") as client:
        assert await _write(client, bench.count.nodeid, _uint(1), range="0:1") == "BadWriteNotSupported"
        attribute = ua.AttributeIds.DisplayName
        assert await _write(client, bench.count.nodeid, name, attribute=attribute) == "BadUserAccessDenied"


async def test_access_levels_tell_each_user_the_truth(bench: Bench) -> None:
    asked = ((bench.count, ua.AttributeIds.UserAccessLevel), (bench.start, ua.AttributeIds.UserExecutable))
    for user, level, executable in (("anna", 1, False), ("otto", 3, True)):
        async with bench.client(user) as client:
            seen = [await client.get_node(node.nodeid).read_attribute(attribute) for node, attribute in asked]
            assert [each.Value.Value for each in seen if each.Value] == [level, executable]


class _Events:
    def __init__(self) -> None:
        self.seen: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def event_notification(self, event: Any) -> None:
        self.seen.put_nowait(("event", event))


async def test_an_event_reaches_the_subscribers_of_each_notifier_once(bench: Bench) -> None:
    there, here = _Events(), _Events()
    async with bench.client("anna") as client:
        first = await client.create_subscription(20, there)
        await first.subscribe_events(ua.ObjectIds.Server)
        second = await client.create_subscription(20, here)
        await second.subscribe_events(bench.machine.nodeid)
        event = BaseEvent(message="seen", severity=100)
        sent = compat.emit(bench.server, [bench.machine.nodeid], event)
        for seen in (there.seen, here.seen):
            _, got = await asyncio.wait_for(seen.get(), 10)
            assert (got.EventId, got.Message.Text) == (sent, "seen")
        await asyncio.sleep(0.1)
        assert there.seen.empty()
        assert here.seen.empty()


async def test_of_type_takes_the_types_below_as_well(bench: Bench) -> None:
    seen = _Events()
    of_type = ua.ContentFilterElement(
        FilterOperator=ua.FilterOperator.OfType,
        FilterOperands=[ua.LiteralOperand(ua.Variant(numeric(ua.ObjectIds.BaseEventType)))],
    )
    async with bench.client("anna") as client:
        subscription = await client.create_subscription(20, seen)
        path = [ua.QualifiedName("Message")]
        field = ua.SimpleAttributeOperand(numeric(2041), path, ua.AttributeIds.Value)
        wanted = ua.EventFilter([field], ua.ContentFilter([of_type]))
        await subscription.subscribe_events(ua.ObjectIds.Server, evfilter=wanted)
        compat.emit(bench.server, [], TransitionEvent(message="moved"))
        _, got = await asyncio.wait_for(seen.seen.get(), 10)
        assert got.Message.Text == "moved"


async def test_a_where_clause_looks_at_each_element_once(bench: Bench) -> None:
    seen = _Events()
    literals = [ua.LiteralOperand(ua.Variant(1)), ua.LiteralOperand(ua.Variant(2))]
    elements = [
        ua.ContentFilterElement(ua.FilterOperator.Or, [ua.ElementOperand(n), ua.ElementOperand(n)])
        for n in range(1, 60)
    ]
    elements.append(ua.ContentFilterElement(ua.FilterOperator.LessThan, literals))
    for operator in (ua.FilterOperator.And, ua.FilterOperator.Or):
        elements[0].FilterOperator = operator
        async with bench.client("anna") as client:
            subscription = await client.create_subscription(20, seen)
            field = ua.SimpleAttributeOperand(numeric(2041), [ua.QualifiedName("Message")], ua.AttributeIds.Value)
            elements[-1].FilterOperator = ua.FilterOperator.GreaterThan  # never: all ways are tried
            await subscription.subscribe_events(evfilter=ua.EventFilter([field], ua.ContentFilter(elements)))
            elements[-1].FilterOperator = ua.FilterOperator.LessThan
            await subscription.subscribe_events(evfilter=ua.EventFilter([field], ua.ContentFilter(elements)))
            compat.emit(bench.server, [], BaseEvent(message="late"))
            _, got = await asyncio.wait_for(seen.seen.get(), 10)
            assert got.Message.Text == "late"
            assert seen.seen.empty()


async def test_what_is_no_field_of_an_event_is_null_and_keeps_the_event_from_nobody(bench: Bench) -> None:
    seen = _Events()
    names = ("Message", "Severity", "emitting_node", "to_event_fields", "Message")
    fields = [
        ua.SimpleAttributeOperand(numeric(2041), [ua.QualifiedName(name)], ua.AttributeIds.Value) for name in names
    ]
    async with bench.client("anna") as client:
        subscription = await client.create_subscription(20, seen)
        await subscription.subscribe_events(evfilter=ua.EventFilter(fields))
        event: Any = BaseEvent(message="all the same", severity=7)
        compat.emit(bench.server, [], event)
        _, got = await asyncio.wait_for(seen.seen.get(), 10)
    assert [field.Value for field in got.event_fields[1:4]] == [7, None, None]
    assert [field.Value.Text for field in (got.event_fields[0], got.event_fields[4])] == ["all the same"] * 2
    assert "to_event_fields" not in vars(event)


async def test_browsing_is_bounded_and_knows_new_subtypes(bench: Bench) -> None:
    server = bench.server
    everything = ua.BrowseDescription(
        numeric(ua.ObjectIds.Structure), ua.BrowseDirection.Both, numeric(ua.ObjectIds.References), True, 0, 63
    )
    async with bench.client("anna") as client:
        session = client.uaclient.session
        results = await session.browse(ua.BrowseParameters(NodesToBrowse=[everything] * 1000))
        names = [result.StatusCode.name for result in results]
        assert names == sorted(names, reverse=True)
        assert set(names) == {"Good", "BadNoContinuationPoints"}
        assert sum(len(result.References) for result in results) <= compat.rules_of(server).limits.references

        async def children(kind: ua.NodeId) -> int:
            wanted = ua.BrowseDescription(bench.machine.nodeid, ua.BrowseDirection.Forward, kind, True, 0, 63)
            (result,) = await session.browse(ua.BrowseParameters(NodesToBrowse=[wanted]))
            return len(result.References)

        aggregates = numeric(ua.ObjectIds.Aggregates)
        before = await children(aggregates)
        kind = await server.get_node(aggregates).add_reference_type(NODES, "IsFedBy")
        added = await server.nodes.objects.add_object(NODES, "Feeder")
        await bench.machine.add_reference(added, kind.nodeid)
        assert await children(aggregates) == before + 1


async def test_long_paths_end(bench: Bench) -> None:
    yes: Any = True  # asyncua declares a class of its own
    no: Any = False
    there = ua.RelativePathElement(numeric(31), no, yes, ua.QualifiedName("Server"))
    back = ua.RelativePathElement(numeric(31), yes, yes, ua.QualifiedName("Objects"))
    async with bench.client("anna") as client:
        session = client.uaclient.session

        async def walk(times: int) -> ua.BrowsePathResult:
            path = ua.BrowsePath(numeric(ua.ObjectIds.ObjectsFolder), ua.RelativePath([there, back] * times))
            return (await session.translate_browsepaths_to_nodeids([path]))[0]

        assert [target.TargetId for target in (await walk(20)).Targets] == [numeric(ua.ObjectIds.ObjectsFolder)]
        with pytest.raises(ua.uaerrors.BadTooManyOperations):
            await walk(5000)


async def test_conditions_are_shown_again_to_who_asks(bench: Bench) -> None:
    compat.bind_condition_refresh(bench.server)
    condition: Any = Condition(message="too dark")
    condition.add_property("NodeId", named("M.Dark", NODES), ua.VariantType.NodeId)
    condition.Retain = True
    compat.emit(bench.server, [bench.machine.nodeid], condition)
    seen = _Events()
    async with bench.client("anna") as client:
        subscription = await client.create_subscription(20, seen)
        await subscription.subscribe_events(bench.machine.nodeid, numeric(ua.ObjectIds.ConditionType))
        kind, number = numeric(ua.ObjectIds.ConditionType), subscription.subscription_id
        method = numeric(ua.ObjectIds.ConditionType_ConditionRefresh)
        result = await _call(client, kind, method, ua.Variant(number, ua.VariantType.UInt32))
        assert result.StatusCode.is_good()
        got = [(await asyncio.wait_for(seen.seen.get(), 10))[1] for _ in range(3)]
        assert [event.EventType.Identifier for event in got] == [
            ua.ObjectIds.RefreshStartEventType,
            ua.ObjectIds.ConditionType,
            ua.ObjectIds.RefreshEndEventType,
        ]
        foreign = await _call(client, kind, method, ua.Variant(1, ua.VariantType.UInt32))
        assert foreign.StatusCode.name == "BadSubscriptionIdInvalid"
    condition.Retain = False
    compat.emit(bench.server, [], condition)


async def test_an_event_is_published_at_once_where_that_is_wanted(bench: Bench) -> None:
    seen = _Events()
    rules = compat.rules_of(bench.server)
    async with bench.client("anna") as client:
        subscription = await client.create_subscription(60_000, seen)
        await subscription.subscribe_events(bench.machine.nodeid)
        rules.publish_at_once = True
        try:
            compat.emit(bench.server, [bench.machine.nodeid], BaseEvent(message="now"))
            _, got = await asyncio.wait_for(seen.seen.get(), 10)
        finally:
            rules.publish_at_once = False
        assert got.Message.Text == "now"


async def test_the_end_of_a_session_is_told_with_its_name(bench: Bench) -> None:
    bench.answer = ua.StatusCode()
    async with bench.client("otto") as client:
        await _call(client, bench.machine.nodeid, bench.start.nodeid, *GOOD)
        session = bench.calls.pop()[0].session
        assert session not in bench.closed
    await _until(lambda: session in bench.closed)


async def test_what_is_put_is_read_and_told_and_must_be_of_the_right_type(bench: Bench) -> None:
    slot, moment = compat.Slot(bench.server, bench.gain.nodeid), now()

    def put(value: Any, status: int = ua.StatusCodes.Good) -> None:
        slot.put(ua.DataValue(ua.Variant(value), ua.StatusCode(ua.UInt32(status)), SourceTimestamp=moment))

    async def read() -> tuple[Any, ...]:
        found = await bench.gain.read_data_value(raise_on_bad_status=False)
        status_code, variant = found.StatusCode, found.Value
        return variant and variant.Value, status_code and status_code.name, found.SourceTimestamp

    put(2.5)
    assert await read() == (2.5, "Good", moment)
    with pytest.raises(ua.UaStatusCodeError):
        put("loud")
    put(3.5, ua.StatusCodes.BadNoData)  # with a Bad status there is no value
    assert await read() == (None, "BadNoData", moment)
    put(4.5)
    seen = _Values()
    async with bench.client("anna") as client:
        subscription = await client.create_subscription(20, seen)
        await subscription.subscribe_data_change(client.get_node(bench.gain.nodeid))
        assert await asyncio.wait_for(seen.seen.get(), 10) == 4.5
        put(5.5)
        assert await asyncio.wait_for(seen.seen.get(), 10) == 5.5
    with pytest.raises(KeyError):
        compat.Slot(bench.server, bench.machine.nodeid)


class _Values:
    def __init__(self) -> None:
        self.seen: asyncio.Queue[Any] = asyncio.Queue()

    def datachange_notification(self, _: Any, value: Any, __: Any) -> None:
        self.seen.put_nowait(value)


async def _republish(client: Client, subscription: int | None) -> None:
    request = ua.RepublishRequest(Parameters=ua.RepublishParameters(ua.IntegerId(subscription or 0), ua.Counter(4711)))
    await client.uaclient._send_request(request)


async def test_republish_of_what_is_not_there_is_refused(bench: Bench) -> None:
    async with bench.client("anna") as client:
        subscription = await client.create_subscription(1000, _Events())
        for number, expected in (
            (subscription.subscription_id, "BadMessageNotAvailable"),
            (1, "BadSubscriptionIdInvalid"),
        ):
            with pytest.raises(ua.UaStatusCodeError) as caught:
                await _republish(client, number)
            assert ua.StatusCode(caught.value.code).name == expected


async def test_install_is_done_once_and_refuses_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    compat.install()
    monkeypatch.setattr(compat, "version", lambda _: "2.2.0")
    with pytest.raises(LinkError, match=r"asyncua 2\.2\.0 is installed, but this gateway needs 2\.1"):
        compat.install()


class _Elsewhere(InternalServer):
    """An inner server that is none of ours, as a simulator in the same process has it."""


async def test_a_server_beside_ours_goes_on_as_asyncua_made_it(bench: Bench) -> None:
    beside = Server(iserver=_Elsewhere())
    await beside.init()
    beside.set_endpoint("opc.tcp://127.0.0.1:0")
    beside.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    count = await beside.nodes.objects.add_variable(named("Count", 1), "Count", 1)
    await count.set_writable()
    async with beside:
        assert beside.bserver is not None
        async with Client(f"opc.tcp://127.0.0.1:{beside.bserver.port}", timeout=20) as client:
            await client.get_node(count.nodeid).write_value(5)
            assert await client.get_node(count.nodeid).read_value() == 5
        await _until(lambda: beside.bserver is not None and not beside.bserver.clients)
