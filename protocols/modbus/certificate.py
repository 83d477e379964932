"""What a certificate says that Python's ssl does not tell: its Modbus role and its validity.

A reader of DER for just these two, so that the control process needs no cryptography library. Whether a certificate is
genuine is decided elsewhere, by OpenSSL, before this is asked for its role.
Source: RFC 5280 §4.1 (certificate); ITU-T X.690 §8 and §10 (DER); MODBUS/TCP Security Protocol Specification V36,
§8.4, R-21, R-22, R-65 (role).
"""

from __future__ import annotations

import binascii
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROLE_OID = "1.3.6.1.4.1.50316.802.1"
LIMIT = 1 << 20
"""Bytes of a certificate or key file at most; a bundle of all public authorities has a quarter of it."""
ROLE_LENGTH = 64
"""Characters of a role at most; what is longer was not meant as one."""

_ROLE = bytes.fromhex("2b0601040183890c862201")
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_BOOLEAN, _OCTETS, _OID, _UTF8, _UTC, _GENERAL, _SEQUENCE = 0x01, 0x04, 0x06, 0x0C, 0x17, 0x18, 0x30
_VERSION, _EXTENSIONS = 0xA0, 0xA3


class CertificateError(Exception):
    """No certificate, or one that breaks the rules; the message is the reason in words."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Role ("" = it has none) and validity, in seconds since 1970 UTC."""

    role: str
    begins: float
    ends: float
    fault: str = ""
    """Why its role breaks the rules and is none."""


def facts(der: bytes) -> Facts:
    """What a certificate in DER says; raises CertificateError. A role that breaks the rules is none, with its fault."""
    try:
        return _facts(der)
    except (IndexError, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise CertificateError("it is no certificate, or a damaged one") from error


def contents(path: Path) -> bytes:
    """A certificate or key file, of at most LIMIT bytes; OSError."""
    if path.exists() and not path.is_file():  # reading a device or a pipe may never end
        raise OSError(errno.EINVAL, "it is no regular file")
    with path.open("rb") as file:
        found = file.read(LIMIT + 1)
    if len(found) > LIMIT:
        raise OSError(errno.EFBIG, f"it is larger than {LIMIT // 1024} KiB")
    return found


def blocks(data: bytes) -> list[bytes]:
    """The certificates of a file, PEM or DER, as DER in their order; raises CertificateError when there are none."""
    if _BEGIN not in data:
        if data[:1] != bytes((_SEQUENCE,)):
            raise CertificateError("it holds no certificate")
        return [data]
    found = []
    for block in data.split(_BEGIN)[1:]:
        body, end, _ = block.partition(_END)
        try:
            found.append(binascii.a2b_base64(b"".join(body.split()), strict_mode=True))
        except binascii.Error:
            end = b""
        if not end:
            raise CertificateError("it holds a damaged certificate")
    return found


def utf8_string(text: str) -> bytes:
    """`text` as an ASN.1 UTF8String, as the role extension wants it; at most 127 bytes."""
    data = text.encode()
    if len(data) > 127:
        raise ValueError(f"{text[:20]}… is too long")
    return bytes((_UTF8, len(data))) + data


def _facts(der: bytes) -> Facts:
    ((_, certificate),) = _values(der)
    _, body = next(_values(certificate), (0, b""))
    fields = list(_values(body))
    if fields[0][0] == _VERSION:
        del fields[0]
    tag, validity = fields[3]  # behind serial number, algorithm and issuer
    if tag != _SEQUENCE:
        raise ValueError("no validity")
    begins, ends = (_time(*moment) for moment in _values(validity))
    extensions = next((value for tag, value in fields[6:] if tag == _EXTENSIONS), b"")
    role, fault = _role(extensions)
    return Facts(role, begins, ends, fault)


def _role(extensions: bytes) -> tuple[str, str]:
    """The role, or why there is none although the extension is there."""
    found = []
    for _, sequence in _values(extensions):
        for _, extension in _values(sequence):
            parts = list(_values(extension))
            if parts[0] == (_OID, _ROLE):
                found.append(parts[-1])
    if not found:
        return "", ""
    if len(found) > 1:
        return "", "it has more than one role"
    tag, octets = found[0]
    try:
        ((kind, text),) = _values(octets)
        role = text.decode()
    except (IndexError, ValueError):
        kind, role = 0, ""
    if (tag, kind) != (_OCTETS, _UTF8):
        return "", "its role is no UTF8String"
    if not role or len(role) > ROLE_LENGTH or not role.isprintable():
        return "", "its role is empty, too long or not printable"
    return role, ""


def _time(tag: int, value: bytes) -> float:
    """Seconds since 1970; two digits of the year mean 1950 to 2049 (RFC 5280 §4.1.2.5)."""
    text = value.decode("ascii")
    if tag == _UTC:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERAL:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and contents, one after the other; raises ValueError or IndexError for what is cut off."""
    at = 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:
            octets = size & 0x7F
            if not 1 <= octets <= 4:
                raise ValueError("length")
            size = int.from_bytes(data[at : at + octets], "big")
            at += octets
        if at + size > len(data):
            raise ValueError("cut off")
        yield tag, data[at : at + size]
        at += size
