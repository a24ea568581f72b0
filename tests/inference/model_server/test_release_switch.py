"""Releases are promoted, refused and awaited while model servers run."""

import asyncio
import base64
import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from product_classifier.releases.release import Release, load_fusion, load_image, load_text
from tests.support.model_servers import MODULES, RunningServer, launch, served, wait_until_ready
from tests.support.tiny_release import make_release, photo

PHOTO = photo(7)
REQUEST = {
    "inputs": [
        {"name": "designation", "shape": [1], "datatype": "BYTES", "data": ["Livre"]},
        {"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(PHOTO).decode()]},
    ]
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, releases: tuple[Release, Release]) -> Path:
    """A folder of both releases; the first is current."""
    folder = tmp_path_factory.mktemp("pointed")
    for release in releases:
        shutil.copytree(release.path, folder / release.id)
    point(folder, releases[0].id)
    return folder


@pytest.fixture(scope="module")
def pointed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningServer]]:
    with served(list(MODULES), folder, tmp_path_factory.mktemp("logs")) as running:
        yield running


def point(folder: Path, name: str) -> None:
    (folder / "champion.new").write_text(name)
    (folder / "champion.new").rename(folder / "champion")


def properties_of(server: RunningServer) -> dict[str, str]:
    properties: dict[str, str] = httpx.get(f"{server.url}/v2/models/{server.name}").json()["properties"]
    return properties


def wait_for(servers: dict[str, RunningServer], key: str, value: str) -> None:
    until = time.monotonic() + 30
    while any(value not in properties_of(server).get(key, "") for server in servers.values()):
        assert time.monotonic() < until
        time.sleep(0.02)


def fused(release: Release) -> np.ndarray:
    text, image, fusion = (load(release.path)[0] for load in (load_text, load_image, load_fusion))
    both = np.array([True])
    return fusion.combine(text.probabilities(["Livre"], [""]), image.probabilities([PHOTO]), both, both)


async def test_no_response_fails_or_mixes_releases_while_three_servers_switch(
    pointed: dict[str, RunningServer], folder: Path, releases: tuple[Release, Release]
) -> None:
    expected = {release.id: fused(release) for release in releases}
    responses: list[tuple[str, list[float]]] = []

    async def send_requests(client: httpx.AsyncClient, until: asyncio.Event) -> None:
        while not until.is_set():
            reply = (await client.post(pointed["fusion-transformer"].infer, json=REQUEST)).json()
            assert reply["parameters"]["degraded"] is False
            responses.append((reply["parameters"]["release"], reply["outputs"][0]["data"]))

    done = asyncio.Event()
    async with httpx.AsyncClient(timeout=30) as client:
        senders = [asyncio.create_task(send_requests(client, done)) for _ in range(4)]
        for release in (releases[1], releases[0], releases[1]):
            point(folder, release.id)
            await asyncio.to_thread(wait_for, pointed, "release", release.id)
        done.set()
        await asyncio.gather(*senders)

    assert {release.id for release in releases} == {name for name, _ in responses}
    for name, probabilities in responses:
        np.testing.assert_allclose(probabilities, expected[name][0], atol=1e-5)


def test_the_previous_release_can_be_requested_by_name(
    pointed: dict[str, RunningServer], folder: Path, releases: tuple[Release, Release]
) -> None:
    point(folder, releases[0].id)
    wait_for(pointed, "release", releases[0].id)
    point(folder, releases[1].id)
    wait_for(pointed, "release", releases[1].id)
    requests = [REQUEST | {"parameters": {"release": name}} for name in (releases[0].id, "r-unknown")]

    old, unknown = (httpx.post(pointed["fusion-transformer"].infer, json=body) for body in requests)

    assert releases[0].id == old.json()["parameters"]["release"]
    np.testing.assert_allclose(old.json()["outputs"][0]["data"], fused(releases[0])[0], atol=1e-5)
    assert (404, "release_not_loaded") == (unknown.status_code, unknown.json()["kind"])


