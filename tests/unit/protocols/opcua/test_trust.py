"""Whom a trust folder trusts, and what it keeps of those it turned away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from protocols.opcua import trust
from protocols.opcua.application_certificate import UntrustedError, split
from protocols.opcua.trust import KEPT, TrustFolder, prepare
from tests.opcua_papers import Paper, Papers


@pytest.fixture(scope="module")
def papers() -> Papers:
    return Papers()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


def _status(store: TrustFolder, sent: bytes, days: float = 0) -> str:
    try:
        store.check(sent, datetime.now(UTC) + timedelta(days=days))
    except UntrustedError as error:
        return error.status
    return "Good"


def test_an_empty_folder_trusts_nobody(folder: Path, papers: Papers) -> None:
    assert _status(TrustFolder(folder), papers.client.der) == "BadCertificateUntrusted"
    assert _status(TrustFolder(folder), papers.signed.der) == "BadCertificateChainIncomplete"
    assert _status(TrustFolder(folder / "not there"), papers.client.der) == "BadCertificateUntrusted"


def test_a_single_certificate_is_trusted_and_no_other_of_the_same_name(folder: Path, papers: Papers) -> None:
    papers.client.save(folder / "trusted", "client")
    store = TrustFolder(folder)
    assert _status(store, papers.client.der) == "Good"
    assert _status(store, papers.make("client", key="forger").der) == "BadCertificateUntrusted"
    assert _status(store, papers.make("client", days=200).der) == "BadCertificateUntrusted"


def test_time_is_judged_by_the_clock_that_is_given(folder: Path, papers: Papers) -> None:
    papers.client.save(folder / "trusted", "client")
    store = TrustFolder(folder)
    assert _status(store, papers.client.der, days=3650) == "BadCertificateTimeInvalid"
    assert _status(store, papers.client.der, days=-3650) == "BadCertificateTimeInvalid"


def test_an_authority_that_is_trusted_lets_in_whom_it_signed_while_its_crl_is_valid(
    folder: Path, papers: Papers
) -> None:
    papers.authority.save(folder / "trusted", "ca")
    strict, lenient = TrustFolder(folder), TrustFolder(folder, crl_required=False)
    assert _status(strict, papers.signed.der) == "BadCertificateRevocationUnknown"
    assert _status(lenient, papers.signed.der) == "Good"
    crl = folder / "crl" / "ca.crl"
    crl.write_bytes(papers.crl(papers.revoked, days=30))
    assert _status(strict, papers.signed.der) == "Good"
    assert _status(strict, papers.signed.der, days=31) == "BadCertificateRevocationUnknown"
    assert _status(lenient, papers.signed.der, days=31) == "Good"
    assert _status(strict, papers.revoked.der) == "BadCertificateRevoked"
    assert _status(lenient, papers.revoked.der, days=31) == "BadCertificateRevoked"


def test_a_crl_of_somebody_else_revokes_nobody_and_clears_nobody(folder: Path, papers: Papers) -> None:
    papers.authority.save(folder / "trusted", "ca")
    forger = papers.make("plant-ca", ca=True, uri="", key="forger")
    (folder / "crl" / "forged.crl").write_bytes(papers.crl(papers.signed, by=forger))
    assert _status(TrustFolder(folder), papers.signed.der) == "BadCertificateRevocationUnknown"
    assert _status(TrustFolder(folder, crl_required=False), papers.signed.der) == "Good"


def test_an_authority_that_is_only_known_trusts_nobody(folder: Path, papers: Papers) -> None:
    papers.authority.save(folder / "issuers", "ca")
    store = TrustFolder(folder, crl_required=False)
    assert _status(store, papers.signed.der) == "BadCertificateUntrusted"
    papers.signed.save(folder / "trusted", "signed")
    assert _status(store, papers.signed.der) == "Good"


def test_who_sends_an_authority_along_is_not_trusted_for_it(folder: Path, papers: Papers) -> None:
    store = TrustFolder(folder, crl_required=False)
    assert _status(store, papers.signed.der + papers.authority.der) == "BadCertificateUntrusted"


def test_who_is_no_authority_signs_for_nobody(folder: Path, papers: Papers) -> None:
    papers.client.save(folder / "trusted", "client")
    forged = papers.make("forged", issuer=papers.client)
    assert _status(TrustFolder(folder, crl_required=False), forged.der) == "BadCertificateIssuerUseNotAllowed"


def test_what_cannot_be_an_applications_certificate(folder: Path, papers: Papers) -> None:
    store = TrustFolder(folder)
    cases = {
        "BadCertificateUseNotAllowed": papers.make("ca", ca=True),
        "BadCertificatePolicyCheckFailed": papers.make("short", bits=1024),
    }
    for status, paper in cases.items():
        paper.save(folder / "trusted", status)
        assert _status(store, paper.der) == status
    server_only = papers.make("server", purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    server_only.save(folder / "trusted", "server")
    assert _status(store, server_only.der) == "BadCertificateUseNotAllowed"
    weak: Paper = papers.make("sha512", digest=hashes.SHA512())
    weak.save(folder / "trusted", "sha512")
    assert _status(store, weak.der) == "Good"


@pytest.mark.parametrize(
    "sent", [b"", b"0", b"\x30\x82", bytes(100), b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x01\x01"]
)
def test_what_is_no_certificate_is_told_as_such(folder: Path, sent: bytes) -> None:
    assert _status(TrustFolder(folder), sent) == "BadCertificateInvalid"


def test_a_chain_is_split_and_a_long_one_refused(papers: Papers) -> None:
    assert split(papers.signed.der + papers.authority.der) == [papers.signed.certificate, papers.authority.certificate]
    with pytest.raises(UntrustedError):
        split(papers.signed.der * 12)


def test_changes_are_seen_and_damaged_files_are_told_of(folder: Path, papers: Papers) -> None:
    store = TrustFolder(folder)
    assert not store.refresh()
    path = papers.client.save(folder / "trusted", "client")
    assert store.refresh()
    assert not store.refresh()
    path.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    assert store.refresh()
    assert "client.pem" in store.damaged[0]
    assert _status(store, papers.client.der) == "BadCertificateUntrusted"


def test_of_those_turned_away_only_the_newest_are_kept_under_names_they_did_not_choose(
    folder: Path, papers: Papers
) -> None:
    store = TrustFolder(folder)
    nasty = papers.make("../../etc/passwd", key="client")
    kept = store.reject(nasty.der)
    assert kept is not None
    assert kept.parent == folder / "rejected"
    assert store.reject(nasty.der) == kept
    for number in range(KEPT + 20):
        store.reject(papers.make(f"c{number}", key="client").der)
    assert len(list((folder / "rejected").iterdir())) == KEPT
    assert store.reject(b"nonsense") is None
    assert trust.REJECTED == "rejected"
