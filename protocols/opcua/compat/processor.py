"""One connection's requests: S8 and what else makes a session its owner's alone.

asyncua 2.1 checks the certificate that CreateSession quotes and not that of the channel, numbers its authentication
tokens and hardly looks at them, gives a session to whoever activates it, registers servers for anybody, and prints a
traceback for what a client does wrong.
Source: OPC UA Part 4 §5.7 (Session service set), §6.1.4; Part 6 §7.1.2.3 (Hello), §7.1.5 (error handling).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from asyncua import ua
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer, ServiceError
from asyncua.server.internal_server import InternalServer
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary, uatcp_to_binary

from protocols.opcua.compat import opening
from protocols.opcua.compat.callers import address_of
from protocols.opcua.compat.channel import Agreed, Channel, Refused
from protocols.opcua.compat.names import numeric
from protocols.opcua.compat.names import status as status_of
from protocols.opcua.compat.rules import rules_in
from protocols.opcua.compat.sessions import Session

ERROR: Any = ua.MessageType.Error
MESSAGE: Any = ua.MessageType.SecureMessage
_log = logging.getLogger(__name__)


def _service(name: str) -> ua.NodeId:
    return numeric(getattr(ua.ObjectIds, f"{name}Request_Encoding_DefaultBinary"))


_DISCOVERY = frozenset(map(_service, ("FindServers", "GetEndpoints", "CloseSecureChannel")))
_VIEW = ("Read", "Write", "Browse", "TranslateBrowsePathsToNodeIds", "Call", "RegisterNodes", "UnregisterNodes")
_SUBSCRIPTION = (
    "CreateSubscription",
    "ModifySubscription",
    "DeleteSubscriptions",
    "TransferSubscriptions",
    "SetPublishingMode",
    "Publish",
    "Republish",
)
_ITEM = ("CreateMonitoredItems", "ModifyMonitoredItems", "DeleteMonitoredItems", "SetMonitoringMode")
_SESSION = frozenset(map(_service, (*_VIEW, *_SUBSCRIPTION, *_ITEM)))
_NODES = frozenset(map(_service, ("AddNodes", "DeleteNodes", "AddReferences", "DeleteReferences")))
_CREATE, _ACTIVATE, _CLOSE = map(_service, ("CreateSession", "ActivateSession", "CloseSession"))


def error_message(status: str) -> bytes:
    """What a peer is told before its connection ends (Part 6 §7.1.2.5)."""
    return uatcp_to_binary(ERROR, ua.ErrorMessage(status_of(status), ua.String(status)))


class Processor(UaProcessor):
    """Serves one connection; whatever its client sends ends in an answer or in the end of the connection."""

    def __init__(self, internal_server: InternalServer, transport: Any, limits: TransportLimits) -> None:
        super().__init__(internal_server, transport, limits)
        self.server = internal_server
        self.rules = rules_in(internal_server)
        self.address = address_of(self.name)
        self._limits: Agreed = Agreed(**vars(self._limits))
        self._connection: Channel = Channel(self._limits)
        self.failed_logins = 0

    @property
    def agreed(self) -> Agreed:
        """What both sides take."""
        return self._limits

    @property
    def channel(self) -> Channel:
        """The channel of this connection."""
        return self._connection

    async def process(self, header: ua.Header, body: Buffer) -> bool:
        """Serve one chunk; False when the connection has to end, and the peer has been told why."""
        asyncua: Any = super()
        if not self.rules.closed:
            return bool(await asyncua.process(header, body))
        try:
            return bool(await asyncua.process(header, body))
        except Refused as refused:
            self._end(refused.status, refused.why)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: a peer's nonsense is the end of its connection
            self.rules.odd(self.address, f"a message that cannot be read ({type(error).__name__})")
            self._end("BadSecurityChecksFailed", "")
        return False

    def _end(self, status: str, why: str) -> None:
        self._transport.write(error_message(status))
        if why:
            self.rules.refused(self.address, status, why)

    def open_secure_channel(self, algohdr: Any, seqhdr: Any, body: Buffer) -> None:
        """The peer's key has been proved by its signature when its certificate is looked at."""
        if not self.rules.closed:
            asyncua: Any = super()
            asyncua.open_secure_channel(algohdr, seqhdr, body)
            return
        request = struct_from_binary(ua.OpenSecureChannelRequest, body)
        channel = self.channel
        if not channel.is_open():
            channel.select_policy(algohdr.SecurityPolicyURI, algohdr.SenderCertificate, request.Parameters.SecurityMode)
            if channel.secure:
                self.rules.trust(self.address, channel.chain)
        response = ua.OpenSecureChannelResponse()
        response.Parameters = channel.open(request.Parameters, self.iserver)
        self.send_response(request.RequestHeader.RequestHandle, seqhdr, response, ua.MessageType.SecureOpen)

    def send_response(
        self, requesthandle: int, seqhdr: Any, response: Any, msgtype: Any = ua.MessageType.SecureMessage
    ) -> None:
        """Send it, or say that it is longer than the client can take."""
        response.ResponseHeader.RequestHandle = requesthandle
        data = struct_to_binary(response)
        largest = self._limits.largest_answer
        if largest and len(data) > largest:
            fault = ua.ServiceFault()
            fault.ResponseHeader.RequestHandle = requesthandle
            fault.ResponseHeader.ServiceResult = status_of("BadResponseTooLarge")
            data = struct_to_binary(fault)
        self._transport.write(self.channel.message_to_binary(data, msgtype, seqhdr.RequestId))

    async def _process_message(self, typeid: ua.NodeId, requesthdr: Any, seqhdr: Any, body: Buffer) -> bool:
        if not self.rules.closed:
            return await self._as_asyncua(typeid, requesthdr, seqhdr, body)
        try:
            return await self._serve(typeid, requesthdr, seqhdr, body)
        except (ServiceError, ua.UaStatusCodeError, Refused, asyncio.CancelledError):
            raise
        except Exception as error:
            self.rules.odd(self.address, f"request {typeid.to_string()} fails: {type(error).__name__}: {error}")
            raise ServiceError(ua.StatusCodes.BadDecodingError) from error

    async def _as_asyncua(self, typeid: ua.NodeId, requesthdr: Any, seqhdr: Any, body: Buffer) -> bool:
        asyncua: Any = super()
        return bool(await asyncua._process_message(typeid, requesthdr, seqhdr, body))

    async def _serve(self, typeid: ua.NodeId, requesthdr: Any, seqhdr: Any, body: Buffer) -> bool:
        if typeid in _DISCOVERY:
            return await self._as_asyncua(typeid, requesthdr, seqhdr, body)
        if typeid == _CREATE:
            response: Any = await opening.create(self, struct_from_binary(ua.CreateSessionParameters, body))
        elif typeid == _ACTIVATE:
            params = struct_from_binary(ua.ActivateSessionParameters, body)
            response = await opening.activate(self, requesthdr.AuthenticationToken, params)
        else:
            session = self.own_session(requesthdr.AuthenticationToken)
            if typeid == _CLOSE:
                self._closing = True
                await session.close_session(bool(ua.ua_binary.Primitives.Boolean.unpack(body)))
                self.session, response = None, ua.CloseSessionResponse()
            elif typeid in _SESSION:
                return await self._as_asyncua(typeid, requesthdr, seqhdr, body)
            elif typeid in _NODES:
                raise ServiceError(ua.StatusCodes.BadUserAccessDenied)
            else:
                raise ServiceError(ua.StatusCodes.BadServiceUnsupported)
        self.send_response(requesthdr.RequestHandle, seqhdr, response)
        return True

    def own_session(self, token: ua.NodeId) -> Session:
        """The session of this connection, if the request is of it; ServiceError."""
        session = self.session
        if not isinstance(session, Session) or session.auth_token != token or session.processor is not self:
            raise ServiceError(ua.StatusCodes.BadSessionIdInvalid)
        return session

    async def close(self) -> None:
        """The connection is gone; a session that lives on another by now stays."""
        session = self.session
        if isinstance(session, Session) and session.processor is not self:
            self.session = None
        asyncua: Any = super()
        await asyncua.close()
