"""Published bodies of V1 and of the Open Inference Protocol (V2); the models validate them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from inference.http.api_models import ResponseModel

Binary = Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]
"""JSON followed by the bytes of the tensors (V2 extension for binary data)."""

HeaderLength = Annotated[int, Field(ge=0, description="Bytes of the JSON at the start of a body with binary tensors.")]
Parameters = dict[str, str | float | bool]
Scalar = str | int | float | bool
Shape = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=2)]


class RequestTensor(BaseModel):
    """An input: `designation`, `description` or `image` (base64 in JSON)."""

    name: Literal["designation", "description", "image"]
    shape: Shape
    datatype: Literal["BYTES"]
    parameters: Parameters | None = None
    data: Annotated[list[str] | list[list[str]], Field(min_length=1)]


class V2RequestedOutput(BaseModel):
    """An output to return."""

    name: Literal["probabilities", "code", "codes"]
    parameters: Parameters | None = None


class V2InferRequest(BaseModel):
    """A V2 inference request; all inputs have the same number of rows."""

    id: str | None = None
    parameters: Parameters | None = None
    inputs: Annotated[list[RequestTensor], Field(min_length=1)]
    outputs: list[V2RequestedOutput] | None = None


class ResponseTensor(ResponseModel):
    """An output."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: list[Scalar] | None = None


class V2InferResponse(ResponseModel):
    """A V2 inference response."""

    model_name: str
    model_version: str | None = None
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[ResponseTensor]


class V1PredictRequest(BaseModel):
    """A V1 request: one instance per product.

    An instance is an object by input name or, for a model with one input, the value.
    """

    instances: Annotated[list[str | dict[str, Any]], Field(min_length=1)]
    parameters: Parameters | None = None


class V1PredictResponse(ResponseModel):
    """A V1 response, one prediction per instance."""

    model_config = ConfigDict(extra="allow")

    predictions: list[Any]


class ModelStatus(ResponseModel):
    """Whether a model is ready."""

    model_config = ConfigDict(extra="allow")

    name: str | None = None
    ready: bool | None = None


class TensorMetadata(ResponseModel):
    """Name, datatype and shape of an input or output; -1 is any number."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(ResponseModel):
    """A model, with its inputs and outputs."""

    model_config = ConfigDict(extra="allow")

    name: str
    versions: list[str] | None = None
    platform: str | None = None
    inputs: list[TensorMetadata] | None = None
    outputs: list[TensorMetadata] | None = None


class ServerMetadata(ResponseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(ResponseModel):
    """Whether the server is live."""

    live: bool


class ServerReady(ResponseModel):
    """Whether every model is ready."""

    ready: bool


class ModelList(ResponseModel):
    """Names of the models."""

    models: list[str]


class InferenceError(ResponseModel):
    """An error as V1 and V2 clients read it."""

    model_config = ConfigDict(extra="allow")

    error: str
