"""Internals of Starlette, checked with starlette 1.10.0 by tests/inference/compat/test_starlette.py.

`Utf8MultiPartParser` overrides `MultiPartParser.on_part_end` and uses its `_current_part` and `_charset`: the parser
decodes text fields in the charset that the client names, and as Latin-1 if that fails. A product's text is UTF-8, and
other bytes are an error of the client, not other characters.
"""

from starlette.formparsers import MultiPartException, MultiPartParser


class Utf8MultiPartParser(MultiPartParser):
    """Decodes every text field as UTF-8; raises MultiPartException for one that is not."""

    def on_part_end(self) -> None:
        if self._current_part.file is None:
            try:
                self._current_part.data.decode("utf-8")
            except UnicodeDecodeError as error:
                field = self._current_part.field_name
                raise MultiPartException(f"field {field!r} is not UTF-8 at byte {error.start}; send UTF-8") from error
        self._charset = "utf-8"
        super().on_part_end()
