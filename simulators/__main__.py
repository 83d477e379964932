"""`python -m simulators COMMAND`: the other end of the wire, and what lies between."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence

USAGE = """\
usage: python -m simulators COMMAND …

  plc          a simulated PLC for any gateway that speaks the contract
  opcua-plc    a S7-1500 with an OPC UA server, for a gateway that is its client
  cell         a machining cell: program, tool, spindle load, part counter and outputs as Modbus registers
  cnc          a CNC by OPC UA: a part program, tools, spindle, R-parameters; it asks for inspections and waits
  fault-proxy  a TCP man in the middle that delays, loses, resets, splits and spoils what passes
  demo         a simulated line: starts the gateway, brings parts, shows the verdicts

Each has a --help of its own.
"""


COMMANDS = {
    "plc": "plc_command",
    "opcua-plc": "opcua_command",
    "cnc": "cnc_command",
    "cell": "cell_command",
    "fault-proxy": "fault_command",
    "demo": "demo",
}
"""The module of each; it is imported only when it is asked for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 = all well, 1 = something was wrong, 2 = wrong usage, 130 = interrupted."""
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    try:
        if command in COMMANDS:
            run: Callable[[Sequence[str]], int] = importlib.import_module(f"simulators.{COMMANDS[command]}").main
            return run(rest)
    except KeyboardInterrupt:
        return 130
    wanted = command in ("-h", "--help")
    (sys.stdout if wanted else sys.stderr).write(USAGE)
    return 0 if wanted else 2


if __name__ == "__main__":
    sys.exit(main())
