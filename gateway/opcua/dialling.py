"""A connection to any OPC UA server for the commands that look into it: secure unless told otherwise, never less."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from asyncua import Client, ua
from asyncua.crypto import security_policies, uacrypto
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization

from gateway.log import plain
from protocols.link import LinkError
from protocols.modbus.security import trusted
from protocols.opcua import decoding

POLICIES = ("Aes256_Sha256_RsaPss", "Basic256Sha256", "Aes128_Sha256_RsaOaep")
"""The best first; what is not listed is broken or none."""
_URI = "http://opcfoundation.org/UA/SecurityPolicy#"
_MODES = {
    "sign": ua.MessageSecurityMode.Sign,
    "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt,
}
PASSWORD_VARIABLE = "OPCUA_PASSWORD"  # noqa: S105 - the name of the variable
SESSION_MS = 30_000


class LookError(Exception):
    """What keeps us from looking: one sentence with place, cause and remedy."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An endpoint that we may use."""

    endpoint: ua.EndpointDescription
    policy: str


def add_connection(parser: argparse.ArgumentParser) -> None:
    """The options about security and login."""
    parser.add_argument("url", metavar="URL", help="such as opc.tcp://192.168.0.10:4840")
    secure = parser.add_argument_group("security", "the connection is secure unless --insecure is given")
    secure.add_argument(
        "--certificate", type=Path, metavar="FILE", help="our certificate (PEM or DER), with an RSA key"
    )
    secure.add_argument("--key", type=Path, metavar="FILE", help="its private key")
    secure.add_argument("--trust", type=Path, metavar="PATH", help="the server's certificate, or a folder with it")
    secure.add_argument(
        "--accept-fingerprint", metavar="SHA256", help="or: accept the certificate with this fingerprint"
    )
    secure.add_argument("--policy", choices=POLICIES, help="default: the best that the server offers")
    secure.add_argument("--mode", choices=tuple(_MODES), default="sign_and_encrypt", help="default: sign_and_encrypt")
    secure.add_argument("--insecure", action="store_true", help="in clear, to whoever answers; never with a login")
    login = parser.add_argument_group("login", f"the password: from {PASSWORD_VARIABLE}, a file, or asked for")
    login.add_argument("--user", metavar="NAME", help="left out: anonymous")
    login.add_argument("--password-file", type=Path, metavar="FILE", help="a file with the password in its first line")
    parser.add_argument(
        "--timeout", type=_seconds, default=5.0, metavar="S", help="of each request, seconds (default 5)"
    )


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= 120:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds from 0.1 to 120")
    return number


@asynccontextmanager
async def connected(options: argparse.Namespace) -> AsyncIterator[Client]:
    """A client that is logged in; LookError when it cannot be, with the reason and what to do."""
    decoding.install(20 * decoding.STEPS)  # a person may look into a large folder, and nobody else waits
    client = Client(options.url, timeout=options.timeout)
    client.session_timeout = SESSION_MS
    if options.user and options.insecure:
        raise LookError("--user with --insecure would send the password in clear; leave one of the two out")
    with _told(options):
        offer = _chosen(await Client(options.url, timeout=options.timeout).connect_and_get_server_endpoints(), options)
        if offer is not None:
            await _secure(client, offer, options)
        if options.user:
            client.set_user(options.user)
            client.set_password(_password(options))
        await client.connect()
    try:
        yield client
    finally:
        with _told(options):
            await client.disconnect()


def _chosen(endpoints: list[ua.EndpointDescription], options: argparse.Namespace) -> Offer | None:
    """The endpoint to use, None for one in clear."""
    if options.insecure:
        if not any(endpoint.SecurityMode == ua.MessageSecurityMode.None_ for endpoint in endpoints):
            raise LookError(f"{options.url} offers no connection in clear; leave --insecure out")
        return None
    mode = _MODES[options.mode]
    for policy in (options.policy,) if options.policy else POLICIES:
        for endpoint in endpoints:
            if endpoint.SecurityPolicyUri == _URI + policy and endpoint.SecurityMode == mode:
                return Offer(endpoint, policy)
    offered = sorted({_offered(endpoint) for endpoint in endpoints})
    wanted = options.policy or "a secure policy"
    text = f"{options.url} does not offer {wanted} with {options.mode}; it offers {', '.join(offered) or 'nothing'}"
    raise LookError(f"{text}; choose one by --policy and --mode, or --insecure where nothing secret is at stake")


def _offered(endpoint: ua.EndpointDescription) -> str:
    policy = plain((endpoint.SecurityPolicyUri or "").rpartition("#")[2])
    if endpoint.SecurityMode == ua.MessageSecurityMode.None_:
        return "connections in clear"
    return f"{policy} ({'sign' if endpoint.SecurityMode == ua.MessageSecurityMode.Sign else 'sign_and_encrypt'})"


async def _secure(client: Client, offer: Offer, options: argparse.Namespace) -> None:
    if options.certificate is None or options.key is None:
        text = "a secure connection needs --certificate and --key; make both with `gateway cert new NAME --opcua"
        raise LookError(f"{text} --out DIR`, or look in clear with --insecure")
    theirs = _accept(bytes(offer.endpoint.ServerCertificate or b""), options)
    client.application_uri = _application_uri(options.certificate)
    name = offer.policy.replace("_", "")
    policy = getattr(security_policies, f"SecurityPolicy{name}")
    try:
        await client.set_security(
            policy, _file(options.certificate), _file(options.key), None, theirs, mode=_MODES[options.mode]
        )
    except (OSError, ValueError, TypeError) as error:
        text = f"{options.certificate} and {options.key} cannot be used ({error})"
        raise LookError(f"{text}; give a certificate and its unencrypted RSA key, PEM or DER") from None


