"""The sockets of a listener, and what comes in by them: nothing that a peer does ends them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from protocols.link import LinkError

BACKLOG = 128
PAUSE = 0.2
"""Seconds to wait when a connection cannot be taken: for want of descriptors or memory, say."""
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_RESET = struct.pack("ii", 1, 0)

Came = Callable[[socket.socket, str], None]
"""Told of a connection and the address of its peer; owns the socket from then on."""


async def bound(host: str, port: int, name: str) -> list[socket.socket]:
    """Sockets that listen on every address of `host`; raises LinkError when one cannot be had."""
    loop = asyncio.get_running_loop()
    sockets: list[socket.socket] = []
    lacking: OSError | None = None
    try:
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                sockets.append(_listening(family, kind, protocol, address))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                lacking = error  # one of two addresses of a name: a computer without IPv6, say
        if lacking is not None and not sockets:
            raise lacking
    except (OSError, UnicodeError) as error:
        close(sockets)
        raise LinkError(f"{name} cannot listen: {_explain(error, port)}") from error
    return sockets


def _listening(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setblocking(False)
        if os.name == "posix":  # elsewhere it would let two programs share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def close(sockets: list[socket.socket]) -> None:
    """Listen no more."""
    for listener in sockets:
        listener.close()


async def accept(listener: socket.socket, came: Came, trouble: Callable[[OSError], None]) -> None:
    """Take connections until cancelled. What cannot be taken is tried again later; `trouble` is told of it."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            sock, address = await loop.sock_accept(listener)
        except ConnectionError:  # it left before it was taken
            continue
        except OSError as error:
            trouble(error)
            await asyncio.sleep(PAUSE)
            continue
        came(sock, str(address[0]) if address else "?")
        await asyncio.sleep(0)  # a storm of connections leaves the others their turn


def reset(sock: socket.socket) -> None:
    """Close at once with a reset: nothing is read, and nothing of it stays in the system."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()


def _explain(error: OSError | UnicodeError, port: int) -> str:
    """Cause and remedy in one sentence."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return "another program has this port; stop it or give another port"
    if number in (errno.EACCES, errno.EPERM):
        return f"port {port} needs a privilege; give a port above 1023, such as 5020, or grant CAP_NET_BIND_SERVICE"
    if number == errno.EADDRNOTAVAIL:
        return "this computer does not have this address; give one of its own, or 0.0.0.0 for all"
    return f"{error}; give a host name or address of this computer and a free port"
