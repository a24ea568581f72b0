"""Make the JSON schema of KServe's InferenceService from its CRD, strict and small enough to keep beside the tests.

    kubectl get crd inferenceservices.serving.kserve.io -o json | python -m tests.manifests.make_schema

Kept are the fields of a predictor with containers of its own; a field that is not known is refused.
"""

import json
import sys
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parent / "schemas" / "inferenceservice-v1beta1.json"
Schema = dict[str, Any]
NOT_OURS = {"canary", "explainer", "transformer", "workerSpec", "model", "logger", "batcher", "ephemeralContainers"}


def strict(schema: Schema) -> Schema:
    """Return the schema without prose and without kinds of predictors that we do not have."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    kept = {
        name: schema[name] for name in ("type", "enum", "required", "pattern", "minimum", "maximum") if name in schema
    }
    if "items" in schema:
        kept["items"] = strict(schema["items"])
    if "properties" in schema:
        known = {name: of for name, of in schema["properties"].items() if name not in NOT_OURS and not _is_runtime(of)}
        kept["properties"] = {name: strict(of) for name, of in known.items()}
        kept["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    elif isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = strict(schema["additionalProperties"])
    return kept


def _is_runtime(schema: Schema) -> bool:
    """Tell whether a field is one of KServe's own servers (sklearn, triton, …)."""
    return {"storageUri", "protocolVersion"} <= set(schema.get("properties", {}))


def main() -> None:
    crd = json.load(sys.stdin)
    (version,) = [one for one in crd["spec"]["versions"] if one["name"] == "v1beta1"]
    whole = version["schema"]["openAPIV3Schema"]
    made = strict({"type": "object", "required": ["spec"], "properties": {"spec": whole["properties"]["spec"]}})
    made["additionalProperties"] = True
    SCHEMA.parent.mkdir(exist_ok=True)
    SCHEMA.write_text(json.dumps(made, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
