"""Modbus/TCP Security: the TLS contexts of both ends, and what the role in a certificate may do.

Source: MODBUS/TCP Security Protocol Specification V36 (MB-TCP-Security-v36): §8.2 mutual authentication (R-06 to R-11),
§8.3 cipher suites (R-14), §8.4 roles (R-16 to R-31, R-65), §10 TLS 1.2 or newer without SHA-1, NULL and compression.
Session tickets and renegotiation are off; TLS 1.2 may resume by session id, which the specification prefers (§10.2.3).
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from typing_extensions import override

from protocols.faults import Code
from protocols.link import LinkError
from protocols.modbus import certificate
from protocols.modbus.certificate import CertificateError, Facts
from protocols.modbus.refusals import reason
from protocols.modbus.rights import Rights
from protocols.modbus.security_settings import ClientTls, OwnCertificate, ServerTls
from protocols.settings import OnEvent

SUFFIXES = frozenset((".pem", ".crt", ".cer", ".der"))
"""Of the certificates in a trust folder; other files there are left alone."""
STAGES = (60, 30, 7)
"""Days before the end at which our own certificate is told of."""
DAY = 86400.0

# and their stronger brothers: forward secrecy and AEAD alone. Level 2: no RSA below 2048 bits, no SHA-1.
_CIPHERS = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for signature in ("ECDSA", "RSA")
)
_OPTIONS = ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET


def server_context(settings: ServerTls) -> ssl.SSLContext:
    """For masters that connect to us; raises LinkError with file, cause and remedy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    _harden(context, settings)
    _trust(context, settings.trust)
    return context


def client_context(settings: ClientTls) -> ClientContext:
    """For our connections to a PLC; name or pin are checked by the context itself. Raises LinkError as above.

    Give it as `ssl=` to `loop.create_connection` or as `sslctx` to pymodbus's CommParams, with its SOCKET framer: the
    bytes inside TLS are those of Modbus TCP. When connecting fails, `refusal` says why.
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context, settings)
    if settings.pinned is not None:
        context.check_hostname = False
        context.pinned = _certificates(settings.pinned)[0]
        _add(context, context.pinned, settings.pinned)
    elif settings.trust is not None:
        _trust(context, settings.trust)
        context.name = settings.server_name
    return context


class ClientContext(ssl.SSLContext):
    """A context that knows whom to expect, and keeps why the last connection failed."""

    name: str = ""
    """What the certificate must bear instead of the host that was connected to."""
    pinned: bytes = b""
    """The only certificate accepted, in DER."""
    refusal: str = ""
    """Why the last handshake failed, in words; "" after one that succeeded."""
    fault: Code = Code.NONE
    """Its code."""

    def refused(self, error: ssl.SSLError) -> None:
        """Keep why."""
        self.fault, self.refusal = reason(error)

    @override
    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.name or server_hostname, session)


class _Checked(ssl.SSLObject):
    """One connection of a ClientContext."""

    @override
    def do_handshake(self) -> None:
        context = cast(ClientContext, self.context)
        try:
            super().do_handshake()
            if context.pinned and self.getpeercert(binary_form=True) != context.pinned:
                raise ssl.SSLCertVerificationError(1, "its certificate is not the pinned one")
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            context.refused(error)
            raise
        context.fault, context.refusal = Code.NONE, ""

    @override
    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # as in ssl.SSLObject
        try:
            return super().read(len, buffer)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:  # in TLS 1.3 a server refuses our certificate behind the handshake
            cast(ClientContext, self.context).refused(error)
            raise


ClientContext.sslobject_class = _Checked


class ServerSecurity:
    """Who may connect to one listener, and what they may do. Files that change are used for the next connection."""

    def __init__(
        self, settings: ServerTls, on_event: OnEvent, name: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Read the files; raises LinkError. `name` is that of the listener, `clock` gives seconds since 1970 UTC."""
        self.handshake_timeout = settings.handshake_timeout_s
        self._settings = settings
        self._on_event = on_event
        self._name = name
        self._clock = clock
        self._seen = _state(settings)
        self._context = server_context(settings)
        self._own = _own(settings)
        self._stage: int | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection. Files that cannot be used are told of; the former ones go on."""
        state = _state(self._settings)
        if state != self._seen:
            self._seen = state
            try:
                self._context, self._own = server_context(self._settings), _own(self._settings)
                self._stage = None
            except LinkError as error:
                self._on_event(Code.CONFIG_INVALID, f"{self._name}: certificates changed, the former go on: {error}")
        return self._context

    def rights(self, transport: asyncio.BaseTransport) -> Rights:
        """By the role in the peer's certificate; nothing for one that cannot be read or has expired meanwhile."""
        tls = transport.get_extra_info("ssl_object")
        try:
            facts = certificate.facts(tls.getpeercert(binary_form=True) or b"")
        except CertificateError as error:
            return Rights(read=False, write=False, role=f"not readable ({error})")
        if facts.fault:
            return Rights(read=False, write=False, role=f"not readable ({facts.fault})")
        if self._clock() > facts.ends:  # a resumed session is not verified again
            return Rights(read=False, write=False, role="of an expired certificate")
        settings = self._settings
        access = settings.roles.get(facts.role, "none") if facts.role else settings.no_role
        return Rights(read="read" in access, write="write" in access, role=facts.role or "none")

    def explain(self, error: ssl.SSLError) -> tuple[Code, str]:
        """Why a handshake failed, in words that follow the peer's name."""
        return reason(error)

    def look(self) -> None:
        """Tell once at each stage how long our certificate is still good."""
        left = (self._own.ends - self._clock()) / DAY
        stage = next((days for days in (0, *reversed(STAGES)) if left < days), None)
        if stage is None or stage == self._stage:
            return
        self._stage = stage
        code, text = expiry(left)
        self._on_event(code, f"{self._name}: {self._settings.certificate} {text}")


