"""The plain face of a station in our OPC UA server: Command, Status and Result of the contract as variables."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from asyncua import Server, ua
from asyncua.common.callback import CallbackType

from protocols.faults import Code
from protocols.link import LinkState, Station
from protocols.opcua.compat import Caller, Role, Slot, bind_write, caller, names, on_session_closed
from protocols.opcua.plain_command import Holder, asks, command_values, fits, not_driving, written
from protocols.opcua.plain_map import DRIVER, RESULT_STRUCTURE, WRITER, Part, PlainNode, nodes_of
from protocols.opcua.plain_nodes import build_station, data_value, structure, text_id
from protocols.opcua.plain_quality import Qualities, Quality, qualities
from protocols.opcua.plain_values import Plain, fitted, result_values, status_values, structure_values
from protocols.settings import OnEvent
from protocols.signals import BLANK_COMMAND, Control, Outputs, Result, StatusBit
from protocols.station_view import Outcome, Seat, StationFacts

_GOOD = int(ua.StatusCodes.Good)
_VALID = int(StatusBit.RESULT_VALID)
_ENABLE = int(Control.ENABLE)
_turns = itertools.count(1)
"""asyncua keeps one listener for each priority: every face needs a number of its own."""


class _Request:
    """One Write request while it is served: why it is refused as a whole, or what it has brought so far."""

    def __init__(self, who: Caller, refusal: int) -> None:
        self.who = who
        self.refusal = refusal
        self.writes: list[tuple[str, object]] = []


class PlainFace:
    """One station as variables: a Link whose PLC is the client that writes Command, and an Observer.

    All variables of one Write request are one command, or none of them is taken. Everything that one `publish`
    changes is stored in one turn of the loop and bears one time. `drives`: the seat that Command commands from.
    """

    def __init__(
        self,
        server: Server,
        facts: StationFacts,
        *,
        drives: Seat,
        on_event: OnEvent,
        clock: Callable[[], float] = time.monotonic,
        utc: Callable[[], ua.DateTime] = names.now,
    ) -> None:
        self.facts = facts
        self.name = f"opc ua station {facts.name}"
        self.holder = Holder()
        self.command = BLANK_COMMAND
        """As the client has written it."""
        self._server, self._seat, self._on_event = server, drives, on_event
        self._clock, self._utc = clock, utc
        self._nodes = {node.path: node for node in nodes_of(facts)}
        self._ids = {path: text_id(facts.name, path) for path in self._nodes}
        self._commands = {self._ids[path]: node for path, node in self._nodes.items() if node.writable}
        self._station: Station | None = None
        self._request: _Request | None = None
        self._told: set[tuple[str, str]] = set()
        self._driver: Seat | None = None
        self._stale = False
        self._outputs: Outputs | None = None
        self._slots: dict[str, Slot] = {}
        self._shown: dict[str, tuple[Plain | None, Quality]] = {}
        self._result: Result | None = None
        self._heartbeat = -1

    async def build(self) -> None:
        """Add the nodes and open Command to operators; once, before the server starts."""
        await build_station(self._server, self.facts.name, tuple(self._nodes.values()))
        self._slots = {path: Slot(self._server, node) for path, node in self._ids.items()}
        for node, plain in self._commands.items():
            bind_write(self._server, node, partial(self._wrote, plain), role=Role.OPERATOR)
        callbacks = self._server.iserver.callback_service
        callbacks.addListener(CallbackType.PreWrite, self._begin, next(_turns))  # type: ignore[arg-type]
        callbacks.addListener(CallbackType.PostWrite, self._end, next(_turns))  # type: ignore[arg-type]
        on_session_closed(self._server, self._left)
        self._show_command()
        self._refresh()

    # ------------------------------------------------------------ what the station calls

    def attach(self, station: Station) -> None:
        """Name the station to serve; once, before `run`."""
        self._station = station

    def publish(self, outputs: Outputs) -> None:
        """Show these outputs: every request from now on sees all of them."""
        self._outputs = outputs
        self._refresh()

    def stale(self, stale: bool) -> None:
        """The station can no longer be seen from here (all becomes Bad, writes are refused), or can again."""
        if stale is not self._stale:
            self._stale = stale
            self._refresh()

    def driven(self, seat: Seat) -> None:
        """Who drives the station from now on."""
        self._driver = seat
        self._refresh()

    def outcome(self, outcome: Outcome) -> None:
        """Nothing that the outputs do not show."""

    async def run(self) -> None:
        """Until cancelled; the server that the nodes are in does the work."""
        await asyncio.get_running_loop().create_future()

    # ------------------------------------------------------------ what clients write

    def _begin(self, event: Any, _: Any) -> None:
        """A Write request comes: judged as a whole before any of it is taken."""
        items = [item for item in event.request_params.NodesToWrite if item.NodeId in self._commands]
        who = caller()
        self._request = _Request(who, self._refusal(who, items)) if items and who is not None else None

    def _refusal(self, who: Caller, items: Iterable[ua.WriteValue]) -> int:
        """Why nothing of this request can be taken, Good if it can."""
        if self._stale or self._station is None:
            return ua.StatusCodes.BadNoCommunication
        writes: list[tuple[str, object]] = []
        for item in items:
            node = self._commands[item.NodeId]
            if who.role < Role.OPERATOR or not _well_formed(item, node):
                return ua.StatusCodes.BadTransactionFailed
            writes.append((node.path, item.Value.Value.Value))
        if not self.holder.may(who.session, who.user, self._clock(), enabled=bool(self.command.control & _ENABLE)):
            self._tell(who, "may not write to Command, as another session holds it")
            return ua.StatusCodes.BadInvalidState
        before = self.command if who.session == self.holder.session else BLANK_COMMAND
        if not_driving(self._driver, self._seat) and asks(before, written(before, writes)):
            self._tell(who, f"may not command while {self._driver.name if self._driver else 'nobody'} drives")
            return ua.StatusCodes.BadInvalidState
        return _GOOD

    def _wrote(self, node: PlainNode, who: Caller, value: ua.DataValue) -> ua.StatusCode:
        """One variable of the request: type and length are right already."""
        content = value.Value.Value if value.Value is not None else None
        if not fits(node.type, content):
            return names.status("BadOutOfRange")
        request = self._request
        if request is None or request.who != who:
            return names.status("BadInternalError")
        if request.refusal == _GOOD:
            request.writes.append((node.path, content))
        return ua.StatusCode(ua.UInt32(request.refusal))

    def _end(self, event: Any, _: Any) -> None:
        """The request has been served: what it brought is one command."""
        request, self._request = self._request, None
        if request is None or not request.writes or self._station is None:
            return
        who = request.who
        if who.session != self.holder.session and self.holder.session:
            self._drop("gave way to another session")
        if self.holder.take(who.session, who.user, self._clock()):
            self._station.link_changed(LinkState.UP, f"{self.name}: {_user(who.user)} writes Command")
        self.command = written(self.command, request.writes)
        self._show_command()
        self._refresh()
        self._station.command(self.command)

    def _left(self, session: str) -> None:
        """A session has ended, for whatever reason: what its client commanded ends with it."""
        if session == self.holder.session:
            self._drop("its session has ended")

    def _drop(self, why: str) -> None:
        user = self.holder.user
        self.holder.left(self.holder.session)
        self.command = BLANK_COMMAND
        self._show_command()
        self._refresh()
        if self._station is not None:
            self._station.link_changed(LinkState.DOWN, f"{self.name}: {_user(user)}: {why}")

    def _tell(self, who: Caller, what: str) -> None:
        key = (who.session, what)
        if key not in self._told and len(self._told) < _REMEMBERED:
            self._told.add(key)
            self._on_event(Code.CLIENT_LIMIT, f"{self.name}: {_user(who.user)} {what}")

    # ------------------------------------------------------------ what clients read

    def _show_command(self) -> None:
        now = self._utc()
        for path, value in command_values(self.command):
            self._show(path, value, Quality.GOOD, now)

    def _refresh(self) -> None:
        """Bring all variables up to date. What makes a result valid comes last, what makes it invalid first."""
        outputs, now = self._outputs, self._utc()
        quality = qualities(outputs, stale=self._stale)
        self._show(DRIVER, self._driver.name if self._driver else None, self._driver_quality(), now)
        self._show(WRITER, self.holder.user, Quality.BAD_NO_COMMUNICATION if self._stale else Quality.GOOD, now)
        if outputs is None or quality.status.bad:
            self._blank(quality, now)
            return
        parts = [self._refresh_result, self._refresh_status]
        if not outputs.status.bits & _VALID:
            parts.reverse()
        for part in parts:
            part(outputs, quality, now)

    def _driver_quality(self) -> Quality:
        if self._stale:
            return Quality.BAD_NO_COMMUNICATION
        return Quality.GOOD if self._driver else Quality.BAD_WAITING_FOR_INITIAL_DATA

    def _blank(self, quality: Qualities, now: ua.DateTime) -> None:
        self._result, self._heartbeat = None, -1
        for path, node in self._nodes.items():
            if path not in (DRIVER, WRITER) and node.part is not Part.COMMAND:
                self._show(path, None, quality.of(node.part), now)

    def _refresh_status(self, outputs: Outputs, quality: Qualities, now: ua.DateTime) -> None:
        """With each heartbeat all of it is new: its time says that the station lives."""
        beat = outputs.status.heartbeat != self._heartbeat
        self._heartbeat = outputs.status.heartbeat
        for path, value in status_values(outputs.status):
            self._show(path, value, quality.status, now, anyway=beat)

    def _refresh_result(self, outputs: Outputs, quality: Qualities, now: ua.DateTime) -> None:
        """A new result is new in all its parts; else only what another status makes of it."""
        new = outputs.result is not self._result
        same = self._shown.get(RESULT_STRUCTURE, (None, None))[1] is quality.outcome
        if not new and same:
            return
        self._result = outputs.result
        result = fitted(outputs.result)
        whole = None if quality.outcome.bad else structure(structure_values(result))
        self._show(RESULT_STRUCTURE, whole, quality.outcome, now, anyway=True)
        for path, value in result_values(result, self.facts):
            self._show(path, value, quality.of(self._nodes[path].part), now, anyway=True)

    def _show(self, path: str, value: Any, quality: Quality, now: ua.DateTime, *, anyway: bool = False) -> None:
        if value is None and not quality.bad:
            quality = Quality.BAD_NO_DATA
        if quality.bad:
            value = None
        if not anyway and self._shown.get(path) == (value, quality):
            return
        self._shown[path] = (value, quality)
        self._slots[path].put(data_value(self._nodes[path], value, quality, now))


_REMEMBERED = 256
"""Refusals told apart; beyond that they are only answered."""


def _user(name: str) -> str:
    return f"user {name}" if name else "a user without a name"


def _well_formed(item: ua.WriteValue, node: PlainNode) -> bool:
    """What the server itself will not refuse: the whole value, of the right type, with a Good status."""
    data = item.Value
    if item.AttributeId != ua.AttributeIds.Value or item.IndexRange or data is None or data.Value is None:
        return False
    if data.StatusCode is not None and data.StatusCode.value != _GOOD:
        return False
    value = data.Value.Value
    if isinstance(value, list) or value is None or int(data.Value.VariantType) != int(node.type):
        return False
    return fits(node.type, value)
