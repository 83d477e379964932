"""The gateway with a played server in the place of the OPC UA server's process; to be run as a module."""

import sys

from gateway import carrier_process, cli

if __name__ == "__main__":
    carrier_process.MODULES["server"] = "tests.played_server"
    sys.exit(cli.main())
