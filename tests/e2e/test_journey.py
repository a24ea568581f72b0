"""Tests of the whole loop on a real cluster, in this order.

They run against the current context after `make deploy`: predict, correct, retrain, promote, roll back, reject, canary.
"""

import base64
import io
import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from kserve import InferenceRESTClient, RESTConfig
from tritonclient import http as triton

from components.shared.rollout.placement import CANARY
from product_classifier.bundles import bundle
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import RolloutFailed
from product_classifier.model_names import MODELS
from tests.e2e import cluster
from tests.e2e.cluster import Product, forwarded, get, is_ready, kubectl, listed, pods, until
from tests.e2e.request_loop import body, inconsistent, request_loop

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]
TRITON_GRPC = Path(__file__).parents[1] / "support" / "triton_grpc.py"
RUN_S = 1200
"""Time limit of a whole run on a busy laptop."""


def unique(name: str) -> str:
    """Return a unique name for a Job."""
    return f"{name}-{uuid.uuid4().hex[:6]}"


def test_everything_is_ready_and_serves_a_published_release(product: Product) -> None:
    services = {one["metadata"]["name"]: one for one in listed("inferenceservices")}
    workloads = listed("deployments,statefulsets")

    assert set(MODELS) == {name for name, service in services.items() if is_ready(service)}
    for one in workloads:
        assert one["spec"]["replicas"] == one["status"].get("readyReplicas"), one["metadata"]["name"]
    assert product.current in product.published()


def test_every_pod_of_the_models_names_the_champion(product: Product) -> None:
    named = {
        pod["metadata"]["annotations"]["product-classifier/release"]
        for name in MODELS
        for pod in pods(name)
        if pod["status"]["phase"] == "Running"
    }

    assert {product.current} == named


@pytest.mark.parametrize("modalities", [("text", "image"), ("text",), ("image",)], ids="+".join)
def test_a_prediction_is_that_of_the_champion(
    product: Product, user: httpx.Client, modalities: tuple[str, ...]
) -> None:
    models = product.model(product.current)
    known = next(one for one in models.known_products if (bool(one.designation), bool(one.photo)) == _has(modalities))

    prediction = user.post("/predict", json=body(known)).raise_for_status().json()

    expected = models.predict(known)
    assert (product.current, False) == (prediction["release"], prediction["degraded"])
    assert set(modalities) == {name for name, candidate in prediction["modalities"].items() if candidate}
    assert int(CHALLENGE.codes[int(expected.argmax())]) == prediction["category"]["code"]
    assert prediction["confidence"] == pytest.approx(float(expected.max()), abs=0.02)


def _has(modalities: tuple[str, ...]) -> tuple[bool, bool]:
    return "text" in modalities, "image" in modalities


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("", "POST", "/predict", 401),
        ("user", "GET", "/categories", 200),
        ("user", "GET", "/feedback", 200),
        ("user", "GET", "/retrain", 403),
        ("reviewer", "GET", "/feedback", 200),
        ("reviewer", "GET", "/retrain", 403),
        ("reviewer", "GET", "/users", 403),
        ("admin", "GET", "/retrain", 200),
        ("admin", "GET", "/users", 200),
    ],
)
def test_each_role_has_its_permissions(product: Product, role: str, method: str, path: str, status: int) -> None:
    with product.client(role) if role else httpx.Client(base_url=product.url) as client:
        assert status == client.request(method, path, json={} if method == "POST" else None).status_code


def test_an_invalid_token_is_rejected_inside_the_cluster() -> None:
    code = """
import urllib.request, urllib.error
for token in ("", "Bearer x", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJkZW1vLWFkbWluIn0."):
    request = urllib.request.Request("http://auth-proxy/predict", b"{}", {"Authorization": token})
    try:
        print(urllib.request.urlopen(request).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""
    name = unique("stranger")
    cluster.start_job("simulation", name, command=["python", "-c", code])

    assert ["401", "401", "401"] == cluster.finish_job(name, 180).split()


def test_an_unrelated_pod_cannot_reach_a_predictor_if_policies_are_enforced() -> None:
    if not listed("networkpolicies"):
        pytest.skip("no NetworkPolicy is deployed; manifests/components/network-policies has them")
    code = """
