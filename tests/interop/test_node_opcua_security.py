"""Who comes into our OPC UA server, tried by node-opcua's client: over each policy, and those who must stay out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from protocols.faults import Code
from tests.interop import node_opcua
from tests.interop.node_opcua import POLICIES
from tests.interop.opcua_stand import CARD, SECURE, Stand, login, plain, stand

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
    pytest.mark.asyncio(loop_scope="module"),
]
REFUSALS = ("BadUserAccessDenied", "BadIdentityTokenRejected", "BadIdentityTokenInvalid")
BEAT = plain("Status.BOOT_ID")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cell(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with stand(tmp_path_factory.mktemp("cell")) as made:
        yield made


async def test_it_offers_the_three_policies_encrypted_and_nothing_else(cell: Stand) -> None:
    offered = await cell.clients.endpoints()
    assert {(each["policy"], each["mode"]) for each in offered} == {(policy, "SignAndEncrypt") for policy in POLICIES}
    assert {token for each in offered for token in each["tokens"]} == {"UserName", "Certificate"}


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_user_logs_in_with_a_password_over(policy: str, cell: Stand) -> None:
    async with cell.clients.session(**{**login("otto"), "policy": policy}) as session:
        assert await session.value(BEAT) == 7
        assert await session.write((plain("Command.USER_0"), "UInt16", 1)) == ["Good"]


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_user_logs_in_with_a_certificate_over(policy: str, cell: Stand) -> None:
    async with cell.clients.session(**{**card(cell, CARD), "policy": policy}) as session:
        assert await session.value(BEAT) == 7
        assert await session.write((plain("Command.USER_0"), "UInt16", 2)) == ["Good"]


async def test_nobody_comes_in_without_a_name(cell: Stand) -> None:
    told = len(cell.events)
    assert await cell.clients.refused(**SECURE, rude=True) in REFUSALS
    assert "Cannot find ANONYMOUS" in await cell.clients.refused(**SECURE)
    assert cell.events[told:], "nobody was told"


async def test_a_wrong_password_and_an_unknown_user_are_answered_alike(cell: Stand) -> None:
    told = len(cell.events)
    wrong = await cell.clients.refused(**{**login("otto"), "password": "a guess"})
    nobody = await cell.clients.refused(**login("nobody"))
    assert wrong == nobody
    assert wrong in REFUSALS
    assert Code.PEER_REFUSED in [code for code, _ in cell.events[told:]]
    async with cell.clients.session(**login("otto")):
        pass


async def test_a_certificate_of_no_user_is_refused(cell: Stand) -> None:
    assert await cell.clients.refused(**card(cell, "stranger")) in REFUSALS


async def test_a_user_certificate_without_its_key_is_refused(cell: Stand) -> None:
    stolen = {**card(cell, CARD), "userKey": cell.clients.certificates.key("stranger")}
    told = len(cell.events)
    assert await cell.clients.refused(**stolen) == "BadUserSignatureInvalid"
    assert [code for code, _ in cell.events[told:]] == [Code.PEER_REFUSED]


@pytest.mark.parametrize("who", ["otto", ""])
async def test_there_is_no_session_without_security(who: str, cell: Stand) -> None:
    given = {key: value for key, value in login(who).items() if key in ("user", "password") and who}
    status = await cell.clients.refused(**given, policy="None", mode="None", rude=True)
    assert status.startswith("Bad")


async def test_an_untrusted_application_is_refused_whatever_its_user_knows(cell: Stand) -> None:
    before = len(cell.events)
    status = await cell.clients.refused(**login("emil"), certificate="stranger")
    assert status.startswith("Bad") or "disconnect" in status.lower() or "closed" in status.lower(), status
    assert Code.PEER_REFUSED in [code for code, _ in cell.events[before:]]
    rejected = [path for path in (cell.folder / "trust" / "rejected").rglob("*") if path.is_file()]
    assert len(rejected) == 1


async def test_an_application_is_trusted_from_the_moment_its_certificate_is_moved(cell: Stand) -> None:
    certificates = cell.clients.certificates
    certificates.make("latecomer")
    await cell.clients.refused(**login("anna"), certificate="latecomer")
    target = cell.folder / "trust" / "trusted" / "latecomer.pem"
    target.write_bytes(certificates.path("latecomer").read_bytes())
    async with cell.clients.session(**login("anna"), certificate="latecomer") as session:
        assert await session.value(BEAT) == 7


def card(cell: Stand, name: str) -> dict[str, Any]:
    certificates = cell.clients.certificates
    return {**SECURE, "userCertificate": certificates.path(name), "userKey": certificates.key(name)}
