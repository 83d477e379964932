"""What an application's certificate says, and whether it may be one at all. Whom it is trusted by stands elsewhere.

Source: OPC UA Part 6 §6.2.2 (Application Instance Certificate); Part 4 §6.1.3, the steps before the trust list.
"""

from __future__ import annotations

import re
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SENT = 10
"""Certificates that a peer may send along."""
SHORTEST_BITS, LONGEST_BITS = 2048, 4096
_WEAK = (hashes.MD5, hashes.SHA1)


class UntrustedError(Exception):
    """This certificate does not do: OPC UA's status for it, and why, in words that follow `its certificate`."""

    def __init__(self, status: str, why: str, remedy: str = "") -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why
        self.remedy = remedy


def split(sent: bytes) -> list[x509.Certificate]:
    """The certificates in DER that stand one behind the other; raises UntrustedError."""
    found: list[x509.Certificate] = []
    at = 0
    try:
        while at < len(sent):
            size = _der_size(sent, at)
            found.append(x509.load_der_x509_certificate(sent[at : at + size]))
            at += size
            if len(found) > SENT:
                raise ValueError("too many")
    except (ValueError, IndexError) as error:
        raise UntrustedError("BadCertificateInvalid", "cannot be read") from error
    if not found:
        raise UntrustedError("BadCertificateInvalid", "is missing")
    return found


def _der_size(data: bytes, at: int) -> int:
    """Bytes of the ASN.1 value that begins here (ITU-T X.690 §8.1.3)."""
    first = data[at + 1]
    if first < 0x80:
        return 2 + first
    octets = first & 0x7F
    if not 1 <= octets <= 4:
        raise ValueError("length")
    return 2 + octets + int.from_bytes(data[at + 2 : at + 2 + octets], "big")


def uris(certificate: x509.Certificate) -> list[str]:
    """The application URIs that a certificate names."""
    return _names(certificate, x509.UniformResourceIdentifier)


def hosts(certificate: x509.Certificate) -> list[str]:
    """The host names and addresses that a certificate names."""
    return [*_names(certificate, x509.DNSName), *_names(certificate, x509.IPAddress)]


def _names(certificate: x509.Certificate, kind: type[x509.GeneralName]) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name.value) for name in found if isinstance(name, kind)]


def authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign others (CA:TRUE)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, as people compare it."""
    digits = certificate.fingerprint(hashes.SHA256()).hex().upper()
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def common_name(certificate: x509.Certificate) -> str:
    """What a certificate calls its owner."""
    named = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(named[0].value) if named else "certificate"


def file_name(certificate: x509.Certificate) -> str:
    """A name for its file that no certificate can choose: letters of its owner's name, and its fingerprint."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", common_name(certificate)).strip("-.") or "certificate"
    return f"{name[:40]}-{fingerprint(certificate).replace(':', '')[:16].lower()}.der"


def strong(certificate: x509.Certificate) -> None:
    """Raise UntrustedError for a key or a signature that is too weak."""
    try:
        key = certificate.public_key()
        digest = certificate.signature_hash_algorithm
    except (ValueError, TypeError) as error:  # UnsupportedAlgorithm is told below, by the kind of key
        raise UntrustedError("BadCertificateInvalid", "cannot be read") from error
    if not isinstance(key, rsa.RSAPublicKey) or not SHORTEST_BITS <= key.key_size <= LONGEST_BITS:
        raise UntrustedError(
            "BadCertificatePolicyCheckFailed", f"has no RSA key of {SHORTEST_BITS} to {LONGEST_BITS} bits"
        )
    if digest is None or isinstance(digest, _WEAK):
        raise UntrustedError("BadCertificatePolicyCheckFailed", "is signed with SHA-1 or weaker")


def in_time(chain: list[x509.Certificate], now: datetime) -> None:
    """Raise UntrustedError for what has expired or is not valid yet."""
    for number, certificate in enumerate(chain):
        status = "BadCertificateIssuerTimeInvalid" if number else "BadCertificateTimeInvalid"
        whose = "was signed by an authority whose certificate " if number else ""
        if certificate.not_valid_after_utc < now:
            raise UntrustedError(status, f"{whose}expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
        if certificate.not_valid_before_utc > now:
            begins = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M}"
            why = f"{whose}is not valid before {begins} UTC; compare both clocks (here it is {now:%Y-%m-%d %H:%M} UTC)"
            raise UntrustedError(status, why)


def usable(certificate: x509.Certificate) -> None:
    """An application's certificate, and not one that signs others."""
    status = "BadCertificateUseNotAllowed"
    if authority(certificate):
        raise UntrustedError(status, "is an authority's (CA:TRUE) and would let in everybody it ever signs")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        raise UntrustedError(status, "does not say what its key may be used for") from None
    if not (usage.digital_signature and (usage.key_encipherment or usage.data_encipherment)):
        raise UntrustedError(status, "does not let its key sign and encrypt")
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        raise UntrustedError(status, "is not made for a client (extended key usage)")


def self_signed(certificate: x509.Certificate) -> bool:
    """Whether nobody else has signed it."""
    return certificate.issuer == certificate.subject and signed_by(certificate, certificate)


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key has."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - cryptography has many words for "no", some of them its own
        return False
    return True
