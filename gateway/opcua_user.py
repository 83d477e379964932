"""`gateway opcua user`: a user for the configuration, with the hash of a password and never the password."""

from __future__ import annotations

import argparse
import getpass
import sys

SHORTEST, LONGEST = 8, 256
"""Characters of a password, and bytes of it."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `user` to the commands below `gateway opcua`."""
    text = "ask for a password and print the lines of a user for the configuration"
    parser = commands.add_parser("user", help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "--role",
        choices=("viewer", "operator", "engineer"),
        default="viewer",
        help="viewer reads (default), operator also drives, engineer also writes settings",
    )
    parser.set_defaults(command=_user)


def _user(options: argparse.Namespace) -> int:
    """The password comes from the terminal, or as one line from a pipe."""
    from pydantic import ValidationError

    from protocols.opcua.passwords import hashed
    from protocols.opcua.server_settings import OpcUaUser

    password = _asked() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if len(password) < SHORTEST or len(password.encode()) > LONGEST:
        return _refuse(f"a password has {SHORTEST} characters or more, and {LONGEST} bytes at most; nothing is printed")
    try:
        user = OpcUaUser(name=options.name, role=options.role, password_hash=hashed(password))
    except ValidationError as error:
        return _refuse(f"{options.name!r} is no name of a user: {error.errors()[0]['msg'].lower()}")
    name = "'" + user.name.replace("'", "''") + "'"
    sys.stdout.write(f"    - name: {name}\n      role: {user.role}\n      password_hash: '{user.password_hash}'\n")
    if sys.stdout.isatty():
        sys.stderr.write("put these lines below `users:` in the section `opcua:` of the configuration\n")
    return 0


def _asked() -> str:
    first = getpass.getpass("password: ")
    if first and getpass.getpass("once more: ") != first:
        sys.stderr.write("the two are not the same\n")
        return ""
    return first


def _refuse(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1
