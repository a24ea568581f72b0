"""Trim uniform borders, scale pixels to a square, composite alpha and apply an orientation."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

UNIFORM = 24
"""Largest difference of a color, of 255, within a uniform border: more than JPEG adds, less than a pale object."""
_STRIP_PIXELS = 2**18
"""Pixels that are compared at once, which bounds the memory for a large photo."""

cv2.setNumThreads(1)  # requests decode one image at a time, and other servers share the cores


def composite_on_white(rgba: Pixels) -> Pixels:
    """Return `(color * alpha + 255 * (255 - alpha) + 127) // 255` of pixels `[height, width, 4]`."""
    rgba = np.ascontiguousarray(rgba)
    colors: Pixels = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
    alpha = cv2.extractChannel(rgba, 3)
    if alpha.min() == 255:
        return colors
    mixed: NDArray[np.uint16] = colors.astype(np.uint16)
    mixed -= 255  # modulo 65536; the sum is positive again
    mixed *= cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB)
    mixed += 255 * 255 + 127
    mixed += (mixed >> 8) + 1  # with the next line the division by 255, exact below 65535
    mixed >>= 8
    return mixed.astype(np.uint8)


def trim(pixels: Pixels) -> Pixels:
    """Return a view without the uniform border; all pixels if corners differ or nothing is inside.

    The four corners must agree within `UNIFORM`; the part is the bounding box of the pixels that differ from their mean
    by more.
    """
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]].astype(np.float64)
    if np.ptp(corners, axis=0).max() > UNIFORM:
        return pixels
    border = corners.mean(axis=0)
    low, high = tuple((border - UNIFORM).tolist()), tuple((border + UNIFORM).tolist())
    rows = max(1, _STRIP_PIXELS // pixels.shape[1])
    boxes = []
    for top in range(0, len(pixels), rows):
        differs = cv2.bitwise_not(cv2.inRange(pixels[top : top + rows], low, high))
        left, above, width, height = cv2.boundingRect(differs)
        if width:
            boxes.append((left, top + above, left + width, top + above + height))
    if not boxes:
        return pixels
    starts, ends = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return pixels[starts[1] : ends[3], starts[0] : ends[2]]


def fit(pixels: Pixels, size: int) -> Pixels:
    """Scale to fit a square of `size` pixels and center on white."""
    height, width = pixels.shape[:2]
    scale = size / max(height, width)
    if scale != 1:
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        # Above one half, bilinear averages the same pixels as area interpolation at a quarter of the cost.
        pixels = cv2.resize(pixels, target, interpolation=cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR)
        height, width = pixels.shape[:2]
    if height == width:
        return np.ascontiguousarray(pixels)
    square = np.full((size, size, 3), 255, np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square


def upright(square: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation (TIFF tag 274)."""
    if orientation == 1:
        return square
    if orientation >= 5:
        square = square.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        square = square[:, ::-1]
    if orientation in (3, 4, 7, 8):
        square = square[::-1]
    return np.ascontiguousarray(square)
