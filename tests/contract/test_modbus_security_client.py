"""The client's side of Modbus/TCP Security: our context against our listener, with pymodbus's client inside."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.transport import CommParams, CommType

from protocols.faults import Code
from protocols.link import LinkError
from protocols.modbus.security import ClientContext, client_context
from protocols.signals import Outputs, Status
from tests.contract.test_links import until
from tests.contract.tls_peer import SecureCell
from tests.pki import Pki


class SecureClient(AsyncModbusTcpClient):
    """pymodbus's TCP client in TLS. Its own TLS client has another framer, which breaks on split answers."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self.comm_params = CommParams(
            comm_type=CommType.TLS, host=host, port=port, sslctx=context, comm_name="plc", timeout_connect=10
        )
        super().__init__(host, framer=FramerType.SOCKET, timeout=10, retries=0, reconnect_delay=0)


@asynccontextmanager
async def connected(
    cell: SecureCell, context: ssl.SSLContext, host: str = "127.0.0.1"
) -> AsyncIterator[SecureClient | None]:
    client = SecureClient(host, cell.server.port, context)
    try:
        yield client if await client.connect() else None
    finally:
        client.close()


@pytest.fixture
async def cell(pki: Pki) -> AsyncIterator[SecureCell]:
    async with SecureCell(pki.server()).open() as cell:
        yield cell


@pytest.mark.parametrize("changes", [{}, {"server_name": "localhost"}, {"pinned": "gateway.pem"}])
async def test_blocks_are_written_and_read_in_tls(cell: SecureCell, pki: Pki, changes: dict[str, Any]) -> None:
    if "pinned" in changes:
        changes = {"pinned": pki.path("gateway")}
    context = client_context(pki.client(**changes))
    cell.link.publish(Outputs(Status(bits=0x8001, heartbeat=7)))
    async with connected(cell, context) as client:
        assert client is not None
        for _ in range(20):
            shown = await client.read_input_registers(0, count=74)
            assert shown.registers[:2] == [0x8001, 7]
        assert not (await client.write_registers(0, [1, 5])).isError()
    assert context.refusal == ""
    assert cell.station.commands[-1].trigger_seq == 5
    assert cell.events == []


async def test_the_name_is_that_of_the_host(cell: SecureCell, pki: Pki) -> None:
    async with connected(cell, client_context(pki.client()), "localhost") as client:
        assert client is not None
        assert not (await client.read_input_registers(0, count=1)).isError()


async def test_a_viewer_s_write_is_exception_01(cell: SecureCell, pki: Pki) -> None:
    async with connected(cell, client_context(pki.client("viewer"))) as client:
        assert client is not None
        assert (await client.write_register(0, 1)).exception_code == 1
        assert (await client.read_holding_registers(0, count=1)).registers == [0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"server_name": "plc.example"}, "for another name"),
        ({"server_name": "192.0.2.1"}, "for another address"),
        ({"trust": "stranger-ca.pem"}, "authority that is not trusted"),
        ({"pinned": "operator.pem"}, "authority that is not trusted"),
    ],
)
async def test_a_plc_that_is_not_the_one_meant_is_refused(
    cell: SecureCell, pki: Pki, changes: dict[str, str], why: str
) -> None:
    placed: dict[str, Any] = {
        key: pki.folder / value if value.endswith(".pem") else value for key, value in changes.items()
    }
    context = client_context(pki.client(**placed))
    async with connected(cell, context) as client:
        assert client is None
    assert why in context.refusal


async def test_a_pinned_authority_does_not_let_in_whom_it_signed(cell: SecureCell, pki: Pki) -> None:
    context = client_context(pki.client(pinned=pki.path("ca")))
    async with connected(cell, context) as client:
        assert client is None
    assert context.refusal == "its certificate is not the pinned one"


async def test_why_the_plc_refused_us_is_told(cell: SecureCell, pki: Pki) -> None:
    context = client_context(pki.client("foreigner"))
    async with connected(cell, context) as client:
        await until(lambda: context.refusal != "", 10)
        await until(lambda: client is None or not client.connected, 10)
    assert context.refusal == "it does not trust our certificate"
    await cell.told(Code.PEER_REFUSED, "authority that is not trusted")


async def test_plain_modbus_is_never_spoken_instead(pki: Pki) -> None:
    """A PLC that does not speak TLS gets no request."""
    heard = bytearray()

    async def answer(reader: Any, writer: Any) -> None:
        heard.extend(await reader.read(1000))
        writer.write(b"\0\1\0\0\0\5\1\3\2\0\0")
        await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        client = SecureClient("127.0.0.1", server.sockets[0].getsockname()[1], client_context(pki.client()))
        assert not await client.connect()
        client.close()
    assert heard[0] == 0x16


def test_each_context_has_its_own_expectations(pki: Pki) -> None:
    one, two = client_context(pki.client(server_name="a")), client_context(pki.client())
    assert isinstance(one, ClientContext)
    assert (one.name, two.name, one.pinned, two.refusal) == ("a", "", b"", "")


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [
        ("certificate", None, "no such certificate; make one with"),
        ("key", None, "no such key; make one with"),
        ("trust", None, "no such certificate"),
        ("certificate", "hello", "no PEM file of the right kind"),
        ("key", "hello", "no PEM file of the right kind"),
        ("trust", "hello", "cannot be trusted, as it holds no certificate"),
        ("trust", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "damaged certificate"),
        ("trust", "-----BEGIN CERTIFICATE-----\nMAUEAwECAw==\n-----END CERTIFICATE-----\n", "cannot be used"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(
    pki: Pki, tmp_path: Path, field: str, text: str | None, why: str
) -> None:
    path = tmp_path / "file.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LinkError, match=why) as told:
        client_context(pki.client().model_copy(update={field: path}))
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_an_encrypted_key_is_one_sentence_and_asks_nobody(pki: Pki, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as to

    key = to.load_pem_private_key(pki.key("operator").read_bytes(), None)
    path = tmp_path / "secret.key"
    path.write_bytes(key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, to.BestAvailableEncryption(b"secret")))
    with pytest.raises(LinkError, match="the key is encrypted"):
        client_context(pki.client().model_copy(update={"key": path}))


def test_a_key_of_another_certificate_is_one_sentence(pki: Pki) -> None:
    with pytest.raises(LinkError, match="does not belong to"):
        client_context(pki.client().model_copy(update={"key": pki.key("viewer")}))


def test_an_empty_trust_folder_trusts_nobody(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no certificate")
    with pytest.raises(LinkError, match="nobody is trusted"):
        client_context(pki.client(trust=tmp_path))
