"""Certificates and keys: made, read and trusted. For every protocol that authenticates by X.509.

Source: RFC 5280 (profile); the role is that of the MODBUS/TCP Security Protocol Specification V36 §8.4; the key usage
and the URI name are what OPC UA Part 6 §6.2.2 asks of an application's certificate.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from protocols.modbus import certificate as reading
from protocols.modbus.certificate import CertificateError

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KeyKind = Literal["ec", "rsa"]

BACKDATED = timedelta(hours=1)
"""A certificate is valid from a little before it was made: clocks of PLCs are seldom exact."""
LONGEST = 36_500
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class CertError(Exception):
    """What cannot be done: one sentence with place, cause and remedy."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A certificate to be made."""

    name: str
    """Its common name, and that of its files."""
    hosts: Sequence[str] = ()
    """Host names and addresses under which it is reached."""
    uris: Sequence[str] = ()
    role: str = ""
    days: float = 1095
    key: KeyKind = "ec"
    authority: bool = False
    """It signs others' certificates, and is good for nothing else."""
    opcua: bool = False
    """It is an OPC UA application's (Part 6 §6.2.2): RSA, with its URI; that of an authority may be for one as well."""


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate with its key, and the certificates that signed it, up to the root."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """One certificate in the words of the person who reads it."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    role: str
    begins: datetime
    ends: datetime
    sha256: str
    key: str
    authority: bool

    def days_left(self, now: datetime) -> float:
        """Below 0 when it has expired."""
        return (self.ends - now) / timedelta(days=1)


def make(wish: Wish, signer: Made | None = None, *, now: datetime | None = None) -> Made:
    """A new key and its certificate, signed by `signer` or by itself; raises CertError for a wish that cannot be."""
    _check(wish, signer)
    if wish.opcua:
        wish = for_opcua(wish)
    key: Key = ec.generate_private_key(ec.SECP256R1()) if wish.key == "ec" else rsa.generate_private_key(65537, 2048)
    now = now or datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wish.name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=wish.days))
    )
    for extension, critical in _extensions(wish, key, signer):
        builder = builder.add_extension(extension, critical=critical)
    made = builder.sign(signer.key if signer else key, hashes.SHA256())
    return Made(made, key, (signer.certificate, *signer.chain) if signer else ())


def for_opcua(wish: Wish) -> Wish:
    """The same for an OPC UA application: an RSA key, and a URI made of host and name where none is given."""
    uris = tuple(wish.uris) or (() if wish.authority else (f"urn:{socket.gethostname()}:{wish.name}",))
    return replace(wish, key="rsa", uris=uris)


def _check(wish: Wish, signer: Made | None) -> None:
    if not _NAME.fullmatch(wish.name):
        raise CertError(f"{wish.name!r} is no name for a certificate; use letters, digits, _ . and -, a letter first")
    if not 0 < wish.days <= LONGEST:
        raise CertError(f"{wish.days:g} days cannot be; give 1 to {LONGEST}")
    if wish.role and (len(wish.role) > reading.ROLE_LENGTH or not wish.role.isprintable()):
        raise CertError(f"role {wish.role[:20]!r} is not printable or has more than {reading.ROLE_LENGTH} characters")
    if signer is not None and not shown(signer.certificate).authority:
        raise CertError(
            f"{_common_name(signer.certificate)} is no authority; make one with --authority and sign with it"
        )
    if wish.opcua and not wish.authority and len(wish.uris) > 1:
        raise CertError("an OPC UA application has one URI; give --uri once")
    if wish.opcua and signer is not None and not isinstance(signer.key, rsa.RSAPrivateKey):
        raise CertError("OPC UA wants RSA throughout; make the authority with --opcua as well")
    if signer is not None and wish.authority:
        raise CertError("an authority below another is not made here; make it without --signed-by")


def _extensions(wish: Wish, key: Key, signer: Made | None) -> list[tuple[x509.ExtensionType, bool]]:
    public = (signer.key if signer else key).public_key()
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=wish.authority, path_length=0 if wish.authority else None), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
        (_usage(wish, signs=wish.authority or (wish.opcua and signer is None)), True),
    ]
    if not wish.authority:
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        found.append((x509.ExtendedKeyUsage(purposes), False))
    if names := [*map(_host, wish.hosts), *map(_uri, wish.uris)]:
        found.append((x509.SubjectAlternativeName(names), False))
    if wish.role:
        role = x509.UnrecognizedExtension(ObjectIdentifier(reading.ROLE_OID), reading.utf8_string(wish.role))
        found.append((role, False))
    return found


