"""GigE Vision cameras through Aravis: lost packets, formats, refusals, control that was lost."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from gateway.vision.camera_settings import Region
from gateway.vision.cameras import aravis_library, gvcp
from gateway.vision.cameras.aravis import CONTROL, Aravis
from gateway.vision.cameras.device import DeviceCamera
from protocols.faults import Code
from tests.contract.camera_rigs import come
from tests.contract.vendor_rigs import ADDRESS, fake_camera, gige, own
from tests.contract.vendor_steps import grab, loss, opened, outcome, refusal


def test_a10_lost_packets_spoil_their_frame_alone() -> None:
    """Of a thousand packets fifteen are lost: torn frames are faults, those of the next trigger are not."""
    codes: list[Code] = []
    with fake_camera("-r", "15") as _, opened(gige(buffers=2, trigger="software")) as camera:
        while len(codes) < 200 and not (Code.IMAGE_INVALID in codes and codes[-1] is Code.NONE):
            codes.append(outcome(camera, len(codes) + 1, budget=1.5))
    assert set(codes) <= {Code.NONE, Code.IMAGE_INVALID, Code.FRAME_TIMEOUT, Code.FRAME_REPEATED}
    assert Code.IMAGE_INVALID in codes
    assert codes[-1] is Code.NONE


@pytest.mark.parametrize("name", ["mono8", "mono16", "rgb8", "bayer_rg8"])
def test_a_gige_camera_s_formats(name: str) -> None:
    with fake_camera() as _, opened(gige(pixel_format=name)) as camera:
        frame = grab(camera)
        assert frame.shape == (128, 256, 3)
        assert frame.std() > 10


def test_a_large_frame_waits_whole_for_the_thread_that_reads_it() -> None:
    """With libaravis' own buffer, as large as the frame's pixels alone, nearly every frame of this size is torn."""
    allowed = int(Path("/proc/sys/net/core/rmem_max").read_text())
    if allowed < 2**20:
        pytest.skip(f"net.core.rmem_max is {allowed}: too small for frames of this size")
    with fake_camera(), opened(gige(roi=Region(width=512, height=512))) as camera:
        codes = [outcome(camera, cycle, budget=2.0) for cycle in range(1, 11)]
    assert codes.count(Code.NONE) >= 8


GIGE_REFUSED: dict[str, tuple[dict[str, object], Code, str]] = {
    "exposure": ({"exposure_us": 20_000_000}, Code.CONFIG_INVALID, "the camera takes 10 to 1e+07 (ExposureTimeAbs)"),
    "gain": ({"gain": 900}, Code.CONFIG_INVALID, "(GainRaw)"),
    "region": ({"roi": Region(width=4096, height=64)}, Code.CONFIG_INVALID, "roi.width 4096: the camera takes"),
    "format": ({"pixel_format": "mono12"}, Code.IMAGE_FORMAT, "it can do mono8, mono16, bayer_gr8"),
    "line": ({"trigger": "hardware", "trigger_line": "Line7"}, Code.CONFIG_INVALID, "no Line7, but Line0, Software"),
    "no feature": ({"features": {"Nonsense": 1}}, Code.CONFIG_INVALID, "the camera has no Nonsense"),
    "no value": ({"features": {"AcquisitionMode": "Often"}}, Code.CONFIG_INVALID, "refuses AcquisitionMode"),
    "no whole": ({"features": {"Width": 64.5}}, Code.CONFIG_INVALID, "Width takes whole numbers, not 64.5"),
}


def test_what_a_gige_camera_refuses_is_named() -> None:
    with fake_camera():
        for wish, code, words in GIGE_REFUSED.values():
            error = refusal(gige(**wish))
            assert (error.code, error.lost) == (code, True)
            assert words in error.text
            assert "\n" not in error.text


def test_an_address_where_no_camera_answers_is_told_at_once() -> None:
    with fake_camera() as played:
        played.stop()
        assert not gvcp.answers(ADDRESS)
        error = refusal(gige())
        assert (error.code, error.text) == (Code.CAMERA_LINK, f"no camera answers at {ADDRESS}")


@pytest.mark.parametrize("trigger", ["software", "hardware"])
def test_a_gige_camera_that_has_given_up_our_control_is_opened_again(trigger: str) -> None:
    """Out of reach for some seconds, then back: it answers, and will never send a frame."""
    with fake_camera():
        settings = gige(trigger=trigger)
        device = Aravis(settings)
        camera = DeviceCamera(device, settings)
        come(camera)
        try:
            forget(device)
            error = loss(camera)
            assert (error.code, error.lost) == (Code.CAMERA_LINK, True)
            assert "forgotten us" in error.text
            come(camera)
            if trigger == "software":
                grab(camera)
        finally:
            camera.close()


def forget(device: Aravis) -> None:
    lib = aravis_library.library()
    write = lib._aravis.arv_device_write_register
    write.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p]
    assert write(lib.call("arv_camera_get_device", device._camera), CONTROL, 0, None)


def test_the_library_s_own_camera_shows_no_part() -> None:
    with opened(own()) as camera:
        assert camera.simulated
        assert grab(camera).ndim == 3
