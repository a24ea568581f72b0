"""Read settings from the environment; invalid values become one message that names the variables."""

import json
import os
import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from product_classifier.errors import InvalidSettings
from product_classifier.settings_help import Variable, variables
from product_classifier.validation_messages import MAX_ERRORS, field_of, message_of, public_message

SECRETS_DIR = "SECRETS_DIR"
"""Variable that names a folder of files, each with the value of the variable of its name, such as /run/secrets."""

_SECRET_NAMES = re.compile(r"TOKEN|PASSWORD|SECRET|KEY")

S = TypeVar("S", bound=BaseSettings)


def read_settings(settings: type[S], **given: Any) -> S:
    """Return the settings: those in `given` first, then the environment, then the files of `SECRETS_DIR`.

    Raises:
        InvalidSettings: If values are not accepted; the message names each variable, and no secret.
    """
    folder = os.environ.get(SECRETS_DIR) or None
    if folder is not None and not Path(folder).is_dir():
        raise InvalidSettings(f"{SECRETS_DIR}: {public_message(folder)} is no folder; name one, or leave it empty")
    try:
        return settings(_secrets_dir=folder, **given)
    except SettingsError as error:
        raise InvalidSettings("; ".join(_not_json(settings)) or str(error)) from error
    except ValidationError as error:
        listed = {one.names[0].lower(): one for one in variables(settings)}
        fields = dict(zip(settings.model_fields, variables(settings), strict=True))
        lines = []
        for one in error.errors(include_url=False)[:MAX_ERRORS]:
            name = field_of(one).partition(".")[0]
            variable = fields.get(name) or listed.get(name.lower())
            where = variable.names[0] if variable else name.upper() or "settings"
            quote = variable is not None and _is_public(variable, one["input"])
            lines.append(f"{where}: {message_of(one, quote=quote)}")
        raise InvalidSettings("; ".join(lines)) from error


def _is_public(variable: Variable, value: object) -> bool:
    """Return whether a message may quote the value: no secret, and no URL that may hold one."""
    return (
        not variable.type.startswith("secret")
        and not _SECRET_NAMES.search(variable.names[0].upper())
        and not {"@", "?"}.intersection(str(value))
    )


def _not_json(settings: type[BaseSettings]) -> list[str]:
    """Return a message for each variable of a list or an object whose value is not JSON."""
    environment = {name.lower(): (name, value) for name, value in os.environ.items()}
    found = []
    for variable in variables(settings):
        if not variable.type.startswith("JSON"):
            continue
        example = '["a", "b"]' if variable.type.startswith("JSON list") else '{"a": "b"}'
        for name, value in (environment[one.lower()] for one in variable.names if one.lower() in environment):
            try:
                json.loads(value)
            except ValueError:
                found.append(f"{name}: {public_message(value)} is not JSON; write it as {example}")
    return found
