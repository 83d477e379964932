"""`python -m simulators opcua-plc`: a S7-1500 with an OPC UA server on the command line, and what it saw broken."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from protocols.handshake import Style
from simulators import line, plc_command, report, rude
from simulators.opcua_block import DB
from simulators.opcua_faults import FAULTS, Faults
from simulators.opcua_server import SIEMENS, Manners, S7Server
from simulators.opcua_slave import OpcUaSlave
from simulators.plc import Plc
from simulators.watch import Watch

DESCRIPTION = f"""\
A simulated S7-1500 whose OPC UA server a gateway reads and writes: data block {DB} with the structures Cmd, Sts and
Res, string ids such as ns=…;s="{DB}"."Cmd"."TriggerSeq" in {SIEMENS}.
Its program asks for one part after the other, checks what a PLC can check of the contract, and ends with 1 if it saw
the contract broken."""
MARGIN = 0.5
"""Seconds that an outcome may come later at this PLC: every value is read and written by itself."""
SETTLE = 0.5
"""Seconds that two values may disagree of which each is written by itself; where outcomes may be later, these too."""
_POLICIES = {
    "none": "NoSecurity",
    "Basic256Sha256": "Basic256Sha256_SignAndEncrypt",
    "Aes128_Sha256_RsaOaep": "Aes128Sha256RsaOaep_SignAndEncrypt",
    "Aes256_Sha256_RsaPss": "Aes256Sha256RsaPss_SignAndEncrypt",
}


def main(arguments: Sequence[str]) -> int:
    """Run the PLC; 0 = contract kept, 1 = broken or nobody there, 2 = wrong usage, 130 = interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.policy = options.policy or ["none"]
    if set(options.policy) != {"none"} and not (options.certificate and options.key):
        parser.error("--policy: a policy other than none needs --certificate and --key")
    style = Style(options.style)
    try:
        manners = rude.named(options.rude, style)
    except ValueError as error:
        parser.error(str(error))
    margin = _margin(options)
    watch = Watch(style, deadline=options.deadline_ms / 1000, margin=margin, settle=max(SETTLE, margin))
    slave = OpcUaSlave(server(options))
    plc = Plc(
        slave,
        style=style,
        scan=(options.scan_ms or 10.0) / 1000,
        timeout=options.timeout_ms / 1000,
        heartbeat=options.heartbeat_ms / 1000,
        rude=manners,
        watch=watch,
    )
    tally = line.Tally(deadline=options.deadline_ms / 1000)
    faults = Faults(slave, options.fault, after=options.fault_after, lasting=options.fault_for)
    try:
        failure = asyncio.run(_work(plc, tally, faults, options))
    except KeyboardInterrupt:
        failure = ""
    return _conclude(plc, slave, tally, faults, failure, options)


def server(options: argparse.Namespace) -> S7Server:
    """The server that these options describe."""
    made = S7Server(
        options.host,
        options.port,
        Manners(
            sessions=options.sessions,
            publishing=options.publishing_ms / 1000,
            session_timeout=options.session_timeout_s,
            user=options.user,
            password=options.password,
            certificate=options.certificate,
            key=options.key,
            policies=tuple(_POLICIES[name] for name in options.policy),
        ),
    )
    made.moved = options.moved
    if options.torn_ms:

        async def between() -> None:
            await asyncio.sleep(random.random() * options.torn_ms / 1000)

        made.between = between
    return made


async def _work(plc: Plc, tally: line.Tally, faults: Faults, options: argparse.Namespace) -> str:
    """Scan and ask until all parts have gone by; empty, or why that was impossible."""
    scanning = asyncio.create_task(plc.run(), name="PLC scan")
    spoiling: asyncio.Task[None] | None = None
    try:
        await plc.until(lambda _: plc.ready or bool(plc.trouble), options.wait)
        if not plc.ready:
            return plc_command.nobody(plc, options.wait)
        spoiling = asyncio.create_task(faults.run(), name="faults")
        report.say(report.HEADER)
        async for record in line.run(
            plc.inspect,
            rate=options.rate,
            parts=options.parts or None,
            first=options.first_part,
            serial=lambda number: f"{options.serial}{number}" if options.serial else "",
        ):
            tally.add(record)
            report.say(report.answer(record))
    finally:
        for task in (spoiling, scanning):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
    return ""


def _conclude(
    plc: Plc, slave: OpcUaSlave, tally: line.Tally, faults: Faults, failure: str, options: argparse.Namespace
) -> int:
    counts, watch = slave.server.counts, plc.watch
    lines = [
        f"OPC UA: {counts.sessions} sessions made, {counts.closed} closed by their client, {counts.refused} refused",
        f"OPC UA: {counts.reads} reads, {counts.writes} writes",
        *(f"fault {text}" for text in faults.done),
    ]
    if tally.parts or not failure:
        for text in (*report.summary(tally), *report.wire(plc), *lines, *report.verdict(watch)):
            report.say(text)
    if failure:
        report.complain(failure)
    if options.json is not None:
        report.save(options.json, {**tally.as_json(), **report.wire_as_json(plc), "failure": failure})
    return 0 if watch.ok and not failure else 1


def _margin(options: argparse.Namespace) -> float:
    """Seconds."""
    return MARGIN if options.margin_ms is None else float(options.margin_ms) / 1000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators opcua-plc",
        description=DESCRIPTION,
        epilog="faults for --fault:\n" + "\n".join(f"  {name:<12} {text}" for name, text in FAULTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    server_options(parser.add_argument_group("server"))
    plc_command.program_options(parser.add_argument_group("program"))
    plc_command.check_options(parser.add_argument_group("checks and output"))
    return parser


def server_options(add: Any) -> None:
    """How the server behaves, and what goes wrong with it."""
    add.add_argument("--host", default="127.0.0.1", help="own address to listen on")
    add.add_argument("--port", type=int, default=4840, help="TCP port (default 4840)")
    add.add_argument(
        "--policy", action="append", choices=tuple(_POLICIES), metavar="NAME",
        help=f"offer this policy; may be given more than once: {', '.join(_POLICIES)} (default none)",
    )  # fmt: skip
    add.add_argument("--certificate", type=Path, metavar="FILE", help="the server's certificate (PEM)")
    add.add_argument("--key", type=Path, metavar="FILE", help="its private key (PEM)")
    add.add_argument("--user", default="", help="the only login; without it anybody may come in")
    add.add_argument("--password", default="", help="its password; this is a toy, give no real one")
    add.add_argument("--sessions", type=int, default=10, metavar="N", help="at most (default 10)")
    add.add_argument(
        "--session-timeout-s", type=float, default=30.0, metavar="S",
        help="how long a session outlives its client at most (default 30)",
    )  # fmt: skip
    add.add_argument(
        "--publishing-ms", type=float, default=100.0, metavar="MS",
        help="least interval of publishing and sampling; shorter wishes are revised upward (default 100)",
    )  # fmt: skip
    add.add_argument("--moved", action="store_true", help="begin with the PLC's namespace at another index")
    add.add_argument(
        "--torn-ms", type=float, default=0.0, metavar="MS",
        help="let up to so many ms pass between any two values of one request (default 0)",
    )  # fmt: skip
    add.add_argument(
        "--fault", action="append", default=[], choices=tuple(FAULTS), metavar="NAME",
        help="one of the faults below; may be given more than once",
    )  # fmt: skip
    add.add_argument("--fault-after", type=float, default=3.0, metavar="S", help="pause before each (default 3)")
    add.add_argument("--fault-for", type=float, default=2.0, metavar="S", help="how long each lasts (default 2)")
