import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from product_classifier.bundles import bundle
from product_classifier.bundles.arrays import read_arrays, write_arrays
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import BundleRefused
from product_classifier.releases import release, self_check
from tests.support.tiny_release import unfitted_fusion

CODES = CHALLENGE.codes


def reseal(folder: Path, kind: bundle.Kind) -> None:
    """Rewrite the hashes of the manifest, as an attacker would, so that only the content can be refused."""
    manifest = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").unlink()
    files = {path.name: bundle.file_entry(path) for path in sorted(folder.iterdir())}
    manifest |= {"kind": kind, "files": {name: {"sha256": e.sha256, "size": e.size} for name, e in files.items()}}
    (folder / "bundle.json").write_text(json.dumps(manifest))


def edit(path: Path, change: Callable[[dict], object]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def flip(path: Path, at: int = -100) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def edit_graph(change: Callable[[onnx.ModelProto], object]) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx")
        change(model)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        reseal(folder, "image")

    return tamper


def edit_weights(**changes: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    names = {"rows": "int64", "weights": "float32", "idf": "float32", "bias": "float32", "prior": "float32"}

    def tamper(folder: Path) -> None:
        arrays = read_arrays(folder / "weights.npz", names)
        write_arrays(folder / "weights.npz", **{name: changes.get(name, lambda x: x)(a) for name, a in arrays.items()})
        reseal(folder, "text")

    return tamper


def edit_settings(change: Callable[[dict], object], kind: bundle.Kind = "text") -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        edit(folder / "model.json", change)
        reseal(folder, kind)

    return tamper


def edit_manifest(change: Callable[[dict], object]) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "bundle.json", change)


def pickled(folder: Path) -> None:
    np.savez(folder / "weights.npz", rows=np.array([{"a": 1}], dtype=object))
    reseal(folder, "text")


def zip_bomb(folder: Path) -> None:
    with zipfile.ZipFile(folder / "weights.npz", "w") as archive:
        archive.writestr("rows.npy", bytes(100))
        archive.filelist[0].file_size = 3 * 2**30
    reseal(folder, "text")


def external(model: onnx.ModelProto) -> None:
    external_data_helper.set_external_data(model.graph.initializer[0], location="../../secret")


def wide_bias(values: np.ndarray) -> np.ndarray:
    return np.append(values, values[:1])


def with_nan(values: np.ndarray) -> np.ndarray:
    values.flat[0] = np.nan
    return values


def nan_weights(model: onnx.ModelProto) -> None:
    first = next(one for one in model.graph.initializer if one.data_type == TensorProto.FLOAT and one.raw_data)
    first.CopyFrom(numpy_helper.from_array(with_nan(numpy_helper.to_array(first).copy()), first.name))


def nan_constant(model: onnx.ModelProto) -> None:
    tensor = helper.make_tensor("x", TensorProto.FLOAT, [1], [float("inf")])
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))


