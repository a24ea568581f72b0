"""Tests of the network policies, evaluated as a network that enforces them does."""

from collections.abc import Iterator

import pytest

from tests.support.rendering import OVERLAYS, Object, overlay

OWN_NAMESPACE, KUBEFLOW, OTHER_NAMESPACE = "product-classifier", "kubeflow", "default"
MODEL_SERVERS = {"text-predictor", "image-predictor", "fusion-transformer"}
Pod = tuple[str, str]
"""Namespace and app.kubernetes.io/name."""


def own(name: str) -> Pod:
    return OWN_NAMESPACE, name


OTHER_POD, RUN, PROMETHEUS, EXTERNAL = (
    (OTHER_NAMESPACE, "curl"),
    (KUBEFLOW, "step"),
    ("monitoring", "prometheus"),
    ("", ""),
)
DNS = ("kube-system", "kube-dns")

ALLOWED = [
    (EXTERNAL, own("auth-proxy"), 8080),
    (OTHER_POD, own("auth-proxy"), 8080),
    (own("unknown"), own("auth-proxy"), 8080),
    (own("auth-proxy"), own("text-predictor"), 8080),
    (own("auth-proxy"), own("image-predictor"), 8080),
    (own("auth-proxy"), own("fusion-transformer"), 8080),
    (own("auth-proxy"), own("feedback-service"), 8082),
    (own("auth-proxy"), own("object-store"), 9000),
    (own("auth-proxy"), EXTERNAL, 443),  # an external issuer
    (own("fusion-transformer"), own("text-predictor"), 8080),
    (own("fusion-transformer"), own("image-predictor"), 8080),
    (own("feedback-service"), own("object-store"), 9000),
    (own("feedback-service"), own("retrain-trigger"), 8083),
    (own("object-store"), own("retrain-trigger"), 8083),
    (own("retrain-trigger"), own("object-store"), 9000),
    (own("retrain-trigger"), (KUBEFLOW, "ml-pipeline"), 8888),
    (own("retrain-trigger"), EXTERNAL, 6443),  # the Kubernetes API, where runs are Jobs
    (own("mlflow"), own("object-store"), 9000),
    (own("bucket"), own("object-store"), 9000),
    (own("simulation"), own("auth-proxy"), 8080),
    (own("simulation"), own("object-store"), 9000),
    (RUN, own("object-store"), 9000),
    (RUN, own("mlflow"), 5000),
    (RUN, own("fusion-transformer"), 8080),
    (PROMETHEUS, own("auth-proxy"), 8081),
    (PROMETHEUS, own("text-predictor"), 8080),
    *((own(server), own("object-store"), 9000) for server in sorted(MODEL_SERVERS)),
    *((own(job), own(service), port) for job in ("bootstrap", "training") for service, port in (
        ("object-store", 9000), ("mlflow", 5000), ("fusion-transformer", 8080),
    )),
    *((own(job), EXTERNAL, 6443) for job in ("bootstrap", "training")),
    (own("bootstrap"), (KUBEFLOW, "ml-pipeline"), 8888),
    *((own(name), DNS, 53) for name in ("auth-proxy", "text-predictor", "training", "unknown")),
]  # fmt: skip

FORBIDDEN = [
    *((OTHER_POD, own(name), 8080) for name in sorted(MODEL_SERVERS)),
    (OTHER_POD, own("text-predictor"), 8081),
    (OTHER_POD, own("feedback-service"), 8082),
    (OTHER_POD, own("retrain-trigger"), 8083),
    (OTHER_POD, own("object-store"), 9000),
    (OTHER_POD, own("mlflow"), 5000),
    (OTHER_POD, own("auth-proxy"), 8081),
    (own("unknown"), own("text-predictor"), 8080),
    (own("unknown"), EXTERNAL, 443),
    (own("simulation"), own("fusion-transformer"), 8080),
    (own("simulation"), own("feedback-service"), 8082),
    (own("feedback-service"), own("text-predictor"), 8080),
    (own("text-predictor"), own("image-predictor"), 8080),
    (own("text-predictor"), EXTERNAL, 443),
    (own("auth-proxy"), own("mlflow"), 5000),
    (own("auth-proxy"), own("retrain-trigger"), 8083),
    (RUN, own("text-predictor"), 8080),
    (RUN, own("feedback-service"), 8082),
    (own("feedback-service"), EXTERNAL, 443),
]


STORE = own("object-store")
STORE_CLIENTS = {source for source, target, _ in ALLOWED if target == STORE}


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> tuple[Object, ...]:
    return overlay(request.param)


