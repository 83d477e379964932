"""The commands around OPC UA's certificates and users."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from cryptography import x509

from gateway import cli
from protocols.opcua.application_certificate import UntrustedError, uris, usable
from protocols.opcua.passwords import matches
from protocols.opcua.server_settings import OpcUaServerConfig
from protocols.opcua.trust import TrustFolder, prepare


def _made(folder: Path, *arguments: str) -> x509.Certificate:
    assert cli.main(["cert", "new", *arguments, "--opcua", "--out", str(folder)]) == 0
    return x509.load_pem_x509_certificate((folder / f"{arguments[0]}.pem").read_bytes())


def test_one_command_makes_what_opcua_asks_of_an_application(tmp_path: Path) -> None:
    found = _made(tmp_path, "gateway", "--host", "192.168.0.10", "--uri", "urn:plant:gateway")
    assert uris(found) == ["urn:plant:gateway"]
    usable(found)
    usage = found.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.content_commitment, usage.data_encipherment, usage.key_cert_sign) == (True, True, True)


def test_without_a_uri_it_has_one_of_host_and_name(tmp_path: Path) -> None:
    (uri,) = uris(_made(tmp_path, "gateway"))
    assert uri.startswith("urn:")
    assert uri.endswith(":gateway")


def test_two_uris_and_an_authority_that_is_not_rsa_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--opcua", "--out", str(tmp_path)]
    assert cli.main(["cert", "new", "a", "--uri", "urn:a", "--uri", "urn:b", *out]) == 1
    assert "one URI" in capsys.readouterr().err
    assert cli.main(["cert", "new", "ca", "--authority", "--out", str(tmp_path)]) == 0
    assert cli.main(["cert", "new", "a", "--signed-by", str(tmp_path / "ca.pem"), *out]) == 1
    assert "make the authority with --opcua as well" in capsys.readouterr().err


def test_one_command_trusts_a_client_that_was_turned_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "trust"
    prepare(folder)
    found = _made(tmp_path, "client")
    rejected = TrustFolder(folder).reject(_der(found))
    assert rejected is not None
    assert cli.main(["cert", "list", str(folder)]) == 0
    assert "(turned away)" in capsys.readouterr().out
    assert cli.main(["cert", "trust", str(rejected), "--into", str(folder)]) == 0
    assert not rejected.exists()
    assert TrustFolder(folder).check(_der(found)) == found
    capsys.readouterr()
    assert cli.main(["cert", "list", str(folder)]) == 0
    assert "(trusted)" in capsys.readouterr().out


def test_our_own_authority_writes_the_list_that_the_server_asks_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, authority = tmp_path / "trust", tmp_path / "ca.pem"
    prepare(folder)
    _made(tmp_path, "ca", "--authority")
    signed, fired = (_made(tmp_path, name, "--signed-by", str(authority)) for name in ("signed", "fired"))
    assert cli.main(["cert", "trust", str(authority), "--into", str(folder), "--authority"]) == 0
    store, crl = TrustFolder(folder), ["cert", "crl", str(authority), "--out", str(folder / "crl" / "ca.crl")]
    with pytest.raises(UntrustedError, match="of which no revocation list"):
        store.check(_der(signed))
    assert cli.main(crl) == 0
    assert store.check(_der(fired)) == fired
    assert cli.main([*crl, "--revoke", str(tmp_path / "fired.pem")]) == 0
    assert cli.main(crl) == 0  # continued: nobody comes off it
    assert "1 revoked" in capsys.readouterr().out
    assert store.check(_der(signed)) == signed
    with pytest.raises(UntrustedError, match="was revoked"):
        store.check(_der(fired))
    _made(tmp_path, "loner")
    assert cli.main([*crl, "--revoke", str(tmp_path / "loner.pem")]) == 1
    assert "only its own authority can revoke it" in capsys.readouterr().err


def _der(found: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return found.public_bytes(Encoding.DER)


def test_a_folder_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cert", "list", str(tmp_path)]) == 1
    assert "is no OPC UA trust folder" in capsys.readouterr().err


def test_a_users_lines_fit_the_configuration_and_hold_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ruamel.yaml import YAML

    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert cli.main(["opcua", "user", "o'tto", "--role", "operator"]) == 0
    text = capsys.readouterr().out
    assert "correct horse" not in text
    data = YAML(typ="safe").load("users:\n" + text)
    (user,) = OpcUaServerConfig.model_validate(data).users
    assert (user.name, user.role) == ("o'tto", "operator")
    assert matches("correct horse", user.password_hash or "")


def test_a_short_password_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert cli.main(["opcua", "user", "otto"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "8 characters or more" in captured.err
