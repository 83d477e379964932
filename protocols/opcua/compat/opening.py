"""Sessions are created and activated here: S8, unguessable tokens, and no session for who was not let in.

Source: OPC UA Part 4 §5.7.2 (CreateSession), §5.7.3 (ActivateSession).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.common.utils import ServiceError, create_nonce
from asyncua.crypto import uacrypto
from asyncua.server.internal_session import InternalSession, SessionState
from cryptography.exceptions import InvalidSignature

from protocols.opcua.compat.identity import Login, Proof, login_of
from protocols.opcua.compat.sessions import Session

if TYPE_CHECKING:
    from asyncua.crypto.permission_rules import User

    from protocols.opcua.compat.processor import Processor

NONCE = 32
"""Bytes of a client's nonce at least."""
LOGINS = 3
"""Failed logins after which a connection ends."""


async def create(connection: Processor, params: ua.CreateSessionParameters) -> ua.CreateSessionResponse:
    """A new session for this connection, not yet activated; ServiceError."""
    channel, rules = connection.channel, connection.rules
    if not channel.secure and not rules.unencrypted:
        rules.refused(connection.address, "BadSecurityModeRejected", "asks for a session without security")
        raise ServiceError(ua.StatusCodes.BadSecurityModeRejected)
    await _room(connection)
    if channel.secure:
        _same(connection, params)
    server = connection.server
    session = Session(server, server.aspace, server.subscription_service, str(connection.name), external=True)
    session.processor, session.peer_certificate = connection, channel.certificate
    session.policy, session.address = (channel.security_policy.URI, channel.security_policy.Mode), connection.address
    connection.session = session
    response = ua.CreateSessionResponse()
    response.Parameters = await session.create_session(params, sockname=connection.sockname)
    response.Parameters.MaxRequestMessageSize = ua.UInt32(connection._limits.max_message_size)
    policy = channel.security_policy
    response.Parameters.ServerCertificate = policy.host_certificate
    signed = (policy.peer_certificate or b"") + (params.ClientNonce or b"")
    signature = response.Parameters.ServerSignature
    signature.Signature = policy.asymmetric_cryptography.signature(signed)
    signature.Algorithm = policy.AsymmetricSignatureURI
    return response


async def _room(connection: Processor) -> None:
    """One session a connection; so many in all, and of one address."""
    rules, former = connection.rules, connection.session
    if former is not None and former.state == SessionState.Created:
        await former.close_session(True)
    elif former is not None and former.state == SessionState.Activated:
        raise ServiceError(ua.StatusCodes.BadTooManySessions)
    others = [each for each in connection.iserver._external_sessions.values() if isinstance(each, Session)]
    same = sum(each.address == connection.address for each in others)
    if len(others) >= rules.limits.sessions or same >= rules.sessions_of(connection.address):
        rules.limited(connection.address, f"finds all sessions taken ({same} of them its own)")
        raise ServiceError(ua.StatusCodes.BadTooManySessions)


def _same(connection: Processor, params: ua.CreateSessionParameters) -> None:
    """S8: the certificate that is quoted is the one whose key opened the channel, and names this application."""
    quoted = uacrypto.x509_from_der(params.ClientCertificate) if params.ClientCertificate else None
    if quoted is None or uacrypto.der_from_x509(quoted) != connection.channel.certificate:
        connection.rules.refused(
            connection.address, "BadCertificateInvalid", "quotes another certificate than that of its channel"
        )
        raise ServiceError(ua.StatusCodes.BadCertificateInvalid)
    if len(params.ClientNonce or b"") < NONCE:
        raise ServiceError(ua.StatusCodes.BadNonceInvalid)
    connection.rules.names(connection.address, connection.channel.chain, params.ClientDescription.ApplicationUri or "")


