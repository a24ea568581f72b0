import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from product_classifier.bundles import bundle
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import BundleRefused
from product_classifier.releases.release import (
    Release,
    ReleaseMeta,
    load_fusion,
    load_image,
    load_text,
    open_release,
    write_release,
)


def copy_of(release_dir: Path, target: Path) -> Path:
    return Path(shutil.copytree(release_dir, target / "release"))


def edit(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        values = json.loads((folder / "release.json").read_text())
        change(values)
        (folder / "release.json").write_text(json.dumps(values))

    return tamper


def flip(folder: Path) -> None:
    data = bytearray((folder / "fusion/model.json").read_bytes())
    data[200] ^= 4
    (folder / "fusion/model.json").write_bytes(data)


def swap(folder: Path) -> None:
    (folder / "text").rename(folder / "x")
    (folder / "image").rename(folder / "text")
    (folder / "x").rename(folder / "image")


def foreign_bundle(folder: Path) -> None:
    """Replace the fusion bundle by a valid one of another release, with matching hashes."""
    info = bundle.verify(folder / "fusion")
    bundle.write_manifest(
        folder / "fusion", "fusion", info.version, info.self_check, info.codes, release="r-20200101T000000-00000000"
    )
    entry = bundle.file_entry(folder / "fusion/bundle.json")
    edit(lambda m: m["files"].update({"fusion/bundle.json": {"sha256": entry.sha256, "size": entry.size}}))(folder)


def reordered_bundle(folder: Path) -> None:
    """Reverse the codes of the fusion bundle, with matching hashes."""
    info = bundle.verify(folder / "fusion")
    codes = info.codes[::-1]
    bundle.write_manifest(folder / "fusion", "fusion", info.version, info.self_check, codes, release=info.release)
    entry = bundle.file_entry(folder / "fusion/bundle.json")
    edit(lambda m: m["files"].update({"fusion/bundle.json": {"sha256": entry.sha256, "size": entry.size}}))(folder)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda f: (f / "release.json").unlink(), "has no release.json"),
    "linked manifest": (
        lambda f: ((f / "release.json").rename(f.parent / "m"), (f / "release.json").symlink_to(f.parent / "m")),
        "has no release.json",
    ),
    "flipped bit": (flip, "model.json: sha256"),
    "missing bundle": (lambda f: shutil.rmtree(f / "image"), "image/bundle.json: is in the manifest but not"),
    "missing file": (lambda f: (f / "text/weights.npz").unlink(), "text/weights.npz: is in the manifest but not"),
    "extra file": (lambda f: (f / "text/x.json").write_text("{}"), "text/x.json: is in the folder but not"),
    "extra folder": (lambda f: (f / "sound").mkdir(), "sound: does not belong"),
    "code beside the bundles": (lambda f: (f / "run.py").write_text(""), "run.py: does not belong"),
    "linked bundle": (
        lambda f: ((f / "text").rename(f.parent / "t"), (f / "text").symlink_to(f.parent / "t")),
        "text: does not belong",
    ),
    "linked file": (
        lambda f: ((f / "text/model.json").unlink(), (f / "text/model.json").symlink_to("/etc/passwd")),
        "text/model.json: is not a plain file",
    ),
    "swapped bundles": (swap, "image/model.onnx: is in the manifest but not"),
    "bundle of another release": (foreign_bundle, "fusion: belongs to release r-2020"),
    "codes in another order": (reordered_bundle, "fusion/bundle.json: codes are not the 27"),
    "wrong version": (edit(lambda m: m["versions"].update(text="text-0")), "release.json lists 'text-0'"),
    "path traversal": (edit(lambda m: m["files"].update({"text/../../x.json": {}})), "is not a plain file name"),
    "pickle": (edit(lambda m: m["files"].update({"text/x.pkl": {}})), "is not one of .json"),
    "id is a path": (edit(lambda m: m.update(id="../../x")), "id, created"),
    "no metrics": (edit(lambda m: m.pop("metrics")), "missing or malformed"),
    "products without numbers": (edit(lambda m: m.update(products={"10": "many"})), "products is {'10': 'many'}"),
    "products in a list": (edit(lambda m: m.update(products=["10"])), "an object of numbers by category code"),
    "no files": (edit(lambda m: m.update(files=[])), "files is not an object"),
}


