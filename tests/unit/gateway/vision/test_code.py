"""Codes, made in the test and read."""

import importlib.util
from typing import Any

import cv2
import numpy as np
import pytest

from gateway.inspection import Finding
from gateway.recipe_measure import CodeTask
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.code import CodeReader, printable
from protocols.faults import Code

needs_zxing = pytest.mark.skipif(
    importlib.util.find_spec("zxingcpp") is None, reason="zxing-cpp is not installed; say make extras"
)


def qr(text: str, scale: int = 6) -> np.ndarray:
    code = cv2.QRCodeEncoder.create().encode(text)
    return cv2.resize(code, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)


def on_paper(*codes: np.ndarray, height: int = 400, width: int = 700) -> np.ndarray:
    """Side by side, 60 pixels from above and left, each 340 further to the right."""
    picture = np.full((height, width), 230, np.uint8)
    for number, code in enumerate(codes):
        left = 60 + 340 * number
        picture[60 : 60 + code.shape[0], left : left + code.shape[1]] = code
    return np.repeat(picture[:, :, None], 3, axis=2)


def ean13(digits: str) -> np.ndarray:
    """By the tables of ISO/IEC 15420."""
    odd = ("0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011")
    even = tuple("".join("10"[int(bit)] for bit in code)[::-1] for code in odd)
    right = tuple("".join("10"[int(bit)] for bit in code) for code in odd)
    parity = ("LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG", "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL")
    row = "101"
    for digit, kind in zip(digits[1:7], parity[int(digits[0])], strict=True):
        row += (odd if kind == "L" else even)[int(digit)]
    row += "01010" + "".join(right[int(digit)] for digit in digits[7:]) + "101"
    bars = np.array([0 if bit == "1" else 255 for bit in row], np.uint8)
    return np.repeat(np.repeat(bars[None], 100, axis=0), 3, axis=1)


def read(picture: np.ndarray, **given: Any) -> tuple[Finding, ...]:
    return CodeReader(CodeTask.model_validate({"kind": "code"} | given)).look(picture)


READERS = ["opencv", pytest.param("zxing", marks=needs_zxing)]


@pytest.mark.parametrize("reader", READERS)
def test_a_qr_code_says_its_text_and_where_it_is(reader: str) -> None:
    code = qr("SN-0042/A")
    (found,) = read(on_paper(code), reader=reader)
    assert (found.label, found.text, found.score) == ("code", "SN-0042/A", 1)
    side, edge = code.shape[0], 6 * 4  # four modules of quiet zone may or may not be part of the drawing
    assert found.box[0] == pytest.approx(60, abs=edge + 6)
    assert found.box[2] == pytest.approx(60 + side, abs=edge + 6)
    assert len(found.outline) == 4


@pytest.mark.parametrize("reader", READERS)
def test_two_codes_are_two_findings(reader: str) -> None:
    found = read(on_paper(qr("one"), qr("two")), reader=reader)
    assert [f.text for f in sorted(found, key=lambda f: f.box)] == ["one", "two"]


@pytest.mark.parametrize("reader", READERS)
def test_a_turned_code_is_read(reader: str) -> None:
    picture = on_paper(qr("turned"), width=400)
    turn = cv2.getRotationMatrix2D((200, 200), 30, 0.9)
    turned = cv2.warpAffine(picture, turn, (400, 400), borderValue=(230, 230, 230))
    assert [f.text for f in read(turned, reader=reader)] == ["turned"]


@pytest.mark.parametrize("reader", READERS)
def test_a_bar_code_of_shops(reader: str) -> None:
    picture = cv2.GaussianBlur(on_paper(ean13("4006381333931")), (0, 0), 0.8)  # as any lens does
    (found,) = read(picture, symbologies=["ean13"], reader=reader)
    assert found.text == "4006381333931"
    assert read(picture, symbologies=["qr"], reader=reader) == (), "only what was asked for"


@needs_zxing
@pytest.mark.parametrize(
    ("symbology", "name", "text"),
    [("datamatrix", "DataMatrix", "A1\u001dB2"), ("code128", "Code128", "Lot 77"), ("aztec", "Aztec", "äöü")],
)
def test_the_extra_reads_other_codes(symbology: str, name: str, text: str) -> None:
    import zxingcpp

    image = np.array(zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, name)).to_image(scale=4))
    (found,) = read(on_paper(image), symbologies=[symbology], reader="zxing")
    assert found.text == text.replace("\u001d", "<GS>")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((300, 300, 3), np.uint8),
        np.full((300, 300, 3), 255, np.uint8),
        np.random.default_rng(3).integers(0, 256, (300, 300, 3)).astype(np.uint8),
        np.full((2, 2, 3), 128, np.uint8),
        np.full((1, 300, 3), 128, np.uint8),
    ],
    ids=["black", "white", "noise", "two pixels", "one row"],
)
def test_nothing_says_nothing(picture: np.ndarray, reader: str) -> None:
    assert read(picture, symbologies=["qr", "ean13"], reader=reader) == ()


def test_a_damaged_code_is_none() -> None:
    picture = on_paper(qr("damaged"))
    picture[100:180, 60:260] = 0
    assert read(picture) == ()


def test_more_than_a_finding_may_say_is_a_fault_and_never_half_a_text() -> None:
    with pytest.raises(TaskError, match="300 characters") as refused:
        read(on_paper(qr("x" * 300, scale=4), height=500))
    assert refused.value.code is Code.OUTPUT_INVALID


def test_what_cannot_be_printed_is_told() -> None:
    assert printable("(01)0952\x1d10A\n\ud800é") == "(01)0952<GS>10A<0A><D800>é"


@pytest.mark.skipif(importlib.util.find_spec("zxingcpp") is not None, reason="the extra is installed")
def test_without_the_extra_one_sentence_says_how_to_get_it() -> None:
    with pytest.raises(TaskError, match="make extras"):
        read(on_paper(qr("x")), reader="zxing")


def test_opencv_is_not_asked_for_what_it_cannot_read() -> None:
    with pytest.raises(ValueError, match="reader: zxing"):
        CodeTask.model_validate({"kind": "code", "symbologies": ["datamatrix", "qr"]})