def test_a_damaged_release_is_refused_and_the_current_one_stays(
    pointed: dict[str, RunningServer], folder: Path, releases: tuple[Release, Release]
) -> None:
    point(folder, releases[1].id)
    wait_for(pointed, "release", releases[1].id)
    third = make_release(folder, 3)
    weights = third.path / "text" / "weights.npz"
    damaged = bytearray(weights.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    weights.write_bytes(damaged)

    point(folder, third.id)
    wait_for(pointed, "refused", "weights.npz: sha256 is")

    for server in pointed.values():
        assert releases[1].id == properties_of(server)["release"]
        assert f'model_release_refused{{model_name="{server.name}"}} 1.0' in httpx.get(f"{server.url}/metrics").text
        assert 1 == server.logged().count('"event":"release_refused"')
    point(folder, releases[1].id)
    wait_for(pointed, "release", releases[1].id)


@pytest.mark.parametrize("name", ["../../etc", "", "r-20990101T000000-00000000"])
def test_a_pointer_to_no_release_is_refused(
    pointed: dict[str, RunningServer], folder: Path, releases: tuple[Release, Release], name: str
) -> None:
    text = {"text-predictor": pointed["text-predictor"]}
    before = properties_of(pointed["text-predictor"])["release"]

    point(folder, name)
    wait_for(text, "refused", name.rsplit("/", 1)[-1] or "champion")

    assert before == properties_of(pointed["text-predictor"])["release"]
    point(folder, before)


def test_a_server_with_a_damaged_bundle_exits_with_one_log_line(
    releases: tuple[Release, Release], tmp_path: Path
) -> None:
    damaged = tmp_path / releases[0].id
    shutil.copytree(releases[0].path, damaged)
    (damaged / "image" / "model.onnx").write_bytes(b"something else")

    server = launch("image-predictor", damaged / "image", tmp_path / "log")

    assert 78 == server.process.wait(60)
    (line,) = server.logged().splitlines()
    assert '"event":"bundle_refused"' in line
    assert "model.onnx: has 14 bytes, the manifest lists" in line


def test_a_port_in_use_is_reported_in_one_log_line(
    servers: dict[str, RunningServer], releases: tuple[Release, Release], tmp_path: Path
) -> None:
    taken = servers["text-predictor"].http
    http = launch("text-predictor", releases[0].path, tmp_path / "http", http=taken)
    grpc = launch(
        "text-predictor", releases[0].path, tmp_path / "grpc", "--grpc_port", str(servers["text-predictor"].grpc)
    )

    assert (1, 1) == (http.process.wait(60), grpc.process.wait(60))
    assert f"cannot listen on 127.0.0.1:{taken}" in http.logged()
    assert "is the port in use?" in grpc.logged()
    assert (1, 1) == (len(http.logged().splitlines()), len(grpc.logged().splitlines()))


def test_a_single_bundle_is_served_and_a_request_in_flight_completes_on_shutdown(
    releases: tuple[Release, Release], logs: Path
) -> None:
    with served(["image-predictor"], releases[0].path / "image", logs) as running:
        server = running["image-predictor"]
        release = properties_of(server)["release"]
        head = "POST /v2/models/image-predictor/infer HTTP/1.1\r\nHost: x\r\nContent-Length: "
        body = b'{"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["%s"]}]}' % base64.b64encode(PHOTO)

        status = asyncio.run(_send_in_two_halves(server, head, body))

        assert (releases[0].id, "200", 0) == (release, status, server.process.wait(30))


async def _send_in_two_halves(server: RunningServer, head: str, body: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.http)
    writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body[:50])
    await writer.drain()
    await asyncio.sleep(0.2)
    server.process.terminate()
    await asyncio.sleep(0.2)
    writer.write(body[50:])
    reply = await reader.read(100)
    writer.close()
    return reply.split()[1].decode()


def test_all_releases_in_a_container_are_served_by_name(
    releases: tuple[Release, Release], tmp_path: Path, logs: Path
) -> None:
    champion, challenger = releases
    for release in releases:
        shutil.copytree(release.path / "text", tmp_path / "models" / release.id.lower())
    (tmp_path / "models" / "r-damaged").mkdir()
    with served(["text-predictor"], tmp_path / "models", logs, "--release", challenger.id) as running:
        server = running["text-predictor"]
        selections = [{}, {"parameters": {"release": champion.id}}, {"parameters": {"release": "r-damaged"}}]
        request = {"inputs": REQUEST["inputs"][:1]}
        replies = [httpx.post(server.infer, json=request | selection) for selection in selections]

        assert [challenger.id, champion.id] == [reply.json()["parameters"]["release"] for reply in replies[:2]]
        assert (404, "release_not_loaded") == (replies[2].status_code, replies[2].json()["kind"])
        metrics = httpx.get(f"{server.url}/metrics").text
        assert f'release="{champion.id}",state="held"' in metrics
        assert 'model_other_releases_refused{model_name="text-predictor"} 1.0' in metrics
        assert '"event":"other_release_refused","release":"r-damaged"' in server.logged()


def test_a_container_without_its_current_release_exits_with_one_log_line(
    releases: tuple[Release, Release], tmp_path: Path
) -> None:
    shutil.copytree(releases[0].path / "text", tmp_path / "models" / releases[0].id.lower())

    server = launch("text-predictor", tmp_path / "models", tmp_path / "log", "--release", "r-other")

    assert 78 == server.process.wait(60)
    assert "r-other: is not a folder" in server.logged()


def test_a_server_without_a_release_is_live_and_serves_the_first_one(
    releases: tuple[Release, Release], tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    server = launch("text-predictor", folder, tmp_path / "log", "--wait_for_release")
    try:
        wait_until_live(server)
        ready = httpx.get(f"{server.url}/v2/health/ready")
        refused = httpx.post(server.infer, json={"inputs": REQUEST["inputs"][:1]})
        shutil.copytree(releases[0].path, folder / releases[0].id)
        time.sleep(0.5)  # longer than the polling period: a release without a pointer is not promoted
        unready = httpx.get(f"{server.url}/v2/health/ready").status_code
        (folder / "champion").write_text(releases[0].id)
        wait_until_ready(server)

        assert (503, 503, 503, "unavailable") == (
            ready.status_code,
            refused.status_code,
            unready,
            refused.json()["kind"],
        )
        assert "text-predictor has no release yet" in refused.json()["error"]
        assert releases[0].id == properties_of(server)["release"]
    finally:
        server.process.kill()
        server.process.wait()


def test_a_server_without_a_release_stops_on_sigterm_and_reports_a_port_in_use(tmp_path: Path) -> None:
    server = launch("text-predictor", tmp_path / "models", tmp_path / "log", "--wait_for_release")
    wait_until_live(server)
    other = launch("text-predictor", tmp_path / "models", tmp_path / "other", "--wait_for_release", http=server.http)

    assert (1, 0) == (other.process.wait(60), server.stop())
    assert f"cannot listen on 127.0.0.1:{server.http}" in other.logged()


def wait_until_live(server: RunningServer) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{server.url}/v2/health/live").raise_for_status()
            return
        time.sleep(0.02)
    raise AssertionError(server.logged())
