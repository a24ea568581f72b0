"""Read the tables of products that the steps write: Parquet, with category codes as texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pandas as pd
from pandas.api.types import is_integer_dtype


def read_products(source: Path | BinaryIO, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a table of products; integer codes, which earlier versions wrote, become their decimal texts."""
    products = pd.read_parquet(source, columns=None if columns is None else list(columns))
    if "code" in products and is_integer_dtype(products["code"]):
        products["code"] = products["code"].astype(str)
    return products
