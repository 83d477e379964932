"""What a server grants its clients beyond reading: the nodes that take a write, the methods that can be called."""

from __future__ import annotations

import math
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncua import Server, ua
from asyncua.crypto.permission_rules import User
from asyncua.server.internal_server import InternalServer

from protocols.opcua.compat.callers import Caller, Role
from protocols.opcua.compat.identity import Login
from protocols.opcua.compat.limits import Limits

WriteHandler = Callable[[Caller, ua.DataValue], ua.StatusCode]
MethodHandler = Callable[..., "Sequence[ua.Variant] | ua.StatusCode"]
Told = Callable[[Caller, str, ua.StatusCode], None]


@dataclass(frozen=True, slots=True)
class Array:
    """An argument that is an array of this type."""

    of: ua.VariantType


@dataclass(frozen=True, slots=True)
class Writing:
    """A node that takes a client's write."""

    handler: WriteHandler
    role: Role
    kind: ua.VariantType
    array: bool


@dataclass(frozen=True, slots=True)
class Calling:
    """A method that can be called."""

    handler: MethodHandler
    role: Role
    inputs: tuple[ua.VariantType | Array, ...]


def _nothing(*_: Any) -> None:
    """Nobody listens, or everything is allowed."""


def _many(_: str) -> int:
    return sys.maxsize


@dataclass(slots=True)
class Rules:
    """All of one server. `closed`: only what is bound can be written or called, as on every server but a bare one."""

    closed: bool = False
    writes: dict[ua.NodeId, Writing] = field(default_factory=dict)
    calls: dict[ua.NodeId, Calling] = field(default_factory=dict)
    session_closed: list[Callable[[str], None]] = field(default_factory=list)
    told: Told = _nothing
    """Told of every write and call of a client, with what came of it."""
    refused: Callable[[str, str, str], None] = _nothing
    """Told of who is turned away for what it is: address, status, why."""
    limited: Callable[[str, str], None] = _nothing
    """Told of who asks for more than there is: address, why."""
    odd: Callable[[str, str], None] = _nothing
    """Told of what a client sends that makes no sense: address, what."""
    trust: Callable[[str, bytes], None] = _nothing
    """Raises Refused for certificates (address, DER one behind the other, the client's own first) of nobody trusted."""
    names: Callable[[str, bytes, str], None] = _nothing
    """Raises ServiceError if the certificate is not that of the application of this URI."""
    authenticate: Callable[[Login], Awaitable[User | None]] | None = None
    """Who somebody is, None for nobody; without it asyncua's user manager is asked."""
    sessions_of: Callable[[str], int] = _many
    """How many sessions one address may have."""
    unencrypted: bool = True
    """Whether a session can be had without security."""
    clear_passwords: bool = True
    """Whether a password is taken where others may read it."""
    publish_at_once: bool = False
    publish_due: float = math.inf
    """When that is done next, on the loop's clock."""
    limits: Limits = field(default_factory=Limits)


class Ruled:
    """A service of the server that keeps to its rules; None as long as it belongs to no server."""

    rules: Rules | None = None


class RuledServer(InternalServer):
    """asyncua's inner server with the rules for its clients."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.rules = Rules()
        super().__init__(*args, **kwargs)
        for service in (self.attribute_service, self.method_service, self.subscription_service):
            if isinstance(service, Ruled):
                service.rules = self.rules


def rules_in(inner: InternalServer) -> Rules:
    """The rules of an inner server; of one that is none of ours, such as a simulator's beside it, none that bind."""
    return inner.rules if isinstance(inner, RuledServer) else Rules()


def rules_of(server: Server) -> Rules:
    """The rules of a server, which is closed from now on; RuntimeError for one that was made before install()."""
    found = server.iserver
    if isinstance(found, RuledServer):
        found.rules.closed = True
        return found.rules
    raise RuntimeError("this server was made before protocols.opcua.compat.install(); call that first")
