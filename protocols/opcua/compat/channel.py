"""The secure channel as the standard has it: asyncua takes messages before it is open, and None where none is offered.

Source: OPC UA Part 6 §6.7 (OPC UA Secure Conversation), §7.1 (OPC UA Connection Protocol); Part 4 §5.6.2.
"""

from __future__ import annotations

import time
from typing import Any

from asyncua import ua
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.common.utils import Buffer
from asyncua.crypto.security_policies import SecurityPolicyNone

SHORTEST_S, LONGEST_S = 10.0, 3600.0
"""A channel's token is renewed at least every hour."""
SMALLEST = 8192
"""Bytes of a buffer that everybody must have (Part 6 §7.1.2.3)."""
LONGEST_URL = 4096
STRANGERS = 65_536
"""Bytes of a message of who is not logged in: a login with its chain of certificates has 16 KiB."""
GRACE = 1.25
"""How long a token is taken beyond its life (Part 4 §5.6.2)."""


class Refused(Exception):  # noqa: N818 - it is an answer, with the status that the peer is told
    """This peer cannot go on: `status` is what it is told, `why` is for our own people ("" = not worth telling)."""

    def __init__(self, status: str, why: str = "") -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why


class Agreed(TransportLimits):
    """What both sides take; what the client can take bounds our answers, and nothing else."""

    largest_answer: int = 0
    """Bytes; 0 = the client takes any."""
    known: bool = False
    """Whether somebody has logged in; until then a message is bounded by STRANGERS."""

    def is_msg_size_within_limit(self, sz: int) -> bool:
        return super().is_msg_size_within_limit(sz) and (self.known or sz <= STRANGERS)

    def create_acknowledge_and_set_limits(self, msg: ua.Hello) -> ua.Acknowledge:
        if msg.ReceiveBufferSize < SMALLEST or msg.SendBufferSize < SMALLEST:
            raise Refused("BadTcpNotEnoughResources", "has buffers that are too small")
        if len(msg.EndpointUrl or "") > LONGEST_URL:
            raise Refused("BadTcpEndpointUrlInvalid", "sends an address that is too long")
        self.max_send_buffer = min(msg.ReceiveBufferSize, self.max_send_buffer)
        self.max_recv_buffer = min(msg.SendBufferSize, self.max_recv_buffer)
        chunks = msg.MaxChunkCount * self.max_send_buffer
        self.largest_answer = min(filter(None, (int(msg.MaxMessageSize), chunks)), default=0)
        return ua.Acknowledge(
            ReceiveBufferSize=ua.UInt32(self.max_recv_buffer),
            SendBufferSize=ua.UInt32(self.max_send_buffer),
            MaxMessageSize=ua.UInt32(self.max_message_size),
            MaxChunkCount=ua.UInt32(self.max_chunk_count),
        )


class Channel(SecureConnection):
    """One client's channel, in the order that the standard demands and with the policies that are offered."""

    def __init__(self, limits: TransportLimits) -> None:
        super().__init__(SecurityPolicyNone(), limits)
        self.greeted = False
        self.ends = 0.0
        """When its token is worth nothing any more, on the monotonic clock."""
        self.chain: bytes = b""
        """The certificates that the client sent at its opening, its own first."""

    @property
    def secure(self) -> bool:
        """Whether messages are signed at least."""
        return bool(self.security_policy.URI != SecurityPolicyNone.URI)

    @property
    def encrypted(self) -> bool:
        """Whether nobody else can read them."""
        return bool(self.security_policy.Mode == ua.MessageSecurityMode.SignAndEncrypt)

    @property
    def certificate(self) -> bytes | None:
        """The client's own, as its key has proved; None on a channel without security."""
        found: bytes | None = self.security_policy.peer_certificate if self.secure else None
        return found

    def receive_from_header_and_body(self, header: ua.Header, body: Buffer) -> Any:
        self._check_order(header)
        return super().receive_from_header_and_body(header, body)

    def _check_order(self, header: ua.Header) -> None:
        kind: Any = header.MessageType
        if kind == ua.MessageType.Hello:
            if self.greeted:
                raise Refused("BadTcpMessageTypeInvalid", "says hello twice")
            self.greeted = True
        elif kind not in (ua.MessageType.SecureOpen, ua.MessageType.SecureMessage, ua.MessageType.SecureClose):
            raise Refused("BadTcpMessageTypeInvalid", "sends what only a server sends")
        elif not self.greeted or (kind != ua.MessageType.SecureOpen and not self.is_open()):
            raise Refused("BadTcpSecureChannelUnknown", "does not open a channel first")
        elif self.is_open() and time.monotonic() > self.ends:
            raise Refused("BadSecureChannelTokenUnknown", "did not renew its channel in time")

    def select_policy(
        self, uri: str, peer_certificate: bytes | None, mode: ua.MessageSecurityMode | None = None
    ) -> None:
        """The one that is offered. None is always there to ask for endpoints; sessions are refused elsewhere."""
        for policy in self._policies:
            if policy.matches(uri, mode):
                self.security_policy = policy.create(peer_certificate)
                self.chain = peer_certificate or b""
                return
        if uri != SecurityPolicyNone.URI:
            raise Refused("BadSecurityPolicyRejected", f"asks for the policy {uri.rpartition('#')[2][:40]!r}")
        if mode not in (None, ua.MessageSecurityMode.None_):
            raise Refused("BadSecurityModeRejected", "asks for a security mode without a policy")
        self.security_policy = SecurityPolicyNone()

    def open(self, params: Any, server: Any) -> ua.OpenSecureChannelResult:
        renews = params.RequestType == ua.SecurityTokenRequestType.Renew
        if renews != self.is_open():
            raise Refused("BadTcpSecureChannelUnknown", "renews a channel that is not open, or opens it twice")
        if params.SecurityMode != self.security_policy.Mode:
            raise Refused("BadSecurityModeRejected", "changes the security mode of its channel")
        wanted = self.security_policy.secure_channel_nonce_length
        if len(params.ClientNonce or b"") < wanted:
            raise Refused("BadNonceInvalid", "sends a nonce that is too short")
        asked = params.RequestedLifetime / 1000 or LONGEST_S
        life = min(max(asked, SHORTEST_S), LONGEST_S)
        params.RequestedLifetime = int(life * 1000)
        self.ends = time.monotonic() + life * GRACE
        return super().open(params, server)
