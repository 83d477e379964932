"""A carrier's end of the socket to the control process: nothing waits, nothing grows."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping

from gateway.opcua import wire
from protocols.link import LinkState
from protocols.signals import Command
from protocols.station_view import Seat
from protocols.tags import TagValue, Value

BACKLOG = 64 * 1024
"""Bytes that wait for a control process that reads slowly; beyond, only a seat's newest command does."""
LIMIT = 8 * 2**20
"""Bytes that wait at most: a control process that takes none of them is gone."""
MAX_DESCRIPTORS = wire.MAX_STATIONS + 1


class ControlGoneError(Exception):
    """The control process does not read any more: there is nobody to work for."""


def receive_start(connection: socket.socket) -> tuple[wire.Start, list[int]]:
    """Wait for the first message, and the descriptors with it: doorbell, then boards; EOFError, wire.WireError."""
    splitter = wire.Splitter(wire.MAX_START)
    descriptors: list[int] = []
    while True:
        data, received, _, _ = socket.recv_fds(connection, 65536, MAX_DESCRIPTORS)
        descriptors += received
        if not data:
            raise EOFError
        for body in splitter.feed(data):
            message = wire.decode_from_control(body)
            if not isinstance(message, wire.Start) or len(descriptors) != 1 + len(message.stations):
                raise wire.WireError("the first message is not start with its descriptors")
            return message, descriptors


class Channel:
    """Messages to and from the control process, on the carrier's loop."""

    def __init__(self, connection: socket.socket, received: Callable[[wire.ToCarrier], None]) -> None:
        self.gone = asyncio.Event()
        """The control process has gone, or has said that this one should."""
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._socket.setblocking(False)
        self._received = received
        self._splitter = wire.Splitter(wire.MAX_START)
        self._backlog = bytearray()
        self._newest: dict[tuple[int, Seat], wire.Commanded] = {}
        self._loop.add_reader(connection.fileno(), self._readable)

    def close(self) -> None:
        """Hear and say nothing any more."""
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()

    def send(self, message: wire.FromCarrier) -> None:
        """Say this as soon as the control process reads; commands may give way to newer ones of the same seat."""
        if self.gone.is_set():
            return
        if isinstance(message, wire.Commanded) and len(self._backlog) > BACKLOG:
            self._newest[message.station, message.seat] = message
            return
        if isinstance(message, wire.Linked):
            self._say_newest()  # what came before it must not be taken for what comes after
        self._say(wire.encode(message))

    def _say(self, data: bytes) -> None:
        if not self._backlog:
            data = data[self._write(data) :]
            if not data:
                return
            self._loop.add_writer(self._socket.fileno(), self._writable)
        self._backlog += data
        if len(self._backlog) > LIMIT:
            self.gone.set()

    def _say_newest(self) -> None:
        waiting, self._newest = self._newest, {}
        for message in waiting.values():
            self._say(wire.encode(message))

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.gone.set()
            return len(data)

    def _writable(self) -> None:
        del self._backlog[: self._write(self._backlog)]
        if not self._backlog:
            self._loop.remove_writer(self._socket.fileno())
            self._say_newest()

    def _readable(self) -> None:
        try:
            data = self._socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._socket.fileno())
            self.gone.set()
            return
        for body in self._splitter.feed(data):
            message = wire.decode_from_control(body)
            if isinstance(message, wire.Stop):
                self.gone.set()
            else:
                self._received(message)


class StationProxy:
    """A station as a link in a carrier process sees it: what the link says goes to the control process."""

    def __init__(self, channel: Channel, station: int, seat: Seat) -> None:
        self._channel, self._station, self._seat = channel, station, seat

    def command(self, command: Command) -> None:
        """The PLC's command block, as one consistent moment, in the order written."""
        self._channel.send(wire.Commanded(self._station, self._seat, command))

    def link_changed(self, state: LinkState, reason: str) -> None:
        """The carrier went up or down."""
        self._channel.send(wire.Linked(self._station, self._seat, state, reason))


class SinkProxy:
    """Who wants to know of a device's tags, as a tag source in a carrier process sees it."""

    def __init__(self, channel: Channel, device: str) -> None:
        self._channel, self._device = channel, device

    def values(self, readings: Mapping[str, TagValue]) -> None:
        """Readings of one moment by the tags' own names."""
        items = list(readings.items())
        for first in range(0, len(items), SOME):
            self._channel.send(wire.Readings(self._device, dict(items[first : first + SOME])))

    def link(self, up: bool, reason: str) -> None:
        """The device answers, or does so no longer."""
        self._channel.send(wire.DeviceLinked(self._device, up, reason))

    def written(self, name: str, value: Value, error: str) -> None:
        """The device has taken this value, or (a sentence) has not."""
        self._channel.send(wire.Written(self._device, name, value, error))


SOME = 20
"""Readings in one message: with the longest reasons and texts they still go into wire.MAX_MESSAGE."""


class Doorbell:
    """The end of a doorbell that is rung by the control process."""

    def __init__(self, descriptor: int, rung: Callable[[], None]) -> None:
        self._descriptor, self._rung = descriptor, rung
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._ring)

    def _ring(self) -> None:
        try:
            os.read(self._descriptor, 4096)
        except BlockingIOError:
            return
        self._rung()

    def close(self) -> None:
        """Hear it no more."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
