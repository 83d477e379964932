"""The frame ring: a slot tells whose frame it holds."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from gateway.vision.frames import FrameRing
from gateway.vision.settings import FramesConfig
from gateway.worker_process import make_ring

CONFIG = FramesConfig(slots=4, max_bytes=64 * 48 * 3)


@pytest.fixture
def descriptor() -> Iterator[int]:
    ring = make_ring(CONFIG)
    yield ring
    os.close(ring)


def put(ring: FrameRing, slot: int, cycle: int, grey: int) -> None:
    pixels = ring.begin(slot).reshape(48, 64, 3)
    pixels[:] = grey
    ring.commit(slot, cycle, pixels, 12.5)


def test_another_mapping_of_the_ring_sees_the_frame(descriptor: int) -> None:
    writer, reader = FrameRing(descriptor, CONFIG), FrameRing(descriptor, CONFIG)
    for slot in range(4):
        put(writer, slot, slot + 10, slot + 100)
    for slot in range(4):
        found = reader.frame(slot, slot + 10)
        assert found is not None
        assert found[0].shape == (48, 64, 3)
        assert np.all(found[0] == slot + 100)
        assert found[1] == 12.5


def test_a_slot_gives_no_other_cycles_frame(descriptor: int) -> None:
    ring = FrameRing(descriptor, CONFIG)
    assert ring.frame(0, 0) is None
    assert ring.frame(0, 1) is None
    put(ring, 0, 1, 50)
    assert ring.frame(0, 2) is None
    put(ring, 0, 2, 60)
    assert ring.frame(0, 1) is None


def test_a_slot_being_written_holds_nothing(descriptor: int) -> None:
    ring = FrameRing(descriptor, CONFIG)
    put(ring, 0, 1, 50)
    ring.begin(0)
    assert ring.frame(0, 1) is None


@pytest.mark.parametrize("slot", [-1, 4])
def test_there_is_no_slot_outside_the_ring(descriptor: int, slot: int) -> None:
    with pytest.raises(IndexError):
        FrameRing(descriptor, CONFIG).begin(slot)


def test_slots_do_not_overlap() -> None:
    config = FramesConfig(slots=5, max_bytes=5000)
    assert config.stride >= 5000
    assert config.total == 5 * config.stride
