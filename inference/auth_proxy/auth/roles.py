"""Which role may call which route with which method; everything else is denied."""

import re
from dataclasses import dataclass
from enum import StrEnum

from inference.http.problems import Problem

MODELS = ("text-predictor", "image-predictor", "fusion-transformer")
NAME = r"[a-z0-9][a-z0-9._@-]{0,63}"
IDENTIFIER = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"


class Role(StrEnum):
    """What a person may do; each role includes the ones before it."""

    USER = "user"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Tell whether this role may do what `other` may."""
        return _RANK[self] >= _RANK[other]


_RANK = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table; `role` None means open to everybody."""

    method: str
    template: str
    role: Role | None


def _rules(role: Role | None, *rows: str) -> list[Rule]:
    return [Rule(method, template, role) for method, template in map(str.split, rows)]


def _model_rows(model: str) -> list[str]:
    rows = [f"GET /v1/models/{model}", f"POST /v1/models/{model}:predict"]
    for base in (f"/v2/models/{model}", f"/v2/models/{model}/versions/{{version}}"):
        rows += [f"GET {base}", f"GET {base}/ready", f"POST {base}/infer"]
    return rows


TABLE: tuple[Rule, ...] = (
    *_rules(
        None,
        "GET /",
        "GET /console/app.js",
        "GET /console/style.css",
        "GET /docs",
        "GET /console/docs.js",
        "GET /openapi.json",
        "POST /token",
        "GET /.well-known/jwks.json",
        "GET /healthz",
        "GET /readyz",
    ),
    *_rules(Role.USER, "POST /predict", "POST /predict/batch", "GET /categories", "POST /feedback"),
    *_rules(Role.USER, "GET /v1/models", "GET /v2", "GET /v2/health/live", "GET /v2/health/ready", "GET /v2/models"),
    *_rules(Role.USER, *(row for model in MODELS for row in _model_rows(model))),
    *_rules(Role.REVIEWER, "GET /feedback", "POST /feedback/{id}/approve", "POST /feedback/{id}/reject"),
    *_rules(Role.ADMIN, "POST /retrain", "GET /retrain", "GET /retrain/{run_id}"),
    *_rules(Role.ADMIN, "GET /users", "POST /users", "PATCH /users/{name}", "DELETE /users/{name}"),
)

_PARAMETERS = {"{name}": NAME, "{id}": IDENTIFIER, "{run_id}": IDENTIFIER, "{version}": IDENTIFIER}


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", template)
    return re.compile("".join(_PARAMETERS.get(part) or re.escape(part) for part in parts))


_Methods = dict[str, Rule]
_EXACT: dict[str, _Methods] = {}
_PATTERNS: dict[str, tuple[re.Pattern[str], _Methods]] = {}
for _rule in TABLE:
    if "{" in _rule.template:
        _PATTERNS.setdefault(_rule.template, (_pattern(_rule.template), {}))[1][_rule.method] = _rule
    else:
        _EXACT.setdefault(_rule.template, {})[_rule.method] = _rule


def find(method: str, path: str) -> Rule:
    """Return the rule of a request; raise a 404 or 405 problem where there is none."""
    methods = _EXACT.get(path)
    if methods is None:
        methods = next((found for pattern, found in _PATTERNS.values() if pattern.fullmatch(path)), None)
    if methods is None:
        raise Problem(404, f"there is nothing at {path[:100]!r}")
    try:
        return methods[method]
    except KeyError:
        allow = ", ".join(sorted(methods))
        raise Problem(
            405, f"{method[:20]!r} is not possible at {path[:100]!r}, only {allow}", headers={"Allow": allow}
        ) from None
