"""Compare a new release with the champion on the same products."""
