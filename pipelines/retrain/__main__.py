"""`python -m pipelines.retrain [--once]`."""

import sys

from pipelines.retrain.service import main

if __name__ == "__main__":
    sys.exit(main())
