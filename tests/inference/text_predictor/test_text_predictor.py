"""The text predictor over HTTP."""

import httpx
import numpy as np
import pytest

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.releases.release import Release, load_text
from tests.support.model_servers import RunningServer

TITLES = ["Livre de poche", "Console de jeux rétro", ""]
BODIES = ["<p>Broché &amp; neuf</p>", "", "Une lampe"]


@pytest.fixture
def server(servers: dict[str, RunningServer]) -> RunningServer:
    return servers["text-predictor"]


@pytest.fixture(scope="module")
def expected(releases: tuple[Release, Release]) -> np.ndarray:
    model, _ = load_text(releases[0].path)
    return model.probabilities(TITLES, BODIES)


def tensor(name: str, data: list[str], **more: object) -> dict[str, object]:
    return {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data, **more}


def test_v2_returns_the_probabilities_of_the_bundle(server: RunningServer, expected: np.ndarray) -> None:
    body = {"id": "7", "inputs": [tensor("designation", TITLES), tensor("description", BODIES)]}

    reply = httpx.post(server.infer, json=body).json()

    (output,) = reply["outputs"]
    np.testing.assert_allclose(np.reshape(output["data"], output["shape"]), expected, atol=1e-6)
    assert ("7", "text-predictor", "probabilities", "FP32", [3, 27]) == (
        reply["id"],
        reply["model_name"],
        output["name"],
        output["datatype"],
        output["shape"],
    )


def test_a_response_names_release_and_version(server: RunningServer, releases: tuple[Release, Release]) -> None:
    reply = httpx.post(server.infer, json={"inputs": [tensor("designation", ["a"])]}).json()

    assert (releases[0].id, releases[0].versions["text"]) == (reply["parameters"]["release"], reply["model_version"])


def test_description_may_be_left_out(server: RunningServer) -> None:
    alone = httpx.post(server.infer, json={"inputs": [tensor("designation", TITLES)]}).json()
    empty = {"inputs": [tensor("designation", TITLES), tensor("description", ["", "", ""])]}

    assert httpx.post(server.infer, json=empty).json()["outputs"] == alone["outputs"]


def test_base64_text_is_decoded_if_its_content_type_says_so(server: RunningServer) -> None:
    plain = httpx.post(server.infer, json={"inputs": [tensor("designation", ["Été"])]}).json()
    coded = tensor("designation", ["w4l0w6k="], parameters={"content_type": "base64"})

    assert httpx.post(server.infer, json={"inputs": [coded]}).json()["outputs"] == plain["outputs"]


def test_data_may_be_nested(server: RunningServer) -> None:
    flat = httpx.post(server.infer, json={"inputs": [tensor("designation", ["a", "b"])]}).json()
    nested = {"name": "designation", "shape": [2], "datatype": "BYTES", "data": [["a"], ["b"]]}

    assert httpx.post(server.infer, json={"inputs": [nested]}).json()["outputs"] == flat["outputs"]


def test_v1_accepts_strings_and_objects(server: RunningServer, expected: np.ndarray) -> None:
    instances = [
        {"designation": TITLES[0], "description": BODIES[0]},
        TITLES[1],
        {"designation": "", "description": BODIES[2]},
    ]

    reply = httpx.post(server.predict, json={"instances": instances}).json()

    np.testing.assert_allclose(reply["predictions"], expected, atol=1e-6)


def test_v1_needs_no_content_type(server: RunningServer) -> None:
    reply = httpx.post(server.predict, content=b'{"instances": ["a"]}')

    assert (200, 1) == (reply.status_code, len(reply.json()["predictions"]))


def test_metadata_names_tensors_codes_version_and_release(
    server: RunningServer, releases: tuple[Release, Release]
) -> None:
    metadata = httpx.get(f"{server.url}/v2/models/text-predictor").json()

    assert [("designation", "BYTES", [-1]), ("description", "BYTES", [-1])] == [
        (one["name"], one["datatype"], one["shape"]) for one in metadata["inputs"]
    ]
    assert [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 27]}] == metadata["outputs"]
    assert ",".join(map(str, CHALLENGE.codes)) == metadata["properties"]["codes"]
    assert releases[0].id == metadata["properties"]["release"]
    assert [releases[0].versions["text"]] == metadata["versions"]


def test_a_version_can_be_requested(server: RunningServer, releases: tuple[Release, Release]) -> None:
    version = releases[0].versions["text"]
    body = {"inputs": [tensor("designation", ["a"])]}
    base = f"{server.url}/v2/models/text-predictor/versions"

    statuses = [httpx.post(f"{base}/{one}/infer", json=body).status_code for one in (version, "text-other")]

    assert [200, 404] == statuses
    assert [200, 404] == [httpx.get(f"{base}/{one}/ready").status_code for one in (version, "text-other")]


@pytest.mark.parametrize(
    "path", ["/", "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models", "/v1/models", "/metrics"]
)
def test_the_routes_of_the_sdk_respond(server: RunningServer, path: str) -> None:
    assert httpx.get(server.url + path).status_code == 200


def test_a_client_cannot_unload_a_model(server: RunningServer) -> None:
    reply = httpx.post(f"{server.url}/v2/repository/models/text-predictor/unload")

    assert (404, 200) == (reply.status_code, httpx.get(f"{server.url}/v2/models/text-predictor/ready").status_code)


def test_outcomes_are_counted(server: RunningServer, releases: tuple[Release, Release]) -> None:
    httpx.post(server.infer, json={"inputs": [tensor("designation", ["a"])]})
    httpx.post(server.infer, json={"inputs": []})

    metrics = httpx.get(f"{server.url}/metrics").text

    assert 'model_request_duration_seconds_count{model_name="text-predictor",outcome="ok",protocol="v2"}' in metrics
    assert (
        'model_request_duration_seconds_count{model_name="text-predictor",outcome="invalid",protocol="v2"}' in metrics
    )
    assert f'model_release_info{{model_name="text-predictor",release="{releases[0].id}",state="current"' in metrics


def test_a_request_is_logged_in_one_line_with_its_id_and_without_its_text(server: RunningServer) -> None:
    headers = {"X-Request-Id": "an-id-of-mine"}
    reply = httpx.post(server.infer, json={"inputs": [tensor("designation", ["très secret"])]}, headers=headers)

    lines = [line for line in server.logged().splitlines() if "an-id-of-mine" in line]

    assert "an-id-of-mine" == reply.headers["x-request-id"]
    assert 1 == len(lines)
    assert '"outcome":"ok"' in lines[0]
    assert "secret" not in server.logged()
