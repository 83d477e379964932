"""Who is let in, as what, and who is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.link import LinkError
from protocols.opcua.compat import Login, Role
from protocols.opcua.passwords import hashed
from protocols.opcua.server_settings import OpcUaUser
from protocols.opcua.users import WAITING, Users
from tests.opcua_papers import Papers

HERE = "192.168.3.10"


@pytest.fixture(scope="module")
def known() -> str:
    return hashed("correct horse")


@pytest.fixture
def refusals() -> list[str]:
    return []


@pytest.fixture(scope="module")
def papers() -> Papers:
    return Papers()


@pytest.fixture
def users(known: str, papers: Papers, refusals: list[str], tmp_path: Path) -> Iterator[Users]:
    carla = papers.client.save(tmp_path, "carla")
    old = papers.make("old", days=-1).save(tmp_path, "old")
    named = (
        OpcUaUser(name="otto", role="operator", password_hash=known),
        OpcUaUser(name="carla", role="engineer", certificate=carla),
        OpcUaUser(name="olga", role="engineer", certificate=old),
    )
    found = Users(named, anonymous=False, refused=lambda *told: refusals.append(told[2]))
    yield found
    found.close()


def _der(path: Path) -> bytes:
    from cryptography import x509

    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


async def test_the_right_password_and_the_right_certificate(users: Users, tmp_path: Path) -> None:
    otto = await users.authenticate(Login(HERE, "otto", "correct horse"))
    carla = await users.authenticate(Login(HERE, certificate=_der(tmp_path / "carla.pem")))
    assert otto is not None
    assert carla is not None
    assert (otto.name, otto.may, carla.name, carla.may) == ("otto", Role.OPERATOR, "carla", Role.ENGINEER)


@pytest.mark.parametrize(
    "login",
    [
        Login(HERE),
        Login(HERE, "otto", "wrong horse"),
        Login(HERE, "otto", ""),
        Login(HERE, "admin", "correct horse"),
        Login(HERE, "carla", "correct horse"),
        Login(HERE, "carla", ""),
        Login(HERE, certificate=b"nonsense"),
        Login(HERE, "otto", "correct horse", secure=False),
    ],
    ids=repr,
)
async def test_nobody_else(users: Users, refusals: list[str], login: Login) -> None:
    assert await users.authenticate(login) is None
    assert refusals


async def test_a_certificate_out_of_its_time_is_no_way_in(users: Users, tmp_path: Path, refusals: list[str]) -> None:
    assert await users.authenticate(Login(HERE, certificate=_der(tmp_path / "old.pem"))) is None
    assert "out of its time" in refusals[0]


async def test_who_waits_is_not_even_checked_and_a_flood_keeps_to_its_bound(users: Users) -> None:
    for _ in range(4):
        await users.authenticate(Login("10.0.0.66", "otto", "wrong"))
    assert await users.authenticate(Login("10.0.0.66", "otto", "correct horse")) is None
    assert await users.authenticate(Login(HERE, "otto", "correct horse")) is not None
    users._waiting = WAITING
    assert await users.authenticate(Login(HERE, "otto", "correct horse")) is None


def test_a_login_never_shows_its_password() -> None:
    assert "horse" not in repr(Login(HERE, "otto", "correct horse"))


def test_a_certificate_file_that_is_none_is_told(tmp_path: Path) -> None:
    for content, why in ((None, "mend the path"), (b"nonsense", "is no certificate")):
        path = tmp_path / "carla.pem"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(LinkError, match=why):
            Users((OpcUaUser(name="carla", certificate=path),), anonymous=False, refused=lambda *_: None)
