"""Modbus/TCP Security with certificates that the openssl program made, and with its s_client as the master."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocols.faults import Code
from protocols.modbus.security_settings import ServerTls
from protocols.signals import Command, Outputs, Status
from tests.contract.test_links import until
from tests.contract.test_modbus_server import read, write
from tests.contract.tls_peer import SecureCell

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed (Debian: openssl)"),
]

EXTENSIONS = """\
basicConstraints=CA:FALSE
subjectAltName=DNS:localhost,IP:127.0.0.1
"""
ROLE = "1.3.6.1.4.1.50316.802.1=ASN1:UTF8String:{}\n"


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(
        [shutil.which("openssl") or "openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60
    )


def sign(folder: Path, name: str, role: str = "", key: tuple[str, ...] = ("ec", "ec_paramgen_curve:P-256")) -> None:
    """NAME.key and NAME.pem, signed by ca.pem: the commands of docs/modbus-security.md."""
    (folder / f"{name}.ext").write_text(EXTENSIONS + (ROLE.format(role) if role else ""))
    openssl(
        folder, "req", "-new", "-newkey", key[0], "-pkeyopt", key[1], "-nodes",
        "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}",
    )  # fmt: skip
    openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "365", "-sha256", "-extfile", f"{name}.ext", "-out", f"{name}.pem",
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("openssl")
    openssl(
        folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365",
        "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=plant-ca",
    )  # fmt: skip
    sign(folder, "gateway")
    sign(folder, "gateway-rsa", key=("rsa", "rsa_keygen_bits:2048"))
    sign(folder, "plc", "operator")
    sign(folder, "plc-rsa", "operator", key=("rsa", "rsa_keygen_bits:2048"))
    sign(folder, "panel", "viewer")
    sign(folder, "nobody")
    return folder


def settings(folder: Path, name: str = "gateway") -> ServerTls:
    return ServerTls(
        certificate=folder / f"{name}.pem",
        key=folder / f"{name}.key",
        trust=folder / "ca.pem",
        roles={"operator": "read_write", "viewer": "read"},
    )


@pytest.fixture
async def cell(made: Path) -> AsyncIterator[SecureCell]:
    async with SecureCell(settings(made)).open() as cell:
        cell.link.publish(Outputs(Status(bits=3)))
        yield cell


async def s_client(folder: Path, cell: SecureCell, name: str, request: bytes, size: int, *options: str) -> bytes:
    """What the server answers to one request, at most `size` bytes."""
    shown = ["-cert", f"{name}.pem", "-key", f"{name}.key"] if name else []
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-connect", f"127.0.0.1:{cell.server.port}", "-quiet", "-verify_return_error",
        "-CAfile", "ca.pem", "-verify_ip", "127.0.0.1", *shown, *options,
        cwd=folder, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(request)
        async with asyncio.timeout(20):
            try:
                return await process.stdout.readexactly(size)
            except asyncio.IncompleteReadError as error:
                return error.partial
    finally:
        process.stdin.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("name", ["plc", "plc-rsa"])
async def test_an_operator_reads_and_writes(made: Path, cell: SecureCell, name: str, version: str) -> None:
    assert await s_client(made, cell, name, read(1), 11, version) == bytes.fromhex("0001 0000 0005 01 04 02 0003")
    assert await s_client(made, cell, name, write(2, 1, 7), 12, version) == write(2, 1, 7)
    await until(lambda: cell.station.commands == [Command(trigger_seq=7)], 10)
    assert cell.events == []


@pytest.mark.parametrize("cipher", ["ECDHE-RSA-AES128-GCM-SHA256"])
async def test_the_mandatory_suite_with_an_rsa_key(made: Path, cipher: str) -> None:
    """R-14."""
    async with SecureCell(settings(made, "gateway-rsa")).open() as cell:
        answer = await s_client(made, cell, "plc", read(1), 11, "-tls1_2", "-cipher", cipher)
        assert answer == bytes.fromhex("0001 0000 0005 01 04 02 0000")


async def test_short_fragments(made: Path, cell: SecureCell) -> None:
    """R-57 and R-58: records of at most 512 bytes."""
    answers = await s_client(made, cell, "plc", b"".join(read(n, 0, 74) for n in range(10)), 1570, "-maxfraglen", "512")
    assert len(answers) == 1570


async def test_a_viewer_s_write_is_exception_01(made: Path, cell: SecureCell) -> None:
    assert await s_client(made, cell, "panel", write(2, 1, 7), 9) == bytes.fromhex("0002 0000 0003 01 86 01")
    await cell.told(Code.PEER_REFUSED, "role viewer", "function 6")
    assert cell.station.commands == []


async def test_without_a_role_every_request_is_exception_01(made: Path, cell: SecureCell) -> None:
    assert await s_client(made, cell, "nobody", read(2), 9) == bytes.fromhex("0002 0000 0003 01 84 01")
    await cell.told(Code.PEER_REFUSED, "role none", "function 4")


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("", [], "it showed no certificate"),
        ("plc", ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "older than 1.2"),
        ("plc", ["-tls1_2", "-cipher", "AES128-SHA256"], "no cipher suite"),
    ],
)
async def test_who_is_refused(made: Path, cell: SecureCell, name: str, options: list[str], why: str) -> None:
    assert await s_client(made, cell, name, read(1), 11, *options) == b""
    await cell.told(Code.PEER_REFUSED, "127.0.0.1", why)
    assert cell.server.counters.requests == 0


async def test_renegotiation_is_not_done(made: Path, cell: SecureCell) -> None:
    """`R` on a line of its own asks s_client (without -quiet) to renegotiate; the server stays as it is."""
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-connect", f"127.0.0.1:{cell.server.port}", "-tls1_2", "-CAfile", "ca.pem",
        "-cert", "plc.pem", "-key", "plc.key", cwd=made, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin is not None
    await until(lambda: len(cell.server.connections) == 1, 10)
    process.stdin.write(b"R\n")
    async with asyncio.timeout(20):
        await until(lambda: not cell.server.connections, 10)
        output, _ = await process.communicate()
    assert b"no renegotiation" in output
    assert b"Secure Renegotiation IS supported" in output  # the indication of RFC 5746
