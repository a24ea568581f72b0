"""One drawing per category; shapes depend on the category, colors are random."""

from typing import Final

import numpy as np

from product_classifier.catalogue.challenge.sample.canvas import Canvas, Color

Random = np.random.Generator
DARK: Final[Color] = (35, 35, 35)
PALE: Final[Color] = (235, 235, 230)


def _color(random: Random, low: int = 20, high: int = 236) -> Color:
    return tuple(int(part) for part in random.integers(low, high, 3))


def _cover(canvas: Canvas, random: Random, width: float) -> float:
    """Draw an upright rectangle and return its left edge; books, cases and packets share it."""
    left = 0.5 - width / 2
    canvas.box(left, 0.05, width, 0.9, _color(random))
    return left


def worn_book(canvas: Canvas, random: Random) -> None:
    left = _cover(canvas, random, random.uniform(0.55, 0.68))
    canvas.box(left, 0.05, 0.07, 0.9, DARK)
    for row in range(int(random.integers(2, 4))):
        canvas.line((left + 0.17, 0.25 + row * 0.09), (left + 0.45, 0.25 + row * 0.09), PALE, 0.025)
    canvas.polygon(((left + 0.4, 0.95), (left + 0.58, 0.95), (left + 0.58, 0.8)), PALE)


def game_case(canvas: Canvas, random: Random) -> None:
    left = _cover(canvas, random, random.uniform(0.55, 0.68))
    canvas.box(left, 0.05, 0.6, 0.14, _color(random))
    canvas.circle((left + 0.3, 0.55), random.uniform(0.14, 0.2), _color(random))
    canvas.box(left + 0.03, 0.83, 0.1, 0.09, PALE)


def packet(canvas: Canvas, random: Random) -> None:
    left = _cover(canvas, random, random.uniform(0.5, 0.62))
    canvas.ellipse((0.5, 0.45), (random.uniform(0.18, 0.23), 0.12), PALE)
    for tooth in range(6):
        x = left + tooth * 0.1
        canvas.polygon(((x, 0.05), (x + 0.1, 0.05), (x + 0.05, 0.0)), DARK)
    canvas.line((left + 0.1, 0.75), (left + 0.4, 0.75), PALE, 0.04)


def _bars(canvas: Canvas, random: Random, count: int, top: float, ragged: float) -> list[float]:
    step = 0.9 / count
    for bar in range(count):
        height = random.uniform(0, ragged)
        canvas.box(0.05 + bar * step, top + height, step * 0.86, 0.92 - top - height, _color(random))
    return [0.05 + (bar + 0.43) * step for bar in range(count)]


def spines(canvas: Canvas, random: Random) -> None:
    for x in _bars(canvas, random, int(random.integers(5, 8)), 0.08, 0.1):
        canvas.line((x, 0.3), (x, 0.6), PALE, 0.03)


def pens(canvas: Canvas, random: Random) -> None:
    for x in _bars(canvas, random, int(random.integers(5, 8)), 0.2, 0.06):
        canvas.polygon(((x - 0.05, 0.24), (x + 0.05, 0.24), (x, 0.04)), _color(random))


def bench(canvas: Canvas, random: Random) -> None:
    color = _color(random)
    for bar in range(int(random.integers(5, 8))):
        canvas.box(0.08 + bar * 0.13, 0.1, 0.09, 0.5, color)
    canvas.box(0.03, 0.55, 0.95, 0.1, color)
    canvas.box(0.1, 0.65, 0.07, 0.3, DARK)
    canvas.box(0.83, 0.65, 0.07, 0.3, DARK)


def magazine(canvas: Canvas, random: Random) -> None:
    canvas.box(0.12, 0.03, 0.76, 0.94, PALE)
    canvas.box(0.12, 0.03, 0.76, random.uniform(0.13, 0.2), _color(random))
    for column in range(3):
        for row in range(6):
            x, y = 0.16 + column * 0.24, 0.3 + row * 0.1
            canvas.line((x, y), (x + 0.18, y), DARK, 0.03)
    canvas.box(0.16, random.uniform(0.3, 0.6), 0.42, 0.26, _color(random))


def board(canvas: Canvas, random: Random) -> None:
    canvas.box(0.05, 0.05, 0.9, 0.9, PALE)
    count, color = int(random.integers(4, 7)), _color(random, 20, 150)
    step = 0.86 / count
    for row in range(count):
        for column in range(row % 2, count, 2):
            canvas.box(0.07 + column * step, 0.07 + row * step, step, step, color)
    for _ in range(4):
        x, y = random.uniform(0.15, 0.85, 2)
        canvas.circle((float(x), float(y)), 0.06, _color(random))


