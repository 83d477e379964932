"""`python -m simulators demo`: the real gateway as a process of its own, and in this one the line and the PLC."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from simulators import line, report
from simulators.carriers import ModbusMaster
from simulators.demo_setup import LINKS, DemoError, Setup, check_port, read
from simulators.plc import Plc
from simulators.process import GatewayProcess, running
from simulators.table import Live, Plain, View
from simulators.watch import Watch

CONFIGS = {"modbus": Path("configs/demo.yaml"), "opcua": Path("configs/demo-opcua.yaml")}
"""By link: the PLC polls the gateway's registers, or the gateway reads and writes the nodes of a PLC."""
PARTS = 60
START_WAIT = 60.0
"""Seconds until Ready; a cold disk makes the first start of a native library slow."""
PICTURE_TRIES = 20
"""Looks for the picture, 50 ms apart."""
EXIT_STOPPED = 130


def main(arguments: Sequence[str]) -> int:
    """Run the demo; 0 = all well, 1 = contract broken or no gateway, 2 = wrong usage, 130 = interrupted."""
    options = _parser().parse_args(arguments)
    if options.cnc:
        from simulators import demo_cnc

        return demo_cnc.run(options)
    try:
        setup = read(options.config or CONFIGS[options.link])
        check_port(setup)
        return asyncio.run(_demo(setup, options))
    except DemoError as error:
        report.complain(str(error))
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return EXIT_STOPPED


# ---------------------------------------------------------------- the demo itself


