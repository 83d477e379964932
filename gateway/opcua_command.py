"""`gateway opcua`: look into any OPC UA server, and export the address space of our own. asyncua comes when needed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import opcua_user

if TYPE_CHECKING:
    from protocols.station_view import StationFacts

Command = Callable[[argparse.Namespace], int]

EPILOG = """\
  gateway opcua user otto --role operator
  gateway opcua browse opc.tcp://192.168.0.10:4840 --insecure
  gateway opcua read opc.tcp://192.168.0.10:4840 "ns=2;s=press-1.Status.STATUS" --user viewer ...
  gateway opcua export configs/demo.yaml --out stations.NodeSet2.xml
"""
EXPORT_SECONDS = 120


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `opcua` and its commands to the command line."""
    text = "users of our OPC UA server; look into any server; export our own address space"
    parser = commands.add_parser(
        "opcua", help=text, description=text, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    below = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for name, what in (
        ("browse", "print the nodes of any OPC UA server as a tree"),
        ("read", "print nodes of any OPC UA server with value, status and times"),
    ):
        look = below.add_parser(name, help=what, add_help=False, prefix_chars="\0")
        look.add_argument("passed", nargs=argparse.REMAINDER)
        look.set_defaults(command=_look, look=name)
    what = "write our nodes as a NodeSet2 file for the import into SCADA"
    export = below.add_parser("export", help=what, description=what[0].upper() + what[1:] + ".")
    export.add_argument("file", type=Path, metavar="FILE", help="the configuration, such as configs/demo.yaml")
    export.add_argument("--out", type=Path, metavar="FILE", help="where to; else on the terminal")
    export.set_defaults(command=_export)
    opcua_user.add(below)


def _look(options: argparse.Namespace) -> int:
    """This process becomes the one that looks: it needs what the control process must not load."""
    import os

    sys.stdout.flush()
    arguments = [sys.executable, "-m", "gateway.opcua.look", options.look, *options.passed]
    return os.execv(sys.executable, arguments)  # noqa: S606 - no shell


def _export(options: argparse.Namespace) -> int:
    import subprocess

    from gateway import config
    from gateway.facts import station_facts

    try:
        loaded = config.read(options.file)
    except config.ConfigError as error:
        return _refuse(str(error))
    stations = [station_facts(station.name, loaded.recipes[station.name]) for station in loaded.config.stations]
    try:
        text = _nodeset(stations)
        if options.out is None:
            sys.stdout.write(text)
        else:
            options.out.write_text(text, encoding="utf-8")
    except OSError as error:
        return _refuse(f"{error.filename or options.out} cannot be written ({error.strerror}); name another place")
    except subprocess.SubprocessError as error:
        return _refuse(f"the nodes could not be built ({error}); run `gateway check {options.file}`")
    return 0


def _nodeset(stations: list[StationFacts]) -> str:
    import json
    import subprocess
    from dataclasses import asdict

    told = json.dumps([asdict(station) for station in stations], default=lambda data: data.hex())
    done = subprocess.run(
        [sys.executable, "-m", "gateway.opcua.nodeset_process"],
        input=told,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
        timeout=EXPORT_SECONDS,
    )
    return done.stdout


def _refuse(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1
