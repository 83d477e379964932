"""`gateway plc check` and `gateway plc watch` on the command line; what is slow to import comes when needed."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.plc.acceptance import Record
    from gateway.plc.target import Wish

# Written out, as this module is imported at every start of the gateway and their home is not cheap.
WORD_ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
STRING_ORDERS = ("big", "little")
REPORTS = (".txt", ".json", ".html")
PARTS = 20
WIDTH = 118

CHECK_EPILOG = """\
examples:
  gateway plc check 127.0.0.1 --port 5020                        a gateway on this computer, the demo for one
  gateway plc check 192.168.0.10 --family codesys-3.5 --yes --report acceptance.html
  gateway plc check --config line.yaml --station cell1           as its configuration says
  gateway plc check --client 192.168.0.20 --config line.yaml     the PLC that the gateway will poll

It enables the station, triggers inspections and acknowledges results: no PLC may be connected to it meanwhile.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `check` and `watch` to the commands of `gateway plc`."""
    check = commands.add_parser(
        "check",
        help="play the PLC against a running gateway, or look at a real PLC's blocks: an acceptance report",
        description="Plays the PLC against a running gateway and writes an acceptance report.",
        epilog=CHECK_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_target(check)
    check.add_argument("--style", choices=("sequence", "bits", "both"), default="both", help="default: both")
    check.add_argument("--parts", type=_parts, default=PARTS, metavar="N", help=f"in each style (default {PARTS})")
    check.add_argument("--no-trigger", action="store_true", help="leave out everything that starts an inspection")
    check.add_argument("--yes", action="store_true", help="do not ask before a station on another computer is used")
    check.add_argument("--report", type=_report, metavar="FILE", help="write it as FILE.txt, FILE.json or FILE.html")
    check.set_defaults(command=_check)
    watch = commands.add_parser(
        "watch",
        help="show every register live: raw, decoded, age, who wrote it; and why Ready is low",
        description="Shows every register of a station, live, and why Ready is low. It writes nothing.",
    )
    _add_target(watch)
    watch.add_argument("--plain", action="store_true", help="print changes line by line; so it does without a terminal")
    watch.add_argument("--seconds", type=_seconds, metavar="S", help="end by itself after this time")
    watch.set_defaults(command=_watch)


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", nargs="?", metavar="HOST", help="address of the gateway; with --client, of the PLC")
    parser.add_argument("--port", type=_port, help="default 502")
    parser.add_argument("--unit", type=_unit, help="default 1")
    parser.add_argument("--family", metavar="F", help="the PLC's family: its word and string order are demanded")
    parser.add_argument("--word-order", choices=WORD_ORDERS, help="of the PLC")
    parser.add_argument("--string-order", choices=STRING_ORDERS, help="of the PLC")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the gateway's configuration: addresses and times")
    parser.add_argument("--station", metavar="NAME", help="its station, where it has several")
    parser.add_argument("--client", action="store_true", help="HOST is a PLC that the gateway polls")


def _parts(text: str) -> int:
    return _number(text, 1, 1000)


def _port(text: str) -> int:
    return _number(text, 1, 65535)


def _unit(text: str) -> int:
    return _number(text, 0, 255)


def _number(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text} is no number from {least} to {most}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no time in seconds above 0")
    return seconds


def _report(text: str) -> Path:
    path = Path(text)
    if path.suffix not in REPORTS:
        raise argparse.ArgumentTypeError(f"{text} must end in {', '.join(REPORTS)}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.parent} is no folder; make it first")
    return path


def _wish(options: argparse.Namespace) -> Wish:
    from gateway.plc.target import Wish

    return Wish(
        options.host, options.port, options.unit, options.family, options.word_order, options.string_order,
        options.config, options.station, options.client,
    )  # fmt: skip


def _refuse(text: object, code: int = 1) -> int:
    sys.stderr.write(f"{text}\n")
    return code


NOTICE = (
    "This plays a PLC against the {name}: it enables the station, triggers about {count} inspections, which are "
    "recorded, stops and restarts the heartbeat and acknowledges every result. No PLC may work with this station "
    "meanwhile."
)
QUIET_NOTICE = (
    "This plays a PLC against the {name}, without any trigger: it writes the command block, with Enable at 0, and "
    "stops and restarts the heartbeat. No PLC may work with this station meanwhile."
)
CLIENT_NOTICE = (
    "This looks at the {name}, as the gateway would, and writes the outputs of a stopped station into its status block."
)


def _check(options: argparse.Namespace) -> int:
    from gateway.config import ConfigError
    from gateway.plc.target import TargetError

    began = time.monotonic()
    try:
        name, record = (_check_plc if options.client else _check_gateway)(options)
    except (TargetError, _NotAgreedError) as error:
        return _refuse(error, 2)
    except ConfigError as error:
        return _refuse(error)
    return _tell(record, name, time.monotonic() - began, options.report)


def _check_gateway(options: argparse.Namespace) -> tuple[str, Record]:
    """The gateway's server role: its name and what was found."""
    import asyncio

    from gateway.plc import server_run, target

    wanted = target.server_target(_wish(options))
    styles = ("sequence", "bits") if options.style == "both" else (options.style,)
    name, count = f"gateway at {wanted.name}", options.parts * len(styles) + 8
    _agree(wanted.host, (QUIET_NOTICE if options.no_trigger else NOTICE).format(name=name, count=count), options)
    wishes = server_run.Wishes(options.parts, styles, triggers=not options.no_trigger)
    return name, asyncio.run(server_run.check(wanted, wishes))


def _check_plc(options: argparse.Namespace) -> tuple[str, Record]:
    """The gateway's client role: the PLC's name and what was found."""
    import asyncio

    from gateway.plc import client_check, target

    link, because = target.client_link(_wish(options))
    name = f"PLC at {link.place}, unit {link.unit_id}; addresses by {because}"
    _agree(link.host, CLIENT_NOTICE.format(name=name), options)
    return name, asyncio.run(client_check.run(link))


class _NotAgreedError(Exception):
    """The person did not want it, or nobody is there to ask."""


def _agree(host: str, notice: str, options: argparse.Namespace) -> None:
    """Say what will happen; ask before it happens to another computer."""
    from protocols.modbus.admission import loopback

    sys.stderr.write(textwrap.fill(notice, WIDTH) + "\n")
    if options.yes or loopback(host):
        return
    if not sys.stdin.isatty():
        raise _NotAgreedError("nobody is there to ask; give --yes if this is meant")
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise _NotAgreedError("nothing was done")


def _tell(record: Record, name: str, seconds: float, report: Path | None) -> int:
    from datetime import datetime
    from importlib import metadata

    from gateway.plc import acceptance_report

    version = f"vision-plc-gateway {metadata.version('vision-plc-gateway')}"
    heading = acceptance_report.Heading(name, datetime.now().astimezone(), seconds, version)
    sys.stdout.write(acceptance_report.text(record, heading))
    if report is not None:
        try:
            report.write_text(acceptance_report.WRITERS[report.suffix](record, heading), encoding="utf-8")
        except OSError as error:
            return _refuse(f"{report} cannot be written ({error.strerror}); give another place")
    return 0 if record.passed else 1


def _watch(options: argparse.Namespace) -> int:
    import asyncio

    from gateway.config import ConfigError
    from gateway.plc import target, watch

    try:
        source = watch.source(_wish(options))
    except target.TargetError as error:
        return _refuse(error, 2)
    except ConfigError as error:
        return _refuse(error)
    plain = options.plain or not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR"))
    return asyncio.run(watch.run(source, sys.stdout, plain=plain, seconds=options.seconds))