def linen(canvas: Canvas, random: Random) -> None:
    canvas.polygon(((0.05, 0.1), (0.93, 0.05), (0.97, 0.9), (0.02, 0.95)), _color(random, 120, 240))
    color, count = _color(random), int(random.integers(4, 7))
    for stripe in range(1, count):
        at = 0.05 + stripe * 0.9 / count
        canvas.line((at, 0.08), (at, 0.92), color, 0.05)
        canvas.line((0.05, at), (0.95, at), color, 0.05)


def gamepad(canvas: Canvas, random: Random) -> None:
    color = _color(random)
    canvas.box(0.15, 0.3, 0.7, 0.3, color)
    for x in (0.17, 0.83):
        canvas.circle((x, 0.5), 0.19, color)
        canvas.ellipse((x, 0.68), (0.1, 0.16), color)
    for x, y in ((0.77, 0.38), (0.85, 0.46), (0.69, 0.46), (0.77, 0.54)):
        canvas.circle((x, y), 0.035, _color(random))
    canvas.box(0.13, 0.43, 0.18, 0.05, DARK)
    canvas.box(0.195, 0.365, 0.05, 0.18, DARK)


def console(canvas: Canvas, random: Random) -> None:
    canvas.box(0.02, 0.28, 0.96, 0.42, _color(random))
    canvas.box(0.24, 0.32, random.uniform(0.45, 0.55), 0.34, DARK)
    canvas.circle((0.13, 0.42), 0.06, PALE)
    for y in (0.38, 0.5):
        canvas.circle((0.88, y), 0.04, PALE)


def table_football(canvas: Canvas, random: Random) -> None:
    canvas.box(0.08, 0.28, 0.84, 0.36, _color(random))
    for rod in range(int(random.integers(3, 6))):
        x = 0.2 + rod * 0.16
        canvas.line((x, 0.18), (x, 0.76), PALE, 0.02)
        for y in (0.36, 0.46, 0.56):
            canvas.circle((x, y), 0.03, DARK)
    canvas.box(0.12, 0.64, 0.06, 0.3, DARK)
    canvas.box(0.82, 0.64, 0.06, 0.3, DARK)


def _face(canvas: Canvas, y: float, radius: float) -> None:
    for x in (0.5 - radius * 0.4, 0.5 + radius * 0.4):
        canvas.circle((x, y), radius * 0.16, DARK)


def big_head(canvas: Canvas, random: Random) -> None:
    radius = random.uniform(0.25, 0.3)
    canvas.box(0.38, 0.5, 0.24, 0.35, _color(random))
    canvas.circle((0.5, 0.32), radius, _color(random, 120))
    _face(canvas, 0.34, radius)
    canvas.line((0.42, 0.85), (0.42, 0.97), DARK, 0.07)
    canvas.line((0.58, 0.85), (0.58, 0.97), DARK, 0.07)


def miniature(canvas: Canvas, random: Random) -> None:
    grey = (int(random.integers(70, 190)),) * 3
    canvas.ellipse((0.5, 0.88), (0.33, 0.09), DARK)
    canvas.polygon(((0.5, 0.25), (0.7, 0.86), (0.3, 0.86)), grey)
    canvas.circle((0.5, 0.24), random.uniform(0.09, 0.12), grey)
    canvas.line((0.72, 0.08), (0.72, 0.85), _color(random), 0.04)
    canvas.line((0.5, 0.45), (0.72, 0.42), grey, 0.06)


def teddy(canvas: Canvas, random: Random) -> None:
    color = _color(random, 90)
    canvas.ellipse((0.5, 0.7), (0.26, random.uniform(0.22, 0.27)), color)
    for x in (0.3, 0.7):
        canvas.circle((x, 0.12), 0.1, color)
        canvas.circle((x - 0.05 if x < 0.5 else x + 0.05, 0.92), 0.09, color)
    canvas.circle((0.5, 0.3), 0.23, color)
    _face(canvas, 0.28, 0.23)
    canvas.circle((0.5, 0.7), 0.13, PALE)


def emblem_book(canvas: Canvas, random: Random) -> None:
    canvas.box(0.15, 0.03, 0.7, 0.94, _color(random))
    canvas.circle((0.5, random.uniform(0.4, 0.55)), random.uniform(0.18, 0.25), PALE, 0.05)
    canvas.line((0.25, 0.13), (0.75, 0.13), PALE, 0.05)
    canvas.line((0.35, 0.88), (0.65, 0.88), PALE, 0.03)


def card(canvas: Canvas, random: Random) -> None:
    canvas.box(0.16, 0.03, 0.68, 0.94, _color(random, 120))
    canvas.box(0.23, 0.14, 0.54, 0.4, _color(random))
    canvas.circle((random.uniform(0.4, 0.6), 0.34), 0.13, _color(random))
    for row in range(3):
        canvas.line((0.25, 0.64 + row * 0.1), (0.75, 0.64 + row * 0.1), DARK, 0.025)


