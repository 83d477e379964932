"""What the demo must know of the gateway's configuration file, read without the gateway."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from protocols.codec import Codec, StringOrder, WordOrder

LINKS = {"modbus": "modbus_server", "opcua": "opcua_client"}
"""What `--link` may be, and the kind of link in the configuration that it stands for."""


class DemoError(Exception):
    """The demo cannot run: one sentence with cause and remedy."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the demo needs of the gateway's configuration."""

    path: Path
    kind: str
    """Of the link: modbus_server or opcua_client."""
    data_dir: Path
    station: str
    host: str
    port: int
    unit: int
    codec: Codec
    status_address: int
    command_address: int
    deadline: float
    seed: int
    defect_rate: float


def read(path: Path) -> Setup:
    """The first station of a gateway configuration; DemoError when the demo cannot play its PLC."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        return _setup(path, data)
    except OSError as error:
        raise DemoError(f"{path} cannot be read ({error.strerror}); give the configuration with --config") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise DemoError(f"{path} is not YAML; say `gateway check {path}` to see where") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DemoError(f"{path} does not describe a gateway; say `gateway check {path}` to see why") from error


def _setup(path: Path, data: Any) -> Setup:
    station = data["stations"][0]
    link, camera = station["link"], station["camera"]
    if link["kind"] not in LINKS.values() or camera["kind"] != "simulated":
        raise DemoError(
            f"{path}: the demo needs a modbus_server or opcua_client link and a simulated camera, station "
            f"{station['name']} has {link['kind']} and {camera['kind']}; take configs/demo.yaml as a pattern"
        )
    host, port = _address(link)
    return Setup(
        path=path,
        kind=str(link["kind"]),
        data_dir=path.parent / data["data_dir"],
        station=str(station["name"]),
        host={"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host),  # noqa: S104 - to connect to, not to listen on
        port=port,
        unit=int(link.get("unit", 1)),
        codec=Codec(WordOrder(link.get("word_order", "ABCD")), StringOrder(link.get("string_order", "big"))),
        status_address=int(link.get("status_address", 0)),
        command_address=int(link.get("command_address", 0)),
        deadline=float((station.get("cycle") or {}).get("deadline_ms", 300)) / 1000,
        seed=int(camera.get("seed", 1)),
        defect_rate=float(camera.get("defect_rate", 0.3)),
    )


def _address(link: Any) -> tuple[str, int]:
    """Where the one listens whom the other asks."""
    if link["kind"] == LINKS["modbus"]:
        return str(link.get("host", "127.0.0.1")), int(link.get("port", 502))
    url = urlsplit(str(link["url"]))
    return url.hostname or "127.0.0.1", url.port or 4840


def check_port(setup: Setup) -> None:
    """DemoError when the gateway, or the simulated PLC, could not listen: better said before anything is started."""
    where = f"{setup.host}:{setup.port}"
    if setup.port == 0:
        raise DemoError(
            f"{setup.path}: port 0 lets the system choose, and the PLC must know it; give a port such as 5020"
        )
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(setup.host, setup.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the gateway does
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise DemoError(
                f"{where} is in use by another program, perhaps a gateway that runs already; stop it, or give another "
                f"port in {setup.path}"
            ) from error
        raise DemoError(
            f"{where} cannot be opened ({error.strerror}); give another host and port in {setup.path}"
        ) from error
