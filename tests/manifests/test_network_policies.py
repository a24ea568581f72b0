"""Who may reach whom: the policies, worked out as a network that enforces them would."""

from collections.abc import Iterator

import pytest

from tests.support.rendering import OVERLAYS, Object, overlay

HERE, KUBEFLOW, ELSEWHERE = "product-classifier", "kubeflow", "default"
MODEL_SERVERS = {"text-predictor", "image-predictor", "fusion-transformer"}
Pod = tuple[str, str]
"""Namespace and app.kubernetes.io/name."""


def here(name: str) -> Pod:
    return HERE, name


STRANGER, RUN, PROMETHEUS, OUTSIDE = (ELSEWHERE, "curl"), (KUBEFLOW, "step"), ("monitoring", "prometheus"), ("", "")
DNS = ("kube-system", "kube-dns")

NEEDED = [
    (OUTSIDE, here("auth-proxy"), 8080),
    (STRANGER, here("auth-proxy"), 8080),
    (here("unknown"), here("auth-proxy"), 8080),
    (here("auth-proxy"), here("text-predictor"), 8080),
    (here("auth-proxy"), here("image-predictor"), 8080),
    (here("auth-proxy"), here("fusion-transformer"), 8080),
    (here("auth-proxy"), here("feedback-service"), 8082),
    (here("auth-proxy"), here("object-store"), 9000),
    (here("auth-proxy"), OUTSIDE, 443),  # an external issuer
    (here("fusion-transformer"), here("text-predictor"), 8080),
    (here("fusion-transformer"), here("image-predictor"), 8080),
    (here("feedback-service"), here("object-store"), 9000),
    (here("feedback-service"), here("retrain-trigger"), 8083),
    (here("object-store"), here("retrain-trigger"), 8083),
    (here("retrain-trigger"), here("object-store"), 9000),
    (here("retrain-trigger"), (KUBEFLOW, "ml-pipeline"), 8888),
    (here("retrain-trigger"), OUTSIDE, 6443),  # the Kubernetes API, where runs are Jobs
    (here("mlflow"), here("object-store"), 9000),
    (here("bucket"), here("object-store"), 9000),
    (here("simulation"), here("auth-proxy"), 8080),
    (here("simulation"), here("object-store"), 9000),
    (RUN, here("object-store"), 9000),
    (RUN, here("mlflow"), 5000),
    (RUN, here("fusion-transformer"), 8080),
    (PROMETHEUS, here("auth-proxy"), 8081),
    (PROMETHEUS, here("text-predictor"), 8080),
    *((here(server), here("object-store"), 9000) for server in sorted(MODEL_SERVERS)),
    *((here(job), here(service), port) for job in ("bootstrap", "training") for service, port in (
        ("object-store", 9000), ("mlflow", 5000), ("fusion-transformer", 8080),
    )),
    *((here(job), OUTSIDE, 6443) for job in ("bootstrap", "training")),
    (here("bootstrap"), (KUBEFLOW, "ml-pipeline"), 8888),
    *((here(name), DNS, 53) for name in ("auth-proxy", "text-predictor", "training", "unknown")),
]  # fmt: skip

FORBIDDEN = [
    *((STRANGER, here(name), 8080) for name in sorted(MODEL_SERVERS)),
    (STRANGER, here("text-predictor"), 8081),
    (STRANGER, here("feedback-service"), 8082),
    (STRANGER, here("retrain-trigger"), 8083),
    (STRANGER, here("object-store"), 9000),
    (STRANGER, here("mlflow"), 5000),
    (STRANGER, here("auth-proxy"), 8081),
    (here("unknown"), here("text-predictor"), 8080),
    (here("unknown"), OUTSIDE, 443),
    (here("simulation"), here("fusion-transformer"), 8080),
    (here("simulation"), here("feedback-service"), 8082),
    (here("feedback-service"), here("text-predictor"), 8080),
    (here("text-predictor"), here("image-predictor"), 8080),
    (here("text-predictor"), OUTSIDE, 443),
    (here("auth-proxy"), here("mlflow"), 5000),
    (here("auth-proxy"), here("retrain-trigger"), 8083),
    (RUN, here("text-predictor"), 8080),
    (RUN, here("feedback-service"), 8082),
    (here("feedback-service"), OUTSIDE, 443),
]


@pytest.fixture(scope="module", params=OVERLAYS)
def policies(request: pytest.FixtureRequest) -> list[Object]:
    return [one["spec"] for one in overlay(request.param) if one["kind"] == "NetworkPolicy"]


@pytest.mark.parametrize(("source", "target", "port"), NEEDED)
def test_what_has_to_be_reached_is(policies: list[Object], source: Pod, target: Pod, port: int) -> None:
    assert allowed(policies, source, target, port)


@pytest.mark.parametrize(("source", "target", "port"), FORBIDDEN)
def test_what_has_no_business_is_kept_out(policies: list[Object], source: Pod, target: Pod, port: int) -> None:
    assert not allowed(policies, source, target, port)


def allowed(policies: list[Object], source: Pod, target: Pod, port: int) -> bool:
    return _passes(policies, source, target, port, "Egress", "to") and _passes(
        policies, target, source, port, "Ingress", "from"
    )


def _passes(policies: list[Object], pod: Pod, peer: Pod, port: int, direction: str, peers: str) -> bool:
    """Tell whether a pod's own policies let it talk; one that none selects may do anything."""
    mine = [one for one in policies if direction in one["policyTypes"] and _is_selected(one["podSelector"], pod)]
    if pod[0] != HERE or not mine:
        return True
    return any(
        _has_port(rule, port) and _has_peer(rule.get(peers), peer)
        for policy in mine
        for rule in policy.get(direction.lower(), [])
    )


def _has_port(rule: Object, port: int) -> bool:
    return "ports" not in rule or port in {one["port"] for one in rule["ports"]}


def _has_peer(peers: list[Object] | None, pod: Pod) -> bool:
    return peers is None or any(_is_peer(peer, pod) for peer in peers)


def _is_peer(peer: Object, pod: Pod) -> bool:
    namespaces = peer.get("namespaceSelector", {}).get("matchLabels", {"kubernetes.io/metadata.name": HERE})
    return namespaces["kubernetes.io/metadata.name"] == pod[0] and _matches(peer.get("podSelector", {}), pod)


def _is_selected(selector: Object, pod: Pod) -> bool:
    return pod[0] == HERE and _matches(selector, pod)


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
