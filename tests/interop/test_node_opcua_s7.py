"""The simulated S7-1500 under node-opcua's client: its ids, its types, its intervals, its few sessions, its restart."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from simulators.opcua_block import MEMBERS
from simulators.opcua_server import SIEMENS, Manners, S7Server
from tests.interop import node_opcua
from tests.interop.node_opcua import POLICIES, Certificates, Clients, Session
from tests.interop.node_peer import Node, NodeError, node

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
    pytest.mark.asyncio(loop_scope="module"),
]

KINDS = {1: "Boolean", 5: "UInt16", 6: "Int32", 7: "UInt32", 10: "Float", 12: "String"}
NAMES = {"Basic256Sha256": "Basic256Sha256", "Aes128_Sha256_RsaOaep": "Aes128Sha256RsaOaep"}
NAMES |= {"Aes256_Sha256_RsaPss": "Aes256Sha256RsaPss"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, Certificates]]:
    folder = tmp_path_factory.mktemp("node")
    certificates = Certificates(folder)
    certificates.make("client", "plc")
    await node_opcua.warm()
    async with node("node_opcua_client.js", folder) as peer:
        yield peer, certificates


@pytest_asyncio.fixture(loop_scope="module")
async def plc() -> AsyncIterator[S7Server]:
    server = S7Server(manners=Manners(sessions=2))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
def clients(program: tuple[Node, Certificates], plc: S7Server) -> Clients:
    return Clients(*program, plc.url)


def member(session: Session, name: str) -> str:
    return f"ns={session.index(SIEMENS)};s={MEMBERS[name].node}"


async def test_every_member_of_the_data_block_is_there_with_its_exact_type(clients: Clients) -> None:
    async with clients.session() as session:
        found = await session.browse_all("i=85")
        ids = {name: member(session, name) for name in MEMBERS}
        assert set(ids.values()) <= set(found)
        for (name, id_), value in zip(ids.items(), await session.read(*ids.values()), strict=True):
            assert value["status"] == "Good", id_
            assert (value["type"], value["array"]) == (KINDS[MEMBERS[name].type], bool(MEMBERS[name].length)), id_


async def test_each_member_takes_its_own_type_and_no_other(clients: Clients) -> None:
    async with clients.session() as session:
        own, others = [], []
        for name, each in MEMBERS.items():
            id_, kind = member(session, name), KINDS[each.type]
            own.append((id_, kind, each.zero))
            others.append((id_, "Double", 1.0))
        assert set(await session.write(*own)) == {"Good"}
        assert set(await session.write(*others)) == {"BadTypeMismatch"}


async def test_what_is_written_is_told_to_who_subscribed_at_the_revised_interval(
    plc: S7Server, clients: Clients
) -> None:
    async with clients.session() as session:
        ready = member(session, "STATUS.READY")
        data = await session.data(ready, interval=20)
        assert data.interval == 100
        await plc.set({"STATUS.READY": True})
        await data.shows({ready: True})


async def test_the_third_session_is_refused(clients: Clients) -> None:
    async with clients.session("one"), clients.session("two"):
        with pytest.raises(NodeError, match="BadTooManySessions"):
            async with clients.session("three"):
                pass


async def test_a_download_moves_the_namespace(plc: S7Server, clients: Clients) -> None:
    async with clients.session() as session:
        before = session.index(SIEMENS)
    await plc.restart(move=True)
    async with clients.session() as session:
        assert session.index(SIEMENS) == before + 1
        assert await session.value(member(session, "STATUS")) == 0


async def test_a_value_with_a_bad_status_is_seen_as_such(plc: S7Server, clients: Clients) -> None:
    await plc.mark("TRIGGER_SEQ", 0x808C0000)
    async with clients.session() as session:
        (found,) = await session.read(member(session, "TRIGGER_SEQ"))
    assert found["status"] == "BadSensorFailure"


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_login_over(policy: str, program: tuple[Node, Certificates]) -> None:
    peer, certificates = program
    manners = Manners(
        user="gateway",
        password="p",  # noqa: S106 - of nothing but this test
        certificate=certificates.path("plc"),
        key=certificates.key("plc"),
        policies=(f"{NAMES[policy]}_SignAndEncrypt",),
    )
    server = S7Server(manners=manners)
    await server.start()
    try:
        clients = Clients(peer, certificates, server.url)
        way = {"policy": policy, "mode": "SignAndEncrypt", "user": "gateway"}
        async with clients.session(**way, password="p") as session:  # noqa: S106
            assert await session.value(member(session, "CONTROL")) == 0
        assert await clients.refused(**way, password="q") == "BadUserAccessDenied"  # noqa: S106
    finally:
        await server.stop()
