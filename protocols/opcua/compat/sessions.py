"""Sessions: whose request it is, and who waits for a session's end."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

from asyncua import Server, ua
from asyncua.server.internal_session import InternalSession, SessionState

from protocols.opcua.compat.callers import serving, session_name
from protocols.opcua.compat.names import named
from protocols.opcua.compat.rules import RuledServer, rules_of

_log = logging.getLogger(__name__)


def on_session_closed(server: Server, callback: Callable[[str], None]) -> None:
    """Call back with `Caller.session` when a client's session has ended, for whatever reason."""
    rules_of(server).session_closed.append(callback)


class Session(InternalSession):
    """A session that tells who asks, and whose end is told."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.external:
            self.session_id = named(str(uuid.uuid4()), 1)

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        with serving(self):
            return await super().call(params)

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        with serving(self):
            return await super().write(params)

    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        with serving(self):
            return await super().read(params)

    async def close_session(self, delete_subs: bool = True) -> None:
        closed = self.state == SessionState.Closed
        try:
            await super().close_session(delete_subs)
        finally:
            if self.external and not closed and isinstance(self.iserver, RuledServer):
                self._tell_closed(self.iserver)

    def _tell_closed(self, server: RuledServer) -> None:
        for callback in server.rules.session_closed:
            try:
                callback(session_name(self))
            except Exception:  # noqa: BLE001 - the boundary: one listener's mistake must not keep it from the others
                _log.exception("after the end of a session")
