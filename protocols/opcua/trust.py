"""Whom the server trusts: a folder with certificates, authorities and revocation lists, and those it turned away.

Source: OPC UA Part 4 §6.1.3 (Determining if a Certificate is trusted), Part 6 §6.2.2 (Application Instance
Certificate); RFC 5280 §5 and §6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocols.link import LinkError
from protocols.modbus import certificate as reading

TRUSTED, ISSUERS, CRLS, REJECTED = FOLDERS = ("trusted", "issuers", "crl", "rejected")
SUFFIXES = (".pem", ".crt", ".cer", ".der", ".crl")
FILES = 1000
"""Files of one folder that are read at most."""
KEPT = 100
"""Certificates in `rejected`; then the oldest goes."""
DEEPEST = 5
"""Certificates from the application's own up to the root."""
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


@dataclass(frozen=True, slots=True)
class _Known:
    """What the folders held when they were last read."""

    state: tuple[object, ...]
    trusted: tuple[x509.Certificate, ...]
    issuers: tuple[x509.Certificate, ...]
    crls: tuple[x509.CertificateRevocationList, ...]
    damaged: tuple[str, ...]


def prepare(folder: Path) -> None:
    """Make the four folders; raises LinkError."""
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise LinkError(f"{folder}: cannot be made ({cause}); check its permissions, or give another trust") from error


class TrustFolder:
    """The folder, read again whenever one of its files has changed."""

    def __init__(self, folder: Path, *, crl_required: bool = True) -> None:
        self.folder = folder
        self._crl_required = crl_required
        self._known = _Known((), (), (), (), ())

    def refresh(self) -> bool:
        """Read what has changed; True if anything has."""
        state = tuple(_state(self.folder / name) for name in (TRUSTED, ISSUERS, CRLS))
        if state == self._known.state:
            return False
        damaged: list[str] = []
        trusted = tuple(_certificates(self.folder / TRUSTED, damaged))
        issuers = tuple(_certificates(self.folder / ISSUERS, damaged))
        self._known = _Known(state, trusted, issuers, tuple(_crls(self.folder / CRLS, damaged)), tuple(damaged))
        return True

    @property
    def damaged(self) -> tuple[str, ...]:
        """Files that could not be used when the folder was last read, with the cause."""
        return self._known.damaged

    def check(self, sent: bytes, now: datetime | None = None) -> x509.Certificate:
        """The application's certificate in what it sent (DER, its own first); raises UntrustedError."""
        self.refresh()
        now = now or datetime.now(UTC)
        own, *others = split(sent)
        _strong(own)
        chain = self._chain(own, others)
        for certificate in chain[1:]:
            _strong(certificate)
        if not any(certificate in self._known.trusted for certificate in chain):
            raise UntrustedError("BadCertificateUntrusted", "is not trusted", "trust")
        _in_time(chain, now)
        _usable(own)
        for certificate, issuer in pairwise(chain):
            self._revocation(certificate, issuer, now)
        return own

    def reject(self, sent: bytes) -> Path | None:
        """Keep a certificate that was turned away, for a person to look at; where it lies now, None if nowhere."""
        try:
            own = split(sent)[0]
            target = self.folder / REJECTED / file_name(own)
            if not target.exists():
                self._make_room()
                target.write_bytes(own.public_bytes(Encoding.DER))
        except (OSError, UntrustedError):
            return None
        return target

    def _make_room(self) -> None:
        kept = sorted((self.folder / REJECTED).glob("*.der"), key=lambda path: path.stat().st_mtime_ns)
        for path in kept[: max(0, len(kept) - KEPT + 1)]:
            path.unlink(missing_ok=True)

    def _chain(self, own: x509.Certificate, sent: list[x509.Certificate]) -> list[x509.Certificate]:
        chain = [own]
        pool = (*self._known.trusted, *self._known.issuers, *sent)
        while not _self_signed(chain[-1]):
            if len(chain) == DEEPEST:
                raise UntrustedError("BadCertificateChainIncomplete", "has more authorities above it than are followed")
            issuer = next((each for each in pool if _signed_by(chain[-1], each)), None)
            if issuer is None and len(chain) == 1 and own in self._known.trusted:
                return chain  # a person has trusted this very one
            if issuer is None:
                named = chain[-1].issuer.rfc4514_string()[:120]
                raise UntrustedError(
                    "BadCertificateChainIncomplete",
                    f"was signed by {named}, which is not known here",
                    "trust",
                )
            if not authority(issuer):
                raise UntrustedError("BadCertificateIssuerUseNotAllowed", "was signed by one that is no authority")
            chain.append(issuer)
        return chain

    def _revocation(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
        crls = [crl for crl in self._known.crls if crl.issuer == issuer.subject and _crl_of(crl, issuer)]
        if any(crl.get_revoked_certificate_by_serial_number(certificate.serial_number) for crl in crls):
            raise UntrustedError("BadCertificateRevoked", "was revoked by the authority that signed it")
        if not self._crl_required:
            return
        if not crls:
            raise UntrustedError(
                "BadCertificateRevocationUnknown",
                f"was signed by {issuer.subject.rfc4514_string()[:120]}, of which no revocation list (CRL) is here",
                f"put the authority's CRL into {self.folder / CRLS}, or say `crl: optional`",
            )
        if all(crl.next_update_utc is not None and crl.next_update_utc < now for crl in crls):
            raise UntrustedError(
                "BadCertificateRevocationUnknown",
                f"was signed by {issuer.subject.rfc4514_string()[:120]}, whose revocation list (CRL) has expired",
                f"put a new CRL into {self.folder / CRLS}, or say `crl: optional`",
            )


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


def _strong(certificate: x509.Certificate) -> None:
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


def _in_time(chain: list[x509.Certificate], now: datetime) -> None:
    for number, certificate in enumerate(chain):
        status = "BadCertificateIssuerTimeInvalid" if number else "BadCertificateTimeInvalid"
        whose = "was signed by an authority whose certificate " if number else ""
        if certificate.not_valid_after_utc < now:
            raise UntrustedError(status, f"{whose}expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
        if certificate.not_valid_before_utc > now:
            begins = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M}"
            why = f"{whose}is not valid before {begins} UTC; compare both clocks (here it is {now:%Y-%m-%d %H:%M} UTC)"
            raise UntrustedError(status, why)


def _usable(certificate: x509.Certificate) -> None:
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


def _self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject and _signed_by(certificate, certificate)


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - cryptography has many words for "no", some of them its own
        return False
    return True


def _crl_of(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    try:
        return isinstance(key, rsa.RSAPublicKey) and crl.is_signature_valid(key)
    except Exception:  # noqa: BLE001 - as above
        return False


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:FILES]
    except OSError:
        return []


def _state(folder: Path) -> tuple[object, ...]:
    found = []
    for path in _files(folder):
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append((path.name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


def _certificates(folder: Path, damaged: list[str]) -> Iterator[x509.Certificate]:
    for path in _files(folder):
        try:
            for der in reading.blocks(reading.contents(path)):
                yield x509.load_der_x509_certificate(der)
        except (OSError, ValueError, reading.CertificateError) as error:
            damaged.append(f"{path} ({error})")


def _crls(folder: Path, damaged: list[str]) -> Iterable[x509.CertificateRevocationList]:
    for path in _files(folder):
        try:
            data = reading.contents(path)
            yield x509.load_pem_x509_crl(data) if b"-----BEGIN" in data else x509.load_der_x509_crl(data)
        except (OSError, ValueError) as error:
            damaged.append(f"{path} ({error})")
