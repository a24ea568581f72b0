"""Compare a window of predictions with the reference of the release that made them."""
