"""The configuration of the OPC UA server refuses what cannot be meant, in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from protocols.opcua.passwords import hashed, matches
from protocols.opcua.server_settings import OpcUaServerConfig, place_paths

HASH = "$argon2id$v=19$m=19456,t=2,p=1$xxrEp6132PfC0KH92tG4YA$3SBnc6vXsxggtLbSHnizs+CsvOxaEu3V/bED7o+jXCQ"


def _user(**fields: Any) -> dict[str, Any]:
    return {"users": [{"name": "otto", **fields}]}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"host": "0.0.0.0"}, "allow does not say from which"),  # noqa: S104 - not bound
    ({"certificate": "a.pem"}, "gateway cert new NAME --opcua"),
    ({"allow_unencrypted": True}, "lets nobody in as long as anonymous is false"),
    (_user(), "needs either a password_hash or a certificate"),
    (_user(password_hash=HASH, certificate="a.pem"), "needs either a password_hash or a certificate"),
    (_user(password_hash=HASH[:20]), "gateway opcua user NAME"),
    (_user(password_hash=HASH.replace("m=19456", "m=9999999")), "costs more than 262144 KiB"),
    (_user(password_hash=HASH.replace("t=2", "t=99")), "costs more than 262144 KiB or 10 rounds"),
    (_user(password_hash=HASH, role="admin"), "engineer"),
    ({"users": [{"name": "a", "password_hash": HASH}] * 2}, "users has 'a' twice"),
    ({"application_uri": "no uri"}, "is no URI"),
    ({"policies": ["Basic128Rsa15"]}, "Basic256Sha256"),
    ({"policies": []}, "at least 1"),
    ({"plc": ["10.0.0.0/8"]}, "is a network"),
    ({"surprise": 1}, "surprise"),
]


@pytest.mark.parametrize(("fields", "why"), REFUSED)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OpcUaServerConfig.model_validate(fields)
    assert why in str(caught.value)


def test_left_as_it_is_nobody_gets_in_and_nothing_is_open() -> None:
    config = OpcUaServerConfig()
    assert (config.host, config.port) == ("127.0.0.1", 4840)
    assert not config.allow_unencrypted
    assert not config.anonymous
    assert config.warnings() == [
        "opcua: nobody can log in; add users (`gateway opcua user NAME --role operator`) or anonymous"
    ]


def test_no_security_is_warned_of() -> None:
    config = OpcUaServerConfig(anonymous=True, allow_unencrypted=True, sign_only=True)
    none, sign = config.warnings()
    assert "SecurityPolicy None" in none
    assert "sign_only" in sign


def test_paths_of_the_section_are_made_absolute() -> None:
    section = {"certificate": "a", "trust": "c", "users": [{"certificate": "d"}, {"password_hash": "x"}, "odd"]}

    def place(mapping: Any, key: Any) -> None:
        mapping[key] = str(Path("/base") / mapping[key])

    place_paths(section, place)
    place_paths("odd", place)
    assert section["certificate"] == "/base/a"
    assert section["trust"] == "/base/c"
    assert section["users"][0] == {"certificate": "/base/d"}


def test_a_hash_is_that_of_its_password_alone_and_fits_the_configuration() -> None:
    known = hashed("correct horse")
    assert matches("correct horse", known)
    assert not matches("correct horsE", known)
    assert not matches("correct horse", "nonsense")
    assert OpcUaServerConfig.model_validate(_user(password_hash=known)).users[0].password_hash == known
