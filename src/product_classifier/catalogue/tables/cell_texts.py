"""Values of columnar files as text."""

import datetime as dt
import decimal
import json
from collections.abc import Sequence


def cell_text(cell: object) -> str | None:
    """Return a value as text: whole numbers without a fraction, lists as JSON; None for no value."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        if cell != cell:  # noqa: PLR0124 - not a number
            return None
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**63 else repr(cell)
    if isinstance(cell, decimal.Decimal):
        return f"{cell:f}"
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    if isinstance(cell, bytes):
        return cell.decode("utf-8", errors="replace")
    if isinstance(cell, Sequence):
        return json.dumps([cell_text(one) for one in cell], ensure_ascii=False)
    return str(cell)
