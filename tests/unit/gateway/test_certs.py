"""`gateway cert` and what `gateway check` says of certificates."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import certs, cli
from gateway.cert_review import review
from gateway.certs import CertError, Wish
from tests.pki import Pki

NOW = datetime.now(UTC)
CONFIG = """\
data_dir: data
stations:
  - name: cell1
    link:
      kind: modbus_server
      tls: {{certificate: certs/gateway.pem, key: certs/gateway.key, trust: {trust}, roles: {{operator: read_write}}}}
    camera: {{kind: simulated}}
    recipes: [part]
"""


def run(*arguments: object) -> int:
    return cli.main(["cert", *map(str, arguments)])


def test_a_plant_s_certificates_from_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "certs"
    assert run("new", "plant-ca", "--authority", "--out", out) == 0
    assert run("new", "gateway", "--signed-by", out / "plant-ca.pem", "--host", "192.0.2.10", "--out", out) == 0
    assert run(
        "new", "plc1", "--signed-by", out / "plant-ca.pem", "--host", "plc1.local", "--host", "::1",
        "--role", "operator", "--days", 400, "--key", "rsa", "--out", out,
    ) == 0  # fmt: skip
    assert run("trust", out / "plant-ca.pem", "--into", out / "trust", "--authority") == 0
    shown, errors = capsys.readouterr()
    assert errors == ""
    for words in (
        "CN=plant-ca (an authority)",
        "192.0.2.10",
        "plc1.local, ::1",
        "operator",
        "400 days left",
        "RSA 2048",
    ):
        assert words in shown
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["plant-ca.pem", "plant-ca.key", "gateway.pem", "gateway.key", "plc1.pem", "plc1.key", "trust"]
    )
    assert {path.stat().st_mode & 0o777 for path in out.glob("*.key")} == {0o600}
    assert len(certs.read(out / "plc1.pem")) == 2  # the chain up to the root


def test_nothing_is_overwritten_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("new", "plc", "--host", "a", "--out", tmp_path) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert run("new", "plc", "--host", "a", "--out", tmp_path) == 1
    assert "--force" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "plc.pem").unlink()
    assert run("new", "plc", "--host", "a", "--out", tmp_path) == 1  # the key alone is worth keeping
    assert run("new", "plc", "--host", "a", "--out", tmp_path, "--force") == 0
    assert (tmp_path / "plc.key").read_bytes() != before["plc.key"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["new", "a/b", "--out", "{}"], "no name for a certificate"),
        (["new", "a", "--days", "0", "--out", "{}"], "0 days cannot be"),
        (["new", "a", "--host", "a b", "--out", "{}"], "no host name and no address"),
        (["new", "a", "--host", "é.example", "--out", "{}"], "no host name and no address"),
        (["new", "a", "--role", "x" * 65, "--out", "{}"], "more than 64 characters"),
        (["new", "a", "--role", "a\nb", "--out", "{}"], "not printable"),
        (["new", "a", "--uri", "urn:é", "--out", "{}"], "no URI"),
        (["new", "a", "--signed-by", "{}/none.pem", "--out", "{}"], "no such file"),
        (["show", "{}/none.pem"], "no such file"),
        (["trust", "{}/none.pem", "--into", "{}"], "no such file"),
    ],
)
def test_a_wrong_wish_is_one_sentence(
    arguments: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*(argument.format(tmp_path) for argument in arguments)) == 1
    told = capsys.readouterr().err
    assert why in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_only_an_authority_signs(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("new", "x", "--signed-by", pki.path("operator"), "--out", tmp_path) == 1
    assert "operator is no authority" in capsys.readouterr().err


def test_a_signer_needs_its_own_key(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ca.pem").write_bytes(pki.path("ca").read_bytes())
    assert run("new", "x", "--signed-by", tmp_path / "ca.pem", "--out", tmp_path) == 1
    (tmp_path / "ca.key").write_bytes(pki.key("operator").read_bytes())
    assert run("new", "x", "--signed-by", tmp_path / "ca.pem", "--out", tmp_path) == 1
    (tmp_path / "ca.key").write_text("hello")
    assert run("new", "x", "--signed-by", tmp_path / "ca.pem", "--out", tmp_path) == 1
    told = capsys.readouterr().err.splitlines()
    assert [any(word in line for word in ("cannot be read", "does not belong", "no unencrypted")) for line in told] == [
        True
    ] * 3


def test_a_device_s_certificate_is_trusted_after_a_look(
    pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("trust", pki.path("loner"), "--into", tmp_path / "trust") == 0
    shown = capsys.readouterr().out
    (copy,) = (tmp_path / "trust").iterdir()
    assert certs.read(copy) == certs.read(pki.path("loner"))
    assert certs.shown(certs.load_signer(pki.path("loner")).certificate).sha256 in shown


def test_of_a_chain_only_the_device_is_trusted(pki: Pki, tmp_path: Path) -> None:
    copy, _ = certs.trust(pki.path("operator"), tmp_path)
    assert len(certs.read(pki.path("operator"))) == 2
    assert certs.read(copy) == certs.read(pki.path("operator"))[:1]


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("expired", [], "expired on"),
        ("ca", [], "is an authority, so that everybody it ever signs"),
        ("operator", ["--authority"], "is no authority"),
    ],
)
def test_what_must_not_be_trusted(
    pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, options: list[str], why: str
) -> None:
    assert run("trust", pki.path(name), "--into", tmp_path / "trust", *options) == 1
    assert why in capsys.readouterr().err
    assert not (tmp_path / "trust").exists()


def test_a_key_is_no_certificate(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("trust", pki.key("operator"), "--into", tmp_path / "trust") == 1
    assert run("show", pki.key("operator")) == 1
    assert capsys.readouterr().err.count("holds no certificate") == 2


def test_show_says_what_is_expired_and_what_has_no_readable_role(pki: Pki, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", pki.path("expired"), pki.path("mumbler")) == 0
    shown = capsys.readouterr().out
    assert "EXPIRED" in shown
    assert "not readable: its role is no UTF8String" in shown


def test_show_lists_what_a_configuration_names_and_trusts(
    pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "certs").symlink_to(pki.folder)
    path = tmp_path / "line.yaml"
    path.write_text(CONFIG.format(trust="certs/trust"))
    assert run("show", path) == 0
    shown = capsys.readouterr().out
    assert "(cell1: our own)" in shown
    assert "(cell1: trusted)" in shown
    path.write_text(CONFIG.format(trust="nowhere"))
    assert run("show", path) == 1
    assert "nowhere" in capsys.readouterr().err


def test_the_command_line_starts_without_the_library() -> None:
    told = "import sys, gateway.cli, gateway.app, gateway.check; print('cryptography' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, check=True, text=True)
    assert ran.stdout.strip() == "False"


# ── gateway check ────────────────────────────────────────────────────────────────────────────────────────────────────


def levels(found: Sequence[tuple[str, str]], level: str) -> list[str]:
    return [text for text, given in found if given == level]


def test_a_sound_set_is_all_right(pki: Pki) -> None:
    assert {level for _, level in review(pki.server(), NOW.timestamp())} == {"ok"}
    assert {level for _, level in review(pki.client(), NOW.timestamp())} == {"ok"}
    assert {level for _, level in review(pki.client(pinned=pki.path("gateway")), NOW.timestamp())} == {"ok"}


@pytest.mark.parametrize(
    ("left", "level"), [(61, "ok"), (59, "warning"), (29, "warning"), (6, "warning"), (-1, "error")]
)
def test_the_days_left(pki: Pki, left: float, level: str) -> None:
    own = certs.shown(certs.load_signer(pki.path("gateway")).certificate)
    now = (own.ends - timedelta(days=left)).timestamp()
    (text,) = [(text, given) for text, given in review(pki.server(), now) if text.startswith("certificate")]
    assert text[1] == level
    assert ("(6002)" in text[0]) is (level == "warning")
    assert ("(6001)" in text[0]) is (level == "error")


def test_a_certificate_of_tomorrow_is_an_error(pki: Pki) -> None:
    found = list(review(pki.server("future"), NOW.timestamp()))
    assert any("not valid yet" in text for text in levels(found, "error"))


def test_an_open_key_is_a_warning(pki: Pki, tmp_path: Path) -> None:
    key = tmp_path / "open.key"
    key.write_bytes(pki.key("gateway").read_bytes())
    key.chmod(0o644)
    found = list(review(pki.server().model_copy(update={"key": key}), NOW.timestamp()))
    assert [str(key) in text and "chmod 600" in text for text in levels(found, "warning")] == [True]


def test_files_that_cannot_be_used_are_errors(pki: Pki, tmp_path: Path) -> None:
    ((text, level),) = review(pki.server(trust=tmp_path / "none"), NOW.timestamp())
    assert level == "error"
    assert "none" in text


def test_trust_in_what_has_expired_is_told(pki: Pki, tmp_path: Path) -> None:
    certs.save(certs.make(Wish("old", days=5), now=NOW - timedelta(days=9)), tmp_path)
    found = list(review(pki.server(trust=tmp_path), NOW.timestamp()))
    assert any("has expired" in text for text in levels(found, "warning"))
    assert any("nobody gets in" in text for text in levels(found, "error"))
    certs.trust(pki.path("ca"), tmp_path, authority=True)
    assert levels(list(review(pki.server(trust=tmp_path), NOW.timestamp())), "error") == []
    soon = certs.shown(pki.ca.certificate).ends - timedelta(days=20)
    assert any("expires in 20 days" in text for text, _ in review(pki.server(trust=tmp_path), soon.timestamp()))


def test_a_listener_that_grants_nobody_anything_is_a_warning(pki: Pki) -> None:
    found = list(review(pki.server(roles={"guest": "none"}), NOW.timestamp()))
    assert any("every request is refused" in text for text in levels(found, "warning"))


def test_a_wish_that_cannot_be_says_so_without_files() -> None:
    with pytest.raises(CertError, match="below another"):
        certs.make(Wish("sub", authority=True), certs.make(Wish("ca", authority=True)))
