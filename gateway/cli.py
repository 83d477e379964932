"""The `gateway` command. Nothing heavy is imported before a command needs it: the Modbus port answers within 0.2 s."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway import camera_command, cert_command, model_command, opcua_command, recipe_command

EPILOG = """\
first steps:
  gateway demo                          a simulated line with PLC, camera and verdicts
  gateway check configs/demo.yaml       everything that could keep a configuration from running
  gateway run configs/demo.yaml         the gateway itself, waiting for your PLC
  gateway map configs/demo.yaml         the register table for the PLC programmer
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 = done, 1 = it could not be done (the reason is on stderr), 2 = wrong usage."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command is not _demo:
        parser.error(f"unknown argument {rest[0]}; see `gateway --help`")
    options.rest = rest
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has gone: nothing is left to say
        return 1


def _parser() -> argparse.ArgumentParser:
    from gateway.plc import command as plc_command

    parser = argparse.ArgumentParser(
        prog="gateway",
        description="Vision inspection for PLCs: camera and neural network in, Modbus registers out.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _with_file(commands, "run", "run the gateway until it is stopped (Ctrl-C or SIGTERM)", _run)
    _with_file(
        commands, "check", "check a configuration, its recipes and models, and this computer; all at once", _check
    )
    table = _with_file(commands, "map", "print the register table for the PLC programmer", _map)
    table.add_argument("--format", choices=("markdown", "csv"), default="markdown", help="default: markdown")
    table.add_argument("--opcua", action="store_true", help="with the nodes of our OPC UA server")
    history = _with_file(commands, "history", "show the last inspections, also while the gateway runs", _history)
    history.add_argument("-n", "--limit", type=_count, default=20, metavar="N", help="how many (default 20)")
    history.add_argument("--station", metavar="NAME", help="of this station only")
    history.add_argument("--json", action="store_true", help="one JSON object a line")
    schema = commands.add_parser("schema", help="print the JSON schema of the configuration file, for editors")
    schema.add_argument("--recipe", action="store_true", help="of recipe.yaml instead")
    schema.set_defaults(command=_schema)
    camera_command.add(commands)
    cert_command.add(commands)
    model_command.add(commands)
    recipe_command.add(commands)
    opcua_command.add(commands)
    plc_command.add(commands)
    demo = commands.add_parser("demo", help="run a simulated line: parts, PLC, gateway, verdicts", add_help=False)
    demo.set_defaults(command=_demo)
    return parser


def _with_file(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    command: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("file", type=Path, metavar="FILE", help="the configuration, such as configs/demo.yaml")
    parser.set_defaults(command=command)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 to 100000")
    return int(text)


def _refuse(error: BaseException) -> int:
    print(error, file=sys.stderr)
    return 1


def _run(options: argparse.Namespace) -> int:
    from gateway.launch import ahead

    launched = ahead()  # before all else: it loads its libraries while this process loads its own
    from gateway import app
    from gateway.config import ConfigError
    from gateway.history import HistoryError
    from gateway.lock import LockedError
    from gateway.supervisor import GaveUpError
    from protocols.link import LinkError

    try:
        app.run(options.file, launched)
    except (ConfigError, LockedError, LinkError, HistoryError, GaveUpError) as error:
        return _refuse(error)
    return 0


def _check(options: argparse.Namespace) -> int:
    from gateway.check import check

    report = check(options.file)
    report.show(sys.stdout)
    return report.exit_code


def _map(options: argparse.Namespace) -> int:
    from gateway import config, map
    from gateway.facts import station_facts

    try:
        loaded = config.read(options.file) if options.opcua else None
        settings = loaded.config if loaded else config.load(options.file)
    except config.ConfigError as error:
        return _refuse(error)
    shown = (
        [station_facts(station.name, loaded.recipes[station.name]) for station in settings.stations] if loaded else []
    )
    write = map.write_csv if options.format == "csv" else map.write_markdown
    write(settings, sys.stdout, shown)
    return 0


def _schema(options: argparse.Namespace) -> int:
    from gateway import schema

    print(schema.text(schema.recipe_schema() if options.recipe else schema.config_schema()), end="")
    return 0


def _history(options: argparse.Namespace) -> int:
    from gateway import config, history, history_table

    try:
        data_dir = config.load(options.file).data_dir
        rows = history.newest(data_dir / "history.sqlite3", options.limit, options.station)
    except (config.ConfigError, history.HistoryError) as error:
        return _refuse(error)
    history_table.show(rows, sys.stdout, as_json=options.json)
    return 0


def _demo(options: argparse.Namespace) -> int:
    """The demo is a peer, not a part of the gateway: this process becomes it, and it starts a gateway of its own."""
    import os

    sys.stdout.flush()
    return os.execv(sys.executable, [sys.executable, "-m", "simulators", "demo", *options.rest])  # noqa: S606 - no shell