import urllib.request
try:
    urllib.request.urlopen("http://text-predictor-predictor/v2/health/live", timeout=5)
    print("reached")
except OSError:
    print("refused")
"""
    name = unique("stranger")
    cluster.start_job("simulation", name, command=["python", "-c", code])

    if cluster.finish_job(name, 180).strip() == "reached":
        pytest.skip("this cluster's network does not enforce policies")


COLUMNS = {
    "text-predictor": ("designation", "description"),
    "image-predictor": ("image",),
    "fusion-transformer": ("designation", "description", "image"),
}


def columns(product: Product, name: str) -> dict[str, list[bytes]]:
    """Return three known products with text and photo as the inputs of a model."""
    whole = [one for one in product.model(product.current).known_products if one.designation and one.photo]
    found = {
        "designation": [one.designation.encode() for one in whole],
        "description": [one.description.encode() for one in whole],
        "image": [one.photo or b"" for one in whole],
    }
    return {column: found[column] for column in COLUMNS[name]}


@pytest.mark.parametrize("name", MODELS)
async def test_public_clients_get_the_same_probabilities_over_v1_v2_and_grpc(product: Product, name: str) -> None:
    values = columns(product, name)
    pod = next(pod["metadata"]["name"] for pod in pods(name) if is_ready(pod))
    with forwarded(f"pod/{pod}", 8080) as http, forwarded(f"pod/{pod}", 8081) as grpc:
        v1 = await _v1(http, name, values)
        v2, release = _v2(http, name, values)
        by_grpc = _grpc(grpc, name, values)

    assert product.current == release
    np.testing.assert_allclose(v1, v2, atol=1e-5)
    np.testing.assert_allclose(by_grpc, v2, atol=1e-5)
    assert (len(next(iter(values.values()))), len(CHALLENGE.codes)) == v2.shape


async def _v1(address: str, name: str, values: dict[str, list[bytes]]) -> np.ndarray:
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    instances = [{column: _readable(column, value) for column, value in row.items()} for row in rows]
    reply = await client.infer(f"http://{address}", {"instances": instances}, name)
    await client.close()
    return np.array([row["probabilities"] if isinstance(row, dict) else row for row in reply["predictions"]])


def _readable(column: str, value: bytes) -> Any:
    return {"b64": base64.b64encode(value).decode()} if column == "image" else value.decode()


def _v2(address: str, name: str, values: dict[str, list[bytes]]) -> tuple[np.ndarray, str]:
    client = triton.InferenceServerClient(address)
    inputs = []
    for column, rows in values.items():
        tensor = triton.InferInput(column, [len(rows)], "BYTES")
        tensor.set_data_from_numpy(np.array(rows, np.object_))
        inputs.append(tensor)
    result = client.infer(name, inputs)
    return result.as_numpy("probabilities"), result.get_response()["parameters"]["release"]


def _grpc(address: str, name: str, values: dict[str, list[bytes]]) -> np.ndarray:
    """Send the request in a separate process: messages of Triton and KServe have the same names."""
    request = json.dumps({column: [base64.b64encode(row).decode() for row in rows] for column, rows in values.items()})
    command = [sys.executable, str(TRITON_GRPC), address, name]
    done = subprocess.run(command, input=request, capture_output=True, text=True, check=True)
    return np.array(json.loads(done.stdout)["probabilities"])


def test_the_gateway_forwards_v2_requests(product: Product, user: httpx.Client) -> None:
    tensor = {"name": "designation", "shape": [1], "datatype": "BYTES", "data": ["Piscine gonflable"]}

    reply = user.post("/v2/models/text-predictor/infer", json={"inputs": [tensor]}).raise_for_status().json()

    assert product.current == reply["parameters"]["release"]


def test_one_of_two_predictor_pods_killed_under_load_fails_no_request(product: Product) -> None:
    victim = pods("text-predictor")[0]["metadata"]["name"]
    with request_loop(product) as log:
        until(lambda: len(log.responses) > 20, 60)
        kubectl("delete", "pod", victim, "--grace-period=0", "--force")
        before = len(log.responses)
        until(lambda: len(log.responses) > before + 40, 60)
        until(lambda: sum(map(is_ready, pods("text-predictor"))) == 2, 180, "two ready pods")

    assert [] == log.failures
    assert [] == inconsistent(product, log)


def test_predictions_are_degraded_without_image_predictor_and_recover(product: Product) -> None:
    with request_loop(product) as log:
        until(lambda: log.responses, 60)
        names = [pod["metadata"]["name"] for pod in pods("image-predictor")]
        kubectl("delete", "pod", *names, "--grace-period=0", "--force")
        until(lambda: log.degraded, 60, "a degraded prediction")
        until(lambda: sum(map(is_ready, pods("image-predictor"))) == 2, 180, "two ready pods")
        whole = len(log.responses)
        until(lambda: not any(response["degraded"] for _, response in log.responses[whole + 20 :][-10:]), 60)
        until(lambda: len(log.responses) > whole + 30, 60)

    with_words = [response for number, response in log.responses if _has_words(product, number)]
    assert with_words
    assert {False} == {response["degraded"] for _, response in log.responses[-10:]}
    assert [one for one in log.failures if not one.startswith("503")] == []


def _has_words(product: Product, number: int) -> bool:
    return bool(product.model(product.current).known_products[number].designation)


def test_corrections_start_one_run_with_a_verdict_and_no_prediction_fails_or_mixes_releases(
    product: Product, admin: httpx.Client
) -> None:
    before, known = product.current, {run["run_id"] for run in _runs(admin)}
    with request_loop(product, pause_s=0.2) as log:
        sent = _correct(product, admin.get("/retrain").json()["progress"]["needed"])
        if known:  # the cool-down of an earlier run would delay this one
            admin.post("/retrain")
        (run_id,) = until(lambda: {run["run_id"] for run in _runs(admin)} - known, 120, "a run")
        run = until(lambda: _finished(admin, run_id), RUN_S, f"the end of {run_id}")

    assert ("succeeded", True) == (run["state"], bool(run["verdict"]["reasons"])), run
    assert run["corrections"] >= len(sent)
    assert {*sent} <= set(product.store.list("feedback/"))
    assert run["verdict"]["release"] in product.published()
    assert (run["verdict"]["release"] if run["verdict"]["promoted"] else before) == product.current
    assert [] == log.failures
    assert [] == inconsistent(product, log)
    assert {before, product.current} == set(log.releases)


def test_the_run_is_one_of_kubeflow_pipelines_if_it_is_installed(admin: httpx.Client) -> None:
    if not get("service", "ml-pipeline", namespace="kubeflow"):
        pytest.skip("there is no service/ml-pipeline in namespace kubeflow; runs are Jobs")
    runs = listed("workflows.argoproj.io", namespace="kubeflow")

    names = {one["metadata"].get("annotations", {}).get("pipelines.kubeflow.org/run_name", "") for one in runs}
    assert _runs(admin)[0]["run_id"] in names


def _runs(admin: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin.get("/retrain").raise_for_status().json()["runs"]
    return found


def _finished(admin: httpx.Client, run_id: str) -> dict[str, Any] | None:
    run: dict[str, Any] = admin.get(f"/retrain/{run_id}").raise_for_status().json()
    return run if run["state"] in {"succeeded", "failed"} else None


def _correct(product: Product, count: int) -> list[str]:
    """Correct unseen products as a reviewer; a unique lot number makes them new in every test run."""
    unseen = pd.read_parquet(io.BytesIO(product.store.get("splits/unseen.parquet")))
    texts = unseen[unseen["designation"].str.strip() != ""].drop_duplicates("designation").head(count)
    assert count == len(texts), f"only {len(texts)} unseen products have words"
    keys, lot = [], uuid.uuid4().hex[:8]
    with product.client("reviewer") as client:
        for row in texts.itertuples():
            subject = {"designation": f"{row.designation} (lot {lot})", "description": row.description}
            given = client.post("/feedback", json={"product": subject, "code": int(row.code)}).raise_for_status().json()
            keys.append(given["feedback_id"])
    found = list(product.store.list("feedback/"))
    return [next(key for key in found if one in key) for one in keys]


def test_a_rollback_serves_another_release_and_no_prediction_fails_or_mixes_releases(product: Product) -> None:
    before, name = product.current, unique("rollback")
    other = next(release for release in reversed(product.published()) if release != before)
    with request_loop(product) as log:
        cluster.start_job("training", name, args=["pipelines", "rollback", other])
        cluster.finish_job(name, RUN_S)
        until(lambda: log.responses[-1][1]["release"] == other, 60, f"a response of {other}")

    assert other == product.current
    assert {before, other} == set(log.releases)
    assert [] == log.failures
    assert [] == inconsistent(product, log)


def test_a_release_that_servers_reject_does_not_replace_the_champion(product: Product, tmp_path: Path) -> None:
    before = product.current
    bad = _damaged(product, tmp_path)
    with request_loop(product) as log, pytest.raises(RolloutFailed) as failure:
        product.rollout.switch(bad)
    product.delete(bad)

    assert "refuses the release" in str(failure.value)
    assert before == product.current
    assert ({before}, []) == (set(log.releases), log.failures)
    assert all(is_ready(get("inferenceservice", name)) for name in MODELS)


def _damaged(product: Product, folder: Path) -> str:
    """Publish a release whose text model fails its self-check."""
    product.model(product.current)
    release = f"r-20000101T000000-{uuid.uuid4().hex[:8]}"
    shutil.copytree(product.folder / product.current, folder / release)
    for kind in bundle.KINDS:
        path = folder / release / kind / "bundle.json"
        sealed = json.loads(path.read_text())
        if kind == "text":
            sealed["self_test"]["probabilities"] = sealed["self_test"]["probabilities"][::-1]
        path.write_text(json.dumps(sealed | {"release": release}))
    for path in sorted((folder / release).rglob("*")):
        if path.is_file():
            product.store.put(f"models/{release}/{path.relative_to(folder / release).as_posix()}", path.read_bytes())
    return release


def test_a_canary_serves_a_share_and_always_the_same_products(product: Product) -> None:
    champion = product.current
    challenger = next(one for one in reversed(product.published()) if one != champion and one > "r-2001")
    product.rollout.start_challenger(challenger, share=0.5)
    try:
        with request_loop(product) as log:
            until(lambda: {champion, challenger} == set(log.releases), 60, "a response of each")
            until(lambda: len(log.responses) > 100, 120)
    finally:
        product.rollout.stop_challenger()

    by_product: dict[int, set[str]] = {}
    for number, response in log.responses:
        by_product.setdefault(number, set()).add(response["release"])
    assert {1} == {len(releases) for releases in by_product.values()}
    assert ([], []) == (log.failures, inconsistent(product, log))
    assert CANARY not in get("inferenceservice", "fusion-transformer")["spec"]["predictor"]["annotations"]


def test_a_simulation_loses_nothing_while_gateway_and_feedback_service_restart(product: Product) -> None:
    name, known = unique("simulation"), set(product.store.list("reports/simulation/"))
    cluster.start_job("simulation", name, N="150", RATE="5", CORRECT="0.2")
    for one in ("statefulset/auth-proxy", "statefulset/feedback-service"):
        kubectl("rollout", "restart", one)
        kubectl("rollout", "status", one, "--timeout=240s")
    cluster.finish_job(name, 300)

    written = sorted(set(product.store.list("reports/simulation/")) - known)
    report = json.loads(product.store.get(next(key for key in written if key.endswith(".json"))))
    assert ["html", "json"] == sorted(key.rpartition(".")[2] for key in written)
    assert (150, 0) == (report["requests"]["answered"], report["requests"]["unanswered"]), report["requests"]
