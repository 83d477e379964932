"""Rights, reasons in words, our own certificate's end, and the settings."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from protocols.faults import Code
from protocols.modbus.certificate import blocks
from protocols.modbus.refusals import reason
from protocols.modbus.rights import EVERYTHING, Rights
from protocols.modbus.security import DAY, ServerSecurity, client_context, expiry, server_context
from protocols.modbus.security_settings import ClientTls, ServerTls
from tests.pki import Pki

READS, WRITES, BOTH, OTHERS = {1, 2, 3, 4, 17, 43}, {5, 6, 15, 16, 22}, {23}, {0, 7, 8, 11, 20, 90, 127, 128, 255}


@pytest.mark.parametrize(
    ("rights", "allowed"),
    [
        (EVERYTHING, READS | WRITES | BOTH | OTHERS),
        (Rights(write=False), READS),
        (Rights(read=False), WRITES),
        (Rights(read=False, write=False), set()),
    ],
)
def test_what_a_right_allows(rights: Rights, allowed: set[int]) -> None:
    assert {function for function in READS | WRITES | BOTH | OTHERS if rights.allow(function)} == allowed


@pytest.mark.parametrize("build", [lambda pki: server_context(pki.server()), lambda pki: client_context(pki.client())])
def test_both_contexts_are_strict(pki: Pki, build: Any) -> None:
    context = build(pki)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_TICKET
    old = [c["name"] for c in context.get_ciphers() if c["protocol"] == "TLSv1.2"]
    #
    assert {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"} <= set(old)
    assert all(name.startswith("ECDHE-") and ("GCM" in name or "POLY1305" in name) for name in old)


def test_the_server_gives_out_no_session_tickets(pki: Pki) -> None:
    assert server_context(pki.server()).num_tickets == 0


def test_the_client_checks_the_name_unless_a_certificate_is_pinned(pki: Pki) -> None:
    assert client_context(pki.client()).check_hostname
    assert not client_context(pki.client(pinned=pki.path("gateway"))).check_hostname


class Alert(ssl.SSLError):
    def __init__(self, name: str) -> None:
        super().__init__(1, f"[SSL: {name}] words")
        self.reason = name


def verified(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "something new"
    return error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (verified(10), Code.CERT_EXPIRED, "its certificate has expired"),
        (verified(20), Code.PEER_REFUSED, "authority that is not trusted"),
        (verified(777), Code.PEER_REFUSED, "something new"),
        (Alert("PEER_DID_NOT_RETURN_A_CERTIFICATE"), Code.PEER_REFUSED, "it showed no certificate"),
        (Alert("UNSUPPORTED_PROTOCOL"), Code.PEER_REFUSED, "older than 1.2"),
        (Alert("TLSV1_ALERT_UNKNOWN_CA"), Code.PEER_REFUSED, "does not trust our certificate"),
        (Alert("SSLV3_ALERT_ILLEGAL_PARAMETER"), Code.PEER_REFUSED, "alert illegal parameter"),
        (Alert("LENGTH_MISMATCH"), Code.PEER_REFUSED, "length mismatch"),
    ],
)
def test_reasons_in_words(error: ssl.SSLError, code: Code, words: str) -> None:
    told = reason(error)
    assert told[0] is code
    assert words in told[1]


@pytest.mark.parametrize(
    ("days", "code"),
    [(400, Code.NONE), (60, Code.NONE), (59.9, Code.CERT_EXPIRES), (0.1, Code.CERT_EXPIRES), (-0.1, Code.CERT_EXPIRED)],
)
def test_the_end_of_our_own_certificate(days: float, code: Code) -> None:
    assert expiry(days)[0] is code


def test_our_own_end_is_told_once_at_each_stage(pki: Pki) -> None:
    told: list[int] = []
    now = [time.time()]
    security = ServerSecurity(pki.server(), lambda code, text: told.append(code), "x", clock=lambda: now[0])
    for days in (0, 1000, 30, 1, 20, 2, 15, 5, 10, 10, 10):  # 1095 at first
        now[0] += days * DAY
        security.look()
        security.look()
    # 95 left at 1000, 65 at 1030, 64, 44 (60), 42, 27 (30), 22, 12, 2 (7), -8 (over)
    assert told == [Code.CERT_EXPIRES, Code.CERT_EXPIRES, Code.CERT_EXPIRES, Code.CERT_EXPIRED]


class Transport(asyncio.Transport):
    """One whose handshake has ended with this certificate."""

    def __init__(self, der: bytes | None) -> None:
        super().__init__()
        self._der = der

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "ssl_object" else default

    def getpeercert(self, binary_form: bool) -> bytes | None:
        assert binary_form
        return self._der


def rights(pki: Pki, name: str, *, clock: float | None = None, **changes: Any) -> Rights:
    security = ServerSecurity(pki.server(**changes), lambda *_: None, "x", clock=lambda: clock or time.time())
    der = blocks(pki.path(name).read_bytes())[0]
    return security.rights(Transport(der))


def test_rights_by_role(pki: Pki) -> None:
    assert rights(pki, "operator") == Rights(role="operator")
    assert rights(pki, "viewer") == Rights(write=False, role="viewer")
    assert rights(pki, "feeder") == Rights(read=False, role="feeder")
    for name in ("guest", "stranger", "nobody", "mumbler"):
        found = rights(pki, name)
        assert (found.read, found.write) == (False, False), name
        assert found.role


def test_no_certificate_is_no_right(pki: Pki) -> None:
    security = ServerSecurity(pki.server(no_role="read_write"), lambda *_: None, "x")
    found = security.rights(Transport(None))
    assert (found.read, found.write) == (False, False)


def test_a_certificate_that_expired_after_its_session_began_is_no_right(pki: Pki) -> None:
    found = rights(pki, "operator", clock=time.time() + 2000 * DAY)
    assert (found.read, found.write) == (False, False)


def test_a_role_named_none_is_not_the_missing_role(pki: Pki) -> None:
    assert not rights(pki, "nobody", roles={"none": "read_write"}).read


PATHS: dict[str, Any] = {"certificate": Path("a"), "key": Path("b")}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "needs either"),
        ({"trust": Path("c"), "pinned": Path("d")}, "needs either"),
        ({"pinned": Path("d"), "server_name": "x"}, "under any name"),
    ],
)
def test_a_client_has_one_way_to_know_its_plc(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ClientTls(**PATHS, **fields)


@pytest.mark.parametrize("access", ["all", "rw", "", "READ"])
def test_rights_have_four_names(access: str) -> None:
    with pytest.raises(ValidationError):
        ServerTls(**PATHS, trust=Path("c"), roles={"operator": access})  # type: ignore[dict-item]
