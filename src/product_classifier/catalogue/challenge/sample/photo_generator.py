"""Generated photos whose shapes depend on the category; colors do not.

Categories that share words belong to different families (`FAMILIES`); the categories of one family look alike and
differ in a detail. Text and photo therefore carry complementary information.
"""

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from product_classifier.catalogue.challenge.sample import drawings
from product_classifier.catalogue.challenge.sample.canvas import Canvas, Color, Point

PACKAGING: Final = 0.25
"""Share of photos that show only a parcel."""
PACKAGING_IN_SEASON: Final = 0.75
"""The same for products of the new season."""

Pixels = NDArray[np.uint8]

_TILE: Final = 512


class DrawnPhoto(NamedTuple):
    """A JPEG, its size in pixels, and center and side of the square in which the product is drawn."""

    jpeg: bytes
    width: int
    height: int
    center: Point
    side: float


def photo(random: np.random.Generator, code: int, packaging: float = PACKAGING) -> bytes:
    """Return a JPEG of a product, see `draw_product`."""
    return draw_product(random, code, packaging).jpeg


def draw_product(random: np.random.Generator, code: int, packaging: float = PACKAGING) -> DrawnPhoto:
    """Return a photo of a product, with random position, size, rotation, background and brightness."""
    width, height = (int(side) for side in random.integers(96, 161, 2))
    pixels = _background(random, width, height)
    draw = drawings.parcel if random.random() < packaging else DRAWINGS[code]
    side = min(width, height) * random.uniform(0.55, 0.95)
    place = (width / 2 + random.uniform(-0.12, 0.12) * width, height / 2 + random.uniform(-0.12, 0.12) * height)
    draw(Canvas(pixels, place, side, random.normal(0, 12), bool(random.random() < 0.5)), random)
    _clutter(random, pixels)
    cv2.convertScaleAbs(pixels, pixels, random.uniform(0.75, 1.15), random.uniform(-10, 25))
    if random.random() < 0.25:
        pixels = cv2.GaussianBlur(pixels, (3, 3), 0)
    done, encoded = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, int(random.integers(60, 91))))
    if not done:
        raise RuntimeError("OpenCV could not encode a photo")
    return DrawnPhoto(encoded.tobytes(), width, height, place, side)


def _background(random: np.random.Generator, width: int, height: int) -> Pixels:
    kind = random.random()
    pixels = np.empty((height, width, 3), np.uint8)
    if kind < 0.45:
        pixels[:] = random.integers(225, 256)
        return pixels
    pixels[:] = random.integers(60, 240, 3)
    if kind < 0.75:
        top, left = random.integers(0, _TILE - 161, 2)
        return np.asarray(cv2.add(pixels, _grain()[top : top + height, left : left + width]), np.uint8)
    shade = np.linspace(0, random.uniform(20, 90), height, dtype=np.float32).astype(np.uint8)
    shades = np.ascontiguousarray(np.broadcast_to(shade[:, None, None], pixels.shape))
    return np.asarray(cv2.subtract(pixels, shades), np.uint8)


@cache
def _grain() -> Pixels:
    """Return a tile of coarse noise, shared by all photos to save time."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 60, (_TILE // 4, _TILE // 4, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (_TILE, _TILE), interpolation=cv2.INTER_CUBIC), np.uint8)


def _clutter(random: np.random.Generator, pixels: Pixels) -> None:
    """Draw small distracting shapes and sometimes a watermark."""
    height, width = pixels.shape[:2]
    for _ in range(int(random.integers(0, 4))):
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        size = int(random.integers(3, 14))
        color: Color = tuple(int(part) for part in random.integers(0, 256, 3))
        if random.random() < 0.5:
            cv2.circle(pixels, (x, y), size // 2 + 1, color, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(pixels, (x, y), (x + size, y + size // 2 + 2), color, -1)
    if random.random() < 0.1:
        cv2.putText(pixels, "NEW", (4, height - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 200), 1, cv2.LINE_AA)


Drawing = Callable[[Canvas, np.random.Generator], None]

FAMILIES: Final[tuple[dict[int, Drawing], ...]] = (
    {10: drawings.worn_book, 40: drawings.game_case, 1940: drawings.packet},
    {2403: drawings.spines, 2522: drawings.pens, 2582: drawings.bench},
    {2280: drawings.magazine, 1281: drawings.board, 1920: drawings.linen},
    {50: drawings.gamepad, 60: drawings.console, 1301: drawings.table_football},
    {1140: drawings.big_head, 1180: drawings.miniature, 1320: drawings.teddy},
    {2705: drawings.emblem_book, 1160: drawings.card, 2060: drawings.picture},
    {1300: drawings.drone, 1302: drawings.bicycle, 2585: drawings.saw},
    {1560: drawings.furniture, 2583: drawings.pool, 2220: drawings.basket},
    {1280: drawings.blocks, 2462: drawings.pile, 2905: drawings.screen},
)
DRAWINGS: Final[dict[int, Drawing]] = {code: draw for family in FAMILIES for code, draw in family.items()}
