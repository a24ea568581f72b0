"""Triton's gRPC client in a separate process, because it and KServe register the same messages.

python triton_grpc.py ADDRESS MODEL < inputs.json > outputs.json
"""

import base64
import json
import sys

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput


def main(address: str, model: str) -> None:
    client = InferenceServerClient(address)
    inputs = []
    for name, values in json.load(sys.stdin).items():
        tensor = InferInput(name, [len(values)], "BYTES")
        tensor.set_data_from_numpy(np.array([base64.b64decode(value) for value in values], np.object_))
        inputs.append(tensor)
    ready = [client.is_server_live(), client.is_server_ready(), client.is_model_ready(model)]
    metadata = client.get_model_metadata(model, as_json=True)
    result = client.infer(model, inputs)
    chosen = client.infer(model, inputs, outputs=[InferRequestedOutput("probabilities")], request_id="i" * 200)
    json.dump(
        {
            "ready": ready,
            "metadata": metadata,
            "probabilities": result.as_numpy("probabilities").tolist(),
            "outputs": [output.name for output in chosen.get_response().outputs],
            "id": chosen.get_response().id,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