@pytest.fixture(scope="module")
def policies(objects: tuple[Object, ...]) -> list[Object]:
    return [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]


@pytest.fixture(scope="module")
def store(objects: tuple[Object, ...]) -> str:
    """Where the object store of an overlay is: its container's name, or `outside` the cluster."""
    found = [one for one in objects if (one["kind"], one["metadata"]["name"]) == ("StatefulSet", "object-store")]
    return found[0]["spec"]["template"]["spec"]["containers"][0]["name"] if found else "outside"


@pytest.mark.parametrize(("source", "target", "port"), ALLOWED)
def test_required_connections_are_allowed(
    policies: list[Object], store: str, source: Pod, target: Pod, port: int
) -> None:
    if source == STORE and store != "minio":
        pytest.skip("only MinIO notifies the trigger")
    if target == STORE and store == "outside":
        target, port = EXTERNAL, 443

    assert is_allowed(policies, source, target, port)


@pytest.mark.parametrize(("source", "target", "port"), FORBIDDEN)
def test_other_connections_are_denied(policies: list[Object], store: str, source: Pod, target: Pod, port: int) -> None:
    if store == "outside" and (target == STORE or (source in STORE_CLIENTS and target == EXTERNAL)):
        pytest.skip("the store is outside the cluster: its clients reach it at 443")

    assert not is_allowed(policies, source, target, port)


def test_a_gateway_of_another_store_reaches_it(policies: list[Object], store: str) -> None:
    if store != "versitygw":
        pytest.skip("not a gateway")

    assert is_allowed(policies, STORE, EXTERNAL, 443)


@pytest.mark.parametrize("port", [443, 8443, 8080, 5556])
def test_an_external_issuer_is_reached_at_the_usual_ports(port: int) -> None:
    with_issuer = [one["spec"] for one in overlay("production") if one["kind"] == "NetworkPolicy"]

    assert is_allowed(with_issuer, own("auth-proxy"), ("keycloak", "keycloak"), port)
    assert is_allowed(with_issuer, own("auth-proxy"), EXTERNAL, port)


def test_without_an_external_issuer_the_gateway_reaches_other_hosts_at_443_only() -> None:
    alone = [one["spec"] for one in overlay("kind") if one["kind"] == "NetworkPolicy"]

    assert [443] == [
        port for port in (80, 443, 5556, 8080, 8443) if is_allowed(alone, own("auth-proxy"), EXTERNAL, port)
    ]


def is_allowed(policies: list[Object], source: Pod, target: Pod, port: int) -> bool:
    return _passes(policies, source, target, port, "Egress", "to") and _passes(
        policies, target, source, port, "Ingress", "from"
    )


def _passes(policies: list[Object], pod: Pod, peer: Pod, port: int, direction: str, peers: str) -> bool:
    """Return whether the policies that select a pod allow the connection; without one, everything is allowed."""
    selecting = [one for one in policies if direction in one["policyTypes"] and _is_selected(one["podSelector"], pod)]
    if pod[0] != OWN_NAMESPACE or not selecting:
        return True
    return any(
        _has_port(rule, port) and _has_peer(rule.get(peers), peer)
        for policy in selecting
        for rule in policy.get(direction.lower(), [])
    )


def _has_port(rule: Object, port: int) -> bool:
    return "ports" not in rule or port in {one["port"] for one in rule["ports"]}


def _has_peer(peers: list[Object] | None, pod: Pod) -> bool:
    return peers is None or any(_is_peer(peer, pod) for peer in peers)


def _is_peer(peer: Object, pod: Pod) -> bool:
    namespaces = peer.get("namespaceSelector", {}).get("matchLabels", {"kubernetes.io/metadata.name": OWN_NAMESPACE})
    return namespaces["kubernetes.io/metadata.name"] == pod[0] and _matches(peer.get("podSelector", {}), pod)


def _is_selected(selector: Object, pod: Pod) -> bool:
    return pod[0] == OWN_NAMESPACE and _matches(selector, pod)


def _matches(selector: Object, pod: Pod) -> bool:
    labels = dict(_labels(pod[1]))
    wanted = selector.get("matchLabels", {})
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", [])
    )


def _labels(name: str) -> Iterator[tuple[str, str]]:
    yield ("k8s-app", name) if name == "kube-dns" else ("app.kubernetes.io/name", name)
    if name in MODEL_SERVERS:
        yield "app.kubernetes.io/component", "model-server"