def picture(canvas: Canvas, random: Random) -> None:
    canvas.box(0.1, 0.05, 0.8, 0.9, DARK if random.random() < 0.5 else _color(random))
    canvas.box(0.19, 0.14, 0.62, 0.72, PALE)
    peak = random.uniform(0.35, 0.6)
    canvas.polygon(((0.19, 0.86), (peak, 0.4), (0.81, 0.86)), _color(random))
    canvas.circle((random.uniform(0.3, 0.7), 0.3), 0.07, _color(random))


def drone(canvas: Canvas, random: Random) -> None:
    color = _color(random, 10, 140)
    for x, y in ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)):
        canvas.line((0.5, 0.5), (x, y), color, 0.05)
        canvas.circle((x, y), random.uniform(0.14, 0.18), color, 0.03)
    canvas.circle((0.5, 0.5), 0.13, color)


def bicycle(canvas: Canvas, random: Random) -> None:
    color, radius = _color(random), random.uniform(0.17, 0.22)
    for x in (0.24, 0.76):
        canvas.circle((x, 0.7), radius, DARK, 0.04)
    for start, end in (((0.24, 0.7), (0.42, 0.35)), ((0.42, 0.35), (0.76, 0.7)), ((0.7, 0.25), (0.76, 0.7)),
                       ((0.34, 0.32), (0.5, 0.32)), ((0.62, 0.22), (0.76, 0.25))):  # fmt: skip
        canvas.line(start, end, color, 0.05)


def saw(canvas: Canvas, random: Random) -> None:
    canvas.line((0.12, 0.2), (0.5, 0.5), _color(random), 0.16)
    radius = random.uniform(0.22, 0.28)
    canvas.circle((0.64, 0.62), radius, (150, 150, 150))
    canvas.circle((0.64, 0.62), radius, DARK, 0.05)
    canvas.circle((0.64, 0.62), 0.06, DARK)


def furniture(canvas: Canvas, random: Random) -> None:
    color, top = _color(random), random.uniform(0.35, 0.5)
    canvas.ellipse((0.5, top), (0.45, 0.12), color)
    for x in (0.15, 0.4, 0.62, 0.85):
        canvas.line((x, top + 0.05), (x, 0.95), color, 0.05)


def pool(canvas: Canvas, random: Random) -> None:
    rim = random.uniform(0.4, 0.5)
    canvas.box(0.05, rim, 0.9, 0.28, _color(random))
    canvas.ellipse((0.5, rim + 0.28), (0.45, 0.13), _color(random))
    canvas.ellipse((0.5, rim), (0.45, 0.13), PALE)
    canvas.ellipse((0.5, rim), (0.4, 0.1), (200, 150, 60))
    for x in (0.68, 0.78):
        canvas.line((x, rim - 0.25), (x, rim + 0.3), DARK, 0.03)


def basket(canvas: Canvas, random: Random) -> None:
    canvas.ellipse((0.5, 0.6), (0.46, random.uniform(0.26, 0.32)), _color(random))
    canvas.ellipse((0.5, 0.57), (0.33, 0.16), _color(random))
    canvas.circle((0.5, 0.6), 0.06, DARK)
    for x in (0.41, 0.5, 0.59):
        canvas.circle((x, 0.5), 0.028, DARK)


def blocks(canvas: Canvas, random: Random) -> None:
    for x, y in ((0.05, 0.65), (0.36, 0.65), (0.67, 0.65), (0.2, 0.35), (0.51, 0.35), (0.36, 0.05)):
        canvas.box(x, y, 0.28, 0.28, _color(random))
        canvas.circle((x + 0.14, y + 0.14), 0.06, PALE)


def pile(canvas: Canvas, random: Random) -> None:
    for case in range(int(random.integers(3, 6))):
        x, y = 0.05 + case * 0.11 + random.uniform(-0.02, 0.02), 0.08 + case * 0.07
        canvas.box(x, y, 0.4, 0.55, _color(random))
        canvas.box(x, y, 0.4, 0.08, PALE)


def screen(canvas: Canvas, random: Random) -> None:
    canvas.box(0.05, 0.1, 0.9, 0.6, DARK)
    canvas.box(0.1, 0.15, 0.8, 0.5, _color(random, 90))
    canvas.polygon(((0.4, 0.28), (0.65, 0.4), (0.4, 0.52)), PALE)
    canvas.box(0.44, 0.7, 0.12, 0.16, DARK)
    canvas.box(0.28, 0.85, random.uniform(0.4, 0.5), 0.07, DARK)


def parcel(canvas: Canvas, random: Random) -> None:
    brown = tuple(int(part) for part in np.array([80, 130, 175]) + random.integers(-20, 20, 3))
    canvas.box(0.08, 0.2, 0.84, 0.65, brown)
    canvas.box(0.44, 0.2, 0.1, 0.65, PALE)
    canvas.box(random.uniform(0.12, 0.25), 0.6, 0.18, 0.15, PALE)
