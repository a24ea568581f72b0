"""Generate strict, small JSON schemas of custom resources from their CRDs.

    kubectl get crd inferenceservices.serving.kserve.io -o yaml | python -m tests.manifests.make_schema v1beta1

The schemas have the fields that are not in `UNUSED_FIELDS`, such as those of a predictor with custom containers; other
fields are rejected.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

SCHEMAS = Path(__file__).parent / "schemas"
Schema = dict[str, Any]
UNUSED_FIELDS = {
    "canary",
    "explainer",
    "transformer",
    "workerSpec",
    "model",
    "logger",
    "batcher",
    "ephemeralContainers",
    "podTemplate",
    "dns01",
    "sources",
    "multi",
}


def strict(schema: Schema) -> Schema:
    """Return the schema without descriptions, unused fields and unknown properties."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    copied = {
        name: schema[name] for name in ("type", "enum", "required", "pattern", "minimum", "maximum") if name in schema
    }
    if "items" in schema:
        copied["items"] = strict(schema["items"])
    if "properties" in schema:
        known = {
            name: of for name, of in schema["properties"].items() if name not in UNUSED_FIELDS and not _is_runtime(of)
        }
        copied["properties"] = {name: strict(of) for name, of in known.items()}
        copied["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    elif isinstance(schema.get("additionalProperties"), dict):
        copied["additionalProperties"] = strict(schema["additionalProperties"])
    return copied


def _is_runtime(schema: Schema) -> bool:
    """Return whether a field is one of KServe's model servers (sklearn, triton, …)."""
    return {"storageUri", "protocolVersion"} <= set(schema.get("properties", {}))


def main(argv: Sequence[str]) -> None:
    (wanted,) = argv
    crd = yaml.safe_load(sys.stdin)
    (version,) = [one for one in crd["spec"]["versions"] if one["name"] == wanted]
    whole = version["schema"]["openAPIV3Schema"]
    result = strict({"type": "object", "required": ["spec"], "properties": {"spec": whole["properties"]["spec"]}})
    result["additionalProperties"] = True
    SCHEMAS.mkdir(exist_ok=True)
    path = SCHEMAS / f"{crd['spec']['names']['kind'].lower()}-{wanted}.json"
    path.write_text(json.dumps(result, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
