"""How we come in to a foreign OPC UA server: which of its endpoints we take, what we show, whom we take it for.

The policy and mode of the configuration are demanded, never a weaker one: a server that offers only others is refused.
Source: OPC 10000-4 §5.4.4 (GetEndpoints), §5.6.2 and §5.6.3 (CreateSession, ActivateSession), §7.36 (login tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncua import Client, ua
from asyncua.crypto import security_policies
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from protocols.faults import Code
from protocols.link import LinkError, PeerError
from protocols.modbus import certificate as files
from protocols.opcua import server_identity
from protocols.opcua.peer_settings import ClientSecurity, OpcUaPeer, UserLogin
from protocols.opcua.server_identity import Claim, UntrustedError

POLICIES: dict[str, type[security_policies.SecurityPolicy]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
NONE = security_policies.SecurityPolicyNone.URI
_MODES = {"sign": ua.MessageSecurityMode.Sign, "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt}
_TOKENS = {True: ua.UserTokenType.UserName, False: ua.UserTokenType.Certificate}


class RefusedError(PeerError):
    """We do not come in there; the message follows the server's name."""

    def __init__(self, text: str, fault: Code = Code.PEER_REFUSED) -> None:
        super().__init__(text)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Identity:
    """What protects the connection: our certificate and key, the server's certificate, policy and mode."""

    policy: type[security_policies.SecurityPolicy]
    mode: ua.MessageSecurityMode
    certificate: x509.Certificate
    key: RSAPrivateKey
    server: bytes
    uri: str
    """What we call ourselves: the application URI in our certificate."""


def choose(endpoints: Sequence[ua.EndpointDescription], peer: OpcUaPeer) -> Identity:
    """The one endpoint that is as configured and whose certificate is trusted; raises RefusedError, LinkError."""
    security = peer.security
    if not isinstance(security, ClientSecurity):
        raise RefusedError("needs no endpoint, as no security is configured")
    policy, mode = POLICIES[security.policy], _MODES[security.mode]
    offered = [one for one in endpoints if one.SecurityPolicyUri == policy.URI and one.SecurityMode == mode]
    if not offered:
        raise RefusedError(
            f"does not offer {security.policy} with {security.mode}, only {_offers(endpoints)}; switch it on there: "
            "the gateway never takes less than what is configured"
        )
    endpoint = offered[0]
    claim = Claim(endpoint.ServerCertificate or b"", str(endpoint.Server.ApplicationUri), peer.address[0])
    try:
        server_identity.check_own(security.certificate)
        server = server_identity.verify(claim, security)
    except UntrustedError as error:
        raise RefusedError(str(error), error.fault) from error
    certificate = server_identity.load(security.certificate)
    uri = server_identity.own_uri(security.certificate)
    return Identity(policy, mode, certificate, _key(security.key), server, uri)


def protect(client: Client, identity: Identity) -> None:
    """Let this client speak under that identity, and to that server only."""
    client.application_uri = identity.uri
    policy = identity.policy(
        x509.load_der_x509_certificate(identity.server), identity.certificate, identity.key, identity.mode
    )
    client.security_policy = policy  # type: ignore[assignment] # asyncua declares its default only
    client.uaclient.set_security(policy)


def prepare(client: Client, peer: OpcUaPeer) -> None:
    """Choose the login behind CreateSession; raises RefusedError where the server does not take it safely."""
    user = peer.user
    kind = ua.UserTokenType.Anonymous if user is None else _TOKENS[bool(user.name)]
    offered = [one for one in client._policy_ids or () if one.TokenType == kind]
    if not offered:
        raise RefusedError(f"takes no login of the kind {kind.name}; {_remedy(user)}")
    safe = [one for one in offered if kind is ua.UserTokenType.Anonymous or _safe(one, peer)]
    if not safe:
        raise RefusedError(f"takes the login {kind.name} only unprotected or by outdated means; choose a policy there")
    client._policy_ids = safe
    if user is not None:
        _show(client, user)


async def activate(client: Client) -> None:
    """Log in with what `prepare` has chosen."""
    await client.activate_session(client._username, client._password, client.user_certificate)


def _show(client: Client, user: UserLogin) -> None:
    if user.password_file is not None:
        client.set_user(user.name)
        client.set_password(_password(user.password_file))
    elif user.certificate is not None and user.key is not None:
        client.user_certificate = server_identity.load(user.certificate)
        client.user_private_key = _key(user.key)


def _safe(token: ua.UserTokenPolicy, peer: OpcUaPeer) -> bool:
    """Whether a secret sent under this token's policy can be read by nobody else."""
    uri = token.SecurityPolicyUri
    if uri in (policy.URI for policy in POLICIES.values()) or (not uri and peer.security != "none"):
        return True
    return uri == NONE and isinstance(peer.security, ClientSecurity) and peer.security.mode == "sign_and_encrypt"


def _remedy(user: UserLogin | None) -> str:
    return "give `user`" if user is None else "set another `user`, or allow it there"


def _offers(endpoints: Sequence[ua.EndpointDescription]) -> str:
    names = {f"{str(one.SecurityPolicyUri).rpartition('#')[2]} {one.SecurityMode.name}" for one in endpoints}
    return ", ".join(sorted(name.replace("None None_", "None") for name in names)) or "nothing"


def _key(path: Path) -> RSAPrivateKey:
    try:
        found = load_pem_private_key(files.contents(path), None)
    except OSError as error:
        raise LinkError(f"{path}: the key cannot be read ({(error.strerror or str(error)).lower()})") from error
    except (ValueError, TypeError) as error:
        raise LinkError(
            f"{path}: is no unencrypted private key (PEM); make one with `gateway cert new --key rsa`"
        ) from error
    if not isinstance(found, RSAPrivateKey):
        raise LinkError(f"{path}: is no RSA key, which the policies of OPC UA need; make one with --key rsa")
    return found


def _password(path: Path) -> str:
    try:
        lines = files.contents(path).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LinkError(f"{path}: the password cannot be read ({error}); give another password_file") from error
    if not lines or not lines[0]:
        raise LinkError(f"{path}: has no password in its first line")
    return lines[0]
