"""The vision process: takes a frame at each trigger, runs the network, answers. Started by the control process only."""

from __future__ import annotations

import faulthandler
import os
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from gateway import child
from gateway.vision import wire
from gateway.vision.camera_settings import CameraConfig
from gateway.vision.engine_settings import EngineConfig
from gateway.vision.finding_rows import WireError
from gateway.vision.settings import FramesConfig, WorkerConfig
from protocols.faults import Code

if TYPE_CHECKING:
    from gateway.vision.cameras import CameraError
    from gateway.vision.inspector import Inspector

RECONNECT_FIRST, RECONNECT_LIMIT = 0.2, 2.0
OPENING = 0.05
"""Seconds between looks at a camera that is being opened."""
CHECK_EVERY = 0.5
"""Seconds between looks at an idle camera."""


class Channel:
    """The worker's end of the socket to the control process."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._splitter = wire.Splitter()
        self._sending = threading.Lock()

    def send(self, message: wire.FromWorker) -> None:
        """Send, from any thread; waits while the control process does not read."""
        data = wire.encode(message)
        with self._sending:
            self._socket.sendall(data)

    def wait(self, seconds: float | None, news: int | None = None) -> tuple[bool, bool]:
        """Whether a message came within that time, and whether `news` can be read."""
        ready = select.select([self._socket, *(() if news is None else (news,))], [], [], seconds)[0]
        return self._socket in ready, news in ready

    def start(self) -> tuple[wire.Start, int]:
        """The first message, and the descriptor of the frame ring that comes with it; EOFError, WireError."""
        rings: list[int] = []
        while True:
            data, received, _, _ = socket.recv_fds(self._socket, 65536, 1)
            rings += received
            if not data:
                raise EOFError
            for body in self._splitter.feed(data):
                message = wire.decode_from_control(body)
                if not isinstance(message, wire.Start) or not rings:
                    raise WireError("the first message is not start with a frame ring")
                return message, rings[0]

    def receive(self) -> Iterator[wire.ToWorker]:
        """The messages of one read; EOFError when the control process is gone."""
        data = self._socket.recv(65536)
        if not data:
            raise EOFError
        for body in self._splitter.feed(data):
            yield wire.decode_from_control(body)


def main(arguments: list[str]) -> None:
    """Serve the control process whose socket and process id the arguments name, until it is gone."""
    faulthandler.enable()
    connection, parent = (int(argument) for argument in arguments)
    child.die_with(parent)
    channel = Channel(socket.socket(fileno=connection))
    _import_ahead()
    try:
        start, ring = channel.start()
        _serve(channel, start, ring)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    # The engine's own tidying up takes long and may crash; nothing here is worth it.
    os._exit(0)


def _serve(channel: Channel, start: wire.Start, ring: int) -> None:
    config = WorkerConfig(**start.worker)
    child.give_way(config.nice)
    if wrong := child.stay_on(config.cores):
        channel.send(wire.Failed(Code.CONFIG_INVALID, f"worker.cores: {wrong}"))
        return
    child.limit_memory(config.memory_limit_mb)
    inspector = _prepare(channel, start, ring)
    if inspector is None:
        return
    watch = CameraWatch(channel, inspector)
    if not inspector.camera.exclusive:
        watch.open()
    child.give_back()
    channel.send(wire.Ready(inspector.facts))
    from gateway.vision.overlap import Overlap

    try:
        _answer(channel, inspector, watch, Overlap(inspector).inspect if start.overlap else inspector.inspect)
    finally:
        inspector.camera.close()


def _answer(
    channel: Channel, inspector: Inspector, watch: CameraWatch, inspect: Callable[[wire.Inspect], None]
) -> None:
    while True:
        spoken, news = channel.wait(watch.pause(), inspector.camera.news())
        if news:
            for number in inspector.camera.came():
                channel.send(wire.FrameCame(number))
        if not spoken:
            watch.look()
            continue
        for message in channel.receive():
            match message:
                case wire.Inspect():
                    inspect(message)
                    watch.noted()
                case wire.Picture():
                    inspector.picture(message)
                case wire.Lead():
                    watch.lead()
                case wire.Stop():
                    return
                case wire.Start():
                    raise WireError("a second start")


def _import_ahead() -> None:
    """What is needed whatever the settings say: the control process reads its configuration meanwhile."""
    import gateway.recipe
    import gateway.vision.engines.ort  # noqa: F401


def _prepare(channel: Channel, start: wire.Start, ring: int) -> Inspector | None:
    """Load everything; None if it cannot be, then the control process knows why."""
    # OpenCV reads it when it is loaded: no picture may unpack to more than a slot of the ring holds.
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(start.frames["max_bytes"])
    from gateway.recipe import RecipeError
    from gateway.vision.engines import EngineError
    from gateway.vision.inspector import Inspector
    from gateway.vision.tasks import TaskError

    recipe = Path(start.recipe)
    try:
        camera, frames = TypeAdapter(CameraConfig).validate_python(start.camera), FramesConfig(**start.frames)
        engine: EngineConfig = TypeAdapter(EngineConfig).validate_python(start.engine)
        inspector = Inspector(channel.send, camera, engine, frames, ring)
        inspector.load(recipe, start.content)
        return inspector
    except (RecipeError, EngineError, TaskError) as error:
        channel.send(wire.Failed(error.code, f"recipe {recipe.name}: {error.text}"))
    except MemoryError:
        text = f"recipe {recipe.name}: the model needs more memory than worker.memory_limit_mb allows"
        channel.send(wire.Failed(Code.MODEL_LOAD, text))
    return None


class CameraWatch:
    """Tells when the camera goes and comes, and tries to get it back."""

    def __init__(self, channel: Channel, inspector: Inspector) -> None:
        self._channel = channel
        self._inspector = inspector
        self._told = True
        """Whether the control process believes the camera to be there."""
        self._reason = ""
        self._backoff = RECONNECT_FIRST
        self._ours = not inspector.camera.exclusive
        """Whether it is up to this process to have the camera open."""

    def lead(self) -> None:
        """This process is the active one from now on; the control process waits to hear that the camera is there."""
        if not self._ours:
            self._ours, self._told = True, False
            self.open()

    def pause(self) -> float:
        """Seconds until the next look."""
        return CHECK_EVERY if self._told else self._backoff

    def open(self) -> None:
        """Connect, or say why not."""
        from gateway.vision.cameras import CameraError

        try:
            self._inspector.camera.open()
        except CameraError as error:
            self._inspector.lost = error
            self._down(error)
            return
        self._inspector.lost = None
        self._backoff = RECONNECT_FIRST
        if not self._told:
            self._told = True
            self._channel.send(wire.CameraUp())

    def look(self) -> None:
        """The worker has nothing to do: see whether the camera is there, or try again to reach it."""
        from gateway.vision.cameras import CameraError

        if not self._told:
            self._backoff = min(RECONNECT_LIMIT, 2 * self._backoff)
            self.open()
            return
        self._inspector.rehearse()
        if not self._ours:
            return
        try:
            self._inspector.camera.check()
        except CameraError as error:
            self._inspector.lost = error
            self._down(error)

    def noted(self) -> None:
        """An inspection has ended: it may have found the camera gone."""
        if self._inspector.lost is not None:
            self._down(self._inspector.lost)

    def _down(self, error: CameraError) -> None:
        """Say so, once for each reason; a process whose driver hangs is of no use any more."""
        if error.code is Code.STARTING:
            self._backoff = OPENING
            return
        if self._told or error.text != self._reason:
            self._told, self._reason = False, error.text
            self._channel.send(wire.CameraDown(error.code, error.text))
        if error.hung:
            os.write(2, error.text.encode())
            os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
