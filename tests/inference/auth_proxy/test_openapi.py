"""The OpenAPI document is true: whatever is generated from it is answered as it says."""

import itertools
import os
import re

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.checks import load_all_checks
from schemathesis.generation import GenerationMode

from inference.auth_proxy.auth.roles import MODELS, TABLE
from tests.inference.auth_proxy.conftest import Gateway

CASES = int(os.environ.get("FUZZ_CASES", "12"))
"""Per operation; thousands on demand: FUZZ_CASES=400."""

load_all_checks()
HOLDS = [
    checks.not_a_server_error,
    *checks.CHECKS.get_by_names(
        ["status_code_conformance", "content_type_conformance", "response_headers_conformance",
         "response_schema_conformance", "unsupported_method", "ignored_auth"]
    ),
]  # fmt: skip


def test_everything_generated_is_answered_as_documented(own_gateway: Gateway) -> None:
    schema = schemathesis.openapi.from_url(f"{own_gateway.url}/openapi.json")
    asked = 0
    failures: list[str] = []
    for operation, mode in itertools.product((found.ok() for found in schema.get_all_operations()), GenerationMode):

        @settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.as_strategy(mode))
        def answered(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(headers=own_gateway.headers("ada"), checks=HOLDS, timeout=10)

        try:
            answered()
        except Unsatisfiable:
            continue  # nothing can be wrong with an operation that takes nothing
        except BaseExceptionGroup as group:
            failures += [f"{operation.label}: {error}" for error in group.exceptions]

    assert failures == []
    assert asked >= 300


def test_every_rule_of_the_table_is_documented_with_its_role(gateway: Gateway) -> None:
    with gateway.client(None) as client:
        document = client.get("/openapi.json").json()
    described = {
        (method.upper(), path.replace("{model}", MODELS[0])): operation.get("x-role")
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    pages = {"/", "/docs", "/openapi.json"}
    expected = {
        (rule.method, rule.template): rule.role
        for rule in TABLE
        if rule.template not in pages
        and not rule.template.startswith("/console")
        and "{version}" not in rule.template
        and not any(model in rule.template for model in MODELS[1:])
    }

    assert described == expected


def test_every_operation_documents_its_problems_and_an_example_is_given(gateway: Gateway) -> None:
    with gateway.client(None) as client:
        document = client.get("/openapi.json").json()
    text = str(document)
    predict = document["paths"]["/predict"]["post"]

    for operations in document["paths"].values():
        for operation in operations.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
    assert {"401", "403", "413", "415", "422", "429", "503"} <= set(predict["responses"])
    assert predict["responses"]["200"]["content"]["application/json"]["example"]["category"]["label"]
    assert document["components"]["schemas"]["ProductBody"]["examples"]
    assert "HTTPValidationError" not in text
    assert not re.search(r"127\.0\.0\.1|localhost", text)
