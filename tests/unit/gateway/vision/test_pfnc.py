"""Frames out of drivers' buffers: golden bytes, written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.vision.cameras import CameraError
from gateway.vision.cameras.arrivals import Stamp
from gateway.vision.cameras.pfnc import FORMATS, arrival, names_of, settings_of, taken, unpack
from gateway.vision.cameras.pixels import to_bgr
from protocols.faults import Code


def bytes_of(*values: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.array(values, np.uint8)


def test_the_padding_behind_rows_is_left_out() -> None:
    raw = unpack(bytes_of(1, 2, 99, 3, 4, 99), taken(0x01080001), (2, 2), padding=1)
    assert raw.tolist() == [[1, 2], [3, 4]]


def test_the_padding_behind_the_last_row_may_be_missing() -> None:
    assert unpack(bytes_of(1, 2, 99, 3, 4), taken(0x01080001), (2, 2), padding=1).tolist() == [[1, 2], [3, 4]]


def test_deep_values_are_little_endian() -> None:
    raw = unpack(bytes_of(0xFF, 0x03, 0x00, 0x02), taken(0x01100003), (2, 1))
    assert raw.tolist() == [[0x3FF, 0x200]]
    assert to_bgr(raw, "mono10", np.zeros(6, np.uint8)).tolist() == [[[255] * 3, [128] * 3]]


def test_colours_keep_their_order() -> None:
    raw = unpack(bytes_of(1, 2, 3, 4, 5, 6), taken(0x02180014), (2, 1))
    assert to_bgr(raw, "rgb8", np.zeros(6, np.uint8)).tolist() == [[[3, 2, 1], [6, 5, 4]]]


def test_a_frame_is_a_copy() -> None:
    data = bytes_of(1, 2, 3, 4)
    raw = unpack(data, taken(0x01080001), (2, 2))
    data[:] = 0
    assert raw.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("size", "padding"), [((3, 2), 0), ((2, 2), 9), ((0, 2), 0), ((2, 0), 0), ((2, -1), 0), ((2, 2), -1)]
)
def test_a_buffer_that_does_not_hold_its_frame_is_an_invalid_image(size: tuple[int, int], padding: int) -> None:
    with pytest.raises(CameraError) as caught:
        unpack(bytes_of(1, 2, 3, 4, 5), taken(0x01080001), size, padding)
    assert caught.value.code is Code.IMAGE_INVALID
    assert "the camera sent 5" in caught.value.text


def test_a_short_buffer_is_a_broken_frame_and_no_lost_camera() -> None:
    stamp = Stamp(1.0, number=7)
    whole = arrival(bytes_of(1, 2, 3, 4), 0x01080001, (2, 2), stamp)
    assert (whole.broken, whole.format, whole.pixels.tolist()) == ("", "mono8", [[1, 2], [3, 4]])
    short = arrival(bytes_of(1, 2, 3), 0x01080001, (2, 2), stamp)
    assert "needs 4 bytes, the camera sent 3" in short.broken
    assert short.stamp is stamp


def test_a_format_that_is_not_taken_is_refused_with_the_list_of_those_that_are() -> None:
    with pytest.raises(CameraError) as caught:
        taken(0x02200016)  # RGBa8
    assert caught.value.code is Code.IMAGE_FORMAT
    assert all(known.setting in caught.value.text for known in FORMATS.values())


def test_names_and_settings_belong_together() -> None:
    assert names_of("rgb8") == ("RGB8", "RGB8Packed")
    assert settings_of(("BGR8Packed", "Mono12Packed", "Mono8")) == "mono8, bgr8"
    assert settings_of(()) == "none of these"
    assert len({known.setting for known in FORMATS.values()}) == len(FORMATS)
