"""What `gateway check` says of the certificates that a link names. Needs no cryptography library."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from protocols.faults import Code
from protocols.link import LinkError
from protocols.modbus import certificate
from protocols.modbus.certificate import CertificateError
from protocols.modbus.security import DAY, client_context, expiry, server_context, trusted
from protocols.modbus.security_settings import ClientTls, ServerTls

Level = Literal["ok", "warning", "error"]
_LEVELS: dict[Code, Level] = {Code.CERT_EXPIRED: "error", Code.CERT_EXPIRES: "warning"}


def review(tls: ServerTls | ClientTls, now: float) -> Iterator[tuple[str, Level]]:
    """One line for each thing looked at; `now` is in seconds since 1970 UTC."""
    try:
        if isinstance(tls, ServerTls):
            server_context(tls)
        else:
            client_context(tls)
        own = certificate.facts(certificate.blocks(certificate.contents(tls.certificate))[0])
    except (LinkError, CertificateError, OSError) as error:
        yield f"TLS: {error}", "error"
        return
    code, text = expiry((own.ends - now) / DAY)
    number = f" ({int(code)})" if code else ""
    yield f"certificate {tls.certificate}: {text}{number}", _LEVELS.get(code, "ok")
    if own.begins > now:
        yield f"certificate {tls.certificate}: is not valid yet; compare this computer's clock", "error"
    if open_to_others(tls.key):
        yield f"key {tls.key}: others can read or change it; run `chmod 600` on it", "warning"
    yield from _trust(tls, now)
    if isinstance(tls, ServerTls) and tls.no_role == "none" and not any(a != "none" for a in tls.roles.values()):
        yield "roles: no role may do anything, so every request is refused; name one in tls.roles", "warning"


def open_to_others(path: Path) -> bool:
    """Whether a key can be read by everybody, or changed by others than its owner."""
    return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP))


def _trust(tls: ServerTls | ClientTls, now: float) -> Iterator[tuple[str, Level]]:
    place = tls.trust or (tls.pinned if isinstance(tls, ClientTls) else None)
    if place is None:
        return
    found = trusted(place)
    good = 0
    for file, der in found:
        ends = certificate.facts(der).ends
        if ends < now:
            yield f"trust {file}: has expired; whoever shows it, or was signed by it, is refused", "warning"
        elif ends < now + 30 * DAY:
            yield f"trust {file}: expires in {(ends - now) / DAY:.0f} days", "warning"
        good += ends >= now
    if not good:
        yield f"trust {place}: nothing there is valid, so nobody gets in", "error"
    else:
        yield f"trust {place}: {good} certificate{'s' * (good != 1)}", "ok"