def _usage(wish: Wish, *, signs: bool) -> x509.KeyUsage:
    enciphers = wish.key == "rsa" and not wish.authority
    return x509.KeyUsage(
        digital_signature=not wish.authority,
        content_commitment=enciphers,
        key_encipherment=enciphers,
        data_encipherment=enciphers,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=wish.authority,
        encipher_only=False,
        decipher_only=False,
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if not re.fullmatch(r"(?=.{1,253}$)(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*", text):
        raise CertError(f"{text!r} is no host name and no address; give one such as 192.168.0.10 or plc1.local")
    return x509.DNSName(text)


def _uri(text: str) -> x509.GeneralName:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", text):
        raise CertError(f"{text!r} is no URI; give one such as urn:plant:line1:gateway")
    return x509.UniformResourceIdentifier(text)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def save(made: Made, folder: Path, *, force: bool = False) -> tuple[Path, Path]:
    """NAME.pem (with its chain) and NAME.key (for its owner's eyes alone) in `folder`; overwrites only by `force`."""
    name = _common_name(made.certificate)
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    for path in paths:
        if path.exists() and not force:
            raise CertError(f"{path}: is there already; give another name, or --force to overwrite it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pem = serialization.Encoding.PEM
        secret = made.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        _write(paths[1], secret, 0o600)
        _write(paths[0], b"".join(part.public_bytes(pem) for part in (made.certificate, *made.chain)), 0o644)
    except OSError as error:
        raise CertError(f"{folder}: cannot be written ({_cause(error)}); check its permissions") from error
    return paths


def load_signer(path: Path) -> Made:
    """The authority in FILE.pem with the key beside it, FILE.key; raises CertError."""
    found = [x509.load_der_x509_certificate(der) for der in read(path)]
    beside = path.with_suffix(".key")
    try:
        key = serialization.load_pem_private_key(reading.contents(beside), None)
    except OSError as error:
        raise CertError(
            f"{beside}: the authority's key cannot be read ({_cause(error)}); it stands beside its certificate"
        ) from error
    except (ValueError, TypeError) as error:
        raise CertError(f"{beside}: holds no unencrypted private key; give the one made with {path}") from error
    if not isinstance(key, Key) or key.public_key() != found[0].public_key():
        raise CertError(f"{beside}: does not belong to {path}; give the two that were made together")
    return Made(found[0], key, tuple(found[1:]))


def read(path: Path) -> list[bytes]:
    """The certificates of a file as DER, each one sound; raises CertError."""
    try:
        found = reading.blocks(reading.contents(path))
        for der in found:
            reading.facts(der)
            x509.load_der_x509_certificate(der)
    except FileNotFoundError as error:
        raise CertError(f"{path}: there is no such file; mend the path") from error
    except OSError as error:
        raise CertError(f"{path}: cannot be read ({_cause(error)}); check its permissions") from error
    except (CertificateError, ValueError) as error:
        told = error if isinstance(error, CertificateError) else "it is no certificate, or a damaged one"
        raise CertError(f"{path}: cannot be used, as {told}; give a certificate in PEM or DER") from error
    return found


def trust(path: Path, folder: Path, *, authority: bool = False, now: datetime | None = None) -> tuple[Path, Shown]:
    """Copy the first certificate of `path` into a trust folder, as NAME-FINGERPRINT.pem; raises CertError."""
    der = read(path)[0]
    found = x509.load_der_x509_certificate(der)
    facts = shown(found)
    now = now or datetime.now(UTC)
    if facts.ends < now:
        raise CertError(f"{path}: expired on {facts.ends:%Y-%m-%d}; ask for a new one")
    if facts.authority and not authority:
        raise CertError(
            f"{path}: is an authority, so that everybody it ever signs would be trusted; "
            "say --authority if that is meant, or take the device's own certificate"
        )
    if authority and not facts.authority:
        raise CertError(f"{path}: is no authority and cannot sign for others; leave out --authority to trust it alone")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", _common_name(found)).strip("-.") or "certificate"
    rejected = folder / "rejected"
    if (folder / "trusted").is_dir():  # the four folders of an OPC UA application
        folder = folder / "trusted"
    target = folder / f"{name[:40]}-{facts.sha256.replace(':', '')[:16].lower()}.pem"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(target, found.public_bytes(serialization.Encoding.PEM), 0o644)
        if path.resolve().parent == rejected.resolve():
            path.unlink(missing_ok=True)
    except OSError as error:
        raise CertError(f"{folder}: cannot be written ({_cause(error)}); check its permissions") from error
    return target, facts


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by more than `mode` says, not even for a moment."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def shown(found: x509.Certificate) -> Shown:
    """What a certificate says; a role that breaks the rules is told as such."""
    der = found.public_bytes(serialization.Encoding.DER)
    facts = reading.facts(der)
    digits = found.fingerprint(hashes.SHA256()).hex().upper()
    return Shown(
        subject=found.subject.rfc4514_string(),
        issuer="itself" if found.issuer == found.subject else found.issuer.rfc4514_string(),
        names=_names(found),
        role=f"not readable: {facts.fault}" if facts.fault else facts.role,
        begins=found.not_valid_before_utc,
        ends=found.not_valid_after_utc,
        sha256=":".join(digits[at : at + 2] for at in range(0, len(digits), 2)),
        key=_kind(found),
        authority=_authority(found),
    )


def _names(found: x509.Certificate) -> tuple[str, ...]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(str(getattr(name, "value", name)) for name in names)


def _authority(found: x509.Certificate) -> bool:
    try:
        return found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _kind(found: x509.Certificate) -> str:
    key = found.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return type(key).__name__


def _common_name(found: x509.Certificate) -> str:
    named = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(named[0].value) if named else "certificate"


def _cause(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
