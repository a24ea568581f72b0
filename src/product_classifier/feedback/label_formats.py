"""Formats of files with labels."""

from collections.abc import Mapping
from typing import Literal

LabelFormat = Literal["csv", "jsonl", "label-studio"]
MEDIA_TYPES: Mapping[LabelFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "label-studio": "application/json",
}
SUFFIXES: Mapping[LabelFormat, str] = {"csv": "csv", "jsonl": "jsonl", "label-studio": "json"}
