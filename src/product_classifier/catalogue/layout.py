"""The layout of a catalogue: its files, their columns, and how a category is written.

`catalogue.yaml` beside the files states it (see `layout_file`); the Rakuten challenge's is built in (see `challenge`).
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MINIMUM_PRODUCTS: Final = 5

Column = Annotated[int, Field(ge=0, strict=True)] | Annotated[str, Field(min_length=1, strict=True)]
"""A column by its name in the header, or by its position from 0."""


class LayoutPart(BaseModel):
    """A mapping of `catalogue.yaml`; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ProductColumns(LayoutPart):
    """Which column holds what."""

    category: Column | Annotated[list[Column], Field(min_length=1)]
    """The category: a code, a name or a path. Several columns are the parts of a path, broadest first."""

    designation: Column | None = None
    """The title."""

    description: Column | None = None
    """The longer text; HTML is accepted."""

    image: Column | None = None
    """The photo: a file name, a path below `images`, or a URL. Of several in a JSON list the first is used."""

    id: Column | None = None
    """The product's id. Without it, ids are the file's name and the line."""

    group: Column | None = None
    """Offers of one product: rows of the same group never cross a split."""

    extra: list[Column] = []
    """Further text columns, such as a brand; their values are appended to the designation."""

    @model_validator(mode="after")
    def _has_input(self) -> "ProductColumns":
        if self.designation is None and self.image is None:
            raise ValueError("needs `designation` or `image`; name the column of one of them")
        return self


class CategoryCell(LayoutPart):
    """How the cell of a category is written. Without `separator` and labels file, the cell is the code."""

    separator: str = ""
    """Text between the parts of a path, such as " >> "; blanks around a part are dropped."""

    level: int | None = Field(default=None, ge=1)
    """How many parts of a path make the category; by default all."""

    minimum_products: int = Field(default=MINIMUM_PRODUCTS, ge=1)
    """Categories with fewer products are reported as too small."""


class CatalogueLayout(LayoutPart):
    """The layout of a catalogue, as `catalogue.yaml` states it."""

    products: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    """Names or patterns of the files of products: CSV, TSV, Parquet, JSON Lines or Excel, compressed or not."""

    columns: ProductColumns
    """Which column holds what, by name or by position from 0."""

    category: CategoryCell = CategoryCell()
    """How a category is written."""

    name: str = ""
    """A name for the catalogue, shown in reports."""

    languages: list[Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]] = []
    """Languages of the texts and labels, such as `en`; labels of a path are in the first one."""

    header: bool = True
    """Whether the first row of a CSV, TSV or Excel file has the names of the columns."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Character between the fields of a CSV file; by default it is detected."""

    quote: Annotated[str, Field(max_length=1)] | None = None
    """Character around fields that contain the delimiter; "" for none; by default it is detected."""

    encoding: str | None = None
    """Encoding of text files; by default UTF-8, else cp1252. `mixed` decodes each line as UTF-8, else as cp1252."""

    codes: Literal["string", "integer"] = "string"
    """How JSON shows category codes."""

    labels: str | None = None
    """File with the columns `code`, `parent`, `label_<language>`, `synonyms`, `guideline`; only `code` is needed."""

    images: str | None = None
    """Folder of the photos, relative to the files of products, or a prefix such as `s3://bucket/photos`; by default the
    folder of the files."""

    @model_validator(mode="after")
    def _level_needs_paths(self) -> "CatalogueLayout":
        if (
            self.category.level is not None
            and not self.category.separator
            and not isinstance(self.columns.category, list)
        ):
            raise ValueError("`category.level` needs paths; give `category.separator` too")
        return self
