"""Make a catalogue to start with, unless there is one."""

from pathlib import Path

from components.shared import progress
from product_classifier.catalogue.raw_files import is_challenge
from product_classifier.catalogue.sample import is_sample, make_sample


def run(folder: Path, products: int = 2500, seed: int = 7) -> str:
    """Make the sample catalogue in `folder`, unless the challenge's files are there; say which it is now."""
    if is_challenge(folder) and not is_sample(folder):
        return f"{folder}: the challenge's files, left as they are"
    made = make_sample(folder, products, seed, progress.on_stderr())
    return f"{folder}: sample of {products} products, seed {seed}, {'made now' if made else 'made before'}"
