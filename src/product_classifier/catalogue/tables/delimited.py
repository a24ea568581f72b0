"""CSV and TSV files: detect delimiter and quotes, read records."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.tables.csv_records import CsvRecords, Dialect
from product_classifier.catalogue.tables.table import Table, TableRow
from product_classifier.catalogue.tables.text_encodings import decoded_lines, detect_encoding
from product_classifier.errors import CatalogueError

DELIMITERS: Final = (",", ";", "\t", "|")

_SAMPLE_LINES: Final = 400
_SEPARATOR_LINE: Final = "sep="


def open_delimited(path: Path, name: str, layout: CatalogueLayout) -> Table:
    """Open a CSV or TSV file; settings of the layout take precedence over what is detected.

    Args:
        path: The file.
        name: Its name without a compression suffix.
        layout: Its `header`, `delimiter`, `quote` and `encoding` are used.

    Raises:
        CatalogueError: If the file is empty or its encoding is neither given nor detected.
    """
    encoding = layout.encoding or detect_encoding(path)
    sample = list(islice(decoded_lines(path, encoding), _SAMPLE_LINES))
    skipped = int(bool(sample) and sample[0].lower().startswith(_SEPARATOR_LINE))
    stated = sample[0].rstrip("\r\n")[len(_SEPARATOR_LINE) :] if skipped else ""
    sample = sample[skipped:]
    if not any(line.strip() for line in sample):
        raise CatalogueError(f"{path.name}: has no rows and no header; check the file")
    delimiter = layout.delimiter or (stated if len(stated) == 1 else "") or ("\t" if name.endswith(".tsv") else "")
    dialect = _detect_dialect(sample, delimiter, layout.quote)

    def rows() -> Iterator[TableRow]:
        records = CsvRecords(islice(decoded_lines(path, encoding), skipped, None), dialect)
        width = len(first.cells) if (first := next(records, None)) else 0
        if first is not None and not layout.header:
            yield TableRow(first.line + skipped, first.cells, first.problem)
        for row in records:
            if not row.problem and len(row.cells) != width:
                row = records.reject(row, f"{len(row.cells)} fields instead of {width}")  # noqa: PLW2901 - the same row
            yield TableRow(row.line + skipped, row.cells, row.problem)

    header = next(CsvRecords(iter(sample), dialect)).cells
    columns = [str(cell).strip() for cell in header] if layout.header else [str(at) for at in range(len(header))]
    description = f"{'TSV' if dialect.delimiter == chr(9) else 'CSV'}, {encoding}, {dialect}"
    return Table(path.name, tuple(columns), layout.header, rows, description)


def _detect_dialect(sample: list[str], delimiter: str, quote: str | None) -> Dialect:
    """Return the dialect whose sample has the most rows of one width, and of those the widest."""
    quotes = [quote] if quote is not None else ['"', ""]
    candidates = [Dialect(one, mark) for one in ([delimiter] if delimiter else DELIMITERS) for mark in quotes]
    # `max` returns the first of equals, so commas and quotes are preferred.
    return max(candidates, key=lambda dialect: _score(sample, dialect))


def _score(sample: list[str], dialect: Dialect) -> tuple[float, bool, float]:
    """Return how well a dialect fits: share of rows of the commonest width above 1, and few stray quotes."""
    widths: Counter[int] = Counter()
    stray = 0
    # The last record may be cut by the end of the sample.
    records = list(CsvRecords(iter(sample), dialect))
    for row in records[:-1] if len(records) > 1 else records:
        widths[0 if row.problem else len(row.cells)] += 1
        if not dialect.quote:
            stray += sum(cell[:1] == '"' and cell[-1:] == '"' and len(cell) > 1 for cell in row.cells if cell)
    width, count = widths.most_common(1)[0]
    if width < 2:
        # One column in every row: every delimiter and quote fits equally badly.
        return (0.0 if width == 0 else 0.01, stray == 0, 0.0)
    share = count / sum(widths.values())
    return (round(share, 2), stray == 0, min(width, 50) / 50)
