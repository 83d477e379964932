"""Reading of codes: by OpenCV, or by ZXing where that extra is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_measure import CodeTask
from gateway.vision.engines import Tensor
from gateway.vision.finding_rows import MAX_READ
from gateway.vision.frames import Pixels
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.edges import grey
from gateway.vision.tasks.outlines import around
from protocols.faults import Code as FaultCode

_NAMES = {
    "qr": "QRCode", "ean13": "EAN13", "ean8": "EAN8", "upca": "UPCA", "datamatrix": "DataMatrix", "aztec": "Aztec",
    "pdf417": "PDF417", "microqr": "MicroQRCode", "upce": "UPCE", "code128": "Code128", "code39": "Code39",
    "code93": "Code93", "codabar": "Codabar", "itf": "ITF",
}  # fmt: skip
"""As ZXing calls them."""
_TYPES = {"EAN_13": "ean13", "EAN_8": "ean8", "UPC_A": "upca"}
"""As OpenCV calls them."""
Read = tuple[str, Tensor]
"""Text and corners [n, 2] in pixels of the picture."""


class CodeReader:
    """Findings of `CodeTask`: one for each code that was read, from top to bottom."""

    def __init__(self, settings: CodeTask) -> None:
        self.labels, self._settings = settings.classes, settings
        make = _zxing if settings.reader == "zxing" else _opencv
        self._read = make(frozenset(settings.symbologies))

    def look(self, picture: Pixels) -> tuple[Finding, ...]:
        """The codes; TaskError 2005 for one that says more than a finding may, as half a text would be another."""
        image = np.ascontiguousarray(grey(picture))
        found = [self._finding(text, corners, image.shape) for text, corners in self._read(image) if text]
        return tuple(sorted(found, key=lambda finding: (finding.box[1], finding.box[0]))[:MAX_FINDINGS])

    def _finding(self, text: str, corners: Tensor, shape: tuple[int, ...]) -> Finding:
        said = printable(text)
        if len(said) > MAX_READ:
            raise TaskError(FaultCode.OUTPUT_INVALID, f"a code says {len(said)} characters, at most {MAX_READ} go")
        inside = np.clip(corners.astype(np.float64), 0, shape[::-1])
        outline = tuple((x, y) for x, y in inside.tolist())
        return Finding(self._settings.label, 1.0, around(outline), outline, text=said)


def printable(text: str) -> str:
    """The text with what cannot be printed told: <GS> between the fields of GS1, else the character's number."""
    return "".join(sign if sign.isprintable() else "<GS>" if sign == "\x1d" else f"<{ord(sign):02X}>" for sign in text)


def _opencv(wanted: frozenset[str]) -> Callable[[Tensor], list[Read]]:
    """QR codes, and the bar codes of shops."""
    square = cv2.QRCodeDetector() if "qr" in wanted else None
    bars = cv2.barcode.BarcodeDetector() if wanted & set(_TYPES.values()) else None

    def read(image: Tensor) -> list[Read]:
        found: list[Read] = []
        try:
            if square is not None:
                done, texts, corners, _ = square.detectAndDecodeMulti(image)
                found += zip(texts, corners, strict=True) if done else ()
            if bars is not None:
                done, texts, kinds, corners = bars.detectAndDecodeWithType(image)
                if done:
                    rows = zip(texts, kinds, corners, strict=True)
                    found += [(text, place) for text, kind, place in rows if _TYPES.get(kind) in wanted]
        except cv2.error as error:
            text = f"the codes cannot be read ({error.err or error}); use a larger picture"
            raise TaskError(FaultCode.OUTPUT_INVALID, text) from error
        return found

    return read


def _zxing(wanted: frozenset[str]) -> Callable[[Tensor], list[Read]]:
    """All symbologies; TaskError 2006 where the extra is missing."""
    try:
        import zxingcpp
    except ImportError as error:
        text = "reader: zxing needs the package zxing-cpp; install it with: make extras"
        raise TaskError(FaultCode.MODEL_MISMATCH, text) from error
    library: Any = zxingcpp
    formats = library.barcode_formats_from_str(",".join(_NAMES[name] for name in sorted(wanted)))

    def read(image: Tensor) -> list[Read]:
        return [(code.text, _corners(code.position)) for code in library.read_barcodes(
            image, formats=formats, text_mode=library.TextMode.Plain
        )]  # fmt: skip

    return read


def _corners(place: Any) -> Tensor:
    points = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
    return np.array([(point.x, point.y) for point in points], np.float64)
