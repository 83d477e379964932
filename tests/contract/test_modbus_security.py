"""Modbus/TCP Security (row D-17 of the fault programme): who gets in, who does not and why, and what a role may do."""

from __future__ import annotations

import asyncio
import functools
import shutil
import ssl
import struct
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.faults import Code
from protocols.modbus.connection import ServerLimits
from protocols.modbus.secured import Handshakes
from protocols.modbus.security import ServerSecurity
from protocols.signals import Command, Outputs, Status
from tests.contract.test_links import until
from tests.contract.test_modbus_server import frame, read, write
from tests.contract.tls_peer import Peer, SecureCell
from tests.pki import Pki

FORBIDDEN = 1
Scenario = Callable[[Pki], Awaitable[None]]


def on_both_loops(scenario: Scenario) -> Callable[..., None]:
    """The promise holds on asyncio and on uvloop, and nothing is logged by either."""

    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
    @functools.wraps(scenario)
    def test(run: Callable[[Awaitable[None]], None], pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
        run(scenario(pki))
        assert caplog.records == []

    del test.__wrapped__  # pytest must see these parameters, not the scenario's
    return test


async def refused(cell: SecureCell, context: ssl.SSLContext) -> str:
    """What the client is told when it tries to get in."""
    async with cell.peer(context) as peer:
        try:
            await peer.handshake()
            answer = await peer.ask(read(1))
        except (ssl.SSLError, EOFError, ConnectionError) as error:
            return str(error)
        pytest.fail(f"it got in and was answered {answer.hex()}")


# ── the good ones ────────────────────────────────────────────────────────────────────────────────────────────────────


@on_both_loops
async def test_an_operator_reads_and_writes(pki: Pki) -> None:
    async with SecureCell(pki.server()).open() as cell:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = pki.foreign()
            context.minimum_version = context.maximum_version = version
            cell.link.publish(Outputs(Status(bits=3)))
            async with cell.master(context) as master:
                assert master.tls.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
                for _ in range(3):  # the answer is remembered
                    assert await master.ask(read(1)) == b"\x04\x02\0\3"
                assert await master.ask(write(2, 1, version)) == struct.pack(">BHH", 6, 1, version)
        assert cell.station.commands[-1] == Command(trigger_seq=ssl.TLSVersion.TLSv1_3)
        assert cell.events == []


@on_both_loops
async def test_requests_merged_and_behind_the_handshake_are_all_served_in_order(pki: Pki) -> None:
    async with SecureCell(pki.server()).open() as cell, cell.peer(pki.foreign()) as master:
        await master.handshake(read(0), read(1) + read(2))
        master.send(*(read(tid, 0, 74) for tid in range(3, 500)), read(500)[:7])
        assert [(await master.answer())[0] for _ in range(500)] == list(range(500))
        master.send(read(500)[7:])
        assert (await master.answer())[0] == 500


class Talker(asyncio.Protocol):
    """Answers anything with a lot."""

    SAID = bytes(range(256)) * 400

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.SAID)  # type: ignore[attr-defined]


@on_both_loops
async def test_what_is_longer_than_a_record_arrives_whole(pki: Pki) -> None:
    cell = SecureCell(pki.server())
    handshakes = Handshakes(cell.security, lambda peer: Talker(), 4, cell.server.tell)
    server = await asyncio.get_running_loop().create_server(handshakes, "127.0.0.1", 0)
    cell.server.port = server.sockets[0].getsockname()[1]
    async with cell.master(pki.foreign()) as master:
        master.send(b"?")
        assert await master.read(len(Talker.SAID)) == Talker.SAID
        await master.leave()
    server.close()


@on_both_loops
async def test_who_finds_no_room_inside_is_closed(pki: Pki) -> None:
    cell = SecureCell(pki.server())
    handshakes = Handshakes(cell.security, lambda peer: None, 4, cell.server.tell)
    server = await asyncio.get_running_loop().create_server(handshakes, "127.0.0.1", 0)
    cell.server.port = server.sockets[0].getsockname()[1]
    async with cell.master(pki.foreign()) as master:
        master.send(read(1))
        with pytest.raises((EOFError, ssl.SSLError)):
            await master.answer()
    assert not handshakes.waiting
    server.close()


@on_both_loops
async def test_records_cut_into_single_bytes(pki: Pki) -> None:
    async with SecureCell(pki.server()).open() as cell, cell.master(pki.foreign()) as master:
        master.tls.write(read(9, 64))
        for byte in master.outgoing.read():
            master.writer.write(bytes((byte,)))
            await master.writer.drain()
            await asyncio.sleep(0)
        assert await master.answer() == (9, bytes.fromhex("04 02 1234"))


