"""`python -m simulators cnc`: the CNC behind an OPC UA server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulators import report
from simulators.carriers import CarrierError
from simulators.cnc import Cnc, Rules
from simulators.cnc_nodes import table

if TYPE_CHECKING:
    from simulators.cnc_server import CncServer

LOOK = 0.1
"""Seconds between two looks at whether it is done."""


def main(arguments: Sequence[str]) -> int:
    """Run the CNC; 0 = ended as told, 1 = it could not listen, 2 = wrong usage."""
    options = _parser().parse_args(arguments)
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    try:
        asyncio.run(_work(options))
    except CarrierError as error:
        report.complain(str(error))
        return 1
    return 0


async def _work(options: argparse.Namespace) -> None:
    from simulators.cnc_server import CncServer, Faults, Limits

    rules = Rules(options.verdict_timeout, options.reset_after, options.on_bad == "stop", options.parts or 0)
    machine = Cnc(speed=options.speed, rules=rules, seed=options.seed)
    limits = Limits(options.sessions, options.subscriptions, options.samples)
    server = CncServer(machine, options.host, options.port, channels=options.channels, limits=limits)
    server.faults = Faults(set(options.bad), options.refuse_writes, options.no_read_back)
    async with server.open(report.say):
        report.say(f"CNC at {server.endpoint}; one part in about {seconds_a_part() / options.speed:.1f} s")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(options.seconds):
                await asyncio.gather(_until_done(machine), _trouble(server, options))
    report.say(summary(machine))


async def _until_done(machine: Cnc) -> None:
    while not machine.done:  # noqa: ASYNC110 - the machine is pure and has no event
        await asyncio.sleep(LOOK)


async def _trouble(server: CncServer, options: argparse.Namespace) -> None:
    """What goes wrong by the clock."""
    if options.freeze_after is not None:
        await asyncio.sleep(options.freeze_after)
        report.say("the control freezes: its server answers, nothing moves any more")
        server.machine.stalled = server.frozen = True
    if options.restart_after is not None:
        await asyncio.sleep(options.restart_after)
        report.say("the server restarts, with other namespace indices")
        await server.restart(shift=True)


def seconds_a_part() -> float:
    """Machining one part at speed 1."""
    from simulators.cnc import BLOCKS, PAUSE

    return sum(block.seconds for block in BLOCKS) + PAUSE


def summary(machine: Cnc) -> str:
    """What became of the parts."""
    return (
        f"{machine.asked} parts machined: {machine.good} good, {machine.bad} not good, "
        f"{machine.unanswered} without an answer"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators cnc",
        description="A CNC by OPC UA: objects of OPC 40502 and OPC 40501-1, operands as a Sinumerik shows them. It "
        "machines parts, asks for each to be inspected, waits for the answer, and goes on or stops with an alarm.",
        epilog=table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=4841, help="TCP port (default 4841)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="X", help="so many times faster (default 1)")
    parser.add_argument("--parts", type=int, metavar="N", help="end after so many parts (default: Ctrl-C)")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so long (default: Ctrl-C)")
    parser.add_argument("--on-bad", choices=("stop", "go-on"), default="stop", help="what a bad part does (stop)")
    parser.add_argument("--verdict-timeout", type=float, default=5.0, metavar="S", help="then it stops (default 5)")
    parser.add_argument("--reset-after", type=float, default=2.0, metavar="S", help="an operator goes on (default 2)")
    parser.add_argument("--channels", type=int, default=1, choices=(1, 2, 3), help="channels of OPC 40502 (default 1)")
    limits = parser.add_argument_group("limits of the control")
    limits.add_argument("--sessions", type=int, default=5, metavar="N", help="default 5")
    limits.add_argument("--subscriptions", type=int, default=5, metavar="N", help="default 5")
    limits.add_argument("--samples", type=float, default=500, metavar="N", help="a second (default 500)")
    faults = parser.add_argument_group("what goes wrong")
    faults.add_argument("--bad", action="append", default=[], metavar="ID", help="path or string id that is Bad; * all")
    faults.add_argument("--refuse-writes", action="store_true", help="Bad_UserAccessDenied")
    faults.add_argument("--no-read-back", action="store_true", help="accept writes and forget them")
    faults.add_argument("--freeze-after", type=float, metavar="S", help="values stand still, the server answers")
    faults.add_argument("--restart-after", type=float, metavar="S", help="the server restarts, indices move")
    return parser


def _speed(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 and at most 100")
    return value
