"""The files that the configuration of the OPC UA server names: its certificate and key, and those of its users.

Read by the server at its start and by `gateway check` before it; without asyncua.
"""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from protocols.link import LinkError
from protocols.modbus import certificate as reading
from protocols.opcua import application_certificate as appcert
from protocols.opcua.server_settings import OpcUaUser

MAKE = "make both with `gateway cert new NAME --opcua --host HOST --out DIR`"


def pair(certificate: Path, key: Path) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """The server's certificate and the key that belongs to it; raises LinkError."""
    try:
        found = x509.load_der_x509_certificate(reading.blocks(reading.contents(certificate))[0])
        secret = serialization.load_pem_private_key(reading.contents(key), None)
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise LinkError(
            f"{error.filename or certificate}: cannot be read ({cause}); mend the path, or {MAKE}"
        ) from error
    except (ValueError, TypeError, reading.CertificateError) as error:
        raise LinkError(f"{certificate} or {key}: is no PEM file of the right kind, or encrypted; {MAKE}") from error
    if not isinstance(secret, rsa.RSAPrivateKey) or secret.key_size < appcert.SHORTEST_BITS:
        raise LinkError(f"{key}: is no RSA key of {appcert.SHORTEST_BITS} bits or more, as OPC UA wants; {MAKE}")
    if secret.public_key() != found.public_key():
        raise LinkError(f"{key}: does not belong to {certificate}; give the two that were made together")
    return found, secret


def user_certificate(user: OpcUaUser) -> bytes:
    """The certificate (DER) that lets this user in; raises LinkError."""
    path = user.certificate
    try:
        if path is None:
            raise ValueError("no file")
        (der, *_) = reading.blocks(reading.contents(path))
        return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.DER)
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise LinkError(
            f"{path}: the certificate of user {user.name!r} cannot be read ({cause}); mend the path"
        ) from error
    except (ValueError, reading.CertificateError) as error:
        raise LinkError(f"{path}: is no certificate of user {user.name!r} ({error}); give one in PEM or DER") from error