@pytest.mark.parametrize(("tamper", "reason"), BAD.values(), ids=BAD.keys())
def test_an_invalid_release_is_refused_with_its_reason(
    tamper: Callable[[Path], object], reason: str, release_dir: Path, tmp_path: Path
) -> None:
    folder = copy_of(release_dir, tmp_path)
    tamper(folder)

    with pytest.raises(BundleRefused, match=reason):
        open_release(folder)
    with pytest.raises(BundleRefused):
        load_text(folder)


def test_a_release_lists_its_files_and_versions(release_dir: Path) -> None:
    found = open_release(release_dir)

    listed = {path.relative_to(release_dir).as_posix() for path in release_dir.rglob("*.*")} - {"release.json"}
    assert re.fullmatch(r"r-\d{8}T\d{6}-[0-9a-f]{8}", found.id)
    assert ("made-up", {"text", "image", "fusion"}, listed) == (
        found.data_revision,
        set(found.versions),
        set(found.files),
    )


def test_a_bundle_names_its_release(release_dir: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(release_dir / "text", tmp_path / "mnt")

    assert open_release(release_dir).id == load_text(Path(alone))[1].release


@pytest.mark.parametrize("load", [load_text, load_image, load_fusion])
def test_a_model_is_loaded_from_its_release(load: Callable[[Path], tuple], release_dir: Path) -> None:
    _, info = load(release_dir)

    assert release_dir / info.kind == info.path


def test_a_bundle_of_another_kind_is_refused(release_dir: Path) -> None:
    with pytest.raises(BundleRefused, match="kind image, not text"):
        load_text(release_dir / "image")


def test_equal_content_gives_an_equal_digest_in_the_id(release_dir: Path, tmp_path: Path) -> None:
    again = rewrite(release_dir, tmp_path / "again")

    assert open_release(release_dir).id.rpartition("-")[2] == again.id.rpartition("-")[2]


def test_a_release_is_never_written_over_another(release_dir: Path) -> None:
    with pytest.raises(FileExistsError, match="not empty"):
        rewrite(release_dir, release_dir)


def test_a_release_may_be_moved(release_dir: Path, tmp_path: Path) -> None:
    moved = copy_of(release_dir, tmp_path).rename(tmp_path / "elsewhere")

    assert open_release(release_dir).id == open_release(moved).id


def test_a_release_predicts_as_the_trained_bundle_does(release_dir: Path, splits_dir: Path) -> None:
    before, _ = load_text(splits_dir / "text")
    after, _ = load_text(release_dir)
    products = ["Piscine et spa bleu"], ["<p>grand</p>"]

    assert np.array_equal(before.probabilities(*products), after.probabilities(*products))


def test_bundles_with_different_codes_make_no_release(release_dir: Path, tmp_path: Path) -> None:
    copy = copy_of(release_dir, tmp_path)
    info = bundle.verify(copy / "image")
    bundle.write_manifest(copy / "image", "image", None, info.self_check, info.codes[::-1])

    with pytest.raises(BundleRefused, match=r"image/bundle\.json: codes are not the 27 expected codes in their order"):
        rewrite(copy, tmp_path / "again")


def test_a_release_with_other_codes_than_the_callers_is_refused(release_dir: Path) -> None:
    codes = CHALLENGE.codes[::-1]

    for load in (open_release, load_text, load_image, load_fusion):
        with pytest.raises(BundleRefused, match="codes are not the 27 expected codes in their order"):
            load(release_dir, codes)


def rewrite(source: Path, target: Path) -> Release:
    return write_release(
        target, source / "text", source / "image", source / "fusion", ReleaseMeta("made-up"), CHALLENGE
    )
