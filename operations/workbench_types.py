"""Check the types of the workbench's modules with TypeScript: `python -m operations.workbench_types`.

Needs node; TypeScript comes from npm's cache or registry, and is no part of the repository. Without either the check is
skipped with its reason.
"""

import shutil
import subprocess
import sys
from pathlib import Path

TYPESCRIPT = "typescript@5.9.3"
PROJECT = Path(__file__).parents[1] / "inference/auth_proxy/workbench/jsconfig.json"
FETCH_TIMEOUT_S = 120


def main() -> int:
    """Return the exit status of the compiler; 0 if there is none."""
    npx = shutil.which("npx")
    if npx is None:
        return _skip("no npx on the path; install node")
    compiler = [npx, "--yes", f"--package={TYPESCRIPT}", "tsc"]
    try:
        subprocess.run([*compiler, "--version"], check=True, capture_output=True, timeout=FETCH_TIMEOUT_S)  # noqa: S603 - our own command
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return _skip(f"npm cannot fetch {TYPESCRIPT}; connect to its registry once")
    return subprocess.run([*compiler, "--project", PROJECT], check=False).returncode  # noqa: S603 - our own command


def _skip(reason: str) -> int:
    sys.stderr.write(f"workbench: types not checked: {reason}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
