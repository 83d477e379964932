"""Who a server is, by its certificate: the very one that was pinned or trusted, or one signed by a trusted authority.

Source: OPC 10000-4 §6.1.3 (the steps in which a certificate is validated), RFC 5280 §6 (revocation lists).
What the server calls itself (application URI) and where it was reached (host) are asked only of certificates that
an authority vouches for; one that a person has trusted by itself is known by its bytes.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa

from protocols.faults import Code
from protocols.link import LinkError, PeerError
from protocols.modbus import certificate as files
from protocols.modbus.security import trusted
from protocols.opcua.peer_settings import ClientSecurity

LIFTED = 20
"""Refused certificates kept for a person to look at."""
DEEPEST = 4
"""Certificates from a server's own to the trusted authority, both counted."""


class UntrustedError(PeerError):
    """A certificate that is not accepted; the message follows the server's name."""

    def __init__(self, text: str, fault: Code = Code.PEER_REFUSED) -> None:
        super().__init__(text)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Claim:
    """What an endpoint says of its server: certificate with its chain in DER, application URI, host as we called it."""

    certificate: bytes
    uri: str
    host: str


def verify(claim: Claim, security: ClientSecurity, *, now: datetime | None = None) -> bytes:
    """The server's own certificate in DER if it is trusted; raises UntrustedError, LinkError for files of ours."""
    now = now or datetime.now(UTC)
    shown = _split(claim.certificate)
    if not shown:
        raise UntrustedError("shows no certificate that can be read")
    own, *above = shown
    try:
        _check_dates(own, now, "its certificate")
        _check_trust(own, above, claim, security, now)
    except UntrustedError as error:
        raise UntrustedError(f"{error}{_lift(own, security)}", error.fault) from error
    return der(own)


def own_uri(path: Path) -> str:
    """The application URI in our certificate, which a server compares with what we call ourselves; raises LinkError."""
    uris = _names(load(path), x509.UniformResourceIdentifier)
    if not uris:
        raise LinkError(f"{path}: has no application URI, so no server accepts it; make one with `gateway cert new`")
    return uris[0]


def check_own(path: Path, *, now: datetime | None = None) -> float:
    """Days that our certificate is still good; raises UntrustedError with its code when it has expired."""
    from protocols.modbus.security import expiry

    left = (load(path).not_valid_after_utc - (now or datetime.now(UTC))).total_seconds() / 86400
    code, text = expiry(left)
    if code is Code.CERT_EXPIRED:
        raise UntrustedError(f"{path} {text}", code)
    return left


def load(path: Path) -> x509.Certificate:
    """Our own certificate, the first of a file; raises LinkError, also for a key that is not RSA."""
    found = _load(trusted(path)[0][1], path)
    if isinstance(found.public_key(), rsa.RSAPublicKey):
        return found
    raise LinkError(f"{path}: its key is no RSA key, which the policies of OPC UA need; make one with --key rsa")


def der(certificate: x509.Certificate) -> bytes:
    """Its bytes on the wire."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


# ---------------------------------------------------------------- trust


def _check_trust(
    own: x509.Certificate,
    above: Sequence[x509.Certificate],
    claim: Claim,
    security: ClientSecurity,
    now: datetime,
) -> None:
    place = security.pinned or security.trust
    if place is None:
        raise UntrustedError("is trusted by nobody: neither `trust` nor `pinned` is set")
    known = [_load(found, file) for file, found in trusted(place)]
    if der(own) in map(der, known[:1] if security.pinned else known):
        return
    if security.pinned is not None:
        raise UntrustedError("its certificate is not the pinned one")
    _check_chain(own, [*above, *known], known, security, now)
    _check_names(own, claim)


def _check_chain(
    own: x509.Certificate,
    others: Sequence[x509.Certificate],
    known: Sequence[x509.Certificate],
    security: ClientSecurity,
    now: datetime,
) -> None:
    """From the server's certificate up to an authority that is trusted, each link sound and none revoked."""
    anchors = {der(one) for one in known}
    child = own
    for _ in range(DEEPEST - 1):
        issuer = next((one for one in others if one is not child and _signed(child, one)), None)
        if issuer is None:
            raise UntrustedError("its certificate is not trusted here; look at it and add it with `gateway cert trust`")
        _check_dates(issuer, now, "the certificate of its authority")
        _check_revocation(child, issuer, security, now)
        if der(issuer) in anchors:
            return
        child = issuer
    raise UntrustedError("its certificate is too many signatures away from a trusted one")


