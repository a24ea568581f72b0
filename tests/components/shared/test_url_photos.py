"""Photos by URL of a catalogue, from a real server, through the step that prepares the catalogue."""

import csv
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from components.prepare_catalogue import step
from components.shared import raw, url_photos
from product_classifier.store import open_store
from tests.support.fixtures_data import jpeg
from tests.support.servers import MINIO_PASSWORD, MINIO_USER, moto_server


class PhotoHost(ThreadingHTTPServer):
    """Serves photos by number, and counts requests; every fifth photo is missing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: PhotoHost

    def do_GET(self) -> None:
        self.server.requests[self.path] += 1
        number = int(self.path.strip("/"))
        self.send_response(404 if number % 5 == 4 else 200)
        self.end_headers()
        if number % 5 != 4:
            self.wfile.write(jpeg(number))

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def host() -> Iterator[PhotoHost]:
    with PhotoHost() as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        yield host
        host.shutdown()


@pytest.fixture
def shop(tmp_path: Path, host: PhotoHost, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(url_photos, "local_folder", lambda: tmp_path / "machine")
    folder = tmp_path / "shop"
    folder.mkdir()
    rows = [(at, f"title number {at}" if at < 19 else "", f"{host.url}/{at}", "ab"[at % 2]) for at in range(20)]
    with (folder / "p.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "title", "photo", "category"), *rows])
    (folder / "catalogue.yaml").write_text(
        "products: [p.csv]\ncolumns: {id: id, designation: title, image: photo, category: category}\n"
    )
    return folder


def _run(shop: Path, *, private: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    out = shop.parent / "out"
    step.run(
        shop, out / "c.parquet", out / "rejects.csv", out / "r.json", 0.5,
        store=(shop.parent / "store").as_uri(), private_photos=private,
    )  # fmt: skip
    return pd.read_parquet(out / "c.parquet"), pd.read_csv(out / "rejects.csv")


def test_photos_are_downloaded_once_and_failures_are_counted(shop: Path, host: PhotoHost) -> None:
    products, rejects = _run(shop)

    assert (19, 16) == (len(products), int((products["image_sha256"] != "").sum()))
    assert {"photo not downloaded: the server responded with status 404"} == set(rejects["reason"])
    assert [6, 11, 16, 21] == list(rejects["line"])
    again, _ = _run(shop)
    assert products.equals(again)
    assert {path: 2 if int(path[1:]) % 5 == 4 else 1 for path in host.requests} == host.requests


def test_another_machine_reads_them_from_the_store(
    shop: Path, host: PhotoHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    products, _ = _run(shop)
    monkeypatch.setattr(url_photos, "local_folder", lambda: shop.parent / "another machine")
    host.requests.clear()

    folder = raw.fetch(str(shop), store=(shop.parent / "store").as_uri())

    assert [jpeg(at) for at in range(4)] == [
        raw.photo_path(folder, path).read_bytes() for path in products["image_path"][:4]
    ]
    assert 16 == len(list(open_store((shop.parent / "store").as_uri()).list(url_photos.PREFIX)))
    assert Counter() == host.requests


def test_photos_below_a_prefix_are_imported_from_an_object_store(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (shop / "p.csv").read_text()
    (shop / "p.csv").write_text(re.sub(r"http://[\d.:]+/", "", text))
    with (shop / "catalogue.yaml").open("a") as file:
        file.write("images: s3://media/photos\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", MINIO_USER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", MINIO_PASSWORD)
    with moto_server() as url:
        monkeypatch.setenv("S3_ENDPOINT", url)
        media = open_store("s3://media", create=True)
        for at in range(3):
            media.put(f"photos/{at}", jpeg(at))

        products, rejects = _run(shop)

    assert [True] * 3 + [False] * 16 == list(products["image_sha256"] != "")
    assert 17 == len(rejects)


def test_private_addresses_are_refused_unless_they_are_accepted(shop: Path, host: PhotoHost) -> None:
    products, rejects = _run(shop, private=False)

    assert {""} == set(products["image_path"])
    assert {"photo not downloaded: the address 127.0.0.1 is not public"} == set(rejects["reason"])
    assert Counter() == host.requests
