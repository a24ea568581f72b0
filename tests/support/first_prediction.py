"""Run `make run` in an empty folder, predict, stop: `python -m tests.support.first_prediction FOLDER`."""

import json
import sys
import time
from pathlib import Path

from tests.support.gateway_client import predict
from tests.support.make_run import MakeRun
from tests.support.servers import free_ports


def main(folder: Path) -> int:
    """Return 0 when a prediction succeeded and everything stopped with status 0."""
    start_s = time.monotonic()
    run = MakeRun(folder / "state", free_ports(), DATA_DIR=str(folder / "data"), PRODUCTS="800")
    try:
        run.wait_for("Ready after", within_s=900)
        prediction = predict(run, designation="Piscine gonflable pour enfant")
        took_s = time.monotonic() - start_s
    finally:
        run.press_ctrl_c()
        status = run.wait()
    print(run.output)  # noqa: T201
    quoted = json.dumps(prediction, ensure_ascii=False)[:200]
    print(f"first prediction after {took_s:.0f} s: {quoted}; stopped with {status}")  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
