"""The OPC UA server: asyncua's, with nothing of its defaults left that lets somebody in or takes what it is given."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from asyncua import Server, ua
from asyncua.common.connection import TransportLimits

from protocols.faults import Code
from protocols.link import LinkError
from protocols.opcua import compat, space
from protocols.opcua.compat import Caller, Role
from protocols.opcua.compat.subscriptions import Subscription
from protocols.opcua.guard import Patience
from protocols.opcua.listener import Listener, Telling
from protocols.opcua.security import Security, host_names
from protocols.opcua.server_settings import OpcUaServerConfig
from protocols.opcua.users import Users
from protocols.settings import OnEvent

MANUFACTURER = "vision-plc-gateway contributors"
PRODUCT_URI = "urn:vision-plc-gateway"
STATIONS = "urn:vision-plc-gateway:stations"
"""Namespace 2: our own nodes."""
CHUNK = 65_535
ORPHANS = 10
"""Subscriptions that may outlive their sessions; beyond it the oldest goes."""
_POLICIES = {
    "Basic256Sha256": ("Basic256Sha256_SignAndEncrypt", "Basic256Sha256_Sign"),
    "Aes128_Sha256_RsaOaep": ("Aes128Sha256RsaOaep_SignAndEncrypt", "Aes128Sha256RsaOaep_Sign"),
    "Aes256_Sha256_RsaPss": ("Aes256Sha256RsaPss_SignAndEncrypt", "Aes256Sha256RsaPss_Sign"),
}
_audit = logging.getLogger("opcua.audit")


class HardenedServer:
    """One OPC UA server. `prepare`, fill the address space by `server`, then `run`; or `start` and `stop`."""

    def __init__(
        self,
        config: OpcUaServerConfig,
        namespaces: Sequence[str] = (STATIONS,),
        *,
        data: Path,
        on_event: OnEvent,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read certificates and users; raises LinkError.

        `namespaces` have the indices 2, 3 …; `data` is the folder for what the server makes itself (own certificate,
        trust); `clock` gives seconds since 1970 and decides what has expired.
        """
        compat.install()
        self.config = config
        self.name = f"opcua server {config.place}"
        self.port = config.port
        """As configured; with 0, the real one after `start`."""
        self._namespaces = tuple(namespaces)
        self._on_event = on_event
        self.tell = Telling(on_event, self.name)
        self.security = Security(config, data, on_event, self._refused, clock)
        self.users = Users(config.users, anonymous=config.anonymous, refused=self._refused)
        self.server = Server()
        limits = config.limits
        patience = Patience(limits.hello_s, limits.session_s, limits.frame_s)
        place = (config.host, config.port)
        self.listener = Listener(place, config.access(), limits.connections, patience, self.tell)
        self.listener.swept = self._look
        self._prepared = False
        self._task: asyncio.Task[None] | None = None
        self._first_writes: set[tuple[str, str]] = set()

    async def prepare(self) -> None:
        """Build the address space, with the namespaces at their indices; once."""
        if self._prepared:
            return
        server, uri = self.server, self.security.own.uri
        await server.init()
        server.set_server_name(self.config.application_name)
        server.product_uri, server.manufacturer_name = PRODUCT_URI, MANUFACTURER
        server.application_type = ua.ApplicationType.Server
        await server.set_application_uri(uri)
        built = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)  # noqa: ASYNC240 - a few microseconds
        await server.set_build_info(PRODUCT_URI, MANUFACTURER, self.config.application_name, _version(), "0", built)
        for index, namespace in enumerate(self._namespaces, 2):
            if await server.register_namespace(namespace) != index:
                raise LinkError(f"{self.name}: namespace {namespace} is not number {index}; name each of them once")
        self._grant()
        self._prepared = True

    async def start(self) -> None:
        """Listen; raises LinkError when the address cannot be had. Ended by `stop`."""
        await self.prepare()
        for text in self.config.warnings():
            self._on_event(Code.NONE, text)
        server = self.server
        space.close_writes(server)
        space.tell_limits(server, self.config.limits)
        self._offer()
        transport = TransportLimits(CHUNK, CHUNK, self.config.limits.chunks, self.config.limits.message_kib * 1024)
        await self.listener.bind(server.iserver, server._policies, transport)
        self.port = self.listener.port
        self.name = self.tell.name = f"opcua server {self.config.host}:{self.port}"
        server.set_endpoint(self.url)
        await server._setup_server_nodes()
        space.only_anonymous_without_security(server)
        await server.iserver.start()
        self.security.look()
        self._task = asyncio.create_task(self.listener.run(), name=self.name)

    async def stop(self) -> None:
        """End all sessions, listen no more."""
        server = self.server.iserver
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        else:
            await self.listener.close()
        for session in list(server._external_sessions.values()):
            await session.close_session(True)
        if server.time_task is not None:
            server.time_task.cancel()  # asyncua waits a second for it
            with contextlib.suppress(asyncio.CancelledError):
                await server.time_task
            server.time_task = None
        await server.stop()
        self.users.close()

    async def run(self) -> None:
        """Serve until cancelled; raises LinkError when the address cannot be had."""
        try:
            await self.start()
            if self._task is not None:
                await asyncio.shield(self._task)
        finally:
            await self.stop()

    @property
    def url(self) -> str:
        """Where clients reach it."""
        host = host_names(self.config)[0]
        return f"opc.tcp://{f'[{host}]' if ':' in host else host}:{self.port}"

    def _grant(self) -> None:
        """All bounds and all decisions about clients."""
        config, limits = self.config, self.config.limits
        rules = compat.rules_of(self.server)
        rules.trust, rules.names = self.security.trust, self.security.names
        rules.authenticate = self.users.authenticate
        rules.unencrypted, rules.clear_passwords = config.allow_unencrypted, False
        rules.refused, rules.told = self._refused, self._told
        rules.limited = lambda address, why: self.tell(Code.CLIENT_LIMIT, address, why)
        rules.odd = lambda address, what: self.tell(Code.FRAMING, address, f"sends what makes no sense: {what}")
        rules.sessions_of = lambda address: limits.sessions_per_address
        rules.publish_at_once = config.publish_at_once
        rules.limits = compat.Limits(
            sessions=limits.sessions,
            subscriptions=limits.subscriptions,
            subscriptions_per_session=limits.subscriptions_per_session,
            items=limits.items,
            items_per_session=limits.items_per_session,
            queue=limits.queue,
            operations=limits.operations,
            interval_ms=limits.shortest_interval_ms,
        )
        inner = self.server.iserver
        inner.allow_remote_admin = False
        inner.max_connections = inner.max_subscriptions = 1 << 30  # counted by the listener and by each session
        inner.max_pending_activation_seconds = 0
        inner.max_session_timeout_ms = limits.session_timeout_s * 1000
        inner.max_monitored_item_queue_size = limits.queue
        inner.max_unacked_messages_per_subscription = rules.limits.unacknowledged
        space.quiet()

    def _offer(self) -> None:
        """Certificate, policies and ways to log in."""
        inner, config = self.server.iserver, self.config
        inner.certificate, inner.private_key = self.security.own.certificate, self.security.own.key
        offered = [name for policy in config.policies for name in _POLICIES[policy][: 2 if config.sign_only else 1]]
        offered += ["NoSecurity"] if config.allow_unencrypted else []
        self.server.set_security_policy([ua.SecurityPolicyType[name] for name in offered])
        kinds = (ua.AnonymousIdentityToken, ua.UserNameIdentityToken, ua.X509IdentityToken)
        self.server.set_identity_tokens([kind for kind, way in zip(kinds, self.users.kinds, strict=True) if way])

    # ── what goes on ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> None:
        """Every half second: our own certificate, changes of trust, subscriptions that nobody owns any more."""
        self.security.look()
        if self.security.changed():
            for connection in tuple(self.listener.door.members):
                sent = connection.certificates
                if sent and not self.security.still(sent):
                    why = "is not trusted any more, and its connection ends"
                    connection.turn_out(Code.PEER_REFUSED, "BadSecurityChecksFailed", why)
        self._reap(time.monotonic())

    def _reap(self, now: float) -> None:
        inner = self.server.iserver
        alive = {session.session_id for session in inner._external_sessions.values()}
        orphans = []
        for subscription in inner.subscription_service.subscriptions.values():
            if not isinstance(subscription, Subscription) or subscription.owner is None:
                continue
            gone = subscription.session_id not in alive
            subscription.orphaned = (subscription.orphaned or now) if gone else None
            if subscription.orphaned is not None:
                orphans.append((subscription.orphaned, subscription.data.SubscriptionId))
        orphans.sort()
        life = compat.rules_of(self.server).limits.orphan_s
        late = [number for since, number in orphans if now - since > life]
        if gone_now := late or [number for _, number in orphans[: max(0, len(orphans) - ORPHANS)]]:
            task = asyncio.ensure_future(inner.subscription_service.delete_subscriptions(gone_now))
            self.listener.closing.append(task)

    def _refused(self, address: str, status: str, why: str) -> None:
        """Of the transport (Bad_Tcp…) it is no OPC UA at all, else somebody who is not let in."""
        self.tell(Code.FRAMING if status.startswith("BadTcp") else Code.PEER_REFUSED, address, why)

    def _told(self, who: Caller, what: str, status: ua.StatusCode) -> None:
        """The audit: refusals to people, the rest to the log; writes that repeat only once a session."""
        if not status.is_good():
            why = f"({who.user}, {Role(who.role).name.lower()}) is refused {what}: {status.name}"
            self.tell(Code.REQUEST_REFUSED, who.user, why)
            return
        key = (who.session, what)
        if what.startswith("write"):
            if key in self._first_writes:
                return
            if len(self._first_writes) > 10_000:
                self._first_writes.clear()
            self._first_writes.add(key)
        _audit.info("%s (%s, session %s): %s", who.user, Role(who.role).name.lower(), who.session, what)


def _version() -> str:
    """The gateway's own version; 0 where it runs uninstalled."""
    try:
        return metadata.version("vision-plc-gateway")
    except metadata.PackageNotFoundError:
        return "0"
