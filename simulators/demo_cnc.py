"""`gateway demo --cnc`: a simulated CNC in this process, the real gateway in another, OPC UA between them, no PLC."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulators import report
from simulators.carriers import CarrierError
from simulators.cnc import Cnc, Rules
from simulators.cnc_command import summary
from simulators.demo_setup import DemoError
from simulators.process import GatewayProcess, running

CONFIG = Path("configs/demo-cnc.yaml")
PARTS = 6
SPEED = 3.0
START_WAIT = 60.0
"""Seconds until the station is ready; a cold disk makes the first start of a native library slow."""
LOOK = 0.05
READY = "vision_ready"
"""What the gateway logs when its station can inspect; a CNC without a PLC has nothing else to see it by."""


def run(options: argparse.Namespace) -> int:
    """0 = every part was answered, 1 = not, or no gateway."""
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    path = options.config or CONFIG
    try:
        host, port, data_dir = _setup(path)
        return asyncio.run(_demo(path, host, port, data_dir, options))
    except (DemoError, CarrierError) as error:
        report.complain(str(error))
        return 1


def _setup(path: Path) -> tuple[str, int, Path]:
    """Where the CNC has to listen, and where the gateway keeps its files."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data: Any = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        url = urlsplit(next(d["link"]["url"] for d in data["devices"] if d["link"]["kind"] == "opcua"))
        return url.hostname or "127.0.0.1", url.port or 4840, path.parent / data["data_dir"]
    except OSError as error:
        raise DemoError(f"{path} cannot be read ({error.strerror}); give the configuration with --config") from error
    except StopIteration:
        raise DemoError(f"{path} has no device with link kind opcua; take {CONFIG} as a pattern") from None
    except (YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DemoError(f"{path} does not describe a gateway; say `gateway check {path}` to see why") from error


async def _demo(path: Path, host: str, port: int, data_dir: Path, options: argparse.Namespace) -> int:
    from simulators.cnc_server import CncServer

    parts = options.parts or (0 if options.seconds else PARTS)
    machine = Cnc(speed=SPEED, rules=Rules(verdict_timeout=5.0, reset_after=0.5, parts=parts), override=0.0)
    server = CncServer(machine, host, port)
    async with server.open(report.say), running(path, data_dir / "demo-gateway.log") as gateway:
        report.say(f"CNC at {server.endpoint}; starting the gateway ...")
        await _until_ready(gateway)
        report.say("ready; the CNC starts its program")
        machine.override = 100.0
        try:
            async with asyncio.timeout(options.seconds):
                while not machine.done:
                    _still_there(gateway)
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            pass
    return _conclude(machine, gateway)


async def _until_ready(gateway: GatewayProcess) -> None:
    try:
        async with asyncio.timeout(START_WAIT):
            while READY not in gateway.log.read_text(encoding="utf-8", errors="replace"):
                _still_there(gateway)
                await asyncio.sleep(LOOK)
    except TimeoutError:
        text = f"the station was not ready within {START_WAIT:g} s; its last words in {gateway.log}:"
        raise DemoError(f"{text}\n{gateway.last_words()}") from None


def _still_there(gateway: GatewayProcess) -> None:
    if gateway.ended:
        raise DemoError(f"the gateway ended by itself; its last words in {gateway.log}:\n{gateway.last_words()}")


def _conclude(machine: Cnc, gateway: GatewayProcess) -> int:
    report.say(summary(machine))
    if gateway.status != 0:
        report.complain(f"the gateway stopped with {gateway.status} instead of 0; its last words in {gateway.log}:")
        report.complain(gateway.last_words())
    return 0 if gateway.status == 0 and machine.good + machine.bad > 0 and machine.unanswered == 0 else 1
