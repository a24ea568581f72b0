"""Tables of any accepted format, read row by row, every cell as text."""

from product_classifier.catalogue.tables.table import Table, TableRow
from product_classifier.catalogue.tables.table_files import find_table_files, open_table

__all__ = ["Table", "TableRow", "find_table_files", "open_table"]
