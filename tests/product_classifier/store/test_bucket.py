"""The command that creates the buckets of a deployment, against an S3 server."""

import uuid
from collections.abc import Iterator

import pytest

from product_classifier.errors import StoreUnavailable
from product_classifier.store import open_store
from product_classifier.store.bucket import main
from product_classifier.store.s3 import S3Store
from tests.support.servers import moto_server, s3_settings


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def environment(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    settings = s3_settings(server)
    monkeypatch.setenv("S3_ENDPOINT", settings.s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", settings.aws_access_key_id or "")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", settings.aws_secret_access_key.get_secret_value())
    return server


def test_creating_buckets_is_idempotent(environment: str) -> None:
    names = [f"s3://test-{uuid.uuid4().hex}" for _ in range(2)]

    assert [0, 0] == [main(names), main(names)]
    for name in names:
        open_store(name, s3_settings(environment)).put("key", b"value")


def test_a_store_without_notifications_is_supported(environment: str) -> None:
    bucket, target = f"test-{uuid.uuid4().hex}", "arn:minio:sqs::RETRAIN:webhook"

    assert 0 == main([f"s3://{bucket}", f"--events={target}"])
    with pytest.raises(StoreUnavailable, match="InvalidArgument"):
        S3Store(bucket, s3_settings(environment)).notify(target, "feedback/")


def test_the_error_names_a_store_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("S3_ATTEMPTS", "1")

    assert 1 == main(["s3://product-classifier"])
    assert "http://127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["product-classifier", "s3://", "s3://A", "s3://one/two", "file:///tmp"])
def test_an_invalid_bucket_url_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([name])

    assert "is not s3://BUCKET" in capsys.readouterr().err