async def _demo(setup: Setup, options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    if (
        task is not None and sys.platform != "win32"
    ):  # a terminal that closes or a service manager must not leave the gateway behind
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    began = time.time()
    plc = _plc(setup)
    tally = line.Tally(deadline=setup.deadline)
    truth = line.truth_of(setup.seed, setup.defect_rate)  # before the scan begins: its imports would hold it up
    view: View = Plain() if options.plain or not sys.stdout.isatty() else Live(tally)
    async with _gateway(setup) as gateway:
        scanning = asyncio.create_task(plc.run(), name="PLC scan")
        try:
            await _until_ready(plc, gateway, view)
            with view:
                await _bring_parts(plc, truth, options, tally, view, gateway)
            picture = await _picture(setup, began, tally)
        finally:
            scanning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await scanning
    return _conclude(plc, tally, gateway, picture, options)


def _plc(setup: Setup) -> Plc:
    """The PLC on the other end of the link that is configured."""
    if setup.kind == LINKS["opcua"]:
        from simulators import opcua_command  # with asyncua, which only this link needs
        from simulators.opcua_server import S7Server
        from simulators.opcua_slave import OpcUaSlave

        watch = Watch(deadline=setup.deadline, margin=opcua_command.MARGIN, settle=opcua_command.SETTLE)
        return Plc(OpcUaSlave(S7Server(setup.host, setup.port)), watch=watch)
    master = ModbusMaster(
        setup.host,
        setup.port,
        unit=setup.unit,
        status_address=setup.status_address,
        command_address=setup.command_address,
    )
    return Plc(master, codec=setup.codec, watch=Watch(deadline=setup.deadline))


@contextlib.asynccontextmanager
async def _gateway(setup: Setup) -> AsyncIterator[GatewayProcess]:
    log = setup.data_dir / "demo-gateway.log"
    async with contextlib.AsyncExitStack() as stack:
        try:
            gateway = await stack.enter_async_context(running(setup.path, log))
        except OSError as error:
            raise DemoError(f"{log} cannot be written ({error.strerror}); give another data_dir") from error
        yield gateway


async def _until_ready(plc: Plc, gateway: GatewayProcess, view: View) -> None:
    view.note("starting the gateway ...")
    began = time.monotonic()
    await plc.until(lambda _: plc.ready or gateway.ended, START_WAIT)
    if plc.ready:
        view.note(f"ready after {time.monotonic() - began:.1f} s")
        return
    if gateway.ended:
        raise DemoError(f"the gateway ended by itself; its last words in {gateway.log}:\n{gateway.last_words()}")
    reason = report.reason(plc.outputs.status.not_ready_reason)
    raise DemoError(
        f"the gateway was not Ready within {START_WAIT:g} s: {plc.trouble or reason} Its log: {gateway.log}"
    )


async def _bring_parts(
    plc: Plc, truth: line.Truth, options: argparse.Namespace, tally: line.Tally, view: View, gateway: GatewayProcess
) -> None:
    parts = PARTS if options.parts is None and options.seconds is None else options.parts
    lot = time.strftime("%y%m%d-%H%M%S")  # so that part 1 of today is not taken for a repeat of yesterday's
    passing = line.run(
        plc.inspect,
        rate=options.rate,
        parts=parts,
        seconds=options.seconds,
        truth=truth,
        serial=lambda number: f"{lot}-{number:05d}",
    )
    async for record in passing:
        tally.add(record)
        view.show(record)
        if gateway.ended:
            raise DemoError(f"the gateway ended by itself; its last words in {gateway.log}:\n{gateway.last_words()}")


async def _picture(setup: Setup, began: float, tally: line.Tally) -> Path | None:
    """The newest picture that this run left; the gateway writes it after the verdict, so it may need a moment."""
    folder = setup.data_dir / "pictures" / setup.station
    expected = tally.parts > tally.judged[line.VERDICTS[0]]
    for _ in range(PICTURE_TRIES if expected else 1):
        newest = newest_picture(folder, began)
        if newest is not None:
            return newest
        await asyncio.sleep(0.05)
    return None


def newest_picture(folder: Path, since: float) -> Path | None:
    """The newest .jpg in a folder that is not older than `since` (wall clock), or None."""
    pictures = []
    for path in folder.glob("*.jpg"):
        with contextlib.suppress(OSError):  # the gateway keeps only the newest: one may go while we look
            pictures.append((path.stat().st_mtime, path))
    newest = max(pictures, default=None)
    return newest[1] if newest is not None and newest[0] >= since - 1 else None


def _conclude(
    plc: Plc, tally: line.Tally, gateway: GatewayProcess, picture: Path | None, options: argparse.Namespace
) -> int:
    """Say how it went; the exit status."""
    status = gateway.status
    lines = [*report.summary(tally), *report.wire(plc), *report.verdict(plc.watch)]
    if picture is not None:
        lines.append(f"newest picture: {_short(picture)}")
    for text in lines:
        report.say(text)
    if status != 0:
        report.complain(f"the gateway stopped with {status} instead of 0; its last words in {gateway.log}:")
        report.complain(gateway.last_words())
    if options.json is not None:
        shown = None if picture is None else str(picture)
        report.save(
            options.json, {**tally.as_json(), **report.wire_as_json(plc), "gateway_exit": status, "picture": shown}
        )
    return 0 if plc.watch.ok and status == 0 and tally.parts else 1


def _short(path: Path) -> Path:
    """The path as seen from here, if it lies below."""
    absolute = path.resolve()
    here = Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gateway demo",
        description="A simulated inspection line: starts the gateway, brings parts with known defects before its "
        "simulated camera, asks for each as a PLC does over Modbus TCP or OPC UA, and compares the verdicts with the "
        "truth.",
    )
    parser.add_argument(
        "--link", choices=tuple(LINKS), default="modbus",
        help="modbus: a PLC polls the gateway (default); opcua: the gateway is client of a S7-1500's OPC UA server",
    )  # fmt: skip
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"default: {' or '.join(map(str, CONFIGS.values()))}, by --link"
    )
    parser.add_argument("--cnc", action="store_true", help="a CNC asks by OPC UA and waits for the answer; no PLC")
    parser.add_argument("--parts", type=_count, metavar="N", help=f"stop after so many parts (default {PARTS})")
    parser.add_argument("--seconds", type=_positive, metavar="S", help="stop after this time")
    parser.add_argument("--rate", type=_positive, default=5.0, metavar="R", help="parts a second (default 5)")
    parser.add_argument("--plain", action="store_true", help="one line a part instead of the live table")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value