def expiry(days: float) -> tuple[Code, str]:
    """What to tell of our own certificate that is good for so many days more; code NONE while it is good for long."""
    if days < 0:
        return (
            Code.CERT_EXPIRED,
            f"expired {-days:.0f} days ago; the other side refuses it: make a new one (gateway cert new)",
        )
    if days < STAGES[0]:
        return Code.CERT_EXPIRES, f"expires in {days:.0f} days; make a new one in time (gateway cert new)"
    return Code.NONE, f"is good for {days:.0f} days more"


def trusted(place: Path) -> list[tuple[Path, bytes]]:
    """File and DER of every certificate in a trust file or folder; raises LinkError, also when there are none."""
    try:
        files = [place] if not place.is_dir() else sorted(f for f in place.iterdir() if f.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise LinkError(f"{place}: cannot be read ({_cause(error)}); check its permissions") from error
    if not files:
        raise LinkError(f"{place}: holds no certificate, so nobody is trusted; add one with `gateway cert trust`")
    return [(file, der) for file in files for der in _certificates(file)]


def _harden(context: ssl.SSLContext, settings: OwnCertificate) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a single master's certificate may be trusted as such
    context.options |= _OPTIONS
    context.set_ciphers(f"{_CIPHERS}:@SECLEVEL=2")
    _show(context, settings)


def _show(context: ssl.SSLContext, settings: OwnCertificate) -> None:
    for path, what in ((settings.certificate, "certificate"), (settings.key, "key")):
        _read(path, what)

    def no_password() -> str:
        raise LinkError(f"{settings.key}: the key is encrypted, and nobody is there to unlock it; store it unencrypted")

    try:
        context.load_cert_chain(settings.certificate, settings.key, no_password)
    except OSError as error:  # ssl.SSLError is one
        cause = {
            "KEY_VALUES_MISMATCH": f"does not belong to {settings.certificate}; give the two that were made together",
            "EE_KEY_TOO_SMALL": "is too short; make one with `gateway cert new`",
            "CA_MD_TOO_WEAK": "has a certificate signed with SHA-1; make one with `gateway cert new`",
        }.get(getattr(error, "reason", "") or "")
        text = cause or f"or {settings.certificate} is no PEM file of the right kind; make both with `gateway cert new`"
        raise LinkError(f"{settings.key}: {text}") from error


def _trust(context: ssl.SSLContext, place: Path) -> None:
    for file, der in trusted(place):
        _add(context, der, file)


def _add(context: ssl.SSLContext, der: bytes, file: Path) -> None:
    try:
        certificate.facts(der)
        context.load_verify_locations(cadata=der)
    except (CertificateError, ssl.SSLError) as error:
        raise LinkError(f"{file}: holds a certificate that cannot be used ({_cause(error)}); remove it") from error


def _certificates(file: Path) -> list[bytes]:
    try:
        return certificate.blocks(_read(file, "certificate"))
    except CertificateError as error:
        raise LinkError(f"{file}: cannot be trusted, as {error}; remove it or give another file") from error


def _own(settings: OwnCertificate) -> Facts:
    try:
        return certificate.facts(_certificates(settings.certificate)[0])
    except CertificateError as error:
        raise LinkError(f"{settings.certificate}: {error}; make one with `gateway cert new`") from error


def _read(path: Path, what: str) -> bytes:
    try:
        return certificate.contents(path)
    except FileNotFoundError as error:
        raise LinkError(
            f"{path}: there is no such {what}; make one with `gateway cert new`, or mend the path"
        ) from error
    except OSError as error:
        raise LinkError(f"{path}: the {what} cannot be read ({_cause(error)}); check its permissions") from error


def _cause(error: Exception) -> str:
    return (getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)).lower()


def _state(settings: ServerTls) -> tuple[object, ...]:
    """What changes whenever one of the files does; a few microseconds a file."""
    places = [settings.certificate, settings.key, settings.trust]
    try:
        if settings.trust.is_dir():
            places += sorted(entry for entry in settings.trust.iterdir() if entry.suffix.lower() in SUFFIXES)
    except OSError:
        return ()
    return tuple((place, _stamp(place)) for place in places)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - half the cost of Path.stat on the PLC's way in
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
