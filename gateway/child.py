"""What a child of the control process does to itself first: give way, take no more than allowed, die with it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
import sys
from typing import TextIO

_PR_SET_PDEATHSIG = 1


def give_way(nice: int) -> None:
    """Let the control process go first."""
    with contextlib.suppress(OSError):
        os.nice(nice)


def stay_on(cores: tuple[int, ...]) -> str:
    """Run on these processors only, none given: on all; why that cannot be, or nothing."""
    if not cores:
        return ""
    if sys.platform != "linux":
        return "processors can be chosen on Linux only; take it out"
    known = sorted(os.sched_getaffinity(0))
    if unknown := sorted(set(cores) - set(known)):
        return f"there is no processor {unknown[0]} to be had here; use numbers of {known[0]} to {known[-1]}"
    os.sched_setaffinity(0, cores)
    return ""


def limit_memory(megabytes: int) -> None:
    """Never take more memory than this, and leave no core file."""
    limit = megabytes * 2**20
    # On Linux the data limit counts what a process may write (4.7 and later), not mapped libraries and the frame ring.
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    for which, wanted in ((kind, limit), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(which)[1]
            value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(which, (value, value))


def settle() -> None:
    """What stands now stays: it is never looked through for garbage again, and what only the start needed goes."""
    gc.collect()
    gc.freeze()
    give_back()


def give_back() -> None:
    """Give memory that only the start needed back to the system (malloc_trim(3)); it would stay for ever otherwise."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def die_with(parent: int) -> None:
    """End when the control process does, however it ends; exit at once if it already has.

    SIGINT and SIGTERM are left to it: it decides when its children end.
    """
    for terminal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(terminal, signal.SIG_IGN)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def quiet() -> TextIO:
    """The standard output as it was, for the answer alone: what a library prints goes where errors go from now on."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answer
