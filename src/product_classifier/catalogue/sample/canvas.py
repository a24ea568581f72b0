"""A unit square, placed, turned, scaled and perhaps mirrored somewhere in a photo, that one can draw in."""

from collections.abc import Sequence
from math import cos, radians, sin
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, ...]
Point = tuple[float, float]

_SHIFT: Final = 4
_SUBPIXELS: Final = 1 << _SHIFT


class Canvas:
    """Draw with coordinates from 0 to 1, x to the right and y downwards."""

    def __init__(self, pixels: NDArray[np.uint8], centre: Point, side: float, degrees: float, mirrored: bool) -> None:
        self._pixels = pixels
        self._side = side
        self._degrees = degrees
        turn, step = radians(degrees), side * _SUBPIXELS
        across = -step if mirrored else step
        self._xx, self._xy = cos(turn) * across, -sin(turn) * step
        self._yx, self._yy = sin(turn) * across, cos(turn) * step
        self._x, self._y = centre[0] * _SUBPIXELS, centre[1] * _SUBPIXELS

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a convex shape."""
        placed = np.array([self._place(point) for point in points], np.int32)
        cv2.fillConvexPoly(self._pixels, placed, colour, cv2.LINE_AA, _SHIFT)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Fill a rectangle whose upper left corner is given."""
        self.polygon(((x, y), (x + width, y), (x + width, y + height), (x, y + height)), colour)

    def line(self, start: Point, end: Point, colour: Colour, width: float = 0.02) -> None:
        """Draw a line; widths are parts of the square too."""
        thick = max(1, round(width * self._side))
        cv2.line(self._pixels, self._place(start), self._place(end), colour, thick, cv2.LINE_AA, _SHIFT)

    def circle(self, centre: Point, radius: float, colour: Colour, width: float = 0.0) -> None:
        """Draw a disc, or a ring if it has a width."""
        thick = max(1, round(width * self._side)) if width else -1
        around = round(radius * self._side * _SUBPIXELS)
        cv2.circle(self._pixels, self._place(centre), around, colour, thick, cv2.LINE_AA, _SHIFT)

    def ellipse(self, centre: Point, axes: Point, colour: Colour, width: float = 0.0) -> None:
        """Fill an ellipse, or draw its outline if it has a width."""
        thick = max(1, round(width * self._side)) if width else -1
        sizes = (round(axes[0] * self._side * _SUBPIXELS), round(axes[1] * self._side * _SUBPIXELS))
        place = self._place(centre)
        cv2.ellipse(self._pixels, place, sizes, self._degrees, 0, 360, colour, thick, cv2.LINE_AA, _SHIFT)

    def _place(self, point: Point) -> tuple[int, int]:
        x, y = point[0] - 0.5, point[1] - 0.5
        return round(self._x + self._xx * x + self._xy * y), round(self._y + self._yx * x + self._yy * y)
