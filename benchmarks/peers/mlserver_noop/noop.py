"""A model of MLServer that does nothing."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

ANSWER = np.full((1, 27), 1 / 27, np.float32)


class Noop(MLModel):
    """Answers the same 27 probabilities whatever it is asked."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        output = NumpyCodec.encode_output("probabilities", ANSWER)
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])
