"""One copied namespace 0 for every asyncua server of a test process: each built by itself costs more than a second."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def shared() -> Iterator[None]:
    """Servers in this process begin with a copy of the first one's standard nodes."""
    from asyncua.server.internal_server import InternalServer

    from simulators import standard_space

    build = InternalServer.load_standard_address_space

    async def load(server: InternalServer, shelf_file: Path | None = None) -> None:
        async def first() -> None:
            await build(server, shelf_file)
            gc.collect()
            gc.freeze()  # half a million objects that live to the end: no collection need look at them

        await standard_space.load(server, first)

    usual = gc.get_threshold()
    gc.set_threshold(2_000, 10, 20)  # a full collection after a few servers, and not several while each is built
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InternalServer, "load_standard_address_space", load)
        yield
    gc.set_threshold(*usual)
