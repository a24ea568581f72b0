from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.shared.out_of_fold import (
    FOLDS,
    FOLDS_OF_MANY,
    MANY,
    OutOfFold,
    folds_of,
    read_labelled,
    read_out_of_fold,
    write_out_of_fold,
)
from product_classifier.errors import CatalogueError
from product_classifier.top_probabilities import TopProbabilities


@pytest.mark.parametrize("ids", [[7, -3], ["0870", "870"]])
@pytest.mark.parametrize("codes", [("10", "40", "50"), ("0870", "870", "Maison > Jardin")])
def test_what_is_read_is_what_was_written(ids: list[object], codes: tuple[object, ...], tmp_path: Path) -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(3), 2).astype(np.float32)

    write_out_of_fold(tmp_path / "some" / "file", OutOfFold(np.array(ids), TopProbabilities.of(probabilities), codes))  # type: ignore[arg-type]
    found = read_out_of_fold(tmp_path / "some" / "file")

    assert (ids, codes) == (list(found.product_ids), found.codes)
    assert np.array_equal(probabilities, found.probabilities.dense())
    assert [1, -1, 0] == found.rows_of(np.array([ids[1], ids[1] * 2, ids[0]])).tolist()  # type: ignore[operator]


def test_no_products_are_a_file_too(tmp_path: Path) -> None:
    write_out_of_fold(
        tmp_path / "file", OutOfFold(np.zeros(0, np.int64), TopProbabilities.uniform(0, 3), ("1", "2", "3"))
    )

    found = read_out_of_fold(tmp_path / "file")

    assert (0, 3) == found.probabilities.kept.shape
    assert [-1] == found.rows_of(np.array([5])).tolist()


@pytest.mark.parametrize(("ids", "classes"), [([1, 1], 2), ([1, 2], 3)])
def test_predictions_that_do_not_agree_are_refused(ids: list[int], classes: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"2 product ids, . distinct, with 2 rows of probabilities of 2 categories"):
        write_out_of_fold(
            tmp_path / "file", OutOfFold(np.array(ids), TopProbabilities.uniform(2, 2), tuple(map(str, range(classes))))
        )


def test_another_parquet_file_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"product_id": [1]}).to_parquet(tmp_path / "file")

    with pytest.raises(CatalogueError, match="file: is not a file of out-of-fold predictions of version 1"):
        read_out_of_fold(tmp_path / "file")


def test_steps_that_read_other_columns_get_the_same_folds(splits_dir: Path) -> None:
    splits = splits_dir / "train.parquet", splits_dir / "validation.parquet"

    products, held_out = read_labelled(*splits)
    with_photos, _ = read_labelled(*splits, ["image_path", "photo"])

    assert folds_of(products, 27).tolist() == folds_of(with_photos, 27).tolist()
    assert {"image_path"} == set(with_photos) - set(products)
    assert [len(pd.read_parquet(split)) for split in splits] == [sum(~held_out), sum(held_out)]


@pytest.mark.parametrize(("products", "expected"), [(100, FOLDS), (MANY + 1, FOLDS_OF_MANY)])
def test_many_products_have_fewer_folds(products: int, expected: int) -> None:
    texts = [f"produit {number}" for number in range(products)]
    frame = pd.DataFrame({"designation": texts, "description": "", "image_sha256": "", "code": 10})

    assert expected == len(set(folds_of(frame, 27).tolist()))