def _signed(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(issuer)
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return constraints.ca


def _check_dates(certificate: x509.Certificate, now: datetime, what: str) -> None:
    if now > certificate.not_valid_after_utc:
        day = certificate.not_valid_after_utc.date()
        raise UntrustedError(f"{what} expired on {day}, and this computer's clock says {now.date()}", Code.CERT_EXPIRED)
    if now < certificate.not_valid_before_utc:
        day = certificate.not_valid_before_utc.date()
        raise UntrustedError(f"{what} is valid from {day} on only, and this computer's clock says {now.date()}")


def _check_revocation(
    child: x509.Certificate, issuer: x509.Certificate, security: ClientSecurity, now: datetime
) -> None:
    fresh = found = False
    for revoked in _lists(security.trust):
        if revoked.issuer != issuer.subject or not _genuine(revoked, issuer):
            continue
        found = True
        if revoked.get_revoked_certificate_by_serial_number(child.serial_number) is not None:
            raise UntrustedError("its certificate was revoked")
        fresh = fresh or revoked.next_update_utc is None or revoked.next_update_utc >= now
    if fresh or (not found and security.missing_crl == "accept"):
        return
    why = "the list of its authority has run out" if found else "its authority has left no list of revoked ones"
    raise UntrustedError(f"its certificate may have been revoked: {why}; put a current .crl file into {security.trust}")


def _genuine(revoked: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    try:
        return revoked.is_signature_valid(key)  # type: ignore[arg-type]
    except (TypeError, ValueError, InvalidSignature):
        return False


def _lists(trust: Path | None) -> Iterator[x509.CertificateRevocationList]:
    for file in sorted(trust.glob("*.crl")) if trust is not None and trust.is_dir() else ():
        data = files.contents(file)
        try:
            yield x509.load_pem_x509_crl(data) if b"-----BEGIN" in data else x509.load_der_x509_crl(data)
        except ValueError as error:
            raise LinkError(f"{file}: holds no list of revoked certificates; remove it or get it anew") from error


def _check_names(own: x509.Certificate, claim: Claim) -> None:
    uris = _names(own, x509.UniformResourceIdentifier)
    if claim.uri not in uris:
        raise UntrustedError(f"calls itself {claim.uri}, its certificate is for {', '.join(uris) or 'nobody'}")
    hosts = [name.lower() for name in _names(own, x509.DNSName)] + _names(own, x509.IPAddress)
    try:
        wanted = str(ipaddress.ip_address(claim.host))
    except ValueError:
        wanted = claim.host.lower()
    if wanted not in hosts:
        raise UntrustedError(f"was reached as {claim.host}, its certificate is for {', '.join(hosts) or 'no host'}")


def _names(
    certificate: x509.Certificate, kind: type[x509.UniformResourceIdentifier | x509.DNSName | x509.IPAddress]
) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name) for name in found.get_values_for_type(kind)]


# ---------------------------------------------------------------- reading and keeping


def _split(chain: bytes) -> list[x509.Certificate]:
    """A server may send its certificate and those above it, one behind the other."""
    found: list[x509.Certificate] = []
    while len(chain) > 4 and len(found) < DEEPEST:
        size = int.from_bytes(chain[2:4], "big") + 4 if chain[1] == 0x82 else len(chain)
        try:
            found.append(x509.load_der_x509_certificate(chain[:size]))
        except ValueError:
            return found
        chain = chain[size:]
    return found


def _load(data: bytes, path: Path) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise LinkError(f"{path}: holds no certificate that can be read; get it anew") from error


def _lift(own: x509.Certificate, security: ClientSecurity) -> str:
    """Keep a refused certificate where a person can look at it; where it lies, for the message."""
    if security.rejected is None:
        return ""
    data = der(own)
    file = security.rejected / f"{hashlib.sha256(data).hexdigest()[:40]}.der"
    try:
        security.rejected.mkdir(parents=True, exist_ok=True)
        if not file.exists() and len(list(security.rejected.glob("*.der"))) < LIFTED:
            file.write_bytes(data)
    except OSError:
        return ""
    return f" (it lies in {file})" if file.exists() else ""
