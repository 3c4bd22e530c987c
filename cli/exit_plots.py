"""The drawings of docs/exits.md: SVG written by hand, so that the same code always writes the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from itertools import pairwise
from typing import Final

from cli.exit_scenes import ENTRY, FULL_DAY_MIN, SCENES, Scene, Step, played
from domain.exits import LEVELS

WIDTH, HEIGHT = 720, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 18, 34, 34
INK, FAINT, GRID, PAPER = "#1f2937", "#6b7280", "#e5e7eb", "#ffffff"
PATH, GONE, LEVEL, CLOSE, PART, TOLD = "#2563eb", "#b9c7e4", "#d97706", "#dc2626", "#059669", "#7c3aed"
#: A label this close to the right edge, in pixels, is written to the left of its point.
_NEAR_EDGE: Final = 190


@dataclass(frozen=True, slots=True)
class Frame:
    """Where minutes and prices lie on the paper."""

    lowest: Decimal
    highest: Decimal
    minutes: int

    def x(self, minute: int) -> Decimal:
        return LEFT + Decimal(minute) * (WIDTH - LEFT - RIGHT) / self.minutes

    def y(self, price: Decimal) -> Decimal:
        return TOP + (self.highest - price) * (HEIGHT - TOP - BOTTOM) / (self.highest - self.lowest)


def draw(rule: str) -> str:
    """Return the drawing of *rule*: its path, its level, and where the real rule fires."""
    scene, steps = SCENES[rule], played(rule)
    frame = _frame(scene, steps)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{rule}: {escape(_said(steps))}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{PAPER}"/>',
        *_grid(frame),
        *_marks(scene, frame),
        *_level(steps, frame),
        *_path(steps, frame),
        *_fired(steps, frame),
        _text(LEFT, 20, rule, INK, size=14, weight=600),
        _text(WIDTH - RIGHT, 20, _legend(rule), FAINT, anchor="end"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _frame(scene: Scene, steps: Sequence[Step]) -> Frame:
    prices = [ENTRY, *(step.price for step in steps), *(step.level for step in steps if step.level is not None)]
    room = (max(prices) - min(prices)) * Decimal("0.12")
    return Frame(lowest=min(prices) - room, highest=max(prices) + room, minutes=max(FULL_DAY_MIN, scene.session_min))


def _said(steps: Sequence[Step]) -> str:
    return "; ".join(f"{step.found.rule}, {step.found.detail}" for step in steps if step.found) or "holds"


def _legend(rule: str) -> str:
    return "price, level and what fires" if rule in LEVELS else "price and what fires"


def _grid(frame: Frame) -> Iterator[str]:
    """Hours below, prices at the left, the entry as a dashed line."""
    for hour in range(10, 17):
        x = frame.x((hour - 9) * 60 - 30)
        yield _line(x, TOP, x, HEIGHT - BOTTOM, GRID)
        yield _text(x, HEIGHT - BOTTOM + 18, f"{hour}:00", FAINT, anchor="middle")
    step = _price_step(frame)
    price = (frame.lowest / step).to_integral_value(rounding="ROUND_CEILING") * step
    while price <= frame.highest:
        y = frame.y(price)
        yield _line(LEFT, y, WIDTH - RIGHT, y, GRID)
        yield _text(LEFT - 8, y + 4, f"{price:.2f}", FAINT, anchor="end")
        price += step
    y = frame.y(ENTRY)
    yield _line(LEFT, y, WIDTH - RIGHT, y, FAINT, dash="4 4")


def _price_step(frame: Frame) -> Decimal:
    """Return a round distance that gives four to eight lines."""
    span = frame.highest - frame.lowest
    return next((step for step in map(Decimal, ("0.25", "0.5", "1", "2")) if span / step <= 8), Decimal(5))


def _marks(scene: Scene, frame: Frame) -> Iterator[str]:
    """What the clock and what others say, as upright lines with their words."""
    said = [(minute, label, LEVEL) for minute, label in scene.marks]
    said += [(told.minute, told.label, TOLD) for told in scene.told]
    if scene.session_min < FULL_DAY_MIN:
        said.append((scene.session_min, "early close", FAINT))
    for minute, label, colour in said:
        x = frame.x(minute)
        yield _line(x, TOP, x, HEIGHT - BOTTOM, colour, dash="2 3")
        yield _text(x + 4, HEIGHT - BOTTOM - 6, label, colour)


def _level(steps: Sequence[Step], frame: Frame) -> Iterator[str]:
    points = [(frame.x(step.minute), frame.y(step.level)) for step in steps if step.level is not None]
    if points:
        yield _polyline(points, LEVEL, width="1.8")


def _path(steps: Sequence[Step], frame: Frame) -> Iterator[str]:
    """The price while it is held, and paler what came after."""
    end = next((n for n, step in enumerate(steps) if step.found and step.found.part is None), len(steps) - 1)
    points = [(frame.x(step.minute), frame.y(step.price)) for step in steps]
    yield _polyline(points[end:], GONE, width="1.8")
    yield _polyline(points[: end + 1], PATH, width="2.2")


def _fired(steps: Sequence[Step], frame: Frame) -> Iterator[str]:
    """A dot and a word wherever a rule asked for a close."""
    yield _dot(frame.x(steps[0].minute), frame.y(steps[0].price), PATH)
    for before, step in pairwise(steps):
        if step.found is None:
            continue
        part = step.found.part
        colour = CLOSE if part is None else PART
        what = f"{step.found.rule} closes at {step.price}" if part is None else f"sells {part.qty} at {step.price}"
        x, y = frame.x(step.minute), frame.y(step.price)
        yield _dot(x, y, colour)
        if x <= WIDTH - RIGHT - _NEAR_EDGE:
            yield _text(x + 9, y - 9, what, colour, weight=600)
        else:  # where the path did not come from
            yield _text(x - 9, y + (20 if before.price > step.price else -9), what, colour, anchor="end", weight=600)


# ---------------------------------------------------------------- strokes


def _n(number: Decimal | int) -> str:
    return f"{number:.1f}"


def _line(
    x1: Decimal | int, y1: Decimal | int, x2: Decimal | int, y2: Decimal | int, colour: str, dash: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" stroke="{colour}"{dashed}/>'


def _polyline(points: Sequence[tuple[Decimal, Decimal]], colour: str, width: str) -> str:
    dots = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
    return f'<polyline points="{dots}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


def _dot(x: Decimal, y: Decimal, colour: str) -> str:
    return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="4.5" fill="{colour}" stroke="{PAPER}" stroke-width="1.5"/>'


def _text(
    x: Decimal | int,
    y: Decimal | int,
    said: str,
    colour: str,
    *,
    anchor: str = "start",
    size: int = 12,
    weight: int = 400,
) -> str:
    shape = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
    halo = f'paint-order="stroke" stroke="{PAPER}" stroke-width="3"'
    return f'<text x="{_n(x)}" y="{_n(y)}" fill="{colour}" {shape} {halo}>{escape(said)}</text>'
