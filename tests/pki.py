"""Certificates for the tests: an authority, a gateway, masters of every kind, good and bad."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ObjectIdentifier

from gateway import certs
from gateway.certs import Made, Wish
from protocols.modbus.certificate import ROLE_OID
from protocols.modbus.security_settings import ClientTls, ServerTls

ROLES: Mapping[str, Any] = {"operator": "read_write", "viewer": "read", "feeder": "write", "guest": "none"}


class Pki:
    """A folder with NAME.pem and NAME.key for each name below, and trust/ca.pem."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = self._save(certs.make(Wish("ca", authority=True)))
        stranger = self._save(certs.make(Wish("stranger-ca", authority=True)))
        self._save(certs.make(Wish("gateway", ["127.0.0.1", "localhost"]), self.ca))
        for role in (*ROLES, "stranger"):
            self._save(certs.make(Wish(role, role=role), self.ca))
        self._save(certs.make(Wish("nobody"), self.ca))
        self._save(certs.make(Wish("foreigner", role="operator"), stranger))
        self._save(certs.make(Wish("loner", ["127.0.0.1"], role="operator")))
        past = datetime.now(UTC) - timedelta(days=100)
        self._save(certs.make(Wish("expired", ["127.0.0.1"], role="operator", days=10), self.ca, now=past))
        self._save(certs.make(Wish("future", role="operator"), self.ca, now=datetime.now(UTC) + timedelta(days=5)))
        self._save(self.with_role("mumbler", b"operator"))
        (folder / "trust").mkdir()
        certs.trust(folder / "ca.pem", folder / "trust", authority=True)

    def with_role(self, name: str, value: bytes) -> Made:
        """A certificate whose role extension holds these very bytes."""
        made = certs.make(Wish(name), self.ca)
        old = made.certificate
        builder = (
            x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), old.serial_number)
            .not_valid_before(old.not_valid_before_utc)
            .not_valid_after(old.not_valid_after_utc)
            .add_extension(x509.UnrecognizedExtension(ObjectIdentifier(ROLE_OID), value), critical=False)
        )
        return Made(builder.sign(self.ca.key, hashes.SHA256()), made.key)

    def _save(self, made: Made) -> Made:
        certs.save(made, self.folder)
        return made

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def server(self, name: str = "gateway", **changes: Any) -> ServerTls:
        """The settings of a listener that trusts the authority."""
        fields = {"trust": self.folder / "trust", "roles": dict(ROLES), **changes}
        return ServerTls(certificate=self.path(name), key=self.key(name), **fields)

    def client(self, name: str = "operator", **changes: Any) -> ClientTls:
        """The settings of our own client, trusting the authority unless told of a pin."""
        fields = changes if "pinned" in changes else {"trust": self.path("ca"), **changes}
        return ClientTls(certificate=self.path(name), key=self.key(name), **fields)

    def foreign(self, name: str = "operator") -> ssl.SSLContext:
        """Somebody else's client that shows this certificate ("" = none) and checks nothing but the authority."""
        context = ssl.create_default_context(cafile=self.path("ca"))
        if name:
            context.load_cert_chain(self.path(name), self.key(name))
        return context
