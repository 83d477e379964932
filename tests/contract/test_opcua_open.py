"""An OPC UA server that everybody may read, its own certificate given, expiring or wrong, users by certificate."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from protocols.faults import Code
from protocols.link import LinkError
from protocols.opcua.compat.names import numeric
from protocols.opcua.security import Own, Security
from protocols.opcua.server import HardenedServer
from protocols.opcua.server_settings import OpcUaServerConfig
from tests.contract.opcua_rig import Rig, until
from tests.opcua_papers import Paper, Papers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]
URI = "urn:plant:gateway"
DAY = 86_400.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def papers() -> Papers:
    return Papers()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(papers: Papers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder = tmp_path_factory.mktemp("opcua")
    certificate = papers.make("gateway", uri=URI).save(folder, "gateway")
    carla = {"name": "carla", "role": "operator", "certificate": str(papers.make("carla").save(folder, "carla"))}
    more = {"application_uri": URI, "certificate": str(certificate), "key": str(certificate.with_suffix(".key"))}
    settings: dict[str, Any] = {
        "allow_unencrypted": True,
        "anonymous": True,
        "sign_only": True,
        "users": [carla],
        **more,
    }
    rig = Rig(folder, papers, **settings)
    async with rig.running():
        assert rig.told(Code.NONE, "offers SecurityPolicy None")
        yield rig


@pytest.fixture(autouse=True)
def afresh(rig: Rig) -> None:
    rig.forget()


async def test_without_security_everybody_reads_and_nobody_drives(rig: Rig) -> None:
    async with await rig.plain() as client:
        assert await client.get_node(rig.result.nodeid).read_value() == 0
        for request in (
            client.get_node(rig.trigger.nodeid).write_value(1, ua.VariantType.UInt16),
            client.get_node(rig.press.nodeid).call_method(rig.start.nodeid),
        ):
            with pytest.raises(ua.UaStatusCodeError) as caught:
                await request
            assert caught.value.code == ua.StatusCodes.BadUserAccessDenied
    await rig.gone()


async def test_without_security_no_name_and_no_password_is_taken(rig: Rig) -> None:
    client = await rig.plain("otto")
    endpoints = await client.connect_and_get_server_endpoints()
    open_one = next(e for e in endpoints if e.SecurityMode == ua.MessageSecurityMode.None_)
    assert [token.TokenType for token in open_one.UserIdentityTokens] == [ua.UserTokenType.Anonymous]
    assert await rig.refused(client) in (
        "BadIdentityTokenRejected",
        "BadUserAccessDenied",
        "UaError",
        "BadIdentityTokenInvalid",
    )


async def test_a_user_logs_in_by_certificate_and_another_does_not(rig: Rig, papers: Papers) -> None:
    for name, good in (("carla", True), ("dora", False)):
        client = await rig.client("")
        paper = papers.make(name)
        if good:
            paper = Paper(_read(rig.folder / "carla.pem"), papers.key("carla"))
        client.user_certificate, client.user_private_key = paper.certificate, paper.key
        if good:
            async with client:
                await client.get_node(rig.press.nodeid).call_method(rig.start.nodeid)
            assert rig.calls[-1] is not None
            assert rig.calls[-1].user == "carla"
            await rig.gone()
        else:
            assert await rig.refused(client) == "BadUserAccessDenied"


def _read(path: Path) -> Any:
    from cryptography import x509

    return x509.load_pem_x509_certificate(path.read_bytes())


async def test_a_channel_that_is_only_signed_works_where_it_is_configured(rig: Rig) -> None:
    client = await rig.client("", mode=ua.MessageSecurityMode.Sign)
    async with client:
        assert await client.get_node(rig.result.nodeid).read_value() == 0
    await rig.gone()


async def test_what_the_server_says_of_itself_is_true(rig: Rig) -> None:
    async with await rig.plain() as client:
        assert (await client.get_namespace_array())[1:3] == [URI, "urn:vision-plc-gateway:stations"]
        status = await client.get_node(numeric(2256)).read_value()
        assert status.BuildInfo.ManufacturerName == "vision-plc-gateway contributors"
        most = await client.get_node(
            numeric(ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead)
        ).read_value()
        assert most == rig.config.limits.operations
    await rig.gone()


async def test_an_address_that_is_taken_is_one_sentence(rig: Rig, tmp_path: Path) -> None:
    config = OpcUaServerConfig(port=rig.hardened.port, anonymous=True)
    other = HardenedServer(config, data=tmp_path, on_event=lambda *_: None)
    with pytest.raises(LinkError, match="another program has this port; stop it or give another port"):
        await other.run()


async def test_a_server_that_is_cancelled_leaves_nothing(rig: Rig, papers: Papers, tmp_path: Path) -> None:
    other = Rig(tmp_path, papers)
    await other.fill()
    papers.client.save(other.trust / "trusted", "client")
    running = asyncio.create_task(other.hardened.run())
    await until(lambda: other.hardened.port > 0)
    client = await other.client("otto")
    await client.connect()
    subscription = await client.create_subscription(100, Nothing())
    await subscription.subscribe_data_change(client.get_node(other.result.nodeid))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not other.hardened.listener.door.members
    client.disconnect_socket()
    with contextlib.suppress(ConnectionError, ua.UaError, TimeoutError):
        await client.disconnect()


class Nothing:
    def datachange_notification(self, *_: Any) -> None:
        """Nobody listens."""


# ── E-1, E-5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _security(folder: Path, days: float, events: list[tuple[int, str]], **config: Any) -> tuple[Security, list[float]]:
    """With a clock at so many days before the end of our certificate."""
    now = [time.time()]
    settings = OpcUaServerConfig(**config)
    security = Security(settings, folder, lambda *e: events.append((int(e[0]), e[1])), lambda *_: None, lambda: now[0])
    now[0] = security.own.certificate.not_valid_after_utc.timestamp() - days * DAY
    return security, now


async def test_e01_our_own_certificate_is_told_of_60_30_and_7_days_before_and_when_it_ends(tmp_path: Path) -> None:
    events: list[tuple[int, str]] = []
    security, now = _security(tmp_path, 61, events)
    events.clear()
    for _ in range(63):
        security.look()
        now[0] += DAY
    assert [code for code, _ in events] == [Code.CERT_EXPIRES] * 3 + [Code.CERT_EXPIRED]
    assert [text.split(" expires in ")[1][:2].strip() for _, text in events[:3]] == ["59", "29", "6"]
    assert "make a new one" in events[0][1]


async def test_e01_an_expired_certificate_never_ends_security(tmp_path: Path, papers: Papers) -> None:
    old = papers.make("old", uri=URI, days=-1).save(tmp_path, "old")
    more: dict[str, Any] = {"application_uri": URI, "certificate": str(old), "key": str(old.with_suffix(".key"))}
    rig = Rig(tmp_path, papers, **more)
    async with rig.running():
        assert rig.told(Code.CERT_EXPIRED, "expired 1 days ago; clients refuse it")
        client = await rig.plain()
        modes = {endpoint.SecurityMode.name for endpoint in await client.connect_and_get_server_endpoints()}
        assert modes == {"SignAndEncrypt"}
        assert await rig.refused(client) == "BadSecurityModeRejected"


async def test_e05_a_clock_ten_years_off_is_one_clear_message(tmp_path: Path, papers: Papers) -> None:
    for years, why in ((-10, "is not valid before"), (10, "expired on")):
        now = time.time() + years * 365 * DAY
        rig = Rig(tmp_path / str(years), papers, clock=partial(float, now))
        async with rig.running():
            for _ in range(3):
                await rig.refused(await rig.client("otto"))
            told = rig.told(Code.PEER_REFUSED, why)
            assert len(told) == 1
            assert (
                years > 0 or f"compare both clocks (here it is {datetime.fromtimestamp(now, UTC):%Y-%m-%d}" in told[0]
            )


def _given(folder: Path, paper: Paper, **config: Any) -> OpcUaServerConfig:
    path = paper.save(folder, "given")
    return OpcUaServerConfig(certificate=path, key=path.with_suffix(".key"), **config)


async def test_a_certificate_that_cannot_be_ours_is_one_sentence_with_its_cure(tmp_path: Path, papers: Papers) -> None:
    def refused(config: OpcUaServerConfig) -> str:
        with pytest.raises(LinkError) as caught:
            HardenedServer(config, data=tmp_path, on_event=lambda *_: None)
        return str(caught.value)

    other = _given(tmp_path, papers.make("a", uri=URI), application_uri="urn:plant:other")
    assert "names the application urn:plant:gateway, and this server is urn:plant:other" in refused(other)
    config = _given(tmp_path, papers.make("a", uri=URI), application_uri=URI)
    papers.make("b", uri=URI).save(tmp_path, "b")
    (tmp_path / "given.key").write_bytes((tmp_path / "b.key").read_bytes())
    assert "does not belong to" in refused(config)
    (tmp_path / "given.key").unlink()
    assert "cannot be read (no such file or directory); mend the path, or make both with `gateway cert new" in refused(
        config
    )


async def test_the_self_made_certificate_is_made_once_and_its_key_is_its_owners_alone(tmp_path: Path) -> None:
    events: list[tuple[int, str]] = []
    first, _ = _security(tmp_path, 100, events)
    second, _ = _security(tmp_path, 100, events)
    assert isinstance(first.own, Own)
    assert first.own.certificate == second.own.certificate
    assert len(events) == 1
    assert "clients are asked to trust SHA-256" in events[0][1]
    assert (tmp_path / "own" / "server.key").stat().st_mode & 0o777 == 0o600
    assert first.own.uri == f"urn:{socket.gethostname()}:vision-plc-gateway"
