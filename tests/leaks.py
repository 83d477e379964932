"""What a test may leave behind: nothing. Threads, processes, sockets, shared memory and asyncio tasks are counted."""

import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import psutil

Holdings = dict[tuple[str, object], Callable[[], str]]
"""What this process holds: an identity that is never used twice in a run, and how to describe it."""

PATIENCE = 2.0
"""Seconds that something seen left may take to go: a closed connection or a killed process needs a moment."""

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's home of POSIX shared memory, only looked at
_OWN_FDS = Path("/proc/self/fd")


def holdings() -> Holdings:
    """All that this process holds now; a millisecond or two, so that every test can afford it."""
    return _threads() | _processes() | _sockets() | _shared_memory()


def left_behind(before: Holdings, patience: float = PATIENCE) -> list[str]:
    """Describe what is held now and was not held `before`; waits at most `patience` seconds for it to go."""
    deadline = time.monotonic() + patience
    collected = False
    while new := {key: tell for key, tell in holdings().items() if key not in before}:
        if time.monotonic() >= deadline:
            foreign = _held_by_others() if any(kind == "shared memory" for kind, _ in new) else frozenset()
            return sorted(tell() for (_, name), tell in new.items() if name not in foreign)
        if not collected:  # once: with all that a long run holds it takes a second
            gc.collect()
            collected = True
        time.sleep(0.01)
    return []


async def left_tasks(before: set[asyncio.Task[Any]], patience: float = PATIENCE) -> list[str]:
    """Describe, then cancel, the tasks of the running loop that are neither done nor in `before`."""
    new = asyncio.all_tasks() - before - {asyncio.current_task()}
    if not new:
        return []
    _, pending = await asyncio.wait(new, timeout=patience)
    for task in pending:
        task.cancel()
    return sorted(f"task {task.get_name()}: {task.get_coro()}" for task in pending)


def _threads() -> Holdings:
    return {("thread", thread): partial("thread {}".format, thread.name) for thread in threading.enumerate()}


def _processes() -> Holdings:
    """Child processes, but for the two servants that multiprocessing keeps to the end of the interpreter."""
    if _childless():
        return {}
    servants = {getattr(resource_tracker._resource_tracker, "_pid", None)}
    if forkserver := sys.modules.get("multiprocessing.forkserver"):
        servants.add(forkserver._forkserver._forkserver_pid)
    children = psutil.Process().children(recursive=True)
    return {("process", child): partial(_told, child) for child in children if child.pid not in servants}


def _childless() -> bool:
    """True when the system knows of no child: most tests have none, and to look through all processes takes long."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # WNOWAIT: whoever waits for it still can
    except ChildProcessError:
        return True
    return False


def _told(process: psutil.Process) -> str:
    try:
        return f"process {process.pid} ({process.status()}): {' '.join(process.cmdline())}"
    except psutil.Error:
        return f"process {process.pid}"


def _sockets() -> Holdings:
    if not _OWN_FDS.is_dir():
        return {
            ("socket", connection): partial("socket {}".format, connection)
            for connection in psutil.Process().net_connections(kind="all")
        }
    held: Holdings = {}
    for fd in _OWN_FDS.iterdir():
        try:
            target = str(fd.readlink())
        except FileNotFoundError:  # the listing's own descriptor
            continue
        if target.startswith("socket:"):
            held["socket", target] = partial(_connection, int(fd.name))
    return held


def _connection(fd: int) -> str:
    for connection in psutil.Process().net_connections(kind="all"):
        if connection.fd == fd:
            return f"socket {connection.type.name} {connection.laddr} {connection.raddr} {connection.status}"
    return f"socket with descriptor {fd}"


def _shared_memory() -> Holdings:
    if not _SHARED_MEMORY.is_dir():
        return {}
    return {("shared memory", str(path)): partial("shared memory {}".format, path) for path in _SHARED_MEMORY.iterdir()}


def _held_by_others() -> frozenset[object]:
    """Shared memory that processes outside our family map or have open: another test run on the same machine."""
    family = {psutil.Process(), *psutil.Process().children(recursive=True)}
    held: set[object] = set()
    for process in psutil.process_iter():
        if process in family:
            continue
        try:
            held |= {mapping.path for mapping in process.memory_maps()} | {file.path for file in process.open_files()}
        except psutil.Error:
            continue
    return frozenset(held)
