"""With a Profile of multi-user Kubeflow, nothing is left in the namespace `kubeflow`."""

import yaml

from tests.support.rendering import Object, overlay

PROFILE = "kubeflow-user-example-com"


def profile() -> tuple[Object, ...]:
    return overlay("kind", "kubeflow-profile")


def test_objects_of_the_pipeline_are_in_the_profile() -> None:
    names = {one["metadata"].get("namespace") for one in profile()}
    here = {one["metadata"]["name"] for one in profile() if one["metadata"].get("namespace") == PROFILE}

    assert {None, "product-classifier", PROFILE} == names
    assert {"object-store", "run-watcher", "runs"} == here


def test_trigger_and_bootstrap_name_the_profile() -> None:
    for kind, name in (("Deployment", "retrain-trigger"), ("Job", "bootstrap")):
        (found,) = [one for one in profile() if (one["kind"], one["metadata"]["name"]) == (kind, name)]
        pod = found["spec"]["template"]["spec"]
        variables = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        assert PROFILE == variables["KF_PIPELINES_NAMESPACE"]
        assert "pipelines-token" in {one["name"] for one in pod["volumes"]}


def test_pods_of_the_profile_reach_store_mlflow_and_models() -> None:
    policies = yaml.safe_dump([one for one in profile() if one["kind"] == "NetworkPolicy" and "ingress" in one["spec"]])

    assert 3 == policies.count(f"kubernetes.io/metadata.name: {PROFILE}")
    assert "kubernetes.io/metadata.name: kubeflow\n" not in policies.replace("port: 8888", "")


def test_the_editor_of_the_profile_may_promote() -> None:
    (binding,) = [one for one in profile() if one["metadata"]["name"] == "promoter-kubeflow"]

    assert [("default-editor", PROFILE)] == [(one["name"], one["namespace"]) for one in binding["subjects"]]
