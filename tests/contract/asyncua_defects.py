"""Prints as JSON which defects asyncua has as it comes; run by test_asyncua_defects.py in a process of its own."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from asyncua import Client, Server, ua
from asyncua.common.event_objects import BaseEvent, TransitionEvent
from asyncua.common.utils import ServiceError
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from cryptography import x509

from protocols.opcua.compat.names import named, numeric
from tests.opcua_papers import Papers

NODES = 2
Case = Callable[["Stock"], Awaitable[bool]]


class Stock:
    """An asyncua server with a machine, a method, a variable."""

    def __init__(self) -> None:
        self.server = Server()
        self.calls: list[tuple[Any, ...]] = []

    async def start(self) -> None:
        server = self.server
        await server.init()
        server.set_endpoint("opc.tcp://127.0.0.1:0")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self.machine = await server.nodes.objects.add_object(named("M", NODES), "M")
        kinds = [ua.VariantType.Double]
        self.start_method = await self.machine.add_method(named("M.Start", NODES), "Start", self._start, kinds, [])
        self.value = await self.machine.add_variable(named("M.Value", NODES), "Value", 0)
        await self.machine.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
        await server.start()

    async def _start(self, *args: Any) -> ua.StatusCode:
        self.calls.append(args)
        return ua.StatusCode()

    @asynccontextmanager
    async def client(self) -> Any:
        assert self.server.bserver is not None
        async with Client(f"opc.tcp://127.0.0.1:{self.server.bserver.port}", timeout=20) as client:
            yield client


class Seen:
    def __init__(self) -> None:
        self.values: list[Any] = []
        self.came = asyncio.Event()

    def event_notification(self, event: Any) -> None:
        self.values.append(event)
        self.came.set()

    def datachange_notification(self, _: Any, __: Any, data: Any) -> None:
        self.values.append(data.monitored_item.Value)
        self.came.set()

    async def anything(self, seconds: float = 1.0) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.came.wait(), seconds)
        return self.came.is_set()


async def events_stay_at_one_node(stock: Stock) -> bool:
    """S3: a subscriber of Server does not see what a notifier below it says."""
    seen = Seen()
    async with stock.client() as client:
        await (await client.create_subscription(10, seen)).subscribe_events()
        event: Any = BaseEvent(message="x")
        event.emitting_node = stock.machine.nodeid
        event.EventId = b"1"
        await stock.server.iserver.subscription_service.trigger_event(event)
        return not await seen.anything()


async def of_type_means_equal(stock: Stock) -> bool:
    """S4."""
    seen = Seen()
    operand = ua.LiteralOperand(ua.Variant(numeric(ua.ObjectIds.BaseEventType)))
    of_type = ua.ContentFilterElement(ua.FilterOperator.OfType, [operand])
    field = ua.SimpleAttributeOperand(numeric(2041), [ua.QualifiedName("Message")], ua.AttributeIds.Value)
    async with stock.client() as client:
        wanted = ua.EventFilter([field], ua.ContentFilter([of_type]))
        await (await client.create_subscription(10, seen)).subscribe_events(evfilter=wanted)
        event: Any = TransitionEvent(message="x")
        event.EventId = b"1"
        await stock.server.iserver.subscription_service.trigger_event(event)
        return not await seen.anything()


async def arguments_are_not_checked(stock: Stock) -> bool:
    """S5: a call with a wrong type reaches the callback."""
    stock.calls.clear()
    async with stock.client() as client:
        request = ua.CallMethodRequest(stock.machine.nodeid, stock.start_method.nodeid, [ua.Variant("text")])
        await client.uaclient.call([request])
    return bool(stock.calls)


async def republish_of_nothing_is_good(stock: Stock) -> bool:
    """S7."""
    async with stock.client() as client:
        subscription = await client.create_subscription(1000, Seen())
        params = ua.RepublishParameters(subscription.subscription_id, 4711)
        with suppress(ua.UaStatusCodeError):
            await client.uaclient._send_request(ua.RepublishRequest(Parameters=params))
            return True
    return False


async def overflow_is_silent(stock: Stock) -> bool:
    """A full queue drops values and no status says so."""
    seen = Seen()
    async with stock.client() as client:
        subscription = await client.create_subscription(300, seen)
        await subscription.subscribe_data_change(client.get_node(stock.value.nodeid), queuesize=2)
        await seen.anything(5)
        seen.came.clear()
        seen.values.clear()
        for number in range(1, 8):
            await stock.value.write_value(number)
        await seen.anything(5)
        await asyncio.sleep(0.2)
    return len(seen.values) == 2 and not any(value.StatusCode.value & 0x80 for value in seen.values)


async def foreign_subscriptions_can_be_deleted(stock: Stock) -> bool:
    """A session deletes the subscription of another by its number."""
    async with stock.client() as victim, stock.client() as other:
        subscription = await victim.create_subscription(1000, Seen())
        results = await other.uaclient.delete_subscriptions([subscription.subscription_id])
        return bool(results[0].is_good())


async def sessions_can_be_guessed(stock: Stock) -> bool:
    """Authentication tokens are numbers that count."""
    async with stock.client() as client:
        token = client.uaclient.protocol.authentication_token
        return isinstance(token.Identifier, int)


async def modify_takes_any_queue(stock: Stock) -> bool:
    """ModifyMonitoredItems grants a queue without bound."""
    async with stock.client() as client:
        subscription = await client.create_subscription(1000, Seen())
        item = await subscription.subscribe_data_change(client.get_node(stock.value.nodeid))
        wanted = ua.MonitoredItemModifyRequest(item, ua.MonitoringParameters(1, 0, None, 4_000_000_000, True))
        params = ua.ModifyMonitoredItemsParameters(subscription.subscription_id, ua.TimestampsToReturn.Both, [wanted])
        results = await client.uaclient.modify_monitored_items(params)
        return bool(results[0].RevisedQueueSize == 4_000_000_000)


async def certificates_can_be_quoted(_: Stock) -> bool:
    """S8: a client whose certificate is not trusted logs in by leaving out the field in CreateSession."""
    server, papers = await _secure()
    try:
        client = await _secured(server, papers)
        real = client.uaclient.create_session

        async def lie(params: ua.CreateSessionParameters) -> Any:
            params.ClientCertificate = None
            return await real(params)

        client.uaclient.create_session = lie  # type: ignore[method-assign,assignment]
        async with client:
            return True
    except (ua.UaError, ConnectionError):
        return False
    finally:
        await server.stop()


async def none_is_always_there(_: Stock) -> bool:
    """A server that offers encryption alone gives sessions without."""
    server, _papers = await _secure()
    try:
        assert server.bserver is not None
        client = Client(f"opc.tcp://127.0.0.1:{server.bserver.port}", timeout=20)
        await client.connect_socket()
        await client.send_hello()
        await client.open_secure_channel()
        params = ua.CreateSessionParameters()
        params.ClientNonce, params.RequestedSessionTimeout = ua.ByteString(bytes(32)), ua.Duration(60_000)
        result = await client.uaclient.create_session(params)
        client.disconnect_socket()
        return bool(result.SessionId)
    except (ua.UaError, ConnectionError):
        return False
    finally:
        await server.stop()


async def anybody_registers_servers(stock: Stock) -> bool:
    """RegisterServer is served to who is not even logged in, and kept for ever."""
    async with stock.client() as client:
        known = len(stock.server.iserver._known_servers)
        server = ua.RegisteredServer()
        server.ServerUri, server.ServerNames = ua.String("urn:evil"), [ua.LocalizedText("evil")]
        await client.uaclient.register_server(server)
        return len(stock.server.iserver._known_servers) == known + 1


async def sessions_that_are_never_activated_stay(stock: Stock) -> bool:
    """Each CreateSession on one connection makes another session, which nothing ends."""
    async with stock.client() as client:
        before = len(stock.server.iserver._external_sessions)
        for _ in range(5):
            params = ua.CreateSessionParameters()
            params.ClientNonce, params.RequestedSessionTimeout = ua.ByteString(bytes(32)), ua.Duration(5_000)
            await client.uaclient.create_session(params)
        return len(stock.server.iserver._external_sessions) == before + 5


@functools.cache
def _papers() -> Papers:
    return Papers()


async def _secure() -> tuple[Server, Papers]:
    """A server with encryption alone, which trusts nobody."""
    papers = _papers()
    own = papers.make("server", uri="urn:defects")
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
    server.iserver.certificate, server.iserver.private_key = own.certificate, own.key
    server.set_certificate_validator(_trusts_nobody)
    await server.start()
    return server, papers


async def _trusts_nobody(_: x509.Certificate, __: ua.ApplicationDescription) -> None:
    raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)


async def _secured(server: Server, papers: Papers) -> Client:
    assert server.bserver is not None
    client = Client(f"opc.tcp://127.0.0.1:{server.bserver.port}", timeout=20)
    client.application_uri = "urn:test:client"
    paper = papers.stranger
    own, key = CertProperties(paper.der, "der"), CertProperties(paper.secret, "pem")
    await client.set_security(SecurityPolicyBasic256Sha256, own, key)
    return client


CASES: tuple[Case, ...] = (
    events_stay_at_one_node,
    of_type_means_equal,
    arguments_are_not_checked,
    republish_of_nothing_is_good,
    overflow_is_silent,
    foreign_subscriptions_can_be_deleted,
    sessions_can_be_guessed,
    modify_takes_any_queue,
    certificates_can_be_quoted,
    none_is_always_there,
    anybody_registers_servers,
    sessions_that_are_never_activated_stay,
)


async def _main() -> None:
    logging.disable(logging.CRITICAL)
    stock = Stock()
    await stock.start()
    try:
        found = {case.__name__: await asyncio.wait_for(case(stock), 20) for case in CASES}
    finally:
        await stock.server.stop()
    print(json.dumps(found))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    asyncio.run(_main())