async def activate(
    connection: Processor, token: ua.NodeId, params: ua.ActivateSessionParameters
) -> ua.ActivateSessionResponse:
    """The session is now this user's and this connection's; ServiceError."""
    session = _wanted(connection, token)
    login = _proved(connection, session, params)
    user = await _user(connection, login)
    if session.state == SessionState.Closed or connection._transport.is_closing():
        raise ServiceError(ua.StatusCodes.BadSessionClosed)
    if session.processor is not connection and session.user != user:
        raise ServiceError(ua.StatusCodes.BadIdentityChangeNotSupported)
    if session.state == SessionState.Created:
        InternalSession._current_connections += 1  # which close_session takes back
    session.user, session.state, session.nonce = user, SessionState.Activated, create_nonce(NONCE)
    session.touch()
    session._start_timeout_watchdog()
    _take_over(connection, session)
    response = ua.ActivateSessionResponse()
    response.Parameters = ua.ActivateSessionResult(ServerNonce=ua.ByteString(session.nonce))
    return response


def _wanted(connection: Processor, token: ua.NodeId) -> Session:
    """The session of this connection, or one that its owner brings here from a connection that broke."""
    own = connection.session
    if isinstance(own, Session) and own.auth_token == token and own.state != SessionState.Closed:
        return own
    found = connection.iserver.lookup_external_session(token)
    if not isinstance(found, Session) or not found.is_activated():
        raise ServiceError(ua.StatusCodes.BadSessionIdInvalid)
    policy = connection.channel.security_policy
    if found.peer_certificate != connection.channel.certificate or found.policy != (policy.URI, policy.Mode):
        raise ServiceError(ua.StatusCodes.BadSecurityChecksFailed)
    if own is not None and own.state == SessionState.Activated:
        raise ServiceError(ua.StatusCodes.BadTooManySessions)
    return found


def _proved(connection: Processor, session: Session, params: ua.ActivateSessionParameters) -> Login:
    """Who asks; whoever cannot prove it is refused, and that is told."""
    try:
        _signed(connection, session, params.ClientSignature)
        return login_of(params.UserIdentityToken, params.UserTokenSignature, _proof(connection, session))
    except ServiceError as error:
        name = ua.StatusCode(ua.UInt32(error.code)).name
        connection.rules.refused(connection.address, name, f"logs in without the proof of who it is ({name})")
        raise


def _signed(connection: Processor, session: Session, signature: ua.SignatureData) -> None:
    policy = connection.channel.security_policy
    if not connection.channel.secure:
        return
    data = (policy.host_certificate or b"") + (session.nonce or b"")
    try:
        if signature.Algorithm != policy.AsymmetricSignatureURI:
            raise ValueError("algorithm")
        policy.asymmetric_cryptography.verify(data, signature.Signature or b"")
    except (InvalidSignature, uacrypto.InvalidSignature, ValueError):  # asyncua has one of the same name
        raise ServiceError(ua.StatusCodes.BadApplicationSignatureInvalid) from None


def _proof(connection: Processor, session: Session) -> Proof:
    server, channel = connection.iserver, connection.channel
    own = uacrypto.der_from_x509(server.certificate) if server.certificate is not None else b""
    readable = not channel.encrypted and not connection.rules.clear_passwords
    return Proof(connection.address, session.nonce or b"", own or b"", server.private_key, channel.secure, readable)


async def _user(connection: Processor, login: Login) -> User:
    rules = connection.rules
    if rules.authenticate is None:
        manager: Any = connection.iserver.user_manager
        found: Any = manager.get_user(
            connection.iserver, username=login.name, password=login.password, certificate=login.certificate
        )
    else:
        found = await rules.authenticate(login)
    if found is not None:
        connection.failed_logins = 0
        user: User = found
        return user
    connection.failed_logins += 1
    if connection.failed_logins >= LOGINS:
        asyncio.get_running_loop().call_later(0.1, connection._transport.close)
    raise ServiceError(ua.StatusCodes.BadUserAccessDenied)


def _take_over(connection: Processor, session: Session) -> None:
    """From now on answers and notifications go out by this connection."""
    former = session.processor
    if former is not None and former is not connection:
        former.session = None
    session.processor, connection.session = connection, session
    connection.agreed.known, connection._closing = True, False
    session.answers_by(connection, *session.own_subscriptions())