@on_both_loops
async def test_a_single_trusted_certificate_needs_no_authority(pki: Pki) -> None:
    async with SecureCell(pki.server(trust=pki.path("loner"))).open() as cell:
        context = pki.foreign("loner")
        async with cell.master(context) as master:
            assert await master.ask(read(1)) == b"\x04\x02\0\0"
        await refused(cell, pki.foreign("operator"))
        await cell.told(Code.PEER_REFUSED, "127.0.0.1", "authority that is not trusted")


@on_both_loops
async def test_a_resumed_session_has_its_role_still(pki: Pki) -> None:
    context = pki.foreign("viewer")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with SecureCell(pki.server()).open() as cell:
        async with cell.master(context) as master:
            session = master.tls.session
            await master.leave()
        async with cell.peer(context) as master:
            master.resume(session)
            await master.handshake()
            assert master.tls.session_reused
            assert await master.ask(read(1)) == b"\x04\x02\0\0"
            assert await master.ask(write(2, 0, 1)) == bytes((0x86, FORBIDDEN))


# ── those who are refused ────────────────────────────────────────────────────────────────────────────────────────────

REFUSED = {
    "": (Code.PEER_REFUSED, "it showed no certificate", "certificate required"),
    "expired": (Code.CERT_EXPIRED, "its certificate has expired", "certificate expired"),
    "future": (Code.PEER_REFUSED, "not valid yet", "bad certificate"),
    "foreigner": (Code.PEER_REFUSED, "its certificate was signed by an authority that is not trusted", "unknown ca"),
    "loner": (Code.PEER_REFUSED, "its certificate signs itself and is not trusted", "unknown ca"),
}


@on_both_loops
async def test_each_wrong_certificate_is_refused_with_its_reason_on_both_sides(pki: Pki) -> None:
    async with SecureCell(pki.server()).open() as cell, cell.master(pki.foreign()) as other:
        for name, (code, why, alert) in REFUSED.items():
            told = await refused(cell, pki.foreign(name))
            assert alert in told.lower().replace("_", " "), name  # the fatal alert reaches the peer
            await cell.told(code, "master 127.0.0.1 was refused", why)
        assert await other.ask(read(1)) == b"\x04\x02\0\0"
        assert len(cell.server.connections) == 1
        assert not cell.server.handshakes.waiting  # type: ignore[union-attr]
        assert len(cell.events) == len(REFUSED)


@on_both_loops
async def test_tls_1_1_is_refused(pki: Pki) -> None:
    context = pki.foreign()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with SecureCell(pki.server()).open() as cell:
        assert "protocol version" in (await refused(cell, context)).lower().replace("_", " ")
        await cell.told(Code.PEER_REFUSED, "127.0.0.1", "it offers only TLS versions older than 1.2")


@on_both_loops
async def test_weak_ciphers_are_refused(pki: Pki) -> None:
    context = pki.foreign()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA")
    async with SecureCell(pki.server()).open() as cell:
        await refused(cell, context)
        await cell.told(Code.PEER_REFUSED, "it offers no cipher suite that is allowed here")


@on_both_loops
async def test_plain_modbus_is_refused_and_never_answered(pki: Pki) -> None:
    async with SecureCell(pki.server()).open() as cell, cell.peer(pki.foreign()) as peer:
        peer.writer.write(read(1))
        async with asyncio.timeout(10):
            assert await peer.reader.read() == b""
        await cell.told(Code.PEER_REFUSED, "127.0.0.1", "does not speak TLS")
        assert cell.server.counters.requests == 0


@on_both_loops
async def test_a_peer_that_offends_again_and_again_is_told_of_once(pki: Pki) -> None:
    async with SecureCell(pki.server()).open() as cell:
        for _ in range(5):
            await refused(cell, pki.foreign("foreigner"))
        handshakes = cell.server.handshakes
        assert handshakes is not None
        await until(lambda: handshakes.refused == 5, 10)
        assert len(cell.events) == 1


@on_both_loops
async def test_a_broken_record_ends_its_own_connection_only(pki: Pki) -> None:
    async with SecureCell(pki.server()).open() as cell, cell.master(pki.foreign()) as other:
        async with cell.master(pki.foreign()) as master:
            assert await master.ask(read(1)) == b"\x04\x02\0\0"
            master.tls.write(write(2, 1, 7))
            master.tls.write(read(3))
            stream = bytearray(master.outgoing.read())
            stream[-1] ^= 1
            master.writer.write(stream)
            with pytest.raises((ssl.SSLError, EOFError)):
                await master.answer()
        await cell.told(Code.PEER_REFUSED, "lost its TLS connection", "bad record mac")
        assert cell.station.commands == []
        assert await other.ask(read(1)) == b"\x04\x02\0\0"


