"""Who makes the request that is being served now, and what that person may do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from asyncua.crypto.permission_rules import User, UserRole

if TYPE_CHECKING:
    from asyncua.server.internal_session import InternalSession


class Role(IntEnum):
    """What a user may do; each role includes those below it."""

    VIEWER = 1
    """Reads and subscribes."""
    OPERATOR = 2
    """Drives: writes commands and calls the methods that drive."""
    ENGINEER = 3
    """Writes settings."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a session; `session` is the same text for all requests of one session, and for no other."""

    user: str
    role: Role
    session: str


@dataclass
class LoggedIn(User):
    """A user as asyncua keeps it in the session; never its Admin, who may write everything."""

    role: UserRole = UserRole.User
    name: str | None = None
    may: Role = Role.VIEWER


_caller: ContextVar[Caller | None] = ContextVar("opcua_caller", default=None)


def caller() -> Caller | None:
    """Who makes the request now being served; None outside of a client's request."""
    return _caller.get()


@contextmanager
def serving(session: InternalSession) -> Iterator[None]:
    """`caller` tells of this session's user inside; of nobody, if the session is the server's own."""
    token = _caller.set(caller_of(session) if session.external else None)
    try:
        yield
    finally:
        _caller.reset(token)


def caller_of(session: InternalSession) -> Caller:
    """The user of a session. Where nobody set up roles, a user may do everything and the anonymous only read."""
    user = session.user
    if isinstance(user, LoggedIn):
        role = user.may
    else:
        role = Role.VIEWER if user.role == UserRole.Anonymous else Role.ENGINEER
    return Caller(user.name or "", role, session_name(session))


def session_name(session: InternalSession) -> str:
    """How a session is called in `Caller` and to those who wait for its end."""
    return str(session.session_id.Identifier)


def address_of(peer: object) -> str:
    """The address in what a transport says of its peer."""
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""
