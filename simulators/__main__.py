"""`python -m simulators COMMAND`: the other end of the wire, and what lies between."""

from __future__ import annotations

import sys
from collections.abc import Sequence

USAGE = """\
usage: python -m simulators COMMAND …

  plc          a simulated PLC for any gateway that speaks the contract
  cell         a machining cell: program, tool, spindle load, part counter and outputs as Modbus registers
  fault-proxy  a TCP man in the middle that delays, loses, resets, splits and spoils what passes
  demo         a simulated line: starts the gateway, brings parts, shows the verdicts

Each has a --help of its own.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 = all well, 1 = something was wrong, 2 = wrong usage, 130 = interrupted."""
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    try:
        if command == "plc":
            from simulators import plc_command

            return plc_command.main(rest)
        if command == "fault-proxy":
            from simulators import fault_command

            return fault_command.main(rest)
        if command == "cell":
            from simulators import cell_command

            return cell_command.main(rest)
        if command == "demo":
            from simulators import demo

            return demo.main(rest)
    except KeyboardInterrupt:
        return 130
    wanted = command in ("-h", "--help")
    (sys.stdout if wanted else sys.stderr).write(USAGE)
    return 0 if wanted else 2


if __name__ == "__main__":
    sys.exit(main())
