"""`python -m simulators plc`: a PLC on the command line, one line a part, and what of the contract it saw broken."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from protocols.codec import Codec, StringOrder, WordOrder
from protocols.handshake import Style
from simulators import line, report, rude
from simulators.carriers import Carrier, CarrierError, ModbusMaster
from simulators.plc import Plc, wrong_order
from simulators.profiles import PROFILES, READ_HOLDING, READ_INPUT, Profile
from simulators.slave import ModbusSlave
from simulators.watch import RULES, Watch

DESCRIPTION = """\
A simulated PLC. It asks a vision gateway for one part after the other, checks what a PLC can check of the contract,
and ends with 1 if it saw the contract broken."""


def main(arguments: Sequence[str]) -> int:
    """Run the PLC; 0 = contract kept, 1 = broken or nobody there, 2 = wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.device and options.role == "server":
        parser.error("--device: on a serial line this PLC is the master; leave out --role server")
    style = Style(options.style)
    try:
        manners = rude.named(options.rude, style)
    except ValueError as error:
        parser.error(str(error))
    watch = Watch(style, deadline=options.deadline_ms / 1000, margin=_margin(options))
    plc = Plc(
        _carrier(options),
        style=style,
        scan=_scan(options),
        timeout=options.timeout_ms / 1000,
        heartbeat=options.heartbeat_ms / 1000,
        codec=_codec(options),
        rude=manners,
        watch=watch,
    )
    tally = line.Tally(deadline=options.deadline_ms / 1000)
    try:
        failure = asyncio.run(_work(plc, tally, options))
    except KeyboardInterrupt:
        failure = ""
    if tally.parts or not failure:
        for text in (*report.summary(tally), *report.wire(plc), *report.verdict(watch)):
            report.say(text)
    if failure:
        report.complain(failure)
    if options.json is not None:
        report.save(options.json, {**tally.as_json(), **report.wire_as_json(plc), "failure": failure})
    return 0 if watch.ok and not failure else 1


async def _work(plc: Plc, tally: line.Tally, options: argparse.Namespace) -> str:
    """Scan and ask until all parts have gone by; empty, or why that was impossible."""
    scanning = asyncio.create_task(plc.run(), name="PLC scan")
    try:
        server = options.role == "server"  # a port that somebody else has will not come free by waiting
        await plc.until(lambda _: plc.ready or (server and bool(plc.trouble)), options.wait)
        if not plc.ready:
            return nobody(plc, options.wait)
        if failure := await (_signature_by(plc, options) if options.device else _signature(options)):
            return failure
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
        scanning.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await scanning
    return ""


def nobody(plc: Plc, waited: float) -> str:
    """Why there is no gateway to work with, in one sentence."""
    if plc.trouble:
        return f"No gateway to work with: {plc.trouble}"
    reason = plc.outputs.status.not_ready_reason
    if plc.alive:
        return f"The gateway answers but was not Ready within {waited:g} s: {report.reason(reason)}"
    return f"Nobody has written a heartbeat within {waited:g} s: is the gateway running and polling this PLC?"


async def _signature(options: argparse.Namespace) -> str:
    """What a PLC programmer checks first: do words and text arrive in the right order?"""
    probe = _carrier(options)
    if isinstance(probe, ModbusSlave):
        return ""
    try:
        await probe.open()
        block = await probe.signature()
    except CarrierError as error:
        return str(error)
    finally:
        await probe.close()
    return "" if block is None else wrong_order(block, _codec(options))


def _profile(options: argparse.Namespace) -> Profile:
    return PROFILES[options.profile]


def _scan(options: argparse.Namespace) -> float:
    """Seconds."""
    return _profile(options).scan if options.scan_ms is None else float(options.scan_ms) / 1000


def _margin(options: argparse.Namespace) -> float:
    """Seconds; a slow PLC sees an outcome some scans after it was there."""
    return 0.21 + 4 * _scan(options) if options.margin_ms is None else float(options.margin_ms) / 1000


def _codec(options: argparse.Namespace) -> Codec:
    """What the profile says, unless an option says otherwise."""
    profile = _profile(options)
    words, strings = options.word_order or profile.words, options.string_order or profile.strings
    return Codec(WordOrder(words), StringOrder(strings))


async def _signature_by(plc: Plc, options: argparse.Namespace) -> str:
    """As `_signature`, by the PLC itself: a serial line bears no second master."""
    try:
        block = await plc.carrier.signature()
    except CarrierError as error:
        return str(error)
    codec = Codec(WordOrder(options.word_order), StringOrder(options.string_order))
    return "" if block is None else wrong_order(block, codec)


