"""Whether a GigE Vision camera is there: one register read, over a socket of its own.

The drivers take seconds to say that a camera is gone: they ask five times, half a second each.
"""

from __future__ import annotations

import socket
import struct
import time

PORT = 3956
"""GigE Vision 2.2 §13: GVCP."""
WAIT, TRIES = 0.12, 3
"""A camera answers within a millisecond; one lost datagram is no lost camera."""


def answers(address: str) -> bool:
    """Whether a camera at that address answers at all, be it with a refusal; within 0.4 s."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        for attempt in range(1, TRIES + 1):
            # key 0x42, acknowledge required, READREG (0x0080), 4 bytes: register 0, the version (§16.2, §28)
            request = struct.pack(">BBHHHI", 0x42, 0x01, 0x0080, 4, attempt, 0)
            try:
                wire.sendto(request, (address, PORT))
                if _acknowledged(wire, attempt):
                    return True
            except OSError:
                # a port that nobody listens at, a network that is down: the next try may find it back
                time.sleep(WAIT)
    return False


def _acknowledged(wire: socket.socket, attempt: int) -> bool:
    end = time.monotonic() + WAIT
    while (left := end - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            answer = wire.recv(64)
        except TimeoutError:
            return False
        if len(answer) >= 8 and struct.unpack(">HHHH", answer[:8])[3] <= attempt:
            return True
    return False
