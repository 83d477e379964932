"""The commands `gateway plc …`. Each imports what it needs when it runs; a new one is one more row in `add`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.plc import check_command

STYLES = ("sequence", "bits")
KINDS = ("table", "st", "scl", "gvl", "plcopen", "l5x", "sheet")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Put the group into the command line of `gateway`."""
    text = "the PLC's side: files to import, PLC families, acceptance of a link"
    group = commands.add_parser("plc", help=text, description=text[0].upper() + text[1:] + ".")
    own = group.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_export(own)
    _add_families(own)
    _add_diagram(own)
    check_command.add(own)


def _parser(
    own: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    command: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = own.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=command)
    return parser


def _add_export(own: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _parser(own, "export", "write register table, function block and sheet for a PLC family", _export)
    parser.add_argument("file", type=Path, metavar="FILE", help="the configuration, such as configs/demo.yaml")
    parser.add_argument("--family", required=True, metavar="F", help="see `gateway plc families`")
    parser.add_argument("--out", required=True, type=_folder, metavar="DIR", help="folder to write into")
    parser.add_argument("--station", metavar="NAME", help="this station only")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=(), metavar="KIND", help=", ".join(KINDS))


def _add_families(own: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _parser(own, "families", "list the PLC families, or print the page of one", _families)
    parser.add_argument("family", nargs="?", metavar="FAMILY", help="its page: from box to first verdict")


def _add_diagram(own: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _parser(own, "diagram", "print the timing diagram of a request as SVG", _diagram)
    parser.add_argument("--style", choices=STYLES, default=STYLES[0], help=f"default: {STYLES[0]}")


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("no folder is named; give one, as --out build/plc")
    return Path(text)


def _refuse(error: BaseException) -> int:
    print(error, file=sys.stderr)
    return 1


def _export(options: argparse.Namespace) -> int:
    from gateway import config
    from gateway.plc import export, family
    from gateway.plc.table import ExportError
    from gateway.yamlfile import FileError

    try:
        loaded = config.load(options.file)
        chosen = family.load(options.family)
        kinds = tuple(family.Kind(kind) for kind in options.only)
        found = export.files(loaded, chosen, kinds, options.station)
        for doubt in export.doubts(loaded, chosen, options.station):
            print(f"warning: {doubt}", file=sys.stderr)
        for path in export.write(found, options.out):
            print(path)
    except (FileError, family.UnknownFamilyError, ExportError) as error:
        return _refuse(error)
    return 0


def _families(options: argparse.Namespace) -> int:
    from gateway.plc import family, page
    from gateway.yamlfile import FileError

    try:
        if options.family is not None:
            print("\n".join(page.page(family.load(options.family))))
            return 0
        rows = [family.load(name) for name in family.names()]
    except (FileError, family.UnknownFamilyError) as error:
        return _refuse(error)
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"{row.name:{width}}  {row.word_order.value}  {row.models}")
    return 0


def _diagram(options: argparse.Namespace) -> int:
    from gateway.plc import drawing, timing
    from protocols.handshake import Style

    print(drawing.svg(timing.record(Style(options.style))), end="")
    return 0