def _carrier(options: argparse.Namespace) -> Carrier:
    if options.role == "server":
        return ModbusSlave(
            options.host,
            options.port,
            unit=options.unit,
            command_address=options.command_address,
            status_address=100 if options.status_address is None else options.status_address,
            serving=_profile(options).serving,
            scan=_scan(options),
        )
    asking = _profile(options).asking
    if options.read is not None:
        asking = replace(asking, function=READ_HOLDING if options.read == "holding" else READ_INPUT)
    holding = asking.function == READ_HOLDING
    address: int | None = options.status_address
    if options.device:
        from simulators.serial_master import RtuMaster  # pyserial, which the other carriers do without

        return RtuMaster(
            options.device,
            baud=options.baud,
            parity=options.parity,
            unit=options.unit,
            command_address=options.command_address,
            status_address=(100 if holding else 0) if address is None else address,
            read_function=READ_HOLDING if holding else READ_INPUT,
        )
    return ModbusMaster(
        options.host,
        options.port,
        unit=options.unit,
        command_address=options.command_address,
        status_address=(100 if holding else 0) if address is None else address,
        asking=asking,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators plc",
        description=DESCRIPTION,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _wire_options(parser.add_argument_group("wire"))
    program_options(parser.add_argument_group("program"))
    check_options(parser.add_argument_group("checks and output"))
    return parser


def _wire_options(add: Any) -> None:
    add.add_argument("--host", default="127.0.0.1", help="the gateway's address; as server: own address to listen on")
    add.add_argument("--port", type=int, default=5020, help="TCP port (default 5020)")
    add.add_argument("--device", default="", help="poll by Modbus RTU on this serial line instead of TCP")
    add.add_argument("--baud", type=int, default=19200, help="of the serial line (default 19200)")
    add.add_argument(
        "--parity", choices=("even", "odd", "none"), default="even", help="of the serial line (default even)"
    )
    add.add_argument("--unit", type=int, default=1, help="unit id of the station (default 1)")
    add.add_argument(
        "--role", choices=("client", "server"), default="client",
        help="client: this PLC polls the gateway (default); server: the gateway polls this PLC",
    )  # fmt: skip
    add.add_argument(
        "--profile", choices=tuple(PROFILES), default="generic", metavar="NAME",
        help="play a PLC family, see below; the options that follow override it (default generic)",
    )  # fmt: skip
    add.add_argument(
        "--read", choices=("input", "holding"),
        help="client: read status and result as input registers (3xxxx) or from their holding mirror (4xxxx)",
    )  # fmt: skip
    add.add_argument(
        "--command-address",
        type=int,
        default=0,
        metavar="PDU",
        help="first of 32 command words, from 0 (default 0)",
    )
    add.add_argument(
        "--status-address", type=int, metavar="PDU",
        help="first of the 64 status and result words, from 0 (default: 0 as input registers, else 100)",
    )  # fmt: skip
    add.add_argument(
        "--word-order", choices=tuple(WordOrder),
        help="of 32-bit values: ABCD Siemens; CDAB CODESYS, Beckhoff, Mitsubishi, Rockwell (default: the profile's)",
    )  # fmt: skip
    add.add_argument(
        "--string-order", choices=tuple(StringOrder),
        help="which byte of a word holds the first of two characters: big, the high one, or little",
    )  # fmt: skip


def program_options(add: Any) -> None:
    """What the PLC's program does."""
    add.add_argument(
        "--style", choices=tuple(style.value for style in Style), default="sequence",
        help="trigger and acknowledge by numbers (sequence, default) or by edges of bits",
    )  # fmt: skip
    add.add_argument("--scan-ms", type=_positive, metavar="MS", help="scan cycle (default: the profile's)")
    add.add_argument("--parts", type=int, default=20, metavar="N", help="how many parts (default 20; 0: until Ctrl-C)")
    add.add_argument("--rate", type=_positive, default=5.0, metavar="R", help="parts a second (default 5)")
    add.add_argument("--first-part", type=int, default=1, metavar="N", help="PART_ID of the first part (default 1)")
    add.add_argument("--serial", default="", metavar="TEXT", help="SERIAL of each part: this text and its number")
    add.add_argument(
        "--timeout-ms",
        type=_positive,
        default=2000.0,
        metavar="MS",
        help="when a part is given up (default 2000)",
    )
    add.add_argument(
        "--heartbeat-ms", type=_positive, default=200.0, metavar="MS", help="period of PLC_HEARTBEAT (default 200)"
    )
    add.add_argument(
        "--rude", action="append", default=[], metavar="NAME",
        help="make one of the mistakes below; may be given more than once",
    )  # fmt: skip


def check_options(add: Any) -> None:
    """What is checked, and where it is told."""
    add.add_argument(
        "--wait",
        type=_positive,
        default=30.0,
        metavar="S",
        help="how long to wait for Ready at first (default 30)",
    )
    add.add_argument(
        "--deadline-ms",
        type=_positive,
        default=300.0,
        metavar="MS",
        help="the gateway's deadline (default 300)",
    )
    add.add_argument(
        "--margin-ms", type=_positive, metavar="MS",
        help="what an outcome may come later at the PLC before it counts as broken promise (default 210 and 4 scans)",
    )  # fmt: skip
    add.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")


def _epilog() -> str:
    mistakes = "\n".join(f"  {name:<15} {switch.text}{_only(switch)}" for name, switch in rude.SWITCHES.items())
    rules = "\n".join(f"  {name:<10} {text}" for name, text in RULES.items())
    families = "\n".join(f"  {name:<15} {profile.text}" for name, profile in PROFILES.items())
    checked = f"what is checked at every scan:\n{rules}\n"
    return f"families for --profile:\n{families}\n\nmistakes for --rude:\n{mistakes}\n\n{checked}"


def _only(switch: rude.Switch) -> str:
    return "" if len(switch.styles) > 1 else f" ({min(style.value for style in switch.styles)} style)"


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
