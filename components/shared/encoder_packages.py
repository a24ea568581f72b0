"""The packages that fine-tune encoders, which the default installation does not have."""

import importlib

from product_classifier.errors import InvalidSettings

ENCODER_PACKAGES = ("torch", "transformers")


def require_encoder_packages(parameter: str, value: str, packages: tuple[str, ...] = ENCODER_PACKAGES) -> None:
    """Raise `InvalidSettings`, naming the parameter and its value, unless all packages can be imported."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise InvalidSettings(f"{parameter}: {value!r:.80} needs {package}; run `make encoders`") from error
