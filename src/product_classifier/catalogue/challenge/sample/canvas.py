"""A unit square that is placed, rotated, scaled and mirrored in a photo."""

from collections.abc import Sequence
from math import cos, radians, sin
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Color = tuple[int, ...]
Point = tuple[float, float]

_SHIFT: Final = 4
_SUBPIXELS: Final = 1 << _SHIFT


class Canvas:
    """Draws with coordinates from 0 to 1, x to the right and y down."""

    def __init__(self, pixels: NDArray[np.uint8], center: Point, side: float, degrees: float, mirrored: bool) -> None:
        self._pixels = pixels
        self._side = side
        self._degrees = degrees
        turn, step = radians(degrees), side * _SUBPIXELS
        across = -step if mirrored else step
        self._xx, self._xy = cos(turn) * across, -sin(turn) * step
        self._yx, self._yy = sin(turn) * across, cos(turn) * step
        self._x, self._y = center[0] * _SUBPIXELS, center[1] * _SUBPIXELS

    def polygon(self, points: Sequence[Point], color: Color) -> None:
        """Fill a convex polygon."""
        placed = np.array([self._place(point) for point in points], np.int32)
        cv2.fillConvexPoly(self._pixels, placed, color, cv2.LINE_AA, _SHIFT)

    def box(self, x: float, y: float, width: float, height: float, color: Color) -> None:
        """Fill a rectangle whose upper left corner is given."""
        self.polygon(((x, y), (x + width, y), (x + width, y + height), (x, y + height)), color)

    def line(self, start: Point, end: Point, color: Color, width: float = 0.02) -> None:
        """Draw a line; `width` is relative to the square."""
        thick = max(1, round(width * self._side))
        cv2.line(self._pixels, self._place(start), self._place(end), color, thick, cv2.LINE_AA, _SHIFT)

    def circle(self, center: Point, radius: float, color: Color, width: float = 0.0) -> None:
        """Fill a disc, or draw a ring if `width` is positive."""
        thick = max(1, round(width * self._side)) if width else -1
        around = round(radius * self._side * _SUBPIXELS)
        cv2.circle(self._pixels, self._place(center), around, color, thick, cv2.LINE_AA, _SHIFT)

    def ellipse(self, center: Point, axes: Point, color: Color, width: float = 0.0) -> None:
        """Fill an ellipse, or draw its outline if `width` is positive."""
        thick = max(1, round(width * self._side)) if width else -1
        sizes = (round(axes[0] * self._side * _SUBPIXELS), round(axes[1] * self._side * _SUBPIXELS))
        place = self._place(center)
        cv2.ellipse(self._pixels, place, sizes, self._degrees, 0, 360, color, thick, cv2.LINE_AA, _SHIFT)

    def _place(self, point: Point) -> tuple[int, int]:
        x, y = point[0] - 0.5, point[1] - 0.5
        return round(self._x + self._xx * x + self._xy * y), round(self._y + self._yx * x + self._yy * y)
