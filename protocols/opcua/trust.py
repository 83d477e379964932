"""Whom the server trusts: a folder with certificates, authorities and revocation lists, and those it turned away.

Source: OPC UA Part 4 §6.1.3 (Determining if a Certificate is trusted), Part 6 §6.2.2 (Application Instance
Certificate); RFC 5280 §5 and §6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.link import LinkError
from protocols.modbus import certificate as reading
from protocols.opcua.application_certificate import (
    UntrustedError,
    authority,
    file_name,
    in_time,
    self_signed,
    signed_by,
    split,
    strong,
    usable,
)

TRUSTED, ISSUERS, CRLS, REJECTED = FOLDERS = ("trusted", "issuers", "crl", "rejected")
SUFFIXES = (".pem", ".crt", ".cer", ".der", ".crl")
FILES = 1000
"""Files of one folder that are read at most."""
KEPT = 100
"""Certificates in `rejected`; then the oldest goes."""
DEEPEST = 5
"""Certificates from the application's own up to the root."""


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
        self._known = _Known(((), (), ()), (), (), (), ())

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
        strong(own)
        chain = self._chain(own, others)
        for certificate in chain[1:]:
            strong(certificate)
        if not any(certificate in self._known.trusted for certificate in chain):
            raise UntrustedError("BadCertificateUntrusted", "is not trusted", "trust")
        in_time(chain, now)
        usable(own)
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
        while not self_signed(chain[-1]):
            if len(chain) == DEEPEST:
                raise UntrustedError("BadCertificateChainIncomplete", "has more authorities above it than are followed")
            issuer = next((each for each in pool if signed_by(chain[-1], each)), None)
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
