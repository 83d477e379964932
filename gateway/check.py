"""`gateway check`: everything that could keep this configuration from running on this computer, as one tree."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gateway import cert_review
from gateway import config as configuration
from gateway import recipe as recipe_book
from gateway.config import ConfigError, GatewayConfig, Loaded, StationConfig
from gateway.probe import Probed, probe
from gateway.recipe import Recipe, RecipeError
from gateway.report import Item, Report, Status
from protocols.devices import DeviceConfig, OpcUaDeviceConfig
from protocols.link import LinkError
from protocols.modbus import serial_port
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.polled_settings import PolledConfig
from protocols.modbus.registers import plc_address
from protocols.modbus.rtu_settings import ModbusRtuServerConfig, SerialConfig
from protocols.modbus.security_settings import ClientTls, ServerTls
from protocols.modbus.server_settings import ModbusServerConfig
from protocols.opcua.client_settings import OpcUaClientConfig
from protocols.opcua.peer_settings import OpcUaPeer
from protocols.opcua.server_link_settings import OpcUaServerLinkConfig
from protocols.opcua.server_settings import OpcUaServerConfig

SHOWN = 12
"""Requests of a link that are told one by one."""
SPACE_LOW = 2**30
SPACE_NONE = 100 * 2**20
EARLIEST = 1_767_225_600
"""1 January 2026: a clock before this program was written was never set."""


@dataclass(frozen=True, slots=True)
class Computer:
    """What the check asks of the computer; tests put other answers in."""

    port: Callable[[str, int], str | None]
    """Why the gateway cannot listen there, or None."""
    model: Callable[[StationConfig, Recipe], Probed]
    space: Callable[[Path], int]
    """Free bytes."""
    clock: Callable[[], float] = time.time
    running: Callable[[Path], bool] = lambda data_dir: False
    """Whether a gateway runs with this data directory."""
    device: Callable[[str], str | None] = serial_port.trouble
    """Why the gateway cannot use this serial device, or None."""


def check(path: Path, computer: Computer | None = None) -> Report:
    """Look at everything `path` names; never raises for what it finds. Loads every model once, in a child process."""
    root = Item(str(path))
    part = root.add("configuration")
    try:
        loaded = configuration.read(path)
    except ConfigError as error:
        for problem in error.problems:
            part.add(str(problem), Status.ERROR)
        root.add("computer, ports and models: not looked at before the configuration is mended")
        return Report(root)
    for warning in loaded.warnings:
        part.add(str(warning), Status.WARNING)
    computer = computer or this_computer()
    running = computer.running(loaded.config.data_dir)
    _look_at_computer(root.add("computer"), loaded.config, computer, running)
    told: set[tuple[str, int]] = set()
    if loaded.config.opcua is not None:
        item = _look_at_server(root, loaded.config.opcua, computer, running)
        _look_at_papers(item, loaded.config.opcua, loaded.config.data_dir, computer)
    for device in loaded.config.devices:
        _look_at_device(root, device, computer, told)
    for station in loaded.config.stations:
        item = root.add(f"station {station.name}")
        _look_at_link(item, station, computer, running, told)
        _look_at_recipes(item, station, loaded, computer)
    return Report(root)


def _look_at_computer(item: Item, config: GatewayConfig, computer: Computer, running: bool) -> None:
    folder = _nearest_folder(config.data_dir)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"check")
        item.add(f"data_dir {config.data_dir}: writable" + ("; a gateway is running with it" if running else ""))
    except OSError as error:
        text = f"data_dir {config.data_dir}: cannot write in {folder} ({error.strerror})"
        item.add(f"{text}; change its permissions or name another place", Status.ERROR)
    free = computer.space(folder)
    text = f"disk: {free / 2**30:.1f} GiB free"
    if free < SPACE_NONE:
        item.add(f"{text}, less than {SPACE_NONE // 2**20} MiB; free some, or name another data_dir", Status.ERROR)
    elif free < SPACE_LOW:
        item.add(f"{text}; kept pictures may fill it: free some, or lower pictures.keep", Status.WARNING)
    else:
        item.add(text)
    now = computer.clock()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
    if now < EARLIEST:
        item.add(f"clock: {stamp} UTC lies in the past; set it, or records bear wrong times", Status.WARNING)
    else:
        item.add(f"clock: {stamp} UTC")


def _look_at_link(
    item: Item, station: StationConfig, computer: Computer, running: bool, told: set[tuple[str, int]]
) -> None:
    link = station.link
    if isinstance(link, ModbusClientConfig):
        below = item.add(f"link: PLC at {link.where}; not contacted by this check")
        _show_requests(below, link)
    elif isinstance(link, ModbusServerConfig):
        text = f"link: Modbus server at {link.host}:{link.port}, unit {link.unit}"
        reason = None if (link.host, link.port) in told else computer.port(link.host, link.port)
        told.add((link.host, link.port))
        if reason and running:
            item.add(f"{text}; not tried, as the gateway is running")
        else:
            item.add(f"{text}; {reason}" if reason else text, Status.ERROR if reason else Status.OK)
    elif isinstance(link, ModbusRtuServerConfig):
        _look_at_line(item, f"link: Modbus RTU server on {link.line().text}, unit {link.unit}", link, computer, told)
    elif isinstance(link, OpcUaServerLinkConfig):
        item.add("link: Command variables of the OPC UA server")
    elif isinstance(link, SerialConfig):
        _look_at_line(item, f"link: PLC at {link.where}; not contacted by this check", link, computer, told)
    elif isinstance(link, OpcUaClientConfig):
        _look_at_nodes(item, link)
    else:
        item.add("link: loopback; no PLC can reach this station", Status.WARNING)
    _look_at_tls(item, getattr(link, "tls", None), computer)


def _look_at_server(root: Item, server: OpcUaServerConfig, computer: Computer, running: bool) -> Item:
    text = f"OPC UA server at {server.host}:{server.port}"
    reason = computer.port(server.host, server.port)
    if reason and running:
        return root.add(f"{text}; not tried, as the gateway is running")
    return root.add(f"{text}; {reason}".replace("link.", "opcua.") if reason else text, _bad(reason))


def _look_at_papers(item: Item, server: OpcUaServerConfig, data: Path, computer: Computer) -> None:
    """Its certificate, those of its users, and who may come."""
    from protocols.opcua import own_files

    try:
        if server.certificate is not None and server.key is not None:
            found, _ = own_files.pair(server.certificate, server.key)
            over = found.not_valid_after_utc < datetime.fromtimestamp(computer.clock(), UTC)
            text = f"certificate {server.certificate}, valid until {found.not_valid_after_utc:%Y-%m-%d}"
            if over:
                item.add(f"{text}: clients refuse it; make a new one", Status.WARNING)
            else:
                item.add(text)
        for user in server.users:
            if user.certificate is not None:
                own_files.user_certificate(user)
    except LinkError as error:
        item.add(str(error), Status.ERROR)
    trust = server.trust or data / "opcua" / "trust"
    known, waiting = (sum(1 for _ in (trust / name).glob("*.*")) for name in ("trusted", "rejected"))
    item.add(f"{known} trusted, {waiting} turned away in {trust}; see `gateway cert list {trust}`")


def _bad(reason: str | None) -> Status:
    return Status.ERROR if reason else Status.OK


def _look_at_device(root: Item, device: DeviceConfig, computer: Computer, told: set[tuple[str, int]]) -> None:
    if isinstance(device, OpcUaDeviceConfig):
        _look_at_opcua_device(root, device)
        return
    link = device.link
    text = f"device {device.name}: {len(device.tags)} tags at {link.where}; not contacted by this check"
    if isinstance(link, SerialConfig):
        _look_at_line(root, text, link, computer, told)
    else:
        _look_at_tls(root.add(text), link.tls, computer)


def _look_at_opcua_device(root: Item, device: OpcUaDeviceConfig) -> None:
    text = f"device {device.name}: {len(device.tags)} tags at {device.link.url}; not contacted by this check"
    item = root.add(text)
    groups = ", ".join(f"{len(names)} each {interval} ms" for interval, names in device.groups())
    item.add(f"watches {groups or 'nothing'}: {device.samples():.0f} samples a second")
    if device.link.security == "none":
        item.add("security none: anybody on the network can read and change it", Status.WARNING)


def _look_at_line(item: Item, text: str, link: SerialConfig, computer: Computer, told: set[tuple[str, int]]) -> None:
    reason = None if (link.device, 0) in told else computer.device(link.device)
    told.add((link.device, 0))
    item.add(f"{text}; {reason}" if reason else text, Status.ERROR if reason else Status.OK)


def _look_at_tls(item: Item, tls: ServerTls | ClientTls | None, computer: Computer) -> None:
    for text, level in cert_review.review(tls, computer.clock()) if tls else ():
        item.add(text, Status(level))


def _look_at_nodes(item: Item, link: OpcUaClientConfig) -> None:
    plan = link.node_map()
    below = item.add(f"link: OPC UA server of the PLC at {link.place}; not contacted by this check")
    below.add(f"reads {len(plan.command)} nodes each {link.scan_ms:g} ms, writes {len(plan.outputs)}")
    _look_at_opcua(below, link)


def _look_at_opcua(item: Item, peer: OpcUaPeer) -> None:
    """How the connection is protected, and whether its files are there."""
    security, user = peer.security, peer.user
    files = [user.password_file, user.certificate, user.key] if user else []
    if security == "none":
        item.add("security: none; anybody on the network can read and change what is said", Status.WARNING)
    else:
        item.add(f"security: {security.policy}, {security.mode.replace('_', ' ')}")
        files += [security.certificate, security.key, security.trust, security.pinned]
    for file in files:
        if file is not None and not file.exists():
            item.add(f"{file} is not there; make or copy it, or mend the path", Status.ERROR)


def _show_requests(item: Item, link: PolledConfig) -> None:
    """Where the PLC is read and written: what the person who programs it has to provide."""
    plan = link.plan()
    for verb, requests in (("reads", plan.reads), ("writes", [write.request for write in plan.writes])):
        places = sorted(
            (plc_address(r.table, r.address), plc_address(r.table, r.address + r.count - 1), r.count) for r in requests
        )
        told = ", ".join(first if count == 1 else f"{first} to {last}" for first, last, count in places[:SHOWN])
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        item.add(f"{verb} {told}{more}: {len(places)} request{'s' * (len(places) != 1)}")


def _look_at_recipes(item: Item, station: StationConfig, loaded: Loaded, computer: Computer) -> None:
    camera: str | None = None
    simulated = False
    for recipe in loaded.recipes[station.name]:
        probed = look_at_recipe(item, recipe, partial(computer.model, station))
        if probed is not None and probed.facts is not None:
            camera = camera or probed.camera
            simulated = probed.facts.simulated
    kind = station.camera.kind
    if camera is None:
        item.add(f"camera: {kind}; not tried, as no model could be loaded", Status.WARNING)
    elif camera:
        item.add(f"camera: {camera}", Status.ERROR)
    else:
        item.add(f"camera: {kind}" + ("; results carry the Simulated bit" if simulated else ""))


def look_at_recipe(item: Item, recipe: Recipe, trial: Callable[[Recipe], Probed]) -> Probed | None:
    """Report on one recipe, its models loaded once; what the trial showed, None if it was not made."""
    below = item.add(f"recipe {recipe.number} {recipe.name}, revision {recipe.revision}")
    for text in recipe_book.doubts(recipe):
        below.add(text, Status.WARNING)
    try:
        recipe_book.verify(recipe)
    except RecipeError as error:
        below.add(error.text, Status.ERROR)
        return None
    probed = trial(recipe)
    if probed.facts is None:
        below.add(f"model: {probed.error}", Status.ERROR)
        return probed
    facts = probed.facts
    size = f"model: {facts.input_width} x {facts.input_height}, {facts.provider}" if facts.provider else "no network"
    below.add(f"{size}, labels {', '.join(facts.labels)}")
    if facts.missed:
        below.add(f"model: {facts.missed}", Status.WARNING)
    for text in recipe_book.unknown_labels(recipe, facts.labels):
        below.add(text, Status.ERROR)
    return probed


def this_computer() -> Computer:
    """The answers of the computer this runs on."""
    return Computer(_port, probe, lambda folder: shutil.disk_usage(folder).free, running=_running)


def _nearest_folder(folder: Path) -> Path:
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _port(host: str, port: int) -> str | None:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
    except (socket.gaierror, UnicodeError):
        return f"{host!r} is no address of this computer and no name it knows; check link.host"
    except PermissionError:
        return f"port {port} needs a privilege; use a port from 1024 on (5020 is usual), or grant CAP_NET_BIND_SERVICE"
    except OSError as error:
        text = (error.strerror or str(error)).lower()
        return f"cannot listen ({text}); stop the other program, or change link.host or link.port"
    return None


def _running(data_dir: Path) -> bool:
    """Whether somebody holds the lock of the data directory."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        with (data_dir / "gateway.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
