"""A network camera as cheap ones are: JPEG after JPEG over HTTP (multipart/x-mixed-replace), for tests on loopback."""

from __future__ import annotations

import socket
import threading
from typing import Self

import cv2
import numpy as np

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
PERIOD = 0.01


class MjpegServer:
    """Serves one client after the other; `payload` replaces the pictures from now on."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/video"
        self.head = HEAD
        self.payload: bytes | None = None
        self._size = (64, 48)
        self._silent = threading.Event()
        self._unplugged = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="mjpeg server")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()

    def unplug(self) -> None:
        """Connections end at once, the present one as well."""
        self._unplugged.set()

    def plug(self) -> None:
        self._unplugged.clear()

    def silence(self) -> None:
        """Connections stay, and nothing is said any more."""
        self._silent.set()

    def resize(self) -> None:
        self._size = (32, 48)

    def _serve(self) -> None:
        number = 0
        while not self._end.is_set():
            client, _ = self._listener.accept()
            with client:
                number = self._speak(client, number)

    def _speak(self, client: socket.socket, number: int) -> int:
        try:
            if not self._unplugged.is_set() and not self._silent.is_set():
                client.sendall(self.head)
            while not self._end.wait(PERIOD) and not self._unplugged.is_set():
                if self._silent.is_set():
                    client.settimeout(PERIOD)
                    if self._gone(client):
                        break
                    continue
                number += 1
                data = self.payload or self._picture(number)
                client.sendall(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data))
                client.sendall(data + b"\r\n")
        except OSError:
            pass
        return number

    @staticmethod
    def _gone(client: socket.socket) -> bool:
        try:
            return client.recv(1000) == b""
        except TimeoutError:
            return False

    def _picture(self, number: int) -> bytes:
        width, height = self._size
        blocks = np.random.default_rng(number).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
        shown = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)
        return cv2.imencode(".jpg", shown)[1].tobytes()
