"""Who may log in, and as what. Default deny; a wrong password costs its sender time, and nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cryptography import x509

from protocols.opcua.compat import LoggedIn, Login, Role
from protocols.opcua.own_files import user_certificate
from protocols.opcua.passwords import hashed, matches
from protocols.opcua.server_settings import OpcUaUser

AT_ONCE = 2
"""Passwords that are checked at the same time: each takes a thread and 19 MiB."""
WAITING = 16
"""Logins that wait for that; beyond it they are refused unchecked."""
FREE, FIRST_S, LONGEST_S = 3, 1.0, 300.0
"""Wrong passwords of one address without a pause; then so many seconds, twice as many each time."""
REMEMBERED = 1024
_ROLES = {"viewer": Role.VIEWER, "operator": Role.OPERATOR, "engineer": Role.ENGINEER}


@dataclass(slots=True)
class Attempts:
    """Wrong logins by address; pure, is given `now`. An address that waits keeps no other from logging in."""

    _failed: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Failures in a row, and until when the address waits."""

    def waits(self, address: str, now: float) -> float:
        """Seconds that this address still has to wait, 0 for none."""
        return max(0.0, self._failed.get(address, (0, 0.0))[1] - now)

    def failed(self, address: str, now: float) -> float:
        """One more; returns the seconds that it has to wait from now on."""
        count = self._failed.pop(address, (0, 0.0))[0] + 1
        pause = 0.0 if count <= FREE else min(LONGEST_S, FIRST_S * 2.0 ** min(count - FREE - 1, 16))
        self._failed[address] = (count, now + pause)
        while len(self._failed) > REMEMBERED:
            del self._failed[next(iter(self._failed))]
        return pause

    def succeeded(self, address: str) -> None:
        """A right one ends the series."""
        self._failed.pop(address, None)


class Users:
    """Those of the configuration, and nobody else."""

    def __init__(
        self, users: tuple[OpcUaUser, ...], *, anonymous: bool, refused: Callable[[str, str, str], None]
    ) -> None:
        """`refused` is told of who was not let in: address, status, why. Raises LinkError for a certificate file."""
        self._anonymous = anonymous
        self._refused = refused
        self._hashes: dict[str, tuple[str, Role]] = {
            user.name: (user.password_hash, _ROLES[user.role]) for user in users if user.password_hash
        }
        self._certificates = {
            user_certificate(user): (user.name, _ROLES[user.role]) for user in users if user.certificate
        }
        self._dummy = hashed("")
        self._pool = ThreadPoolExecutor(AT_ONCE, "opcua-password")
        self._waiting = 0
        self.attempts = Attempts()

    @property
    def kinds(self) -> tuple[bool, bool, bool]:
        """Whether there is a way in for the anonymous, by password, by certificate."""
        return self._anonymous, bool(self._hashes), bool(self._certificates)

    def close(self) -> None:
        """No more logins."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def authenticate(self, login: Login) -> LoggedIn | None:
        """Who this is, None for nobody. Over a channel without security only the anonymous, who may only look."""
        if login.anonymous:
            if self._anonymous:
                return LoggedIn(name="anonymous", may=Role.VIEWER)
            self._refused(login.address, "BadUserAccessDenied", "logs in without a name, and anonymous is false")
            return None
        if not login.secure:
            self._refused(login.address, "BadUserAccessDenied", "logs in with a name where others can read along")
            return None
        return self._by_certificate(login) if login.certificate is not None else await self._by_password(login)

    def _by_certificate(self, login: Login) -> LoggedIn | None:
        found = self._certificates.get(login.certificate or b"")
        if found is None:
            self._refused(login.address, "BadUserAccessDenied", "logs in with a certificate of no user")
            return None
        name, role = found
        certificate = x509.load_der_x509_certificate(login.certificate or b"")
        if (
            not certificate.not_valid_before_utc.timestamp()
            <= time.time()
            <= certificate.not_valid_after_utc.timestamp()
        ):
            self._refused(login.address, "BadUserAccessDenied", f"logs in as {name} with a certificate out of its time")
            return None
        return LoggedIn(name=name, may=role)

    async def _by_password(self, login: Login) -> LoggedIn | None:
        address, now = login.address, time.monotonic()
        if self.attempts.waits(address, now) or self._waiting >= WAITING:
            return None
        known = self._hashes.get(login.name or "")
        self._waiting += 1
        try:
            right = await asyncio.get_running_loop().run_in_executor(
                self._pool, matches, login.password or "", known[0] if known else self._dummy
            )
        finally:
            self._waiting -= 1
        if right and known and login.password:
            self.attempts.succeeded(address)
            return LoggedIn(name=login.name, may=known[1])
        pause = self.attempts.failed(address, time.monotonic())
        rest = f"; that address waits {pause:g} s" if pause else ""
        self._refused(address, "BadUserAccessDenied", f"logs in with a wrong name or password{rest}")
        return None
