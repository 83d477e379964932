"""The small C programs beside this file: compiled when needed; what they print."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "benchmarks"


class MissingError(Exception):
    """Something to measure with, or to compare with, is not installed; one sentence says what."""


@cache
def compiled(name: str, *libraries: str) -> Path:
    """The program of `name`.c; MissingError without a compiler or the libraries."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise MissingError("no C compiler (cc)")
    BUILD.mkdir(parents=True, exist_ok=True)
    target = BUILD / name
    command = [compiler, "-O2", "-o", str(target), str(HERE / f"{name}.c"), *libraries]
    built = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if built.returncode:
        raise MissingError(f"{name}.c does not compile: {(built.stderr.splitlines() or ['no reason given'])[0]}")
    return target


def lines(program: Path, *arguments: object, patience: float) -> list[str]:
    """What the program prints; RuntimeError with its last words if it fails or takes more than `patience` seconds."""
    done = subprocess.run(
        [program, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=patience
    )
    if done.returncode:
        raise RuntimeError(f"{program.name} failed ({done.returncode}): {done.stderr.strip()}")
    return done.stdout.splitlines()
