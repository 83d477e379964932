"""The server's own certificate, and what it says to those of others.

Source: OPC UA Part 4 §6.1.3; Part 6 §6.2.2. A certificate that expires is told of and never replaced by no security.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncua import ua
from asyncua.common.utils import ServiceError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocols.faults import Code
from protocols.link import LinkError
from protocols.opcua import application_certificate as appcert
from protocols.opcua import own_files, trust
from protocols.opcua.application_certificate import UntrustedError
from protocols.opcua.compat import Refused
from protocols.opcua.server_settings import EVERYWHERE, OpcUaServerConfig
from protocols.opcua.trust import TrustFolder
from protocols.settings import OnEvent

DAY = 86_400.0
STAGES = (60, 30, 7)
"""Days before its end at which our certificate's expiry is told."""
YEARS = 5
CURE = "make a new one (`gateway cert new NAME --opcua`), or remove the self-made one"


@dataclass(frozen=True, slots=True)
class Own:
    """What the server shows: its certificate, and the key that belongs to it."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    path: Path
    uri: str = ""
    """The application that it names."""


def host_names(config: OpcUaServerConfig) -> tuple[str, ...]:
    """By which the server is reached, the one for its endpoints first."""
    if config.names:
        return config.names
    return (socket.gethostname(),) if config.host in EVERYWHERE else (config.host,)


def self_made_uri(config: OpcUaServerConfig) -> str:
    """Which application this is, where no certificate says so."""
    return config.application_uri or f"urn:{socket.gethostname()}:vision-plc-gateway"


def own(config: OpcUaServerConfig, data: Path, on_event: OnEvent) -> Own:
    """The configured certificate, or the self-made one in `data`, made now if need be; raises LinkError."""
    if config.certificate is not None and config.key is not None:
        found = _load(config.certificate, config.key)
    else:
        certificate, key = data / "own" / "server.pem", data / "own" / "server.key"
        if not certificate.exists() or not key.exists():
            _make(config, certificate, key)
            text = f"made itself the certificate {certificate}"
            print_ = appcert.fingerprint(_load(certificate, key).certificate)
            on_event(Code.NONE, f"opcua server {config.place} {text}; clients are asked to trust SHA-256 {print_}")
        found = _load(certificate, key)
    named = appcert.uris(found.certificate)
    uri = config.application_uri or (self_made_uri(config) if config.certificate is None else next(iter(named), ""))
    if uri not in named:
        raise LinkError(
            f"{found.path}: names the application {', '.join(named) or 'none'}, and this server is {uri or 'any'}; "
            f"leave out application_uri, or {own_files.MAKE}"
        )
    return replace(found, uri=uri)


def _load(certificate: Path, key: Path) -> Own:
    return Own(*own_files.pair(certificate, key), certificate)


def _make(config: OpcUaServerConfig, certificate: Path, key: Path) -> None:
    names = dict.fromkeys((*host_names(config), socket.gethostname()))
    made = self_signed(config.application_name, self_made_uri(config), tuple(names))
    pem = serialization.Encoding.PEM
    secret = made[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        certificate.parent.mkdir(parents=True, exist_ok=True)
        _write(key, secret, 0o600)
        _write(certificate, made[0].public_bytes(pem), 0o644)
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise LinkError(f"{certificate.parent}: cannot be written ({cause}); check its permissions") from error


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by more than `mode` says."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def self_signed(name: str, uri: str, hosts: tuple[str, ...]) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A new key and a certificate that signs itself, with all that Part 6 §6.2.2 asks for."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), *map(_host, hosts)]), False)
    )
    return builder.sign(key, hashes.SHA256()), key


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,  # it signs itself
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Security:
    """Decides about the certificates of clients, and watches our own."""

    def __init__(
        self,
        config: OpcUaServerConfig,
        data: Path,
        on_event: OnEvent,
        refused: Callable[[str, str, str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read everything; raises LinkError. `data` is the gateway's folder for OPC UA, `clock` seconds since 1970."""
        self.own = own(config, data, on_event)
        folder = config.trust or data / "trust"
        trust.prepare(folder)
        self.folder = TrustFolder(folder, crl_required=config.crl == "required")
        self._name = f"opcua server {config.place}"
        self._on_event = on_event
        self._refused = refused
        self._clock = clock
        self._stage: int | None = None
        self.folder.refresh()
        self._tell_damaged()

    def trust(self, address: str, sent: bytes) -> None:
        """Raise Refused unless these certificates, the client's own first, are of an application we trust."""
        try:
            self.folder.check(sent, datetime.fromtimestamp(self._clock(), UTC))
        except UntrustedError as error:
            self._turn_away(address, sent, error)
            # Part 4 §6.1.3: a peer that is not trusted is not told why
            raise Refused("BadSecurityChecksFailed") from error

    def names(self, address: str, sent: bytes, uri: str) -> None:
        """Raise ServiceError unless the certificate names the application that the client says to be."""
        found = appcert.uris(appcert.split(sent)[0])
        if uri and uri in found:
            return
        named = ", ".join(found)[:120] or "no application"
        why = f"is for {named}, and the client says it is {uri[:120] or 'nobody'}"
        self._turn_away(address, sent, UntrustedError("BadCertificateUriInvalid", why))
        raise ServiceError(ua.StatusCodes.BadCertificateUriInvalid)

    def still(self, sent: bytes) -> bool:
        """Whether a client that was let in would be let in now."""
        try:
            self.folder.check(sent, datetime.fromtimestamp(self._clock(), UTC))
        except UntrustedError:
            return False
        return True

    def changed(self) -> bool:
        """Whether the trust folder has changed since it was last asked for."""
        found = self.folder.refresh()
        if found:
            self._tell_damaged()
        return found

    def look(self) -> None:
        """Tell once at each stage how long our own certificate is still good."""
        left = (self.own.certificate.not_valid_after_utc.timestamp() - self._clock()) / DAY
        stage = next((days for days in (0, *reversed(STAGES)) if left < days), None)
        if stage == self._stage:
            return
        self._stage = stage
        if stage == 0:
            self._on_event(
                Code.CERT_EXPIRED,
                f"{self._name}: {self.own.path} expired {-left:.0f} days ago; clients refuse it: {CURE}",
            )
        elif stage is not None:
            self._on_event(Code.CERT_EXPIRES, f"{self._name}: {self.own.path} expires in {left:.0f} days; {CURE}")

    def _turn_away(self, address: str, sent: bytes, error: UntrustedError) -> None:
        kept = self.folder.reject(sent)
        remedy = f"; {error.remedy}" if error.remedy and error.remedy != "trust" else ""
        if kept is not None and error.remedy == "trust":
            into = self.folder.folder
            remedy = f"; to trust it: `gateway cert trust {kept} --into {into}`"
        try:
            who = f" ({appcert.common_name(appcert.split(sent)[0])[:60]!r})"
        except UntrustedError:
            who = ""
        self._refused(address, error.status, f"is turned away: its certificate{who} {error.why}{remedy}")

    def _tell_damaged(self) -> None:
        for what in self.folder.damaged:
            self._on_event(Code.CONFIG_INVALID, f"{self._name}: {what} cannot be used and trusts nobody; remove it")
