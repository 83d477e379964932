"""Whom the OPC UA client talks to, and as whom: it never takes less than what is configured."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gateway import certs
from gateway.certs import Made, Wish
from protocols.faults import Code
from simulators.opcua_server import APPLICATION
from tests.contract.opcua_nodes import UP, Events, link_to, server
from tests.contract.test_links import Recorder, running, until

OURS = "urn:vision-plc-gateway:test"


@dataclass(frozen=True)
class Papers:
    """Certificates of both ends in one folder, and an authority."""

    folder: Path
    ca: Made

    def of(self, name: str) -> dict[str, Path]:
        return {"certificate": self.folder / f"{name}.pem", "key": self.folder / f"{name}.key"}

    def security(self, **changes: Any) -> dict[str, Any]:
        return {**self.of("gateway"), "trust": self.folder / "trust", **changes}

    def revoke(self, *serials: int, days: float = 30) -> None:
        """The authority's list."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.ca.certificate.subject)
        builder = builder.last_update(now - timedelta(days=60)).next_update(now + timedelta(days=days))
        for serial in serials:
            gone = (
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(days=1)).build()
            )
            builder = builder.add_revoked_certificate(gone)
        made = builder.sign(self.ca.key, hashes.SHA256())
        (self.folder / "trust" / "ca.crl").write_bytes(made.public_bytes(serialization.Encoding.PEM))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    folder = tmp_path_factory.mktemp("papers")
    ca = certs.make(Wish("ca", authority=True, key="rsa"))
    past = datetime.now(UTC) - timedelta(days=100)
    wishes: list[tuple[Wish, Made | None, datetime | None]] = [
        (Wish("gateway", ["localhost"], [OURS], key="rsa"), None, None),
        (Wish("plc", ["127.0.0.1"], [APPLICATION], key="rsa"), None, None),
        (Wish("other", ["127.0.0.1"], [APPLICATION], key="rsa"), None, None),
        (Wish("signed", ["127.0.0.1"], [APPLICATION], key="rsa"), ca, None),
        (Wish("elsewhere", ["10.0.0.1"], [APPLICATION], key="rsa"), ca, None),
        (Wish("namesake", ["127.0.0.1"], ["urn:somebody"], key="rsa"), ca, None),
        (Wish("expired", ["127.0.0.1"], [APPLICATION], days=10, key="rsa"), None, past),
        (Wish("old", ["localhost"], [OURS], days=10, key="rsa"), None, past),
        (Wish("nameless", ["localhost"], key="rsa"), None, None),
        (Wish("curved", ["localhost"], [OURS]), None, None),
    ]
    for wish, signer, now in wishes:
        certs.save(certs.make(wish, signer, now=now), folder)
    certs.save(ca, folder)
    return folder, ca


@pytest.fixture
def papers(made: tuple[Path, Made], tmp_path: Path) -> Papers:
    """The same certificates with a trust folder of one's own."""
    for file in made[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "trust").mkdir()
    return Papers(tmp_path, made[1])


def trust(papers: Papers, *names: str) -> None:
    for name in names:
        (papers.folder / "trust" / f"{name}.pem").write_bytes((papers.folder / f"{name}.pem").read_bytes())


BASIC = ("Basic256Sha256_SignAndEncrypt",)


@asynccontextmanager
async def tried(
    papers: Papers,
    shown: str = "plc",
    policies: tuple[str, ...] = BASIC,
    login: dict[str, str] | None = None,
    **changes: Any,
) -> AsyncIterator[tuple[Recorder, Events]]:
    events, station = Events(), Recorder()
    changes.setdefault("security", papers.security())
    async with server(**papers.of(shown), policies=policies, **(login or {})) as plc:
        link = link_to(plc, events, **changes)
        link.attach(station)
        async with running(link.run()):
            yield station, events


async def comes_up(station: Recorder) -> None:
    await until(lambda: station.states[-1:] == [UP], 8)


async def refused(events: Events, cause: str, code: int = Code.PEER_REFUSED) -> None:
    await until(lambda: bool(events.about(cause)), 8)
    assert events.about(cause)[0][0] == code


