"""How a call to a foreign OPC UA server fails, in words for the person at the machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TypeVar

from asyncua import ua
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from protocols.faults import Code
from protocols.link import PeerError

T = TypeVar("T")

SLOW = 5.0
"""Seconds between tries where trying faster does harm: no free session, a login or a certificate refused."""

_FULL = frozenset((ua.StatusCodes.BadTooManySessions, ua.StatusCodes.BadMaxConnectionsReached))
_REFUSED = frozenset(
    (
        ua.StatusCodes.BadUserAccessDenied,
        ua.StatusCodes.BadIdentityTokenRejected,
        ua.StatusCodes.BadIdentityTokenInvalid,
        ua.StatusCodes.BadSecurityChecksFailed,
        ua.StatusCodes.BadSecurityPolicyRejected,
        ua.StatusCodes.BadSecurityModeRejected,
        ua.StatusCodes.BadCertificateUntrusted,
        ua.StatusCodes.BadCertificateInvalid,
        ua.StatusCodes.BadCertificateTimeInvalid,
        ua.StatusCodes.BadCertificateUriInvalid,
    )
)

# What goes wrong is told by the errors raised here; asyncua would print it too, with a traceback.
for _name in ("asyncua.client", "asyncua.common", "asyncua.crypto", "asyncua.uaprotocol"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class ConnectionFailedError(PeerError):
    """The connection is no use any more: the message says why, `fault` what it is, `pause` how long to wait."""

    def __init__(self, text: str, fault: Code = Code.LINK_LOST, pause: float = 0.0, status: int = 0) -> None:
        super().__init__(text)
        self.fault, self.pause = fault, pause
        self.status = status
        """The status code that the server answered with; 0 when it did not answer."""


async def guarded(work: Awaitable[T], name: str, what: str, seconds: float) -> T:
    """What a library call brings within its time; whatever it raises becomes ConnectionFailedError with its cause.

    A task that is cancelled meanwhile hears of it, also where the call ends at that very moment: asyncua's wait_for
    then lets its own outcome win.
    """
    task = asyncio.current_task()
    asked = task.cancelling() if task is not None else 0
    try:
        return await _told(work, name, what, seconds)
    finally:
        if task is not None and task.cancelling() > asked:
            raise asyncio.CancelledError


async def _told(work: Awaitable[T], name: str, what: str, seconds: float) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        text = f"{name} gives no answer to the request for {what} within {seconds * 1000:.0f} ms"
        raise ConnectionFailedError(text) from error
    except PeerError:
        raise
    except UaStatusCodeError as error:
        raise _by_status(name, error, what) from error
    except (OSError, UaError) as error:
        raise ConnectionFailedError(f"{name}: {_cause(error)}") from error
    except Exception as error:
        raise ConnectionFailedError(f"{name} sent what cannot be understood ({type(error).__name__})") from error


def _by_status(name: str, error: UaStatusCodeError, what: str) -> ConnectionFailedError:
    code = int(error.code)
    status = ua.StatusCode(ua.UInt32(code))
    if code in _FULL:
        text = f"{name} has no free session ({status.name}); end other clients, or raise its limit"
        return ConnectionFailedError(text, Code.CLIENT_LIMIT, SLOW, code)
    text = f"{name} answers the request for {what} with {status.name}: {_clear(status.doc)}"
    if code in _REFUSED:
        return ConnectionFailedError(text, Code.PEER_REFUSED, SLOW, code)
    return ConnectionFailedError(text, status=code)


def _clear(doc: str) -> str:
    return doc.rstrip(".").lower() or "no reason given"


def _cause(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "no connection; is the server running, and is the port right?"
    if isinstance(error, OSError) and error.strerror:
        return f"the connection was lost ({error.strerror.lower()})"
    return str(error).lower() or type(error).__name__