# ── roles ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def may(cell: SecureCell, context: ssl.SSLContext) -> tuple[bool, bool]:
    """Whether it may read, and whether it may write."""
    async with cell.master(context) as master:
        reads, writes = (await master.ask(read(1)))[:1] == b"\x04", (await master.ask(write(2, 0, 1)))[:1] == b"\x06"
        both = await master.ask(frame(3, struct.pack(">BHHHHBH", 0x17, 0, 1, 0, 1, 2, 5)))
        assert (both[0] == 0x17) is (reads and writes)
        assert await master.ask(frame(4, b"\x63")) == bytes((0xE3, FORBIDDEN))
        return reads, writes


@on_both_loops
async def test_a_role_may_what_the_configuration_says(pki: Pki) -> None:
    async with SecureCell(pki.server()).open() as cell, cell.master(pki.foreign()) as other:
        assert await other.ask(read(1)) == b"\x04\x02\0\0"  # remembered: it must not reach those who may not read
        found = {name: await may(cell, pki.foreign(name)) for name in ("operator", "viewer", "feeder", "guest")}
        assert found == {
            "operator": (True, True),
            "viewer": (True, False),
            "feeder": (False, True),
            "guest": (False, False),
        }
        assert await may(cell, pki.foreign("stranger")) == (False, False)
        assert await may(cell, pki.foreign("nobody")) == (False, False)
        assert await may(cell, pki.foreign("mumbler")) == (False, False)


@on_both_loops
async def test_a_forbidden_write_is_exception_01_has_no_effect_and_is_told_once(pki: Pki) -> None:
    async with SecureCell(pki.server()).open() as cell:
        async with cell.master(pki.foreign("viewer")) as viewer:
            for tid in range(3):
                assert await viewer.ask(write(tid, 1, 7)) == bytes((0x86, FORBIDDEN))
            viewer.send(write(10, 1, 7), read(11), write(12, 1, 7))
            assert [await viewer.answer() for _ in range(3)] == [
                (10, bytes((0x86, FORBIDDEN))),
                (11, b"\x04\x02\0\0"),
                (12, bytes((0x86, FORBIDDEN))),
            ]
        assert cell.station.commands == []
        assert [code for code, _ in cell.events] == [Code.PEER_REFUSED]
        text = cell.events[0][1]
        for word in ("127.0.0.1", "viewer", "function 6", "address 1", "unit 1", "exception 01"):
            assert word in text
        assert cell.server.counters.exceptions == 5


@on_both_loops
async def test_a_certificate_without_a_role_may_what_is_configured_for_it(pki: Pki) -> None:
    async with SecureCell(pki.server(no_role="read")).open() as cell:
        assert await may(cell, pki.foreign("nobody")) == (True, False)
        assert await may(cell, pki.foreign("stranger")) == (False, False)
        assert await may(cell, pki.foreign("mumbler")) == (False, False)


# ── slow and silent peers ────────────────────────────────────────────────────────────────────────────────────────────


@on_both_loops
async def test_a_silent_handshake_is_closed_by_its_deadline(pki: Pki) -> None:
    async with SecureCell(pki.server(handshake_timeout_s=0.2)).open() as cell:
        async with cell.peer(pki.foreign()) as silent, cell.peer(pki.foreign()) as slow:
            with pytest.raises(ssl.SSLWantReadError):
                slow.tls.do_handshake()
            slow.writer.write(slow.outgoing.read()[:50])
            async with asyncio.timeout(10):
                assert await silent.reader.read() == b""
                assert await slow.reader.read() == b""
        await cell.told(Code.CLIENT_LIMIT, "127.0.0.1", "not finished within 0.2 s")
        assert not cell.server.handshakes.waiting  # type: ignore[union-attr]


@on_both_loops
async def test_a_hundred_silent_peers_lock_nobody_out(pki: Pki) -> None:
    settings = pki.server(handshake_timeout_s=60)
    async with SecureCell(settings, ServerLimits(connections=4)).open() as cell:
        silent = [await asyncio.open_connection("127.0.0.1", cell.server.port) for _ in range(100)]
        handshakes = cell.server.handshakes
        assert handshakes is not None
        await until(lambda: len(handshakes.waiting) + handshakes.refused == 100, 10)
        assert len(handshakes.waiting) == 16
        async with cell.master(pki.foreign()) as master:
            assert await master.ask(read(1)) == b"\x04\x02\0\0"
        assert [code for code, _ in cell.events] == [Code.CLIENT_LIMIT]
        for _, writer in silent:
            writer.transport.abort()
        await asyncio.sleep(0)