@pytest.mark.parametrize("policy", ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"])
@pytest.mark.parametrize("mode", ["sign", "sign_and_encrypt"])
async def test_every_policy_works_in_both_modes(papers: Papers, policy: str, mode: str) -> None:
    trust(papers, "plc")
    offered = policy.replace("_", "") + {"sign": "_Sign", "sign_and_encrypt": "_SignAndEncrypt"}[mode]
    async with tried(papers, policies=(offered,), security=papers.security(policy=policy, mode=mode)) as (
        station,
        events,
    ):
        await comes_up(station)
        assert not events.told


@pytest.mark.parametrize(
    ("policies", "offers"),
    [
        (("NoSecurity",), "only None"),
        (("Basic128Rsa15_SignAndEncrypt",), "only Basic128Rsa15 SignAndEncrypt"),
        (("NoSecurity", "Basic256Sha256_Sign"), "only Basic256Sha256 Sign, None"),
    ],
)
async def test_e04_a_server_that_offers_less_is_refused(papers: Papers, policies: tuple[str, ...], offers: str) -> None:
    trust(papers, "plc")
    async with tried(papers, policies=policies) as (station, events):
        await refused(events, offers)
        assert "never takes less" in events.told[0][1]
        assert UP not in station.states


async def test_e02_a_stranger_is_refused_and_kept_for_a_person_to_trust(papers: Papers) -> None:
    trust(papers, "other")
    rejected = papers.folder / "rejected"
    async with tried(papers, security=papers.security(rejected=rejected)) as (station, events):
        await refused(events, "is not trusted here")
        (kept,) = rejected.glob("*.der")
        assert str(kept) in events.about("is not trusted here")[0][1]
        assert UP not in station.states
        (papers.folder / "trust" / kept.name).write_bytes(kept.read_bytes())  # no restart needed
        await comes_up(station)


async def test_a_pinned_certificate_is_accepted_and_no_other(papers: Papers) -> None:
    security = papers.security(pinned=papers.folder / "plc.pem")
    del security["trust"]
    async with tried(papers, security=security) as (station, _):
        await comes_up(station)
    async with tried(papers, shown="other", security=security) as (_, events):
        await refused(events, "is not the pinned one")


async def test_e01_expired_certificates_are_told_with_their_code(papers: Papers) -> None:
    trust(papers, "expired", "plc")
    async with tried(papers, shown="expired") as (_, events):
        await refused(events, "expired on", Code.CERT_EXPIRED)
    async with tried(papers, security=papers.security(**papers.of("old"))) as (station, events):
        await refused(events, "expired 90 days ago", Code.CERT_EXPIRED)
        assert UP not in station.states


async def test_e03_what_an_authority_signed_needs_a_list_of_the_revoked(papers: Papers) -> None:
    trust(papers, "ca")
    async with tried(papers, shown="signed") as (_, events):
        await refused(events, "its authority has left no list of revoked ones")
    async with tried(papers, shown="signed", security=papers.security(missing_crl="accept")) as (station, _):
        await comes_up(station)
    papers.revoke()
    async with tried(papers, shown="signed") as (station, _):
        await comes_up(station)
    papers.revoke(days=-1)
    async with tried(papers, shown="signed", security=papers.security(missing_crl="accept")) as (_, events):
        await refused(events, "has run out")
    signed = x509.load_pem_x509_certificate((papers.folder / "signed.pem").read_bytes())
    papers.revoke(signed.serial_number)
    async with tried(papers, shown="signed", security=papers.security(missing_crl="accept")) as (_, events):
        await refused(events, "was revoked")


@pytest.mark.parametrize(
    ("shown", "cause"),
    [("elsewhere", "was reached as 127.0.0.1, its certificate is for 10.0.0.1"), ("namesake", "is for urn:somebody")],
)
async def test_e02_another_host_or_name_than_the_signed_one_is_refused(papers: Papers, shown: str, cause: str) -> None:
    trust(papers, "ca")
    papers.revoke()
    async with tried(papers, shown=shown) as (_, events):
        await refused(events, cause)


async def test_a_user_logs_in_by_a_password_from_a_file(papers: Papers) -> None:
    trust(papers, "plc")
    secret = papers.folder / "secret"
    login, user = {"user": "vision", "password": "correct horse"}, {"name": "vision", "password_file": secret}
    secret.write_text("correct horse\nnot this line\n")
    async with tried(papers, login=login, user=user) as (station, _):
        await comes_up(station)
    secret.write_text("wrong\n")
    async with tried(papers, login=login, user=user) as (_, events):
        await refused(events, "BadUserAccessDenied")
    async with tried(papers, login=login) as (_, events):
        await refused(events, "BadUserAccessDenied")
    assert "correct horse" not in str(events.told)


async def test_a_user_logs_in_by_a_certificate(papers: Papers) -> None:
    trust(papers, "plc")
    async with tried(papers, user=papers.of("other")) as (station, _):
        await comes_up(station)


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ({"certificate": "gone.pem"}, "gone.pem"),
        ({"key": "gone.key"}, "cannot be read"),
        ({"certificate": "nameless.pem", "key": "nameless.key"}, "no application URI"),
        ({"certificate": "curved.pem", "key": "curved.key"}, "no RSA key"),
        ({"key": "gateway.pem"}, "no unencrypted private key"),
    ],
)
async def test_files_that_cannot_be_used_are_told_in_one_sentence(
    papers: Papers, files: dict[str, str], cause: str
) -> None:
    trust(papers, "plc")
    changes = {key: papers.folder / name for key, name in files.items()}
    async with tried(papers, security=papers.security(**changes)) as (station, events):
        await refused(events, cause, Code.CONFIG_INVALID)
        assert UP not in station.states


@pytest.mark.parametrize(("text", "cause"), [(None, "cannot be read"), ("", "no password"), ("\n", "no password")])
async def test_a_password_file_without_a_password_is_told(papers: Papers, text: str | None, cause: str) -> None:
    trust(papers, "plc")
    secret = papers.folder / "secret"
    if text is not None:
        secret.write_text(text)
    async with tried(papers, user={"name": "vision", "password_file": secret}) as (_, events):
        await refused(events, cause, Code.CONFIG_INVALID)


async def test_security_none_is_warned_of(papers: Papers) -> None:
    async with tried(papers, policies=("NoSecurity",), security="none") as (station, events):
        await comes_up(station)
        assert len(events.about("security none is set")) == 1
