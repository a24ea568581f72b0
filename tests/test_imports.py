"""Who may import whom. The direction is what keeps training and serving apart, and images small."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "product_classifier": ROOT / "src" / "product_classifier",
    "components": ROOT / "components",
    "pipelines": ROOT / "pipelines",
    "inference": ROOT / "inference",
    "operations": ROOT / "operations",
}
FORBIDDEN = {
    "product_classifier": {
        "components",
        "pipelines",
        "inference",
        "operations",
        "kfp",
        "kserve",
        "fastapi",
        "uvicorn",
        "kubernetes",
        "mlflow",
        "torch",
    },
    "components": {"pipelines", "inference", "operations", "kserve", "fastapi", "kubernetes"},
    "pipelines": {"inference", "operations", "kserve", "fastapi", "torch", "mlflow"},
    "inference": {"components", "pipelines", "operations", "kfp", "mlflow", "torch", "transformers", "sklearn"},
    "operations": {"kserve", "fastapi", "torch", "mlflow", "transformers", "sklearn"},
}
"""Never, not even inside a function."""

EXEMPT = {"pipelines/retrain/service.py": {"fastapi"}, "components/shared/kubernetes_api.py": {"kubernetes"}}
"""The trigger is a service that starts pipelines: it answers as the services do. Putting a release into service on a
cluster is patching its objects, and one module does all the talking."""

LIGHT = {"kfp", "components", "typing"}
"""All that a face may import at module level."""


def modules(package: str) -> list[Path]:
    return sorted(PACKAGES[package].rglob("*.py"))


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the top-level packages imported anywhere below a node."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in found.names)
        elif isinstance(found, ast.ImportFrom) and found.module and not found.level:
            yield found.module.partition(".")[0]


def all_of(path: Path) -> set[str]:
    """Return the packages a module imports, inside functions too."""
    return set(imported(ast.parse(path.read_text(encoding="utf-8"))))


def top_level(path: Path) -> set[str]:
    """Return the packages a module imports when it is imported itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return {name for node in statements for name in imported(node)}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_in_its_direction(package: str) -> None:
    wrong = {
        name: sorted(found)
        for path in modules(package)
        if (found := FORBIDDEN[package] & all_of(path) - EXEMPT.get(name := str(path.relative_to(ROOT)), set()))
    }

    assert {} == wrong


def test_only_faces_import_kfp_among_the_components() -> None:
    users = {path.name for path in modules("components") if "kfp" in top_level(path)}

    assert {"component.py"} == users


@pytest.mark.parametrize(
    "face", sorted(PACKAGES["components"].glob("*/component.py")), ids=lambda path: path.parent.name
)
def test_a_face_is_light_at_module_level_and_says_what_it_takes(face: Path) -> None:
    tree = ast.parse(face.read_text(encoding="utf-8"))
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]

    assert top_level(face) <= LIGHT
    assert "annotations" not in {
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert face.parent.name == function.name
    assert ast.get_docstring(function)


@pytest.mark.parametrize("step", sorted(PACKAGES["components"].glob("*/step.py")), ids=lambda path: path.parent.name)
def test_a_step_loads_the_heavy_libraries_only_when_it_runs(step: Path) -> None:
    assert set() == top_level(step) & {"torch", "sklearn", "transformers", "mlflow", "kfp", "matplotlib"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        pytest.param(
            "import pipelines.training", "torch sklearn mlflow pandas transformers onnxruntime", id="compiling"
        ),
        pytest.param(
            "import product_classifier.store, product_classifier.evaluation.gate",
            "torch kfp pandas mlflow",
            id="domain",
        ),
        pytest.param("import inference.text_predictor.__main__", "torch sklearn mlflow kfp transformers", id="text"),
        pytest.param("import inference.image_predictor.__main__", "torch sklearn mlflow kfp transformers", id="image"),
        pytest.param(
            "import inference.image_predictor.model", "torch sklearn mlflow kfp transformers PIL", id="image model"
        ),
        pytest.param(
            "import inference.fusion_transformer.__main__", "torch sklearn mlflow kfp transformers cv2", id="fusion"
        ),
        pytest.param(
            "import inference.auth_proxy.__main__, inference.auth_proxy.app",
            "torch sklearn mlflow kfp kserve transformers cv2 PIL simplejpeg",
            id="proxy",
        ),
        pytest.param(
            "import inference.feedback_service.__main__, inference.feedback_service.app",
            "torch sklearn mlflow kserve transformers cv2 PIL simplejpeg",
            id="feedback",
        ),
        pytest.param(
            "import inference.simulation.__main__",
            "torch sklearn mlflow kfp kserve transformers cv2 onnxruntime",
            id="simulation",
        ),
    ],
)
def test_what_an_image_does_not_hold_is_not_imported(statement: str, absent: str) -> None:
    code = f"{statement}\nimport sys\nprint(*sorted(set({absent.split()}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert "" == found.stdout.strip()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_are_those_of_this_checkout(package: str) -> None:
    code = f"import {package}; print({package}.__file__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert PACKAGES[package] == Path(found.stdout.strip()).parent
