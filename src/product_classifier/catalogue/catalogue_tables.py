"""Tables of a catalogue's products and rejected rows."""

from collections.abc import Iterable

import pandas as pd

from product_classifier.catalogue.catalogue_rows import RejectedRow, RevisionDigest


def data_revision(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of the content of a catalogue; paths of photos do not count."""
    digest = RevisionDigest()
    columns = ["product_id", "code", "designation", "description", "image_sha256"]
    for row in frame[columns].itertuples(index=False, name=None):
        digest.update(*row)
    return digest.hexdigest()


def rejects_table(rejects: Iterable[RejectedRow]) -> pd.DataFrame:
    """Return the rejected rows as a table with one row each."""
    names = ["file", "line", "field", "value", "reason"]
    return pd.DataFrame([[getattr(reject, name) for name in names] for reject in rejects], columns=names)
