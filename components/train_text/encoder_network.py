"""The network of a text encoder: pretrained body, pooling and a new head; its export as ONNX."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel

from components.shared.fine_tuning.export import export_graph
from components.train_text.encoder_conventions import Pooling


class EncoderClassifier(nn.Module):
    """A text classifier: encoder, pooling of its token vectors, linear head."""

    def __init__(self, body: Any, classes: int, pooling: Pooling) -> None:
        super().__init__()
        if getattr(body, "pooler", None) is not None:
            body.pooler = None  # a layer for another task, without effect on the token vectors
        self.body, self.pooling = body, pooling
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(body.config.hidden_size, classes)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def new_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters of the head."""
        parameters: Iterable[nn.Parameter] = self.head.parameters()
        return parameters

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits `[n, classes]` of token ids `[n, tokens]`."""
        vectors = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pooling == "mean":
            weights = attention_mask.unsqueeze(-1).to(vectors.dtype)
            pooled = (vectors * weights).sum(1) / weights.sum(1).clamp(min=1)
        else:
            pooled = vectors[:, 0]
        logits: torch.Tensor = self.head(self.dropout(pooled))
        return logits


def load_classifier(encoder: str, classes: int, pooling: Pooling) -> EncoderClassifier:
    """Load an encoder by name or folder, with scaled-dot-product attention if it has it, and add a head."""
    return EncoderClassifier(AutoModel.from_pretrained(encoder, dtype=torch.float32), classes, pooling)


def export(classifier: EncoderClassifier, scale: float, graph: Path) -> None:
    """Write a graph from `input_ids` and `attention_mask` `[n, tokens]` to `probabilities`."""
    classifier.body.set_attn_implementation("eager")  # its masks do not depend on the example's
    example = torch.full((2, 7), 3), torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    axes = {0: "n", 1: "tokens"}
    export_graph(classifier, scale, example, {"input_ids": axes, "attention_mask": axes}, graph)
