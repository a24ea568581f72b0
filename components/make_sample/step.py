"""Make a sample catalogue, unless the files of the challenge are there."""

from pathlib import Path

from components.shared import progress
from product_classifier.catalogue.challenge.challenge_files import is_challenge
from product_classifier.catalogue.challenge.sample import is_sample, make_sample


def run(folder: Path, products: int = 2500, seed: int = 7) -> str:
    """Make the sample catalogue in `folder`; return a message with what the folder holds.

    Args:
        folder: Folder of the raw files; files of the challenge in it are left unchanged.
        products: Number of products.
        seed: Seed of the generator.
    """
    if is_challenge(folder) and not is_sample(folder):
        return f"{folder}: files of the challenge, left unchanged"
    made = make_sample(folder, products, seed, progress.on_stderr())
    return f"{folder}: sample of {products} products, seed {seed}, {'made now' if made else 'made before'}"
