"""`python -m simulators fault-proxy`: a faulty wire between any two programs that speak TCP."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from simulators import report
from simulators.fault_proxy import FaultProxy, ProxyError
from simulators.faults import GRAMMAR, Direction, Fault, parse, parse_script

DESCRIPTION = """\
A TCP man in the middle. It listens, connects onward for each caller, and does to the bytes what a script says:
delay, loss without a word, reset, close, single bytes, merged segments, turned bits, a slow line."""


def main(arguments: Sequence[str]) -> int:
    """Run the proxy; 0 = ended as told, 1 = it could not listen or read its script, 2 = wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_work(options, _script(options)))
    except (ProxyError, ValueError) as error:
        report.complain(str(error))
        return 1


async def _work(options: argparse.Namespace, script: list[Fault]) -> int:
    proxy = FaultProxy(*options.to, listen=options.listen, seed=options.seed, tell=report.say)
    try:
        async with proxy.open():
            host, port = options.to
            report.say(
                f"port {proxy.port} leads to {host}:{port}; seed {options.seed}, {len(script)} faults in the script"
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(options.seconds):
                    await proxy.play(script)
    finally:
        up, down = (proxy.passed[direction] for direction in Direction)
        report.say(f"{proxy.connections} connections, {up} bytes up, {down} down; faults: {dict(proxy.faults)}")
    return 0


def _script(options: argparse.Namespace) -> list[Fault]:
    faults = [parse(text) for text in options.fault]
    if options.script is not None:
        path: Path = options.script
        try:
            faults += parse_script(path.read_text(encoding="utf-8").splitlines())
        except OSError as error:
            raise ProxyError(f"{path} cannot be read: {error.strerror}; name another script") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return faults


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators fault-proxy",
        description=DESCRIPTION,
        epilog=GRAMMAR,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--listen", type=_address, default=("127.0.0.1", 5021), metavar="HOST:PORT", help="default 127.0.0.1:5021"
    )
    parser.add_argument(
        "--to", type=_address, default=("127.0.0.1", 5020), metavar="HOST:PORT", help="default 127.0.0.1:5020"
    )
    parser.add_argument("--fault", action="append", default=[], metavar="TEXT", help="one fault; may be given again")
    parser.add_argument("--script", type=Path, metavar="FILE", help="one fault a line, # for remarks")
    parser.add_argument("--seed", type=int, default=0, help="of delays and turned bits (default 0)")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so long (default: Ctrl-C)")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT")
    return host.strip("[]"), int(port)
