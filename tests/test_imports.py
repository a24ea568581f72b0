"""Tests of the import directions, which separate training from serving and keep images small."""

import ast
import graphlib
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
"""Packages that a package never imports, not even inside a function."""

EXEMPT = {
    # The trigger is a service that starts pipelines: it responds as the services do.
    "pipelines/retrain/app.py": {"fastapi"},
    # ... and its connections are bounded as theirs; a test below allows only that module.
    "pipelines/retrain/__main__.py": {"inference"},
    # A promotion on a cluster patches its objects; one module sends all of these requests.
    "components/shared/kubernetes_api.py": {"kubernetes"},
    # The smoke test of a rollout sends predictions with the client codec; a test below allows only that module.
    "components/shared/rollout/smoke.py": {"inference"},
}

FOUNDATION = {
    "decisions",
    "errors",
    "limits",
    "log_stream",
    "model_names",
    "observability",
    "probabilities",
    "taxonomy",
    "top_probabilities",
    "tracing",
    "validation_messages",
}
DOMAIN: dict[str, set[str]] = {
    "decisions": set(),
    "descriptors": set(),
    "errors": set(),
    "limits": set(),
    "model_names": set(),
    "log_stream": set(),
    "observability": {"log_stream"},
    "probabilities": set(),
    "taxonomy": {"errors", "limits", "validation_messages"},
    "top_probabilities": {"probabilities"},
    "tracing": {"observability"},
    "validation_messages": set(),
    "settings_help": FOUNDATION,
    "settings_reader": FOUNDATION | {"settings_help"},
    "command_line": set(),
    "compat": FOUNDATION,
    "store": FOUNDATION | {"compat", "settings_reader"},
    "stored_taxonomy": FOUNDATION | {"catalogue", "store"},
    "parent_process": set(),
    "bundles": FOUNDATION,
    "evaluation": FOUNDATION,
    "text": FOUNDATION | {"bundles"},
    "images": FOUNDATION | {"bundles"},
    "fusion": FOUNDATION | {"bundles", "evaluation"},
    "releases": FOUNDATION | {"bundles", "catalogue", "text", "images", "fusion"},
    "catalogue": FOUNDATION | {"text", "images"},
    "scoring": FOUNDATION | {"catalogue", "releases", "store", "text"},
    "feedback": FOUNDATION | {"catalogue", "evaluation", "store", "stored_taxonomy", "text"},
    "retraining": FOUNDATION | {"feedback", "store"},
    "batches": FOUNDATION | {"catalogue", "feedback", "retraining", "scoring", "store"},
    "release_history": FOUNDATION | {"feedback", "retraining", "store"},
    "monitoring": FOUNDATION | {"bundles", "evaluation", "feedback", "images", "releases", "store", "text"},
    "audit": FOUNDATION | {"feedback", "store"},
    "metrics": FOUNDATION,
}
SCHEMAS = {
    "batch_api",
    "bulk_api",
    "feedback_api",
    "label_file_api",
    "operations_api",
    "photo_api",
    "prediction_api",
    "queue_api",
    "reviewer_api",
    "run_events_api",
}
"""Requests and responses that the feedback service builds and the gateway publishes."""
INFERENCE: dict[str, set[str]] = {
    "feedback_api": {"http"},
    "bulk_api": {"feedback_api", "http"},
    "label_file_api": {"feedback_api", "http"},
    "photo_api": set(),
    "operations_api": {"http"},
    "batch_api": {"feedback_api", "http"},
    "queue_api": {"feedback_api", "http"},
    "reviewer_api": {"http"},
    "run_events_api": {"http"},
    "prediction_api": {"feedback_api", "http"},
    "http": {"compat"},
    "compat": set(),
    "oip": {"http"},
    "durability": set(),
    "model_server": {"compat", "http", "oip"},
    "text_predictor": {"http", "model_server", "oip"},
    "image_predictor": {"http", "model_server", "oip"},
    "fusion_transformer": {"http", "model_server", "oip"},
    "collocated": {"model_server", "text_predictor", "image_predictor", "fusion_transformer"},
    "auth_proxy": SCHEMAS | {"compat", "durability", "http", "oip"},
    "feedback_service": SCHEMAS | {"compat", "durability", "http"},
    "simulation": set(),
}
PIPELINES: dict[str, set[str]] = {
    "compat": set(),
    "settings": set(),
    "task_configuration": set(),
    "parameters": {"settings"},
    "training": {"task_configuration"},
    "compile": {"training"},
    "monitoring": {"compile", "task_configuration"},
    "monitor_command": {"local", "monitoring", "settings"},
    "prepare_data": {"parameters", "settings"},
    "inspect_data": {"settings"},
    "command_parser": {"compile", "settings"},
    "tune": {"parameters"},
    "tune_command": {"settings", "tune"},
    "release_commands": {"parameters", "settings"},
    "batch_command": {"scoring", "settings"},
    "action_command": {"release_commands", "settings"},
    "queue_report": {"settings"},
    "backtest_command": {"settings"},
    "erase_command": {"settings"},
    "taxonomy_commands": {"settings"},
    "local": {"compat", "compile", "parameters"},
    "scoring": {"compile", "settings", "task_configuration"},
    "kubeflow": {"compat", "compile", "parameters", "settings"},
    "retrain": {"compat", "compile", "kubeflow", "parameters", "settings", "task_configuration"},
    "bootstrap": {"compile", "kubeflow", "local", "parameters", "settings"},
}
OPERATIONS: dict[str, set[str]] = {
    "local": set(),
    "cluster": set(),
    "compose": {"cluster", "local"},
    "dagshub": {"cluster"},
    "demo": {"local"},
    "offline": {"cluster"},
    "screenshots": {"demo", "local"},
    "settings_reference": {"cluster", "compose", "dagshub", "demo", "local", "offline"},
    "metrics_reference": set(),
    "workbench_types": set(),
    "monitoring": set(),
}
PARTS = {"product_classifier": DOMAIN, "inference": INFERENCE, "pipelines": PIPELINES, "operations": OPERATIONS}
"""For each folder and module directly in a package, those of the same package that it may import.

`__main__` may import all of them. In `components`, a step imports only itself and `shared`.
"""

