"""All that asyncua 2.1 needs to be a server one can rely on: its defects closed, each in the module that names it.

`install` puts subclasses in the place of asyncua's classes, before any Server is made; asyncua's own stay as they are,
so that tests can say when a defect is mended upstream (tests/contract/test_asyncua_defects.py).
"""

from __future__ import annotations

from importlib.metadata import version

from asyncua.server import (
    binary_server_asyncio,
    internal_server,
    internal_subscription,
    monitored_item_service,
    server,
    subscription_service,
)

from protocols.link import LinkError
from protocols.opcua import decoding
from protocols.opcua.compat.callers import Caller, LoggedIn, Role, caller, caller_of, session_name
from protocols.opcua.compat.calls import Methods, bind_method, called_object
from protocols.opcua.compat.channel import Refused
from protocols.opcua.compat.events import WhereClause, bind_condition_refresh, emit, publish_now
from protocols.opcua.compat.identity import Login
from protocols.opcua.compat.items import Items, Values
from protocols.opcua.compat.limits import Limits
from protocols.opcua.compat.processor import Processor
from protocols.opcua.compat.rules import Array, RuledServer, Rules, rules_of
from protocols.opcua.compat.sessions import Session, on_session_closed
from protocols.opcua.compat.subscriptions import Subscription, Subscriptions
from protocols.opcua.compat.views import Views
from protocols.opcua.compat.writes import Attributes, Slot, bind_write, run_now

__all__ = [
    "Array",
    "Caller",
    "Limits",
    "LoggedIn",
    "Login",
    "Processor",
    "Refused",
    "Role",
    "RuledServer",
    "Rules",
    "Slot",
    "bind_condition_refresh",
    "bind_method",
    "bind_write",
    "called_object",
    "caller",
    "caller_of",
    "emit",
    "install",
    "on_session_closed",
    "publish_now",
    "rules_of",
    "run_now",
    "session_name",
]

WANTED = "2.1."


def install() -> None:
    """Put everything in place, once; before the first Server. LinkError for another asyncua than 2.1."""
    found = version("asyncua")
    if not found.startswith(WANTED):
        raise LinkError(f"asyncua {found} is installed, but this gateway needs 2.1; install asyncua==2.1.*")
    decoding.install()
    server.InternalServer = RuledServer  # type: ignore[misc]
    internal_server.InternalSession = Session  # type: ignore[misc]
    internal_server.MethodService = Methods  # type: ignore[misc]
    internal_server.ViewService = Views  # type: ignore[misc]
    internal_server.AttributeService = Attributes  # type: ignore[misc]
    internal_server.SubscriptionService = Subscriptions  # type: ignore[misc]
    subscription_service.InternalSubscription = Subscription  # type: ignore[misc]
    internal_subscription.MonitoredItemService = Items  # type: ignore[misc]
    binary_server_asyncio.UaProcessor = Processor  # type: ignore[misc]
    monitored_item_service.MonitoredItemValues = Values  # type: ignore[misc]
    monitored_item_service.WhereClauseEvaluator = WhereClause  # type: ignore[misc]
