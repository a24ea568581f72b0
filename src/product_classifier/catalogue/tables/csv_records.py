"""Records of CSV text with their line numbers; reading resumes after a malformed record."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from product_classifier.catalogue.tables.table import TableRow
from product_classifier.limits import CSV_FIELD_BYTES

MAX_RECORD_LINES: Final = 100_000
"""Lines of one record; an unclosed quote reads at most as many before its record is rejected."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are delimited and quoted; `quote` is empty if quotes are ordinary characters."""

    delimiter: str = ","
    quote: str = '"'

    def __str__(self) -> str:
        quoted = f"quote {self.quote}" if self.quote else "no quotes"
        return f"delimiter {self.delimiter!r}, {quoted}"


class CsvRecords:
    """Iterates over the records of lines of text.

    After a malformed record reading resumes one line after its start, so that an unclosed quote does not consume the
    rest of the file.
    """

    def __init__(self, lines: Iterator[str], dialect: Dialect = Dialect()) -> None:
        csv.field_size_limit(CSV_FIELD_BYTES)
        self._source = lines
        self._dialect = dialect
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self._line = 0
        self._reader = self._new_reader()

    def __iter__(self) -> "CsvRecords":
        return self

    def __next__(self) -> TableRow:
        """Return the next record that is not an empty line; its cells are one raw line if it is malformed."""
        while True:
            self._record.clear()
            start = self._line + 1
            try:
                cells = next(self._reader)
            except csv.Error as error:
                return self._reject(start, f"not a CSV row: {error}")
            if cells:
                return TableRow(start, cells)

    def reject(self, row: TableRow, problem: str) -> TableRow:
        """Return the record just read as malformed; reading resumes one line after its start."""
        return self._reject(row.line, problem)

    def _reject(self, start: int, problem: str) -> TableRow:
        first, *rest = self._record
        self._again.extendleft(reversed(rest))
        self._line = start
        self._reader = self._new_reader()
        return TableRow(start, [first], problem)

    def _new_reader(self) -> Iterator[list[str]]:
        if self._dialect.quote:
            return csv.reader(
                self._lines(), delimiter=self._dialect.delimiter, quotechar=self._dialect.quote, strict=True
            )
        return csv.reader(self._lines(), delimiter=self._dialect.delimiter, quoting=csv.QUOTE_NONE, strict=True)

    def _lines(self) -> Iterator[str]:
        while True:
            line = self._again.popleft() if self._again else next(self._source, None)
            if line is None:
                return
            self._line += 1
            self._record.append(line)
            if len(self._record) > MAX_RECORD_LINES:
                raise csv.Error(f"a quoted field has more than {MAX_RECORD_LINES:,} lines")
            yield line