LIGHT = {"kfp", "components", "typing"}
"""All that a module may import at module level."""


def modules(package: str) -> list[Path]:
    return sorted(PACKAGES[package].rglob("*.py"))


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the top-level packages imported anywhere below a node."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in found.names)
        elif isinstance(found, ast.ImportFrom) and found.module and not found.level:
            yield found.module.partition(".")[0]


def all_imports(path: Path) -> set[str]:
    """Return the packages a module imports, inside functions too."""
    return set(imported(ast.parse(path.read_text(encoding="utf-8"))))


def modules_imported(path: Path, package: str) -> set[str]:
    """Return the names below a package that a module imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith(f"{package}.")}


def top_level(path: Path) -> set[str]:
    """Return the packages that a module imports at module level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return {name for node in statements for name in imported(node)}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_in_its_direction(package: str) -> None:
    wrong = {
        name: sorted(found)
        for path in modules(package)
        if (found := FORBIDDEN[package] & all_imports(path) - EXEMPT.get(name := str(path.relative_to(ROOT)), set()))
    }

    assert {} == wrong


def parts_of(package: str) -> list[str]:
    """Return the folders and modules directly in a package, without `__init__` and `__main__`."""
    found = {path.relative_to(PACKAGES[package]).parts[0].removesuffix(".py") for path in modules(package)}
    return sorted(found - {"__init__", "__main__"})


