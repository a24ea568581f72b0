"""Published bodies of explanations: those of `/predict` and of `:explain` (V1)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from inference.http.api_models import ResponseModel
from product_classifier.limits import EXPLANATION_PRODUCTS


class WordView(ResponseModel):
    """A word as it was sent, and what it contributes to the score."""

    text: str
    field: Literal["designation", "description"]
    start: Annotated[int, Field(ge=0, description="First character within the field, in Unicode code points.")]
    end: int
    contribution: float


class TextExplanationView(ResponseModel):
    """What the words contribute to the prediction of the text model."""

    method: Literal["linear", "occlusion", "prior"] = Field(
        description="`linear`: contributions and intercept add up to the score. `occlusion`: the score is a"
        " probability, a contribution is what it loses without the word. `prior`: the text has no words."
    )
    score: float
    intercept: float | None
    omitted_words: int = Field(description="Words that were not examined.")
    words: list[WordView]


class PhotoExplanationView(ResponseModel):
    """What the regions of a photo contribute to the prediction of the image model."""

    method: Literal["occlusion"]
    grid: list[list[float]] = Field(
        description="By rows of regions: by how much the probability drops without the region. The grid covers the"
        " square that the model reads, the photo scaled to fit and centered on white."
    )
    heat_map: str | None = Field(description="A PNG in base64, if it was requested.")


class ModalityContributionView(ResponseModel):
    """The weight of a modality for the category, its probability, and what it adds to the score."""

    weight: float
    probability: float
    contribution: float


class FusionExplanationView(ResponseModel):
    """Intercept and contributions add up to the score: the logit of the category less the mean of all."""

    score: float
    intercept: float
    text: ModalityContributionView | None
    image: ModalityContributionView | None


class ExplanationView(ResponseModel):
    """What the prediction of a category is based on."""

    code: int | str
    probability: float
    fusion: FusionExplanationView
    text: TextExplanationView | None
    image: PhotoExplanationView | None
    unavailable: list[str] = Field(
        default_factory=list, description="Modalities that the prediction used and whose model could not explain."
    )


class V1Explanation(ResponseModel):
    """An explanation; a predictor explains its own modality only."""

    model_config = ConfigDict(extra="allow")

    code: int | str
    probability: float
    fusion: FusionExplanationView | None = None
    text: TextExplanationView | None = None
    image: PhotoExplanationView | None = None


class V1ExplainParameters(BaseModel):
    """Parameters of `:explain`."""

    model_config = ConfigDict(strict=True)

    code: int | str | list[int | str] | None = Field(
        default=None, description="The category to explain, or one per instance; by default the predicted one."
    )
    heat_map: bool = False
    predictions: bool = Field(default=False, description="Whether to return what `:predict` returns as well.")
    release: str | None = None


class V1ExplainRequest(BaseModel):
    """Products to explain: the instances of `:predict`."""

    instances: Annotated[list[str | dict[str, Any]], Field(min_length=1, max_length=EXPLANATION_PRODUCTS)]
    parameters: V1ExplainParameters | None = None


class V1ExplainResponse(ResponseModel):
    """An explanation per instance."""

    model_config = ConfigDict(extra="allow")

    explanations: list[V1Explanation]
