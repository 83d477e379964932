"""The `tls` block of a link: read, checked, built."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import cli
from gateway import config as configuration
from gateway.check import check
from gateway.config import config_crc
from gateway.report import Report, Status
from protocols import links
from protocols.link import LinkError, MapError
from protocols.modbus.security import ServerSecurity
from protocols.modbus.server import ModbusServer
from protocols.modbus.server_settings import ModbusServerConfig
from tests.pki import Pki
from tests.unit.gateway.test_check import computer, lines
from tests.unit.gateway.test_config import GOOD, change, place, problems, warnings

__all__ = ["place"]  # a fixture

TLS = "tls: {certificate: pki/gateway.pem, key: pki/gateway.key, trust: pki/trust, roles: {operator: read_write}}"
OPEN = ("host: 127.0.0.1", "host: 0.0.0.0, allow: any")


@pytest.fixture
def secure(place: Path, pki: Pki) -> Path:
    """The good configuration with TLS for both stations of its port."""
    (place.parent / "pki").symlink_to(pki.folder)
    place.write_text(GOOD.replace("port: 5020,", f"port: 5020, {TLS},"))
    return place


def change_all(place: Path, old: str, new: str) -> None:
    change(place, old, new)
    place.write_text(place.read_text().replace(old, new))


def settings(place: Path) -> ModbusServerConfig:
    link = configuration.load(place).stations[0].link
    assert isinstance(link, ModbusServerConfig)
    return link


def test_its_paths_are_seen_from_the_file(secure: Path) -> None:
    tls = settings(secure).tls
    assert tls is not None
    folder = secure.parent / "pki"
    assert (tls.certificate, tls.key, tls.trust) == (folder / "gateway.pem", folder / "gateway.key", folder / "trust")
    assert tls.roles == {"operator": "read_write"}


def test_both_stations_share_one_secure_listener(secure: Path) -> None:
    stations = configuration.load(secure).stations
    _, (listener,) = links.build([station.link for station in stations], lambda *_: None)
    assert isinstance(listener, ModbusServer)
    assert isinstance(listener.security, ServerSecurity)


def test_one_port_is_not_both_plain_and_secure(secure: Path) -> None:
    plain, safe = ModbusServerConfig(unit=1), settings(secure).model_copy(update={"port": 502, "unit": 2})
    change(secure, f"{TLS}, unit: 2", "unit: 2")
    assert any("link.port" in problem and "tls" in problem for problem in problems(secure))
    with pytest.raises(MapError, match="TLS"):
        links.build([safe, plain], lambda *_: None)


def test_where_the_certificates_lie_does_not_change_the_set_up(secure: Path) -> None:
    before = config_crc(configuration.load(secure), ())
    secure.write_text(GOOD)
    assert config_crc(configuration.load(secure), ()) == before


def test_everybody_s_listener_is_a_doubt_without_tls_only(secure: Path) -> None:
    secure.write_text(secure.read_text().replace(*OPEN))
    assert [told for told in warnings(secure) if "lets everybody" in told] == []
    secure.write_text(GOOD.replace(*OPEN))
    assert len([told for told in warnings(secure) if "lets everybody" in told]) == 2


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("read_write", "rw", "tls.roles.operator: 'rw'"),
        ("key: pki/gateway.key, ", "", "tls.key: is missing; add it"),
        ("trust:", "trusts:", "tls.trusts: is not a known key; did you mean trust?"),
    ],
)
def test_a_mistake_in_it_is_told_with_its_place(secure: Path, old: str, new: str, why: str) -> None:
    change(secure, old, new)
    assert any(why in problem for problem in problems(secure)), problems(secure)


def report(place: Path) -> Report:
    return check(place, computer())


def test_check_looks_at_the_certificates(secure: Path) -> None:
    told = "\n".join(lines(report(secure), Status.OK))
    assert "gateway.pem: is good for" in told
    assert "trust: 1 certificate" in told
    change_all(secure, "gateway.pem", "expired.pem")
    change_all(secure, "gateway.key", "expired.key")
    assert any("6001" in text for text in lines(report(secure), Status.ERROR))
    change_all(secure, "pki/trust", "pki/nowhere")
    assert any("nowhere" in text for text in lines(report(secure), Status.ERROR))


def test_a_listener_without_its_certificate_is_not_built(secure: Path) -> None:
    change_all(secure, "gateway.pem", "none.pem")
    with pytest.raises(LinkError, match=r"none\.pem: there is no such certificate"):
        settings(secure).listener(lambda *_: None)


def test_a_gateway_without_its_certificate_does_not_run(secure: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change_all(secure, "gateway.pem", "none.pem")
    assert cli.main(["run", str(secure)]) == 1
    told = capfd.readouterr().err
    assert "none.pem: there is no such certificate" in told
    assert "Traceback" not in told
