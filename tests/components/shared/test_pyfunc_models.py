"""The registered models load with MLflow alone, and predict what the servers predict."""

import json
import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import pyfunc
from mlflow.exceptions import MlflowException
from packaging.requirements import Requirement

from components.shared.pyfunc_models import REQUIREMENTS, save_pyfunc
from components.shared.registry import TrainingRecord, log_runs, register_models
from components.shared.serving_check import KnownProduct, ReleaseModels
from components.shared.tracking import Tracking
from product_classifier.bundles.bundle import KINDS, Kind
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import InvalidProduct
from product_classifier.model_names import BY_BUNDLE, FUSION
from product_classifier.releases.release import Release, load_image, load_text
from tests.support.tiny_release import make_release, photo

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own

PRODUCTS = (
    KnownProduct("Livre de cuisine", "<p>Recettes</p>", photo(40)),
    KnownProduct("Piscine gonflable", "", None),
    KnownProduct("", "", photo(200, "PNG")),
)
IN_A_NEW_ENVIRONMENT = """
import json, sys
import pandas as pd
from mlflow import pyfunc
uri, products = sys.argv[1:]
answers = pyfunc.load_model(uri).predict(pd.read_pickle(products))
import product_classifier
print(json.dumps([product_classifier.__file__, answers["probabilities"].map(list).tolist()], default=float))
"""


def frame(products: tuple[KnownProduct, ...] = PRODUCTS) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "designation": [one.designation for one in products],
            "description": [one.description for one in products],
            "image": [one.photo for one in products],
        }
    )


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make_release(tmp_path_factory.mktemp("release"), 1)


@pytest.fixture(scope="module")
def registered(release: Release, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URI of an MLflow where the release is the champion."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    tracking = Tracking(uri, "product-classifier")
    training = TrainingRecord("d-a", "0123abc", {}, {"text": {"weighted_f1": 0.7}})
    register_models(tracking, release, training, log_runs(tracking, training))
    tracking.set_champion_alias(release.id)
    return uri


def saved(release: Release, kind: Kind, folder: Path) -> Any:
    save_pyfunc(release, kind, folder / kind)
    return pyfunc.load_model(str(folder / kind))


def expected(release: Release, kind: Kind) -> np.ndarray:
    if kind == "fusion":
        models = ReleaseModels(release.path)
        return np.stack([models.predict(one) for one in PRODUCTS])
    if kind == "text":
        return load_text(release.path)[0].probabilities(*map(list, (frame()["designation"], frame()["description"])))
    return load_image(release.path)[0].probabilities([one.photo for one in PRODUCTS if one.photo])


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_predicts_as_the_release_does(release: Release, kind: Kind, tmp_path: Path) -> None:
    products = frame().dropna(subset="image") if kind == "image" else frame()
    answers = saved(release, kind, tmp_path).predict(products)

    np.testing.assert_allclose(np.stack(answers["probabilities"]), expected(release, kind), atol=1e-6)
    best = np.stack(answers["probabilities"]).argmax(axis=1)
    assert [CHALLENGE.to_json_code(CHALLENGE.codes[one]) for one in best] == answers["code"].tolist()
    assert answers.index.equals(products.index)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_predicts_its_input_example(release: Release, kind: Kind, tmp_path: Path) -> None:
    model = saved(release, kind, tmp_path)

    assert 1 == len(model.predict(model.input_example))
    assert model.metadata.signature.outputs.input_names() == ["code", "probability", "probabilities"]


@pytest.mark.parametrize("columns", [["designation"], ["image"], ["designation", "description"]])
def test_the_fusion_predicts_from_the_columns_that_are_there(
    release: Release, columns: list[str], tmp_path: Path
) -> None:
    answers = saved(release, "fusion", tmp_path).predict(frame(PRODUCTS[:1])[columns])

    assert [1.0] == pytest.approx([sum(row) for row in answers["probabilities"]], abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "products", "message"),
    [
        ("fusion", {"designation": [" "], "image": [b""]}, "row 0: has neither text nor image"),
        ("image", {"image": [b""]}, "row 0: has no photo"),
    ],
)
def test_a_product_without_a_modality_is_refused(
    release: Release, kind: Kind, products: dict[str, list[object]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidProduct, match=message):
        saved(release, kind, tmp_path).predict(pd.DataFrame(products))


def test_the_signature_refuses_a_product_without_a_designation(release: Release, tmp_path: Path) -> None:
    with pytest.raises(MlflowException, match="designation"):
        saved(release, "text", tmp_path).predict(pd.DataFrame({"description": ["rouge"]}))


def test_the_champion_loads_by_its_alias(registered: str, release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered)

    model = pyfunc.load_model(f"models:/{FUSION}@champion")

    np.testing.assert_allclose(
        np.stack(model.predict(frame())["probabilities"]), expected(release, "fusion"), atol=1e-6
    )
    assert release.id == model.metadata.metadata["release"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_environment_of_the_declared_requirements_loads_and_predicts(
    registered: str, release: Release, kind: Kind, tmp_path: Path
) -> None:
    python = environment(tmp_path / "venv", f"{BY_BUNDLE[kind]}@champion", registered)
    products = frame().dropna(subset="image") if kind == "image" else frame()
    products.to_pickle(tmp_path / "products.pkl")
    command = [str(python), "-I", "-c", IN_A_NEW_ENVIRONMENT, f"models:/{BY_BUNDLE[kind]}@champion"]
    variables = {"MLFLOW_TRACKING_URI": registered, "HOME": str(tmp_path), "PATH": os.defpath}
    done = subprocess.run(
        [*command, str(tmp_path / "products.pkl")], env=variables, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr

    code, probabilities = json.loads(done.stdout.splitlines()[-1])
    assert str(Path(__file__).parents[3]) not in code
    np.testing.assert_allclose(np.array(probabilities), expected(release, kind), atol=1e-5)


def environment(folder: Path, model: str, registry: str) -> Path:
    """Create an environment of links with what a model requires; return its Python."""
    os.environ["MLFLOW_TRACKING_URI"] = registry
    try:
        requirements = Path(pyfunc.get_model_dependencies(f"models:/{model}")).read_text().split()
    finally:
        del os.environ["MLFLOW_TRACKING_URI"]
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    for one in closure(requirements):
        for path in {str(file).split("/")[0] for file in one.files or () if not str(file).startswith("..")}:
            source = Path(str(one.locate_file(path)))
            if source.exists() and not (packages / path).exists():
                (packages / path).symlink_to(source)
    return folder / "bin" / Path(sys.executable).name


def closure(requirements: list[str]) -> Iterator[Distribution]:
    """Yield the distributions that requirements need, as installed here."""
    seen, waiting = set(), [Requirement(one) for one in requirements]
    while waiting:
        requirement = waiting.pop()
        extras = ["", *requirement.extras]
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        if requirement.name.lower() in seen:
            continue
        seen.add(requirement.name.lower())
        found = distribution(requirement.name)
        assert requirement.specifier.contains(found.version), requirement
        yield found
        waiting += [Requirement(one) for one in found.requires or () if "extra ==" not in one]


def test_the_trainer_installs_what_a_model_requires() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    installed = {Requirement(one).name for one in project["dependencies"] + project["optional-dependencies"]["train"]}

    assert set() == {name for names in REQUIREMENTS.values() for name in names} - installed
