"""Modbus/TCP Security against plain Modbus TCP: the same server, client and request, with TLS and without.

The third server is the same again on uvloop's own TLS: what our channel on ssl.MemoryBIO costs beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import modbus_server, report, rig
from benchmarks.report import Goal, Table

SERVERS = ("plain", "secure", "loop's own TLS")
REQUEST = bytes.fromhex("0001 0000 0006 01 04 0000 000a")
ANSWER = 9 + 20
ROLES = {"operator": "read_write"}

Figures = dict[str, float]


def run(quick: bool) -> dict[str, Any]:
    """Round trips in microseconds and connections in milliseconds, the median of interleaved rounds."""
    requests, connections, rounds = (2000, 20, 3) if quick else (10_000, 50, 7)
    seen: dict[str, list[Figures]] = {name: [] for name in SERVERS}
    with ExitStack() as stack:
        place = stack.enter_context(rig.folder())
        context = _certificates(place)
        ports = {name: stack.enter_context(_serving(name, place)) for name in SERVERS}
        for _ in range(rounds):
            for name, port in ports.items():
                wrap = _plain if name == "plain" else context.wrap_socket
                seen[name].append(_measured(port, wrap, requests, connections))
    return {"figures": {name: report.middle(each) for name, each in seen.items()}, "rounds": rounds}


def _certificates(place: Path) -> ssl.SSLContext:
    """An authority, a server and a client with a role in `place`; the client's context, which checks no name."""
    from gateway import certs

    authority = certs.make(certs.Wish("ca", authority=True))
    certs.save(authority, place)
    certs.save(certs.make(certs.Wish("gateway", ["127.0.0.1"]), authority), place)
    certs.save(certs.make(certs.Wish("plc", role="operator"), authority), place)
    context = ssl.create_default_context(cafile=place / "ca.pem")
    context.check_hostname = False
    context.load_cert_chain(place / "plc.pem", place / "plc.key")
    return context


@contextmanager
def _serving(name: str, place: Path) -> Iterator[int]:
    with modbus_server.serving([sys.executable, "-m", "benchmarks.secured", name, str(place)]) as (port, _):
        yield port


def _plain(connection: socket.socket) -> socket.socket:
    return connection


def _measured(port: int, wrap: Callable[[socket.socket], socket.socket], requests: int, connections: int) -> Figures:
    trips, begun = [], []
    for _ in range(connections):
        began = time.perf_counter()
        with _connected(port, wrap) as peer:
            _ask(peer)
        begun.append(time.perf_counter() - began)
    with _connected(port, wrap) as peer:
        for _ in range(requests // 10):
            _ask(peer)
        for _ in range(requests):
            began = time.perf_counter()
            _ask(peer)
            trips.append(time.perf_counter() - began)
    cuts = statistics.quantiles(trips, n=100)
    return {"p50_us": cuts[49] * 1e6, "p99_us": cuts[98] * 1e6, "connect_ms": statistics.median(begun) * 1e3}


@contextmanager
def _connected(port: int, wrap: Callable[[socket.socket], socket.socket]) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=rig.PATIENCE) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.closing(wrap(raw)) as peer:
            yield peer


def _ask(peer: socket.socket) -> None:
    peer.sendall(REQUEST)
    left = ANSWER
    while left:
        piece = peer.recv(left)
        if not piece:
            raise RuntimeError("the server closed the connection")
        left -= len(piece)


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """One row for each server, with its ratio to plain."""
    figures = found["figures"]
    plain, secure = figures["plain"], figures["secure"]
    rows = [
        [
            name,
            *report.cells(each, ("p50_us", "p99_us")),
            f"{each['p50_us'] / plain['p50_us']:.2f}",
            *report.cells(each, ("connect_ms",), 2),
        ]
        for name, each in figures.items()
    ]
    text = (
        "µs for a read of 10 input registers on one connection, one after the other, by a client in Python (whose own "
        "TLS is in the figure), and ms from nothing to the first answer on a new connection. TLS 1.3, P-256, both "
        f"certificates verified. Median of {found['rounds']} interleaved rounds."
    )
    goals = [
        Goal("TLS round trip / plain", secure["p50_us"] / plain["p50_us"], "≤", 2),
        Goal("TLS round trip / uvloop's own TLS", secure["p50_us"] / figures["loop's own TLS"]["p50_us"], "≤", 1.1),
    ]
    columns = ("", "p50", "p99", "p50 / plain", "connect, ms")
    return (Table("Modbus/TCP Security", text, columns, rows, goals),)


async def _serve(name: str, place: Path, port: int) -> None:
    from protocols.modbus.connection import Connection
    from protocols.modbus.security import ServerSecurity, server_context
    from protocols.modbus.security_settings import ServerTls
    from protocols.modbus.server import ModbusServer

    tls = ServerTls(certificate=place / "gateway.pem", key=place / "gateway.key", trust=place / "ca.pem", roles=ROLES)  # type: ignore[arg-type]
    security = ServerSecurity(tls, lambda code, text: print(code, text, file=sys.stderr), name)
    own = name == SERVERS[2]
    server = ModbusServer("127.0.0.1", 0 if own else port, security=security if name == SERVERS[1] else None)
    server.unit(1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run())
        await server.bound.wait()
        if own:
            loop = asyncio.get_running_loop()
            context = server_context(tls)
            await loop.create_server(lambda: Connection(server, loop, "?"), "127.0.0.1", port, ssl=context)
        print("listening", flush=True)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
