"""Role and validity read from certificates that OpenSSL's library made."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.modbus import certificate
from protocols.modbus.certificate import ROLE_OID, CertificateError, Facts

KEY = ec.generate_private_key(ec.SECP256R1())
BEGINS, ENDS = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2036, 6, 7, 8, 9, 10, tzinfo=UTC)


def made(*roles: bytes, critical: bool = False, ends: datetime = ENDS, others: int = 2) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plc")])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, BEGINS, ends)
    if others:
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        names = [x509.DNSName(f"host-{n}.example") for n in range(40)]  # lengths of two and three bytes
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for role in roles:
        extension = x509.UnrecognizedExtension(ObjectIdentifier(ROLE_OID), role)
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("role", ["operator", "Prüfer", "a b", "x" * 64])
@pytest.mark.parametrize("critical", [False, True])
def test_the_role_is_the_whole_utf8_string(role: str, critical: bool) -> None:
    facts = certificate.facts(made(certificate.utf8_string(role), critical=critical))
    assert facts == Facts(role, BEGINS.timestamp(), ENDS.timestamp())


@pytest.mark.parametrize("others", [0, 2])
def test_no_role_is_empty(others: int) -> None:
    assert certificate.facts(made(others=others)).role == ""


def test_validity_beyond_2049() -> None:
    ends = datetime(2060, 1, 1, tzinfo=UTC)
    assert certificate.facts(made(ends=ends)).ends == ends.timestamp()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"operator", "no UTF8String"),
        (b"\x13\x08operator", "no UTF8String"),
        (b"\x0c\x08operator\x0c\x05admin", "no UTF8String"),
        (b"\x30\x0a\x0c\x08operator", "no UTF8String"),
        (b"\x0c\x00", "empty"),
        (b"\x0c\x02a\n", "not printable"),
        (b"\x0c\x41" + b"x" * 65, "too long"),
        (b"\x0c\x02\xff\xfe", "no UTF8String"),
        (b"\x0c\x09operator", "no UTF8String"),
        (b"", "no UTF8String"),
    ],
)
def test_a_role_against_the_rules_is_none(value: bytes, why: str) -> None:
    facts = certificate.facts(made(value))
    assert facts.role == ""
    assert why in facts.fault
    assert facts.ends == ENDS.timestamp()


def test_two_roles_are_none() -> None:
    # written by hand, as the library refuses to make such a one
    extension = bytes.fromhex("3017060b2b0601040183890c862201") + b"\x04\x08\x0c\x06viewer"
    value = b"".join((b"\x02\x01\x01", b"\x30\x00", b"\x30\x00", _validity(), b"\x30\x00", b"\x30\x00"))
    both = b"\xa3" + bytes((2 + 2 * len(extension), 0x30, 2 * len(extension))) + 2 * extension
    facts = certificate.facts(_sequence(_sequence(value + both)))
    assert (facts.role, facts.fault) == ("", "it has more than one role")
    once = b"\xa3" + bytes((2 + len(extension), 0x30, len(extension))) + extension
    assert certificate.facts(_sequence(_sequence(value + once))).role == "viewer"


def _validity() -> bytes:
    return _sequence(b"\x17\x0d260102030405Z" + b"\x17\x0d360607080910Z")


def _sequence(contents: bytes) -> bytes:
    return b"\x30\x82" + len(contents).to_bytes(2, "big") + contents


@given(data=st.binary(max_size=300))
@example(data=b"")
@example(data=b"\x30")
@example(data=b"\x30\x80\0\0")
def test_garbage_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(CertificateError):
        certificate.facts(data)


SOUND = made(certificate.utf8_string("operator"))


@given(at=st.integers(0, len(SOUND) - 1), value=st.integers(0, 255))
def test_a_flipped_byte_is_read_or_refused_and_never_raises_else(at: int, value: int) -> None:
    with suppress(CertificateError):
        certificate.facts(SOUND[:at] + bytes((value,)) + SOUND[at + 1 :])


def test_files_of_several_certificates() -> None:
    one, two = made(), made(certificate.utf8_string("operator"))
    pem = b"# a comment\n" + b"".join(
        x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM).replace(b"\n", b"\r\n")
        for der in (one, two)
    )
    assert certificate.blocks(pem) == [one, two]
    assert certificate.blocks(one) == [one]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n",
        b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----",
    ],
)
def test_files_without_a_certificate(data: bytes) -> None:
    with pytest.raises(CertificateError):
        certificate.blocks(data)


def test_the_clock_of_two_digits() -> None:
    facts = certificate.facts(_sequence(_sequence(b"".join((
        b"\x02\x01\x01", b"\x30\x00", b"\x30\x00",
        _sequence(b"\x17\x0d500101000000Z" + b"\x17\x0d491231235959Z"), b"\x30\x00", b"\x30\x00",
    )))))  # fmt: skip
    assert datetime.fromtimestamp(facts.begins, UTC).year == 1950
    assert datetime.fromtimestamp(facts.ends, UTC) + timedelta(seconds=1) == datetime(2050, 1, 1, tzinfo=UTC)


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no regular file"):
        certificate.contents(Path("/dev/zero"))
    large = tmp_path / "large.pem"
    large.write_bytes(b"-" * (certificate.LIMIT + 1))
    with pytest.raises(OSError, match="larger than 1024 KiB"):
        certificate.contents(large)
    large.write_bytes(b"-")
    assert certificate.contents(large) == b"-"
