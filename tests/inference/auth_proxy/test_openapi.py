"""The OpenAPI document has every route of the table, and what client generators need."""

import inspect
import re
from typing import Any, get_args

import pytest

from inference.auth_proxy.routes import ROUTES
from inference.auth_proxy.routing import Route
from tests.inference.auth_proxy.conftest import Gateway


@pytest.fixture
def document(gateway: Gateway) -> dict[str, Any]:
    with gateway.client(None) as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_every_route_but_the_pages_is_documented_with_its_role(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path): operation.get("x-role")
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }

    assert described == {(route.method, route.path): route.role for route in ROUTES if route.operation_id}


def test_clients_can_be_generated(document: dict[str, Any]) -> None:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    bodies = [
        media["schema"]
        for operation in operations
        for part in [operation.get("requestBody", {}), *operation["responses"].values()]
        for media in part.get("content", {}).values()
    ]

    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]+", name)] == []
    assert [schema for schema in bodies if not {"$ref", "type", "anyOf", "oneOf"} & set(schema)] == []
    for reference in re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(document)):
        assert reference in document["components"]["schemas"]


@pytest.mark.parametrize("route", [route for route in ROUTES if hasattr(route.handler, "__wrapped__")])
def test_handlers_take_and_return_the_types_of_the_table(route: Route) -> None:
    function = route.handler.__wrapped__  # type: ignore[attr-defined]
    annotations = inspect.get_annotations(function)
    bodies = {type(None) if response.body is None else response.body for response in route.responses.values()}

    assert [annotations.get("body")] * len(route.request) == list(route.request.values())
    assert str(bodies) == str({*get_args(annotations["return"])})


def test_every_operation_documents_its_problems_and_an_example_is_given(document: dict[str, Any]) -> None:
    text = str(document)
    predict = document["paths"]["/predict"]["post"]

    for operations in document["paths"].values():
        for operation in operations.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
    assert {"401", "403", "413", "415", "422", "429", "503"} <= set(predict["responses"])
    assert predict["responses"]["200"]["content"]["application/json"]["example"]["category"]["label"]
    assert document["components"]["schemas"]["ProductInput"]["examples"]
    assert "HTTPValidationError" not in text
    assert not re.search(r"127\.0\.0\.1|localhost", text)


@pytest.mark.parametrize("own_gateway", [{"root_path": "/shop/classifier"}], indirect=True)
def test_paths_in_responses_are_those_under_the_root_path(own_gateway: Gateway) -> None:
    own_gateway.feedback.responses["/retrain"] = {}
    new = {"name": "grace", "password": "correct horse battery"}
    with own_gateway.client("ada") as client:
        document = client.get("/openapi.json").json()
        location = client.post("/users", json=new).headers["location"]
        client.get("/retrain")

    assert [{"url": "/shop/classifier"}] == document["servers"]
    password = document["components"]["securitySchemes"]["token"]["flows"]["password"]
    assert "/shop/classifier/token" == password["tokenUrl"]
    assert "/shop/classifier/users/grace" == location
    assert "/shop/classifier" == own_gateway.feedback.seen[-1].headers["x-forwarded-prefix"]
