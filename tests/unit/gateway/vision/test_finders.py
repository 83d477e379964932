"""Video devices as Linux lists them."""

from __future__ import annotations

from pathlib import Path

from gateway.vision.cameras.finders import usb
from gateway.vision.cameras.found import FoundCamera


def test_usb_cameras_are_listed_by_their_lasting_names_without_their_metadata_nodes(tmp_path: Path) -> None:
    classes, names, dev = tmp_path / "class", tmp_path / "by-id", tmp_path / "dev"
    for folder in (names, dev):
        folder.mkdir()
    for node, name, index in (("video10", "Cam B", "0"), ("video2", "Cam A", "0"), ("video3", "Cam A", "1")):
        (classes / node).mkdir(parents=True)
        (classes / node / "name").write_text(f"{name}\n")
        (classes / node / "index").write_text(f"{index}\n")
        (dev / node).touch()
    (names / "usb-A-index0").symlink_to(dev / "video2")
    assert list(usb(classes, names)) == [
        FoundCamera("opencv", "", "Cam A", "", str(names / "usb-A-index0")),
        FoundCamera("opencv", "", "Cam B", "", "/dev/video10"),
    ]


def test_a_computer_without_video_has_none(tmp_path: Path) -> None:
    assert list(usb(tmp_path / "none", tmp_path / "neither")) == []