def _file(path: Path) -> uacrypto.CertProperties:
    content = path.read_bytes()
    return uacrypto.CertProperties(content, "pem" if content.lstrip().startswith(b"-----") else "der")


def _application_uri(path: Path) -> str:
    """The URI in our certificate: the server compares it with what we say we are (OPC 10000-6 §6.2.2)."""
    try:
        content = path.read_bytes()
        load = x509.load_pem_x509_certificate if content.startswith(b"-----") else x509.load_der_x509_certificate
        names = load(content).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except OSError as error:
        raise LookError(f"{path} cannot be read ({error.strerror}); name our certificate") from None
    except (ValueError, x509.ExtensionNotFound):
        uris = []
    if not uris:
        raise LookError(f"{path} has no application URI; make one with `gateway cert new NAME --opcua --out DIR`")
    return str(uris[0])


def _accept(chain: bytes, options: argparse.Namespace) -> bytes:
    """The server's certificate, if it is who is meant: pinned, trusted, or signed by somebody trusted."""
    try:
        found = uacrypto.x509_from_der(chain)
    except ValueError:
        found = None
    if found is None:
        raise LookError(f"{options.url} shows no certificate that can be read; look at the server")
    der: bytes = found.public_bytes(serialization.Encoding.DER)
    digits = found.fingerprint(hashes.SHA256()).hex().upper()
    now = datetime.now(UTC)
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        text = f"the certificate of {options.url} is valid from {found.not_valid_before_utc:%Y-%m-%d} to"
        text += f" {found.not_valid_after_utc:%Y-%m-%d}, and this computer says it is {now:%Y-%m-%d}"
        raise LookError(f"{text}; renew it, or set the clock")
    if options.accept_fingerprint:
        if options.accept_fingerprint.replace(":", "").replace(" ", "").upper() != digits:
            raise LookError(f"{options.url} shows another certificate: its SHA-256 is {digits}; do not connect to it")
        return der
    if options.trust is not None and _trusted(found, der, options.trust):
        return der
    text = f"the certificate of {options.url} is not trusted: {plain(found.subject.rfc4514_string())}, SHA-256 {digits}"
    raise LookError(f"{text}; compare it with what the server shows, then give --accept-fingerprint or --trust")


def _trusted(found: x509.Certificate, der: bytes, place: Path) -> bool:
    try:
        known = [content for _, content in trusted(place)]
    except LinkError as error:
        raise LookError(str(error)) from None
    return any(content == der or _signed(found, content) for content in known)


def _signed(found: x509.Certificate, authority: bytes) -> bool:
    try:
        issuer = x509.load_der_x509_certificate(authority)
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        found.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return True


def _password(options: argparse.Namespace) -> str:
    if options.password_file is not None:
        try:
            lines = options.password_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise LookError(f"{options.password_file} cannot be read ({error}); name a text file") from None
        return lines[0] if lines else ""
    if PASSWORD_VARIABLE in os.environ:
        return os.environ[PASSWORD_VARIABLE]
    if not sys.stdin.isatty():
        raise LookError(f"no password for {options.user}: give --password-file, or set {PASSWORD_VARIABLE}")
    return getpass.getpass(f"Password of {options.user}: ")


_NAMELESS = "it lets nobody in without a name; give --user"
_REFUSALS = {
    "BadUserAccessDenied": "it refuses this user or password",
    "BadIdentityTokenRejected": "it does not take this way of login; give --user, or leave it out",
    "BadIdentityTokenInvalid": "it does not take this way of login; give --user, or leave it out",
    "BadSecurityChecksFailed": "it does not trust our certificate; trust it there (its folder of rejected ones)",
    "BadCertificateUntrusted": "it does not trust our certificate; trust it there (its folder of rejected ones)",
    "BadCertificateInvalid": "it cannot use our certificate; make another one with `gateway cert new`",
    "BadCertificateTimeInvalid": "our certificate is out of date there; renew it, or compare the clocks",
    "BadCertificateUriInvalid": "the application URI in our certificate is not the one we say",
    "BadCertificateRevoked": "our certificate is revoked there",
    "BadTooManySessions": "it has no free session; close another client, or wait for its time-out",
    "BadMaxConnectionsReached": "it has no free connection; close another client, or wait",
    "BadSecurityPolicyRejected": "it refuses this security policy; choose another by --policy",
    "BadSecurityModeRejected": "it refuses this security mode; choose another by --mode",
    "BadTcpEndpointUrlInvalid": "it does not know this URL; see the URL that it announces",
    "BadNodeIdUnknown": "it has no such node",
}


class _told:  # noqa: N801 - used as a statement
    """Failures of the network and of asyncua become one sentence."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, LookError) or not isinstance(error, Exception):
            return
        raise LookError(f"{self.options.url}: {sentence(error, self.options)}") from None


def sentence(error: Exception, options: argparse.Namespace) -> str:
    """What went wrong, for a person."""
    if isinstance(error, ua.UaStatusCodeError):
        name = type(error).__name__
        nameless = name == "BadUserAccessDenied" and not options.user
        return f"{_NAMELESS if nameless else _REFUSALS.get(name, 'it refuses')} ({name})"
    if isinstance(error, TimeoutError):
        return f"no answer within {options.timeout:g} s; is it an OPC UA server, and does the network reach it?"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there; is the server running, and is the port right?"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be reached ({error.strerror}); see address, port and network"
    if isinstance(error, ConnectionError):
        return "the server has closed the connection; it may not trust our certificate, see its log"
    return f"no sense in its answers ({type(error).__name__}: {plain(str(error))})"
