"""The composition root: builds the gateway from its configuration, runs it, and stops it in order."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import log as logs  # isort: skip - before structlog: it keeps rich out of the start
import structlog

from gateway import config as configuration
from gateway.active_recipes import ActiveRecipes
from gateway.config import Loaded, StationConfig
from gateway.control import Control
from gateway.history import History, HistoryError
from gateway.launch import Launched
from gateway.lock import DataLock
from gateway.loop import run as run_loop
from gateway.recipe import Recipe
from gateway.station import Station
from gateway.station_setup import Pictures, Setup
from gateway.supervisor import Supervisor
from gateway.vision.settings import PoolSettings
from gateway.worker_process import HeadStart, WorkerProcess
from gateway.worker_team import Spawn
from gateway.workers import WorkerPool
from protocols import links
from protocols.carried import CarriedConfig
from protocols.devices import OpcUaDeviceConfig
from protocols.link import Link
from protocols.modbus.rtu_settings import ModbusRtuServerConfig
from protocols.modbus.server_settings import ModbusServerConfig
from protocols.modbus.sharing import Sharing
from protocols.opcua.server_link_settings import OpcUaServerLinkConfig
from protocols.signals import Judgement

if TYPE_CHECKING:
    from gateway.carriers import Carriers
    from gateway.station_tags import StationTags
    from gateway.tags import TagBook
    from protocols.settings import OnEvent

FAREWELL = 0.25
"""Seconds the links stay up after the outputs went invalid, so that a polling PLC sees it."""
CLOSE_WAIT = 5.0
SWITCH_INTERVAL = 0.0005
SETTLE = 0.5
"""Seconds in which a master that found us restarted rewrites its block, in as many requests as it likes."""

log = structlog.get_logger("gateway")


class Gateway:
    """All parts of one running gateway; `run` returns after an orderly stop."""

    def __init__(self, loaded: Loaded, boot_id: int, spawn: Spawn = WorkerProcess) -> None:
        config = loaded.config
        self.config = config
        self.history = History(config.data_dir / "history.sqlite3", boot_id=boot_id, trouble=self._store_trouble)
        self.stop = asyncio.Event()
        configured = [station.link for station in config.stations]
        sharing = Sharing([*configured, *(device.link for device in config.devices)])
        names = [station.name for station in config.stations]
        built, services = links.build(configured, self._link_event, names, sharing)
        self.services = services
        active = ActiveRecipes(config.data_dir)
        self.stations: list[Station] = []
        self.pools: list[WorkerPool] = []
        self.carriers = _carriers(loaded, boot_id, self._link_event)
        self._links: list[Link] = []
        for station_config, bare in zip(config.stations, built, strict=True):
            number = active.of(station_config.name)
            # The one of the last run first, where it is still there: the first is active at start.
            recipes = tuple(sorted(loaded.recipes[station_config.name], key=lambda recipe: recipe.number != number))
            setup = _setup(loaded, station_config, recipes, boot_id, active)
            link = bare
            if self.carriers is not None:
                link, setup = self.carriers.between(station_config, bare, setup)
            station = Station(setup, link, self.history)
            pool = WorkerPool(_pool_settings(station_config, recipes), station, spawn=spawn)
            station.use(pool)
            link.attach(station)
            self._links.append(link)
            self.stations.append(station)
            self.pools.append(pool)
        self.tags: TagBook | None = None
        self._equipment: list[StationTags] = []
        if config.devices:
            self._equip(sharing)

    def _equip(self, sharing: Sharing) -> None:
        """Devices, and what the stations do with them; imported here, as a line without devices starts without."""
        from gateway.station_tags import StationTags
        from gateway.tags import TagBook

        self.tags = TagBook(self.config.devices)
        for config, station in zip(self.config.stations, self.stations, strict=True):
            self._equipment.append(StationTags(config.tags, self.tags, station))
            station.equip(self._equipment[-1])
        self.tags.build(sharing, None if self.carriers is None else self.carriers.remote)

    async def run(self) -> None:
        """Serve until `stop` is set; LinkError, HistoryError or GaveUpError when that is impossible."""
        supervisor = Supervisor()
        for service in self.services:
            supervisor.add(service.name, service.run)
        for config, station, pool, link in zip(
            self.config.stations, self.stations, self.pools, self._links, strict=True
        ):
            supervisor.add(f"{config.name} station", station.run)
            supervisor.add(f"{config.name} link", link.run)
            supervisor.add(f"{config.name} vision", pool.run)
        for source in self.tags.sources if self.tags else ():
            supervisor.add(f"device {source.name}", source.run)
        for process in self.carriers.processes if self.carriers else ():
            supervisor.add(f"{process.name} process", process.run)
        if sys.platform != "win32":
            control = Control(self.config.data_dir, {station.name: station.recipes for station in self.stations})
            supervisor.add(control.name, control.run)
        for equipment in self._equipment:
            equipment.start()
        parts = asyncio.create_task(supervisor.run(), name="supervisor")
        life = asyncio.create_task(self._live(), name="life")
        try:
            await asyncio.wait((parts, life), return_when=asyncio.FIRST_COMPLETED)
            if life.done():
                life.result()
            if parts.done():
                parts.result()
        finally:
            life.cancel()
            parts.cancel()
            await asyncio.gather(life, parts, return_exceptions=True)
            await self._close_history()
            if self.carriers is not None:
                self.carriers.close()

    async def _live(self) -> None:
        """Recover what the last run left, wait for the wish to stop, then end the stations before their links."""
        await asyncio.sleep(0)  # the links listen first: the PLC gets an answer while the history opens
        self.history.start(asyncio.get_running_loop())
        stopping = asyncio.create_task(self.stop.wait(), name="stop")
        try:
            await asyncio.wait((self.history.opened, stopping), return_when=asyncio.FIRST_COMPLETED)
            if self.history.opened.done():
                recovered = self.history.opened.result()
                for station in self.stations:
                    station.recover(recovered.get(station.name))
                if self.carriers is not None:
                    self.carriers.open()
                log.info("started", gateway=self.config.name, stations=len(self.stations))
            await stopping
        finally:
            stopping.cancel()
        log.info("stopping")
        graces = [config.cycle.grace_s for config in self.config.stations]
        await asyncio.gather(*(s.stop(g) for s, g in zip(self.stations, graces, strict=True)))
        await asyncio.sleep(FAREWELL)

    async def _close_history(self) -> None:
        try:
            await self.history.close(CLOSE_WAIT)
        except HistoryError as error:
            log.error("history_not_closed", code=int(error.code), detail=error.text)  # noqa: TRY400 - a sentence, no trace

    def _store_trouble(self, error: HistoryError | None) -> None:
        if error is not None:
            log.error("history", code=int(error.code), detail=error.text)
        for station in self.stations:
            if error is None:
                station.stored(None)
            else:
                station.store_trouble(error)

    @staticmethod
    def _link_event(code: int, text: str) -> None:
        """What a link tells; without a code nothing is wrong: who drives, which node was found for a tag."""
        (log.warning if code else log.info)("link_event", code=int(code), detail=text)


def _carriers(loaded: Loaded, boot_id: int, on_event: OnEvent) -> Carriers | None:
    """The carrier processes; imported here, as a gateway that has none starts without."""
    config = loaded.config
    carried = [station.link for station in config.stations if isinstance(station.link, CarriedConfig)]
    devices = [device for device in config.devices if isinstance(device, OpcUaDeviceConfig)]
    if config.opcua is None and not carried and not devices:
        return None
    from gateway.carriers import Carriers
    from gateway.facts import station_facts

    facts = []
    for station in config.stations:
        recipes = loaded.recipes[station.name]
        facts.append(station_facts(station.name, recipes, boot_id, configuration.config_crc(config, recipes)))
    return Carriers(config, facts, on_event)


def _setup(
    loaded: Loaded, station: StationConfig, recipes: tuple[Recipe, ...], boot_id: int, active: ActiveRecipes
) -> Setup:
    config = loaded.config
    verdicts = frozenset(Judgement[name] for name in station.pictures.verdicts)
    pictures = Pictures(config.data_dir / "pictures" / station.name, verdicts) if station.pictures.keep else None
    own_triggers = station.tags.trigger is not None or station.camera.starts
    server = isinstance(station.link, ModbusServerConfig | ModbusRtuServerConfig | OpcUaServerLinkConfig)
    return Setup(
        station.name,
        replace(
            station.cycle.settings(own_triggers=own_triggers),
            settle=SETTLE if server else 0.0,
        ),
        {recipe.number: recipe for recipe in recipes},
        boot_id=boot_id,
        config_crc=configuration.config_crc(config, loaded.recipes[station.name]),
        pictures=pictures,
        remember=partial(active.kept, station.name),
    )


def _pool_settings(station: StationConfig, recipes: tuple[Recipe, ...]) -> PoolSettings:
    return PoolSettings(
        recipe=recipes[0].folder,
        camera=station.camera,
        engine=station.engine,
        worker=station.worker,
        frames=station.frames,
        grab_timeout=station.cycle.grab_timeout,
        pictures_keep=station.pictures.keep,
        overlap=station.cycle.overlap,
        contents={recipe.folder: recipe.model_dump(mode="json") for recipe in recipes},
    )


async def _serve(loaded: Loaded, boot_id: int, spawn: Spawn) -> None:
    gateway = Gateway(loaded, boot_id, spawn)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, gateway.stop.set)
    gc.freeze()
    # The history's thread must not wait 5 ms for its turn while the loop is busy: a commit is in the PLC's path.
    sys.setswitchinterval(SWITCH_INTERVAL)
    await gateway.run()


def run(path: Path, launched: Launched | None = None) -> None:
    """Run the gateway of this configuration file until SIGTERM or SIGINT; `launched` becomes its first vision process.

    Raises ConfigError, LockedError, LinkError, HistoryError or GaveUpError, each with a sentence for the user.
    """
    spawn = HeadStart(launched)
    try:
        _run(configuration.read(path), spawn)
    finally:
        spawn.discard()


def _run(loaded: Loaded, spawn: HeadStart) -> None:
    lock = DataLock(loaded.config.data_dir)
    boot_id = lock.take()
    log_file = logs.configure(loaded.config.log.level, loaded.config.log.format)
    try:
        for warning in loaded.warnings:
            log.warning("doubtful", detail=str(warning))
        run_loop(_serve(loaded, boot_id, spawn))
        log.info("stopped")
    except* Exception as errors:  # noqa: BLE001 - the process's boundary: of what a task group wraps, the user gets one
        raise _first(errors) from None
    finally:
        log_file.close()
        lock.release()


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
