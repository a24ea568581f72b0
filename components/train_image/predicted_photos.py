"""What training an image model returns besides its graph."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.shared.out_of_fold import OutOfFold


@dataclass(frozen=True)
class PredictedPhotos:
    """Out-of-fold predictions of photos, with the columns of the true categories `[n]`."""

    out_of_fold: OutOfFold
    labels: NDArray[np.int64]
