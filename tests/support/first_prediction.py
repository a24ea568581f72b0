"""python -m tests.support.first_prediction FOLDER: `make run` from nothing to the first answer, then Ctrl-C."""

import json
import sys
import time
from pathlib import Path

from tests.support.predictions import predict
from tests.support.run_of_make import MakeRun
from tests.support.servers import free_ports


def main(folder: Path) -> int:
    """Return 0 when a product was answered and everything stopped cleanly."""
    began = time.monotonic()
    run = MakeRun(folder / "state", free_ports(), DATA_DIR=str(folder / "data"), PRODUCTS="800")
    try:
        run.wait_for("Ready after", within_s=900)
        answer = predict(run, designation="Piscine gonflable pour enfant")
        took_s = time.monotonic() - began
    finally:
        run.press_ctrl_c()
        status = run.wait()
    print(run.said)  # noqa: T201
    print(f"first answer after {took_s:.0f} s: {json.dumps(answer, ensure_ascii=False)[:200]}; stopped with {status}")  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