def nested_domain(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Evil", [], ["y"], domain="evil")], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner))


def foreign_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def own_function(model: onnx.ModelProto) -> None:
    model.functions.append(helper.make_function("own", "f", [], [], [], [helper.make_opsetid("", 17)]))


def other_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "answer"
    model.graph.node[-1].output[0] = "answer"


BAD: dict[str, tuple[bundle.Kind, Callable[[Path], object], str]] = {
    # Damage and tampering that hashes find
    "flipped bit in weights": ("text", lambda f: flip(f / "weights.npz"), "weights.npz: sha256"),
    "flipped bit in a graph": ("image", lambda f: flip(f / "model.onnx"), "model.onnx: sha256"),
    "flipped bit in settings": ("fusion", lambda f: flip(f / "model.json", 40), "model.json: sha256"),
    "truncated file": ("image", lambda f: os.truncate(f / "model.onnx", 999), "999 bytes"),
    "longer file": ("text", lambda f: (f / "model.json").open("a").write(" "), "the manifest lists"),
    "missing file": ("text", lambda f: (f / "weights.npz").unlink(), "weights.npz: is in the manifest but not"),
    "unlisted file": ("text", lambda f: (f / "more.json").write_text("{}"), "more.json: is in the folder but not"),
    "empty folder": ("text", lambda f: [path.unlink() for path in f.iterdir()], "has no bundle.json"),
    # Files a folder must not hold
    "pickle": ("text", lambda f: (f / "model.pkl").write_bytes(b"\x80\x04."), "model.pkl.*is not one of .json"),
    "code": ("text", lambda f: (f / "run.py").write_text("import os"), "run.py.*is not one of .json"),
    "symbolic link": ("text", lambda f: (f / "x.json").symlink_to("/etc/passwd"), "x.json: is a symbolic link"),
    "link in place of a file": (
        "text",
        lambda f: ((f / "weights.npz").rename(f.parent / "w"), (f / "weights.npz").symlink_to(f.parent / "w")),
        "weights.npz: is a symbolic link",
    ),
    "folder": ("text", lambda f: (f / "more.json").mkdir(), "more.json: is not a plain file"),
    "pipe": ("text", lambda f: os.mkfifo(f / "more.json"), "more.json: is not a plain file"),
    "many files": ("text", lambda f: [(f / f"{n}.json").write_text("") for n in range(30)], "more than 16"),
    # Manifests
    "manifest is not JSON": ("text", lambda f: (f / "bundle.json").write_text("{"), "bundle.json: is not readable"),
    "manifest is deep": ("text", lambda f: (f / "bundle.json").write_text("[" * 10**5), "bundle.json: is not readable"),
    "manifest is a list": ("text", lambda f: (f / "bundle.json").write_text("[]"), "holds list"),
    "manifest with NaN": ("text", edit_manifest(lambda m: m.update(x=float("nan"))), "NaN is not a finite"),
    "path traversal": (
        "text",
        edit_manifest(lambda m: m["files"].update({"../x.json": m["files"]["model.json"]})),
        "'../x.json' is not a plain",
    ),
    "absolute path": (
        "text",
        edit_manifest(lambda m: m["files"].update({"/x.json": m["files"]["model.json"]})),
        "'/x.json' is not a plain",
    ),
    "sub-folder": (
        "text",
        edit_manifest(lambda m: m["files"].update({"a/x.json": m["files"]["model.json"]})),
        "sub-folders",
    ),
    "hash is not a hash": (
        "text",
        edit_manifest(lambda m: m["files"]["model.json"].update(sha256="abc")),
        "not a sha256",
    ),
    "negative size": (
        "text",
        edit_manifest(lambda m: m["files"]["model.json"].update(size=-1)),
        "not a sha256 and a size",
    ),
    "oversize": ("text", edit_manifest(lambda m: m["files"]["model.json"].update(size=2**40)), "more than"),
    "no files": ("text", edit_manifest(lambda m: m.update(files={})), "files is not"),
    "other kind": ("text", edit_manifest(lambda m: m.update(kind="image")), "kind image, not text"),
    "unknown kind": ("text", edit_manifest(lambda m: m.update(kind="sound")), "kind is 'sound'"),
    "no version": ("text", edit_manifest(lambda m: m.pop("version")), "version"),
    "version is a path": ("text", edit_manifest(lambda m: m.update(version="../1")), "version is '../1'"),
    "codes in another order": (
        "text",
        edit_manifest(lambda m: m["codes"].reverse()),
        "bundle.json: codes are not the 27",
    ),
    "codes are equal": ("text", edit_manifest(lambda m: m.update(codes=["10", 10])), "not two or more distinct codes"),
    "a code is empty": ("text", edit_manifest(lambda m: m.update(codes=["10", ""])), "not two or more distinct codes"),
    "codes are booleans": (
        "text",
        edit_manifest(lambda m: m.update(codes=[True, False])),
        "not a list of texts or integers",
    ),
    "one code": ("text", edit_manifest(lambda m: m.update(codes=[10])), "not two or more distinct"),
    "a code twice": ("text", edit_manifest(lambda m: m["codes"].append(10)), "not two or more distinct"),
    # Tampering with matching hashes
    "wrong classes": ("text", edit_settings(lambda m: m["codes"].pop()), "weights has shape"),
    "swapped classes": (
        "image",
        edit_settings(lambda m: m["codes"].reverse(), "image"),
        "model.json: codes are not the 27",
    ),
    "unknown type": ("text", edit_settings(lambda m: m.update(type="pickle")), "type is 'pickle'"),
    "unknown features": ("text", edit_settings(lambda m: m["features"].update(buckets=7)), "features are not usable"),
    "NaN in weights": ("text", edit_weights(weights=with_nan), "weights has values that are not finite"),
    "weights of another type": ("text", edit_weights(idf=lambda x: x.astype(np.float64)), "idf is float64"),
    "bias of another length": ("text", edit_weights(bias=wide_bias), r"bias has shape \(28,\)"),
    "rows beyond the table": ("text", edit_weights(rows=lambda x: x + 2**30), "beyond"),
    "scrambled weights": ("text", edit_weights(weights=lambda x: x[:, ::-1]), "self-check: probabilities differ"),
    "pickled array": ("text", pickled, "weights.npz"),
    "zip bomb": ("text", zip_bomb, "unpacks to"),
    "not a zip": ("text", lambda f: ((f / "weights.npz").write_bytes(b"PK"), reseal(f, "text")), "readable archive"),
    "external data": ("image", edit_graph(external), "external data"),
    "foreign operator set": ("image", edit_graph(foreign_opset), "operator domain 'com.microsoft'"),
    "foreign operator in a branch": ("image", edit_graph(nested_domain), "'Evil' needs the operator domain 'evil'"),
    "functions": ("image", edit_graph(own_function), "model-local functions"),
    "NaN in a graph": ("image", edit_graph(nan_weights), "weights that are not finite"),
    "infinity in a constant": ("image", edit_graph(nan_constant), "weights that are not finite"),
    "other output": ("image", edit_graph(other_output), "outputs are not probabilities"),
    "not a graph": (
        "image",
        lambda f: ((f / "model.onnx").write_bytes(b"\xff" * 90), reseal(f, "image")),
        "ONNX model",
    ),
    "empty graph": ("image", lambda f: ((f / "model.onnx").write_bytes(b""), reseal(f, "image")), "not an ONNX model"),
    "graph of another size": ("image", edit_settings(lambda m: m.update(size=48), "image"), "not .n, 48, 48, 3"),
    "absurd size": ("image", edit_settings(lambda m: m.update(size=10**6), "image"), "size is 1000000"),
    "wrong fusion weights": (
        "fusion",
        edit_settings(lambda m: m["bias"].__setitem__(0, 9.0), "fusion"),
        "self-check: probabilities differ",
    ),
    "no self-check": ("fusion", edit_manifest(lambda m: m.update(self_test={})), "self-check: cannot be repeated"),
    "self-check with another image": (
        "image",
        edit_manifest(lambda m: m["self_test"].update(image=["AAAA"] * 2)),
        "self-check: cannot be repeated",
    ),
    "empty self-check": (
        "text",
        edit_manifest(lambda m: m["self_test"].update(designation=[], description=[], probabilities=[])),
        "self-check",
    ),
}
LOADERS = {"text": release.load_text, "image": release.load_image, "fusion": release.load_fusion}


@pytest.mark.parametrize(("kind", "tamper", "reason"), BAD.values(), ids=BAD.keys())
def test_an_invalid_bundle_is_refused_with_its_reason(
    kind: bundle.Kind, tamper: Callable[[Path], object], reason: str, release_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / kind
    shutil.copytree(release_dir / kind, folder)
    tamper(folder)

    with pytest.raises(BundleRefused, match=reason) as refusal:
        LOADERS[kind](folder, CODES)
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("kind", bundle.KINDS)
def test_an_unchanged_bundle_is_loaded(kind: bundle.Kind, release_dir: Path) -> None:
    model, info = LOADERS[kind](release_dir / kind, CODES)

    assert (CODES, kind, release_dir.joinpath("release.json").exists()) == (model.codes, info.kind, True)
    assert info.version.startswith(f"{kind}-")


@pytest.mark.parametrize("kind", bundle.KINDS)
def test_a_bundle_carries_its_own_codes_and_is_refused_under_others(kind: bundle.Kind, release_dir: Path) -> None:
    model, info = LOADERS[kind](release_dir / kind)

    assert CODES == model.codes == info.codes
    for other in (CODES[::-1], CODES[1:], (*CODES, 9999)):
        with pytest.raises(BundleRefused, match=f"codes are not the {len(other)} expected codes in their order"):
            LOADERS[kind](release_dir / kind, other)


def test_equal_models_have_equal_versions(tmp_path: Path) -> None:
    versions, model = [], unfitted_fusion(CODES)
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        model.save(folder)
        versions.append(bundle.write_manifest(folder, "fusion", None, self_check.record_fusion(model), CODES).version)

    assert versions[0] == versions[1]


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="nowhere: is not a folder"):
        bundle.verify(tmp_path / "nowhere")
