"""Cost and truth of explanations: `python -m benchmarks.explanations RELEASE`, a folder of a release.

Prints JSON: the CPU time of predicting and explaining divided by that of predicting, for texts and photos of the
sample generator, and the share of photos whose most important region lies where the product is drawn, beside the share
of regions that do. CPU time of this process, so that other processes change it little.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from product_classifier.catalogue.challenge.sample.offers import offer
from product_classifier.catalogue.challenge.sample.photo_generator import DRAWINGS, DrawnPhoto, draw_product
from product_classifier.images import decoding, occlusion
from product_classifier.images.model import ImageModel
from product_classifier.releases.release import load_image, load_text
from product_classifier.text.model import TextModel

TEXTS = 200
PHOTOS = 270


def main(release: Path) -> None:
    """Measure the release in a folder and print the results."""
    text, image = load_text(release)[0], load_image(release)[0]
    codes = list(DRAWINGS)
    photos = [draw_product(np.random.default_rng([99, at]), codes[at % len(codes)], 0.0) for at in range(PHOTOS)]
    hits, chance = hit_share(image, photos)
    results = {
        "text_cost": round(text_cost(text), 2),
        "photo_cost": round(photo_cost(image, photos[:40]), 2),
        "hit_share": round(hits, 3),
        "hit_share_by_chance": round(chance, 3),
    }
    sys.stdout.write(json.dumps(results, indent=1) + "\n")


def text_cost(model: TextModel) -> float:
    """Return the CPU time of predicting and explaining texts, divided by that of predicting them."""
    made = [offer(7, number, TEXTS) for number in range(TEXTS)]
    predicted = _cpu_s(lambda: [model.probabilities([one.title], [one.description]) for one in made])
    explained = _cpu_s(lambda: [model.explain(one.title, one.description, 0) for one in made])
    return (predicted + explained) / predicted


def photo_cost(model: ImageModel, photos: list[DrawnPhoto]) -> float:
    """Return the CPU time of explaining photos (and predicting them), divided by that of predicting."""
    predicted = _cpu_s(lambda: [model.probabilities([one.jpeg]) for one in photos])
    explained = _cpu_s(
        lambda: [occlusion.occlusion_map(model, decoding.decode(one.jpeg, model.size), 0) for one in photos]
    )
    return explained / predicted


def hit_share(model: ImageModel, photos: list[DrawnPhoto]) -> tuple[float, float]:
    """Return the share of photos whose most important region lies in the product, and that of all regions."""
    hits, shares = [], []
    for photo in photos:
        pixels = decoding.decode(photo.jpeg, model.size)
        predicted = int(model.probabilities_from_pixels(pixels[None])[0].argmax())
        drop = occlusion.occlusion_map(model, pixels, predicted)
        inside = regions_of_product(photo)
        hits.append(inside[np.unravel_index(drop.argmax(), drop.shape)])
        shares.append(inside.mean())
    return float(np.mean(hits)), float(np.mean(shares))


def regions_of_product(photo: DrawnPhoto) -> NDArray[np.bool_]:
    """Return which regions `[GRID, GRID]` have their center in the square in which the product is drawn."""
    side = max(photo.width, photo.height)
    centers = (np.arange(occlusion.GRID) + 0.5) / occlusion.GRID * side
    across = np.abs(centers - (side - photo.width) / 2 - photo.center[0]) <= photo.side / 2
    down = np.abs(centers - (side - photo.height) / 2 - photo.center[1]) <= photo.side / 2
    return down[:, None] & across[None, :]


def _cpu_s(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main(Path(sys.argv[1]))
