"""Certificates of OPC UA applications and users for the tests, good and bad, and an authority with its CRL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

URI = "urn:test:client"
_PEM = Encoding.PEM


@dataclass(frozen=True)
class Paper:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def secret(self) -> bytes:
        kind, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self.key.private_bytes(_PEM, kind, none)

    def save(self, folder: Path, name: str) -> Path:
        path = folder / f"{name}.pem"
        path.write_bytes(self.certificate.public_bytes(_PEM))
        (folder / f"{name}.key").write_bytes(self.secret)
        return path


class Papers:
    """Makes them; keys are made once and shared, as that is what takes time."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, int], rsa.RSAPrivateKey] = {}
        self.client = self.make("client")
        self.stranger = self.make("stranger")
        self.authority = self.make("plant-ca", ca=True, uri="")
        self.signed = self.make("signed", issuer=self.authority)
        self.revoked = self.make("revoked", issuer=self.authority)

    def key(self, name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
        if (name, bits) not in self._keys:
            self._keys[name, bits] = rsa.generate_private_key(65537, bits)
        return self._keys[name, bits]

    def make(self, name: str, **wish: Any) -> Paper:
        """`uri`, `ca`, `days` from now, `begins` days from now, `bits`, `issuer`, `usage`, `purpose`."""
        key = self.key(wish.get("key", name), wish.get("bits", 2048))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer: Paper | None = wish.get("issuer")
        now, ca = datetime.now(UTC), wish.get("ca", False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=wish.get("begins", -200)))
            .not_valid_after(now + timedelta(days=wish.get("days", 300)))
            .add_extension(x509.BasicConstraints(ca, 0 if ca else None), critical=True)
            .add_extension(_usage(wish.get("usage", True), ca), critical=True)
        )
        if wish.get("uri", URI):
            names = [x509.UniformResourceIdentifier(wish.get("uri", URI)), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            purpose = wish.get("purpose", ExtendedKeyUsageOID.CLIENT_AUTH)
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        return Paper(builder.sign(issuer.key if issuer else key, wish.get("digest", hashes.SHA256())), key)

    def crl(self, *revoked: Paper, days: float = 30, by: Paper | None = None) -> bytes:
        """The authority's list, in DER; it expires so many days from now."""
        issuer, now = by or self.authority, datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(now - timedelta(days=60))
            .next_update(now + timedelta(days=days))
        )
        for paper in revoked:
            serial = paper.certificate.serial_number
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(days=1))
            builder = builder.add_revoked_certificate(one.build())
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _usage(good: bool, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=good,
        content_commitment=good,
        key_encipherment=good,
        data_encipherment=good,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