@on_both_loops
async def test_a_peer_that_does_not_read_is_closed(pki: Pki) -> None:
    async with SecureCell(pki.server(), ServerLimits(unread_bytes=4096)).open() as cell:
        async with cell.master(pki.foreign()) as master:
            master.writer.transport.pause_reading()  # type: ignore[attr-defined]
            flood = [b"".join(read(tid, 0, 74) for tid in range(1000))] * 5
            for _ in range(200):
                master.send(*flood)
                await asyncio.sleep(0.005)
                if cell.server.counters.overflowed:
                    break
            assert cell.server.counters.overflowed == 1
        assert [code for code, _ in cell.events] == [Code.CLIENT_LIMIT]


@on_both_loops
async def test_stopping_says_good_bye_and_closes_all(pki: Pki) -> None:
    cell = SecureCell(pki.server())
    async with cell.open():
        ends = [await asyncio.open_connection("127.0.0.1", cell.server.port) for _ in range(2)]
        master, silent = (Peer(*end, pki.foreign()) for end in ends)
        await master.handshake()
        await master.ask(read(1))
        await until(lambda: len(cell.server.handshakes.waiting) == 1, 10)  # type: ignore[union-attr]
    assert not cell.server.connections
    assert not cell.server.handshakes.waiting  # type: ignore[union-attr]
    with pytest.raises((EOFError, ssl.SSLZeroReturnError)):  # a close_notify, not a cut
        await master.answer()
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            assert await silent.reader.read() == b""
    for _, writer in ends:
        writer.transport.abort()
    await asyncio.sleep(0)
    assert cell.events == []


# ── our own certificate ──────────────────────────────────────────────────────────────────────────────────────────────


@on_both_loops
async def test_an_expired_certificate_of_our_own_is_told_at_start_and_never_means_plain_modbus(pki: Pki) -> None:
    async with SecureCell(pki.server("expired")).open() as cell:
        await cell.told(Code.CERT_EXPIRED, "expired.pem", "expired 90 days ago")
        async with cell.peer(pki.foreign()) as plain:
            plain.writer.write(read(1))
            assert await plain.reader.read() == b""
        assert "expired" in await refused(cell, pki.foreign())
        await cell.told(Code.PEER_REFUSED, "it says that our certificate has expired")


def copied(pki: Pki, folder: Path) -> Pki:
    """A copy whose files may be changed."""
    shutil.copytree(pki.folder, folder / "pki")
    copy = object.__new__(Pki)
    copy.folder, copy.ca = folder / "pki", pki.ca
    return copy


async def test_files_that_change_are_used_for_the_next_connection(pki: Pki, tmp_path: Path) -> None:
    own = copied(pki, tmp_path)
    async with SecureCell(own.server()).open() as cell, cell.master(pki.foreign()) as first:
        shutil.copy(own.path("loner"), own.folder / "trust" / "loner.pem")
        async with cell.master(pki.foreign("loner")) as second:
            assert await second.ask(read(1)) == b"\x04\x02\0\0"
        (own.folder / "trust" / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
        async with cell.master(pki.foreign("loner")) as third:
            assert await third.ask(read(1)) == b"\x04\x02\0\0"
        await cell.told(Code.CONFIG_INVALID, "broken.pem", "the former go on")
        (own.folder / "trust" / "broken.pem").unlink()
        (own.folder / "trust" / "loner.pem").unlink()
        await refused(cell, pki.foreign("loner"))
        assert await first.ask(read(1)) == b"\x04\x02\0\0"


# ── garbage ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Wire(asyncio.Transport):
    """A socket's transport that swallows everything."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.closed = False

    def write(self, data: object) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_bytes_raise_or_get_in(pki: Pki, data: st.DataObject) -> None:
    hello = Peer.__new__(Peer)
    hello.incoming, hello.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = pki.foreign().wrap_bio(hello.incoming, hello.outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    stream = bytearray(hello.outgoing.read())
    for _ in range(data.draw(st.integers(0, 6))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    stream += data.draw(st.binary(max_size=64))

    async def main() -> None:
        let_in: list[object] = []
        told: list[str] = []

        def inside(peer: str) -> asyncio.Protocol:
            let_in.append(object())
            return asyncio.Protocol()

        security = ServerSecurity(pki.server(), lambda *_: None, "x")
        handshakes = Handshakes(security, inside, 4, lambda code, key, text: told.append(text()))
        channel, wire = handshakes(), Wire()
        channel.connection_made(wire)
        cut = data.draw(st.integers(1, len(stream)))
        channel.data_received(bytes(stream[:cut]))
        if stream[cut:]:
            channel.data_received(bytes(stream[cut:]))
        channel.connection_lost(None)
        assert not let_in
        assert not handshakes.waiting
        assert len(told) == 1

    asyncio.run(main())
