"""Former names of command line options."""

import argparse
import warnings
from collections.abc import Sequence
from typing import Any


class FormerOption(argparse.Action):
    """Set the option `dest` by its former name, with a `DeprecationWarning`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        warnings.warn(
            f"{parser.prog}: {option_string} is now --{self.dest}; rename it", DeprecationWarning, stacklevel=2
        )
        setattr(namespace, self.dest, values)


def add_former_option(parser: argparse.ArgumentParser, former: str, **present: Any) -> None:
    """Add an option that `--help` does not list; `present` has `dest` and `type` of the present one."""
    parser.add_argument(former, action=FormerOption, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **present)


def show_deprecations() -> None:
    """Print the warnings of former options, which Python hides by default."""
    warnings.filterwarnings("default", category=DeprecationWarning, message=r".* is now --\w+; rename it")
