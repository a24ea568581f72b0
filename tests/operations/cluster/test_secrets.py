"""Tests that Secrets are created once from random bytes and existing ones are not changed."""

import base64
import json

import pytest

from inference.auth_proxy.auth.roles import Role
from operations.cluster.secrets import KUBEFLOW, NAMESPACE, ROLES, MissingKeys, create_secrets, share_keys
from tests.support.fake_cluster import FakeCluster

ENDPOINT = "http://object-store.product-classifier.svc.cluster.local:9000"
ALL = {"object-store", "model-reader", "internal-token", "demo-accounts"}


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


def values(cluster: FakeCluster, name: str, namespace: str = NAMESPACE) -> dict[str, str]:
    data = cluster.objects["secrets", namespace, name]["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_an_empty_namespace_gets_every_secret_of_the_manifests(cluster: FakeCluster) -> None:
    create_secrets(cluster, ENDPOINT, ALL)

    created = {name for kind, _, name in cluster.objects if kind == "secrets"}
    assert {"object-store", "model-reader", "internal-token", "demo-accounts"} == created


def test_a_second_deployment_changes_nothing(cluster: FakeCluster) -> None:
    create_secrets(cluster, ENDPOINT, ALL)
    first = json.dumps(list(cluster.objects.values()))
    create_secrets(cluster, ENDPOINT, ALL)

    assert first == json.dumps(list(cluster.objects.values()))


def test_two_deployments_have_different_secrets() -> None:
    one, other = FakeCluster(), FakeCluster()
    create_secrets(one, ENDPOINT, ALL)
    create_secrets(other, ENDPOINT, ALL)

    for name in ("object-store", "internal-token", "demo-accounts"):
        assert set() == set(values(one, name).values()) & set(values(other, name).values())


def test_the_storage_initializer_gets_keys_and_address_of_the_store(cluster: FakeCluster) -> None:
    create_secrets(cluster, ENDPOINT, ALL)
    store, reader = values(cluster, "object-store"), values(cluster, "model-reader")
    annotations = cluster.objects["secrets", NAMESPACE, "model-reader"]["metadata"]["annotations"]

    assert [store["access-key"], store["secret-key"]] == [reader["AWS_ACCESS_KEY_ID"], reader["AWS_SECRET_ACCESS_KEY"]]
    assert "object-store.product-classifier.svc.cluster.local:9000" == annotations["serving.kserve.io/s3-endpoint"]
    assert "0" == annotations["serving.kserve.io/s3-usehttps"]


def test_existing_keys_are_used(cluster: FakeCluster) -> None:
    existing = {"access-key": "theirs", "secret-key": "their secret"}
    data = {name: base64.b64encode(value.encode()).decode() for name, value in existing.items()}
    cluster.objects["secrets", NAMESPACE, "object-store"] = {"metadata": {"name": "object-store"}, "data": data}
    create_secrets(cluster, "https://s3.example.com", ALL)

    assert existing == values(cluster, "object-store")
    assert "their secret" == values(cluster, "model-reader")["AWS_SECRET_ACCESS_KEY"]


def test_the_keys_are_copied_to_the_namespace_of_the_pipeline(cluster: FakeCluster) -> None:
    create_secrets(cluster, ENDPOINT, ALL)
    share_keys(cluster, KUBEFLOW)

    assert values(cluster, "object-store") == values(cluster, "object-store", KUBEFLOW)


def test_there_is_a_demo_account_for_each_role(cluster: FakeCluster) -> None:
    create_secrets(cluster, ENDPOINT, ALL)
    accounts = json.loads(values(cluster, "demo-accounts")["accounts.json"])

    assert tuple(Role) == ROLES
    assert {f"demo-{role}": role for role in Role} == {name: account["role"] for name, account in accounts.items()}


def test_no_secret_is_printed_or_on_a_command_line(cluster: FakeCluster) -> None:
    create_secrets(cluster, ENDPOINT, ALL)
    visible = json.dumps([cluster.reported, cluster.commands])

    for name in ("object-store", "internal-token"):
        assert [] == [value for value in values(cluster, name).values() if value in visible]


def test_only_secrets_that_the_manifests_read_are_created(cluster: FakeCluster) -> None:
    create_secrets(cluster, ENDPOINT, {"internal-token"})

    assert {"internal-token"} == {name for kind, _, name in cluster.objects if kind == "secrets"}


def test_keys_of_a_store_outside_the_cluster_are_not_made_up(cluster: FakeCluster) -> None:
    with pytest.raises(MissingKeys, match=r"the store is https://s3.example.com; create it"):
        create_secrets(cluster, "https://s3.example.com", ALL)

    assert {} == cluster.objects
