"""Generate a strict, small JSON schema of KServe's InferenceService from its CRD.

    kubectl get crd inferenceservices.serving.kserve.io -o json | python -m tests.manifests.make_schema

The schema has the fields of a predictor with custom containers; other fields are rejected.
"""

import json
import sys
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parent / "schemas" / "inferenceservice-v1beta1.json"
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


def main() -> None:
    crd = json.load(sys.stdin)
    (version,) = [one for one in crd["spec"]["versions"] if one["name"] == "v1beta1"]
    whole = version["schema"]["openAPIV3Schema"]
    result = strict({"type": "object", "required": ["spec"], "properties": {"spec": whole["properties"]["spec"]}})
    result["additionalProperties"] = True
    SCHEMA.parent.mkdir(exist_ok=True)
    SCHEMA.write_text(json.dumps(result, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
