"""A KServe SDK predictor whose model does nothing, over V1, V2 and gRPC."""

import logging

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

ANSWER = np.full((1, 27), 1 / 27, np.float32)


class Noop(Model):
    """Answers the same 27 probabilities whatever it is asked, in the protocol and form it is asked in."""

    def __init__(self) -> None:
        super().__init__("noop")
        self.ready = True

    async def predict(
        self, payload: dict[str, object] | InferRequest, headers: dict[str, str] | None = None
    ) -> dict[str, object] | InferResponse:
        if isinstance(payload, dict):
            return {"predictions": ANSWER.tolist()}
        output = InferOutput("probabilities", list(ANSWER.shape), "FP32")
        output.set_data_from_numpy(ANSWER, binary_data=payload.from_grpc or bool(payload.use_binary_outputs))
        return InferResponse(payload.id or "1", self.name, [output], use_binary_outputs=payload.use_binary_outputs)


if __name__ == "__main__":
    logging.disable(logging.INFO)  # four lines a request by default; without them it is at its best
    ModelServer(enable_latency_logging=False).start([Noop()])
