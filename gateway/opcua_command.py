"""`gateway opcua`: commands around OPC UA."""

from __future__ import annotations

import argparse

from gateway import opcua_user

EPILOG = """\
  gateway opcua user otto --role operator
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `opcua` and its commands to the command line."""
    text = "users of our OPC UA server"
    parser = commands.add_parser(
        "opcua", help=text, description=text, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    below = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    opcua_user.add(below)