@pytest.mark.parametrize(
    ("package", "part"), [(package, part) for package in PARTS for part in parts_of(package)], ids=str
)
def test_a_part_of_a_package_imports_only_the_parts_below_it(package: str, part: str) -> None:
    allowed = PARTS[package][part] | {part}
    folder = PACKAGES[package] / part
    wrong = {
        str(path.relative_to(ROOT)): sorted(found)
        for path in (sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")])
        if (found := {name.split(".")[1] for name in modules_imported(path, package)} & PARTS[package].keys() - allowed)
    }

    assert {} == wrong


@pytest.mark.parametrize("package", PARTS)
def test_every_part_of_a_package_is_declared_and_no_two_import_each_other(package: str) -> None:
    order = graphlib.TopologicalSorter(PARTS[package]).static_order()  # raises CycleError

    assert parts_of(package) == sorted(order)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other(package: str) -> None:
    """Without `__init__`, which modules of the same folder import implicitly."""
    names = {_module_name(path): path for path in modules(package) if path.name != "__init__.py"}
    graph = {name: modules_imported(path, package) & names.keys() - {name} for name, path in names.items()}

    assert sorted(names) == sorted(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def _module_name(path: Path) -> str:
    package = next(name for name, folder in PACKAGES.items() if path.is_relative_to(folder))
    return ".".join((package, *path.relative_to(PACKAGES[package]).with_suffix("").parts))


def test_pipelines_imports_only_components_and_shared_modules_of_the_steps() -> None:
    """What a step does inside is reached by its component only."""
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules("pipelines")
        for name in modules_imported(path, "components")
        if name.split(".")[1] != "shared" and name.split(".")[2:3] not in ([], ["component"])
    }

    assert set() == wrong


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in PACKAGES["components"].glob("*/__init__.py")))
def test_a_step_imports_of_the_components_only_itself_and_shared(folder: str) -> None:
    allowed = {f"components.{folder}", "components.shared"}
    wrong = {
        str(path.relative_to(ROOT)): sorted(found)
        for path in sorted((PACKAGES["components"] / folder).rglob("*.py"))
        if (found := {name for name in modules_imported(path, "components") if not _is_within(name, allowed)})
    }

    assert {} == wrong


def _is_within(module: str, packages: set[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def test_pipelines_import_nothing_of_inference_but_the_limits_of_connections() -> None:
    found = {name for path in modules("pipelines") for name in modules_imported(path, "inference")}

    assert found
    assert set() == {
        name
        for name in found
        if not _is_within(name, {"inference.compat.connection_limits", "inference.compat.uvicorn"})
    }


def test_components_import_nothing_of_inference_but_the_client_codec() -> None:
    """The smoke test of a rollout sends predictions; a second codec for it would drift from the servers'."""
    found = {name for path in modules("components") for name in modules_imported(path, "inference")}

    assert found
    assert set() == {name for name in found if not _is_within(name, {"inference.oip.client"})}


def test_the_client_codec_imports_no_server() -> None:
    client = PACKAGES["inference"] / "oip" / "client.py"
    loaded = "import inference.oip.client, sys; print(*(n for n in sys.modules if n.startswith('inference')))"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=ROOT)

    assert {"inference", "inference.oip", "inference.oip.client", "inference.oip.tensors"} == set(found.stdout.split())
    assert top_level(client) <= {"base64", "collections", "dataclasses", "typing", "numpy", "orjson", "inference"}


def test_only_component_modules_import_kfp() -> None:
    users = {path.name for path in modules("components") if "kfp" in top_level(path)}

    assert {"component.py"} == users


@pytest.mark.parametrize(
    "module", sorted(PACKAGES["components"].glob("*/component.py")), ids=lambda path: path.parent.name
)
def test_a_component_module_imports_little_and_has_a_docstring(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]

    assert top_level(module) <= LIGHT
    assert "annotations" not in {
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert module.parent.name == function.name
    assert ast.get_docstring(function)


@pytest.mark.parametrize("step", sorted(PACKAGES["components"].glob("*/step.py")), ids=lambda path: path.parent.name)
def test_a_step_imports_heavy_libraries_only_inside_functions(step: Path) -> None:
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
def test_a_service_imports_only_packages_of_its_image(statement: str, absent: str) -> None:
    code = f"{statement}\nimport sys\nprint(*sorted(set({absent.split()}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert "" == found.stdout.strip()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_are_those_of_this_checkout(package: str) -> None:
    code = f"import {package}; print({package}.__file__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert PACKAGES[package] == Path(found.stdout.strip()).parent
