"""Rows E-1 to E-6 of the fault programme at our OPC UA server: certificates, users, policies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.crypto import security_policies
from asyncua.crypto.security_policies import SecurityPolicy

from protocols.faults import Code
from tests.contract.opcua_rig import Rig, until
from tests.opcua_papers import Papers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def papers() -> Papers:
    return Papers()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(papers: Papers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with Rig(tmp_path_factory.mktemp("opcua"), papers).running() as rig:
        yield rig


@pytest.fixture(autouse=True)
def afresh(rig: Rig) -> None:
    rig.forget()


POLICIES = [
    security_policies.SecurityPolicyBasic256Sha256,
    security_policies.SecurityPolicyAes128Sha256RsaOaep,
    security_policies.SecurityPolicyAes256Sha256RsaPss,
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
async def test_a_trusted_client_with_a_user_is_let_in_by_each_policy(rig: Rig, policy: type[SecurityPolicy]) -> None:
    async with rig.session("otto", policy=policy) as client:
        await client.nodes.server_state.read_value()


async def test_e02_an_unknown_client_is_turned_away_and_kept_for_a_person_to_look_at(rig: Rig, papers: Papers) -> None:
    await rig.refused(await rig.client("otto", paper=papers.stranger))
    (kept,) = (rig.trust / "rejected").glob("stranger-*.der")
    assert kept.read_bytes() == papers.stranger.der
    (text,) = rig.told(Code.PEER_REFUSED, "stranger")
    assert f"is not trusted; to trust it: `gateway cert trust {kept} --into {rig.trust}`" in text


async def test_e02_one_command_trusts_it_without_a_restart(rig: Rig, papers: Papers) -> None:
    known = papers.make("newcomer")
    await rig.refused(await rig.client("otto", paper=known))
    (kept,) = (rig.trust / "rejected").glob("newcomer-*.der")
    target = kept.rename(rig.trust / "trusted" / kept.name)
    async with rig.session("otto", paper=known):
        pass
    target.unlink()
    await rig.refused(await rig.client("otto", paper=known))


async def test_e02_trust_that_is_taken_back_ends_the_connection(rig: Rig, papers: Papers) -> None:
    paper = papers.make("leaver")
    path = paper.save(rig.trust / "trusted", "leaver")
    client = await rig.client("otto", paper=paper)
    await client.connect()
    path.unlink()
    await rig.gone()
    assert rig.told(Code.PEER_REFUSED, "is not trusted any more")
    await _end(client)


async def _end(client: Client) -> None:
    """Of a client whose server has left."""
    try:
        await client.disconnect()
    except (ConnectionError, TimeoutError, ua.UaError):
        client.disconnect_socket()


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another-uri": (
        {"uri": "urn:somebody:else"},
        "is for urn:somebody:else, and the client says it is urn:test:client",
    ),
    "no-uri": ({"uri": ""}, "is for no application"),
    "ca-true": ({"ca": True}, "is an authority's (CA:TRUE)"),
    "expired": ({"days": -1}, "expired on"),
    "not-yet": ({"begins": 1}, "is not valid before"),
    "no-usage": ({"usage": False}, "does not let its key sign and encrypt"),
    "short-key": ({"bits": 1024}, "has no RSA key of 2048 to 4096 bits"),
}


@pytest.mark.parametrize("case", BAD)
async def test_e02_a_trusted_certificate_that_is_wrong_in_itself_is_refused(
    rig: Rig, papers: Papers, case: str
) -> None:
    wish, why = BAD[case]
    paper = papers.make(case, **wish)
    path = paper.save(rig.trust / "trusted", case)
    try:
        await rig.refused(await rig.client("otto", paper=paper))
    finally:
        path.unlink()
    assert any(why in text for text in rig.told(Code.PEER_REFUSED, case)), rig.events[-3:]
    assert list((rig.trust / "rejected").glob(f"{case}-*.der"))


async def test_e03_a_signed_client_needs_a_valid_crl_of_its_authority(rig: Rig, papers: Papers) -> None:
    papers.authority.save(rig.trust / "trusted", "plant-ca")
    crl = rig.trust / "crl" / "plant-ca.crl"
    client = papers.signed
    await rig.refused(await rig.client("otto", paper=client))
    assert rig.told(Code.PEER_REFUSED, "of which no revocation list (CRL) is here; put the authority's CRL into")
    crl.write_bytes(papers.crl(days=-1))
    await rig.refused(await rig.client("otto", paper=client))
    assert rig.told(Code.PEER_REFUSED, "whose revocation list (CRL) has expired")
    crl.write_bytes(papers.crl(papers.revoked))
    async with rig.session("otto", paper=client):
        pass
    await rig.refused(await rig.client("otto", paper=papers.revoked))
    assert rig.told(Code.PEER_REFUSED, "was revoked by the authority that signed it")
    crl.write_bytes(papers.crl(papers.revoked, by=papers.make("plant-ca", ca=True, uri="", key="forger")))
    await rig.refused(await rig.client("otto", paper=papers.revoked))
    crl.unlink()


async def test_e03_an_authority_among_the_issuers_is_known_and_not_trusted(rig: Rig, papers: Papers) -> None:
    (rig.trust / "trusted" / "plant-ca.pem").unlink(missing_ok=True)
    papers.authority.save(rig.trust / "issuers", "plant-ca")
    (rig.trust / "crl" / "plant-ca.crl").write_bytes(papers.crl())
    await rig.refused(await rig.client("otto", paper=papers.signed))
    path = papers.signed.save(rig.trust / "trusted", "signed")
    async with rig.session("otto", paper=papers.signed):
        pass
    path.unlink()
    await rig.refused(await rig.client("otto", paper=papers.signed))


async def test_e04_nothing_but_discovery_without_security(rig: Rig) -> None:
    client = await rig.plain("otto")
    endpoints = await client.connect_and_get_server_endpoints()
    offered = {(e.SecurityPolicyUri.rpartition("#")[2], e.SecurityMode.name) for e in endpoints}
    assert offered == {(p.URI.rpartition("#")[2], "SignAndEncrypt") for p in POLICIES}
    assert await rig.refused(await rig.plain("otto")) == "BadSecurityModeRejected"
    assert await rig.refused(await rig.plain()) == "BadSecurityModeRejected"


@pytest.mark.parametrize("name", ["SecurityPolicyBasic128Rsa15", "SecurityPolicyBasic256"])
@pytest.mark.filterwarnings("ignore")
async def test_e04_policies_that_are_not_offered_cannot_be_had(rig: Rig, name: str) -> None:
    await rig.refused(await rig.client("otto", policy=getattr(security_policies, name)))
    assert rig.told(Code.PEER_REFUSED, "asks for the policy")


async def test_e04_a_mode_that_is_not_offered_cannot_be_had(rig: Rig) -> None:
    await rig.refused(await rig.client("otto", mode=ua.MessageSecurityMode.Sign))


TURNED_AWAY = ("BadUserAccessDenied", "BadIdentityTokenRejected", "BadIdentityTokenInvalid", "BadRequestTooLarge")
LOGINS = [
    ("", ""),
    ("admin", "admin"),
    ("admin", ""),
    ("Admin", "x"),
    ("otto", ""),
    ("otto", "viewer-pass"),
    ("nobody", ""),
    ("otto", "x" * 1000),
    ("o" * 100_000, "x"),
]


@pytest.mark.parametrize(("user", "password"), LOGINS)
async def test_e06_nobody_gets_in_who_is_not_named(rig: Rig, user: str, password: str) -> None:
    found = await rig.refused(await rig.client(user, password))
    assert found in TURNED_AWAY


async def test_e06_wrong_passwords_cost_their_address_time_and_then_the_right_one_works(rig: Rig) -> None:
    attempts = rig.hardened.users.attempts
    for _ in range(4):
        await rig.refused(await rig.client("otto", "wrong"))
    assert attempts.waits("127.0.0.1", asyncio.get_running_loop().time()) > 0
    assert await rig.refused(await rig.client("otto")) == "BadUserAccessDenied"
    assert attempts.waits("127.0.0.2", asyncio.get_running_loop().time()) == 0
    assert rig.told(Code.PEER_REFUSED, "logs in with a wrong name or password")
    await until(lambda: not attempts.waits("127.0.0.1", asyncio.get_running_loop().time()))
    async with rig.session("otto"):
        pass


async def test_s08_the_certificate_of_the_channel_is_what_counts(rig: Rig, papers: Papers) -> None:
    for quoted in (b"", papers.signed.der):
        client = await rig.client("otto")
        real = client.uaclient.create_session

        async def lie(params: ua.CreateSessionParameters, quoted: bytes = quoted, real: Any = real) -> Any:
            params.ClientCertificate = ua.ByteString(quoted)
            return await real(params)

        client.uaclient.create_session = lie  # type: ignore[method-assign,assignment]
        assert await rig.refused(client) == "BadCertificateInvalid"
    assert rig.told(Code.PEER_REFUSED, "quotes another certificate than that of its channel")


async def test_a_session_cannot_be_taken_over_by_another_application_or_user(rig: Rig, papers: Papers) -> None:
    papers.stranger.save(rig.trust / "trusted", "stranger")
    async with await rig.client("otto") as owner:
        protocol: Any = owner.uaclient.protocol
        token = protocol.authentication_token
        assert len(token.Identifier) == 32
        for user, paper in (("otto", papers.stranger), ("emil", papers.client)):
            thief = await rig.client(user, paper=paper)
            await thief.connect_socket()
            await thief.send_hello()
            await thief.open_secure_channel()
            await thief.create_session()
            thief_protocol: Any = thief.uaclient.protocol
            thief_protocol.authentication_token = token
            stolen: Any = rig.hardened.server.iserver._external_sessions[token].nonce
            thief._server_nonce = stolen  # even if it knew that
            with pytest.raises(ua.UaStatusCodeError):
                await thief.activate_session(user, thief._password)
            thief.disconnect_socket()
        await owner.nodes.server_state.read_value()
    await rig.gone()
    (rig.trust / "trusted" / "stranger.pem").unlink()
