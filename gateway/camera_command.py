"""`gateway camera`: which cameras are there, and what one shows. The camera is opened in a child that can be killed."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway import calibrate_command
from gateway.launch import COMMAND, environment

if TYPE_CHECKING:
    from gateway.config import StationConfig

KINDS = ("opencv", "genicam", "basler", "aravis")
"""Those that can be looked for."""
LOOKING = 15.0
"""Seconds a search may take."""
OPENING = 40.0
"""Seconds beyond what was asked for in which a camera must have been opened and closed."""


class _Failed(Exception):  # noqa: N818 - not an error of ours
    """One sentence for the user."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `camera list|grab|stream|calibrate` to the command line."""
    camera = commands.add_parser("camera", help="find cameras, see what one shows, calibrate it").add_subparsers(
        required=True, metavar="COMMAND", title="commands"
    )
    listed = camera.add_parser("list", help="the cameras that are there, as they are named in a configuration")
    listed.add_argument(
        "--network", action="store_true", help="search the network too: a broadcast on every interface (GigE Vision)"
    )
    listed.set_defaults(command=_list)
    grab = camera.add_parser("grab", help="take one frame with a station's camera, and write it")
    stream = camera.add_parser("stream", help="take frames for some seconds: rate, jitter, losses; write the last")
    for parser, command in ((grab, _grab), (stream, _stream)):
        parser.add_argument("file", type=Path, metavar="FILE", help="the configuration")
        parser.add_argument("station", nargs="?", metavar="STATION", help="may be left out where there is only one")
        parser.add_argument("--out", type=Path, default=Path("frame.png"), metavar="FILE", help="default: frame.png")
        parser.set_defaults(command=command)
    stream.add_argument("--seconds", type=_seconds, default=5.0, metavar="N", help="default: 5")
    calibrate_command.add(camera)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is no number from 0.1 to 3600")
    return seconds


def _list(options: argparse.Namespace) -> int:
    for kind in KINDS:
        try:
            found = list(_ask({"action": "list", "kind": kind, "network": options.network}, LOOKING))
        except _Failed as failure:
            print(f"{kind:9} {failure}")
            continue
        for camera in found:
            named = [camera[key] for key in ("vendor", "model", "serial", "address") if camera[key]]
            print(f"{kind:9} {'  '.join(named)}")
        if not found:
            print(f"{kind:9} none found")
    return 0


def _grab(options: argparse.Namespace) -> int:
    return _shown(options, "grab", 0.0)


def _stream(options: argparse.Namespace) -> int:
    return _shown(options, "stream", options.seconds)


def _shown(options: argparse.Namespace, action: str, seconds: float) -> int:
    from gateway import config

    try:
        station = _station(config.load(options.file).stations, options.station)
        for told in _ask(_order(station, action, seconds, options.out), seconds + OPENING):
            _print(told, station)
    except (config.ConfigError, _Failed) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _station(stations: tuple[StationConfig, ...], name: str | None) -> StationConfig:
    for station in stations:
        if station.name == name or (name is None and len(stations) == 1):
            return station
    known = ", ".join(station.name for station in stations)
    raise _Failed(f"there is no station {name}; there is {known}" if name else f"which station? {known}")


def _order(station: StationConfig, action: str, seconds: float, out: Path) -> dict[str, Any]:
    return {
        "action": action,
        "camera": station.camera.model_dump(mode="json"),
        "max_bytes": station.frames.max_bytes,
        "budget": max(5.0, station.cycle.grab_timeout) if action == "grab" else station.cycle.grab_timeout,
        "seconds": seconds,
        "out": str(out),
    }


def _ask(order: Mapping[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
    """What the child says, once it has ended; _Failed with its error, or if it does not end in time or crashes."""
    process = subprocess.Popen(
        [*COMMAND, "gateway.vision.look"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    try:
        said, errors = process.communicate(json.dumps(order) + "\n", timeout=seconds)
    except subprocess.TimeoutExpired:
        raise _Failed(f"the camera's driver has not returned within {seconds:.0f} s; it was ended") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    for line in said.splitlines():
        told = json.loads(line)
        if "error" in told:
            code = f"{told['code']} " if "code" in told else ""
            raise _Failed(f"{code}{told['error']}")
        yield told
    if process.returncode:
        last = (errors.strip().splitlines() or ["it said nothing"])[-1]
        raise _Failed(f"the camera's process ended with status {process.returncode}: {last}")


def _print(told: Mapping[str, Any], station: StationConfig) -> None:
    if "opened" in told:
        print(f"camera     {station.camera.kind}, open after {told['opened']:.2f} s")
    elif "width" in told:
        print(f"frame      {told['width']} x {told['height']}, mean grey {told['mean']:g}")
        print(f"grab       {told['grab'] * 1000:.1f} ms of {station.cycle.grab_timeout_ms:g} (grab_timeout_ms)")
        if told["number"] is not None:
            print(f"frame id   {told['number']}")
        if told["device_time"] is not None:
            print(f"its clock  {told['device_time']:.6f} s")
        print(f"written    {told['out']}")
    else:
        _print_stream(told)


def _print_stream(told: Mapping[str, Any]) -> None:
    print(f"frames     {told['frames']}" + (f", {told['rate']:.2f} a second" if told["rate"] else ""))
    if told["jitter"] is not None:
        print(f"jitter     {told['jitter'] * 1000:.2f} ms (standard deviation)")
        print(f"longest    {told['longest'] * 1000:.1f} ms from one frame to the next")
    if told["grab_p50"] is not None:
        print(f"grabs      {told['grab_p50'] * 1000:.1f} ms p50, {told['grab_max'] * 1000:.1f} ms at most")
    print(f"missed     {told['missed']} (counted by the camera, never arrived)")
    for text, times in told["faults"].items():
        print(f"{times:4} times {text}")
