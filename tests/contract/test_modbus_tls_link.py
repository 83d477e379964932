"""A station's link and a device's tags over Modbus/TCP Security: who is believed, and how a refusal is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gateway.tags import TagBook
from protocols.faults import Code
from protocols.link import LinkError, LinkState
from protocols.links import build
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.device_settings import DeviceConfig
from protocols.modbus.security import server_context
from protocols.modbus.security_settings import ClientTls
from protocols.signals import Outputs, Result
from protocols.tags import Quality
from tests.contract.scripted_plc import ScriptedPlc
from tests.contract.test_links import Recorder, running, until
from tests.contract.tls_peer import SecureCell
from tests.pki import Pki

PATIENT = 5000
"""Milliseconds for a handshake on a machine that has other work."""


class Cell:
    """One station that polls a PLC over TLS, and what was told of it."""

    def __init__(self, port: int, tls: ClientTls, host: str = "127.0.0.1") -> None:
        self.events: list[tuple[int, str]] = []
        self.station = Recorder()
        config = ModbusClientConfig(host=host, port=port, tls=tls, timeout_ms=PATIENT)
        (self.link,), _ = build([config], lambda code, text: self.events.append((code, text)))
        self.link.attach(self.station)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Cell]:
        async with running(self.link.run()):
            yield self

    async def refused(self, code: Code, *words: str) -> None:
        """Wait until the link is down for this reason, and the log has it with this code."""
        await until(lambda: bool(self.events) and self.station.states == [LinkState.DOWN], 20)
        reason = self.station.reasons[0]
        assert all(word in reason for word in (*words, "modbus tls "))
        assert self.events == [(code, reason)]


def plc_with(pki: Pki, name: str = "gateway", **changes: Any) -> ScriptedPlc:
    return ScriptedPlc(context=server_context(pki.server(name, **changes)))


@pytest.mark.parametrize("way", ["trust", "server_name", "pinned"])
async def test_a_link_is_up_over_tls_and_shows_its_outputs(pki: Pki, way: str) -> None:
    changes: dict[str, Any] = {"server_name": {"server_name": "localhost"}, "pinned": {"pinned": pki.path("gateway")}}
    plc = plc_with(pki)
    plc.split = 7
    async with plc.open(), Cell(plc.port, pki.client(**changes.get(way, {}))).run() as cell:
        await until(lambda: cell.station.states == [LinkState.UP], 20)
        cell.link.publish(Outputs(result=Result(result_seq=5)))
        await until(lambda: plc.registers[116] == plc.registers[163] == 5, 20)
        plc.registers[1] = 9
        await until(lambda: any(command.trigger_seq == 9 for command in cell.station.commands), 20)
        assert cell.events == []


@pytest.mark.parametrize(
    ("shown", "changes", "code", "why"),
    [
        ("gateway", {"trust": "stranger-ca"}, Code.PEER_REFUSED, "signed by an authority that is not trusted here"),
        ("gateway", {"server_name": "plc.example"}, Code.PEER_REFUSED, "for another name than the one connected to"),
        ("gateway", {"pinned": "ca"}, Code.PEER_REFUSED, "is not the pinned one"),
        ("expired", {}, Code.CERT_EXPIRED, "its certificate has expired"),
    ],
)
async def test_a_plc_that_is_not_the_one_meant_gets_no_request(
    pki: Pki, shown: str, changes: dict[str, str], code: Code, why: str
) -> None:
    placed: dict[str, Any] = {k: v if k == "server_name" else pki.path(v) for k, v in changes.items()}
    plc = plc_with(pki, shown)
    async with plc.open(), Cell(plc.port, pki.client(**placed)).run() as cell:
        await cell.refused(code, why)
    assert plc.asked == []


async def test_why_the_plc_refused_our_certificate_is_the_reason(pki: Pki) -> None:
    """In TLS 1.3 it does so when we believe to be connected."""
    async with SecureCell(pki.server()).open() as plc, Cell(plc.server.port, pki.client("foreigner")).run() as cell:
        await cell.refused(Code.PEER_REFUSED, "it does not trust our certificate")


async def test_a_plain_plc_hears_a_handshake_and_nothing_else(pki: Pki) -> None:
    heard: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.read(1000))[0])
        writer.write(b"\0\1\0\0\0\5\1\3\2\0\0")
        await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, Cell(server.sockets[0].getsockname()[1], pki.client()).run() as cell:
        await cell.refused(Code.PEER_REFUSED, "it does not speak TLS")
        await until(lambda: len(heard) >= 2, 20)
    assert set(heard) == {0x16}


async def test_a_plc_that_gets_its_right_certificate_is_up(pki: Pki) -> None:
    plc = plc_with(pki, "expired")
    async with AsyncExitStack() as stack:
        async with plc.open():
            cell = await stack.enter_async_context(Cell(plc.port, pki.client()).run())
            await cell.refused(Code.CERT_EXPIRED, "has expired")
        renewed = plc_with(pki)
        renewed.port = plc.port
        async with renewed.open():
            await until(lambda: cell.station.states == [LinkState.DOWN, LinkState.UP], 20)


def test_files_that_cannot_be_used_end_the_start_with_one_sentence(pki: Pki) -> None:
    tls = pki.client().model_copy(update={"key": pki.folder / "none.key"})
    with pytest.raises(LinkError, match=r"none\.key: there is no such key; make one with"):
        build([ModbusClientConfig(host="127.0.0.1", tls=tls)], print)


def device(port: int, tls: ClientTls) -> DeviceConfig:
    link = {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "timeout_ms": PATIENT}
    config = DeviceConfig.model_validate({"name": "cnc", "link": link, "tags": [{"name": "tool", "address": 3}]})
    return config.model_copy(update={"link": config.link.model_copy(update={"tls": tls})})


@pytest.mark.parametrize("trusted", [True, False])
async def test_tags_are_read_over_tls_from_the_right_device_only(pki: Pki, trusted: bool) -> None:
    plc = plc_with(pki)
    plc.registers[3] = 42
    async with plc.open():
        ca = pki.path("ca" if trusted else "stranger-ca")
        book = TagBook([device(plc.port, pki.client(trust=ca))])
        told: list[tuple[bool, str]] = []
        book.follow_link("cnc.tool", lambda up, reason: told.append((up, reason)))
        book.build()
        async with running(book.sources[0].run()):
            await until(lambda: bool(told), 20)
            if trusted:
                await until(lambda: book.current["cnc.tool"].value == 42, 20)
                return
        assert not told[0][0]
        assert "signed by an authority that is not trusted here" in told[0][1]
        assert book.current["cnc.tool"].quality is Quality.BAD
        assert plc.asked == []


def test_the_context_is_never_left_out(pki: Pki) -> None:
    config = ModbusClientConfig(host="plc", tls=pki.client())
    exchange = config.connection()._exchange
    assert exchange.name == "modbus tls plc:502"
    context = getattr(exchange, "_context")  # noqa: B009 - private, and of this carrier alone
    assert context.verify_mode is ssl.CERT_REQUIRED
