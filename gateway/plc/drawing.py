"""The timing diagram as SVG: lanes of levels and numbers, and the PLC's moves with their names from the table."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from xml.sax.saxutils import escape

from gateway.plc.timing import Recording, Signal, Step
from protocols.handshake import Style

LEFT, TOP, COLUMN, LANE, HIGH = 150, 30, 30, 30, 16
_TITLES = {
    Style.SEQUENCE: "Sequence style: numbers carry the truth",
    Style.BITS: "Bit style: four-phase edges",
}
_COLOURS = {"PLC": "#1f5fa8", "gateway": "#9c4a00"}


def svg(recording: Recording) -> str:
    """The whole picture; the same recording gives the same text."""
    return "\n".join(_lines(recording)) + "\n"


def _lines(recording: Recording) -> Iterator[str]:
    count = len(recording.signals[0].levels)
    lanes = TOP + LANE * len(recording.signals)
    width = LEFT + COLUMN * count + 20
    height = lanes + 24 + 15 * len(recording.steps) + 8
    title = _TITLES[recording.style]
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}" font-family="sans-serif" font-size="11">'
    )
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    yield f'<text x="8" y="18" font-size="13" font-weight="bold">{escape(title)}</text>'
    for number, step in enumerate(recording.steps, 1):
        yield from _marker(number, step, lanes)
    for index, signal in enumerate(recording.signals):
        yield from _lane(signal, TOP + LANE * (index + 1) - 6)
    yield from _legend(recording, lanes + 24)
    yield "</svg>"


def _marker(number: int, step: Step, bottom: int) -> Iterator[str]:
    x = LEFT + COLUMN * step.at
    yield f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="#bbbbbb" stroke-dasharray="2 3"/>'
    yield f'<text x="{x}" y="{bottom + 12}" text-anchor="middle" font-weight="bold">{number}</text>'


def _lane(signal: Signal, base: int) -> Iterator[str]:
    colour = _COLOURS[signal.writer]
    yield f'<text x="8" y="{base - 3}" fill="{colour}">{signal.name}</text>'
    yield from _numbers(signal, base, colour) if signal.number else _levels(signal, base, colour)


def _levels(signal: Signal, base: int, colour: str) -> Iterator[str]:
    points = []
    for column, level in enumerate(signal.levels):
        y = base - HIGH * level
        points += [f"{LEFT + COLUMN * column},{y}", f"{LEFT + COLUMN * (column + 1)},{y}"]
    yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _numbers(signal: Signal, base: int, colour: str) -> Iterator[str]:
    column = 0
    for value, run in groupby(signal.levels):
        length = len(list(run))
        x, width = LEFT + COLUMN * column, COLUMN * length
        yield (
            f'<rect x="{x}" y="{base - HIGH}" width="{width}" height="{HIGH}" fill="none" stroke="{colour}" '
            'stroke-width="1.6"/>'
        )
        yield f'<text x="{x + width // 2}" y="{base - 4}" text-anchor="middle" fill="{colour}">{value}</text>'
        column += length


def _legend(recording: Recording, y: int) -> Iterator[str]:
    for number, step in enumerate(recording.steps, 1):
        move = step.move
        text = f"{number}  {move.state.value}: {move.guard} / {move.action} / {move.to.value}".replace("_", " ")
        yield f'<text x="{LEFT}" y="{y + 15 * number - 6}">{escape(text)}</text>'
    for index, (writer, colour) in enumerate(_COLOURS.items()):
        yield f'<text x="8" y="{y + 15 * (index + 1) - 6}" fill="{colour}">{writer} writes</text>'
