"""Revocation lists of an authority that `gateway cert new --authority` made. Source: RFC 5280 §5."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from gateway import certs
from gateway.certs import CertError
from protocols.modbus import certificate as reading


def revoke(
    authority: Path, revoked: Sequence[Path], target: Path, *, days: float = 365, now: datetime | None = None
) -> list[int]:
    """Write the authority's list: who was on it in `target` before, and `revoked`; returns the serial numbers on it.

    It is valid for so many days: then a new one is due, also when nobody has been added. Raises CertError.
    """
    signer, now = certs.load_signer(authority), now or datetime.now(UTC)
    former = _former(target, signer.certificate)
    serials = [entry.serial_number for entry in former or ()]
    for path in revoked:
        found = x509.load_der_x509_certificate(certs.read(path)[0])
        if found.issuer != signer.certificate.subject:
            raise CertError(f"{path}: was not signed by {authority}; only its own authority can revoke it")
        serials.append(found.serial_number)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(now - certs.BACKDATED)
        .next_update(now + timedelta(days=days))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(_number(former) + 1), critical=False)
    )
    for serial in dict.fromkeys(serials):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
        builder = builder.add_revoked_certificate(entry.build())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.PEM))
    except OSError as error:
        raise CertError(f"{target}: cannot be written ({error.strerror}); check its permissions") from error
    return list(dict.fromkeys(serials))


def _former(target: Path, signer: x509.Certificate) -> x509.CertificateRevocationList | None:
    if not target.exists():
        return None
    try:
        found = x509.load_pem_x509_crl(reading.contents(target))
    except (OSError, ValueError) as error:
        raise CertError(f"{target}: is there and is no revocation list in PEM; give another name") from error
    if found.issuer != signer.subject:
        raise CertError(f"{target}: is the list of another authority; give another name")
    return found


def _number(former: x509.CertificateRevocationList | None) -> int:
    try:
        return 0 if former is None else former.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0
