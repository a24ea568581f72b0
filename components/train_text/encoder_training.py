"""Fine-tune a pretrained text encoder, such as CamemBERT, within a number of seconds."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from components.shared import progress
from product_classifier.errors import CatalogueError
from product_classifier.fusion.calibration import class_prior, fit_logit_scale
from product_classifier.taxonomy import Codes
from product_classifier.text.text_encoder import TextEncoder, open_tokenizer

Labels = NDArray[np.int64]
Texts = tuple[Sequence[str], Labels]

_BATCH = 16
_MAX_TOKENS = 192
"""Longer than the text of nine products in ten; the cost of attention grows with its square."""


class TokenNetwork(nn.Module):
    """A text classifier of `transformers` with the calibration in its graph."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.scale = 1.0

    def logits(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits `[n, classes]` of token ids `[n, tokens]`."""
        logits: torch.Tensor = self.network(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return calibrated probabilities `[n, classes]` of token ids `[n, tokens]`."""
        return torch.softmax(self.scale * self.logits(input_ids, attention_mask), dim=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast an encoder is trained; see the step."""

    epochs: int
    budget_s: float
    learning_rate: float
    seed: int


def fit_encoder(
    encoder: str, train: Texts, validation: Texts, codes: Codes, folder: Path, schedule: Schedule
) -> TextEncoder:
    """Train on texts and columns of `codes`, calibrate on held-out ones, write files to `folder`.

    Raises:
        CatalogueError: If there is no text to train on.
    """
    if not len(train[0]):
        raise CatalogueError("0 products to train on have text; add products with text")
    torch.manual_seed(schedule.seed)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _save_tokenizer(encoder, folder)
    network = TokenNetwork(
        AutoModelForSequenceClassification.from_pretrained(
            encoder, num_labels=len(codes), ignore_mismatched_sizes=True, attn_implementation="eager"
        )
    ).to("cuda" if torch.cuda.is_available() else "cpu")
    _train(network, tokenizer, train, schedule)
    if len(validation[0]):
        network.scale = fit_logit_scale(_logits(network, tokenizer, validation[0]), validation[1])
    _export(network.cpu(), tokenizer, folder / "model.onnx")
    return TextEncoder(folder, _MAX_TOKENS, class_prior(train[1], len(codes)), codes)


def _save_tokenizer(encoder: str, folder: Path) -> Any:
    pretrained = AutoTokenizer.from_pretrained(encoder)
    backend = pretrained.backend_tokenizer
    backend.enable_padding(pad_id=pretrained.pad_token_id, pad_token=pretrained.pad_token)
    backend.save(str(folder / "tokenizer.json"))
    return open_tokenizer(folder / "tokenizer.json", _MAX_TOKENS)


def _train(network: TokenNetwork, tokenizer: Any, train: Texts, schedule: Schedule) -> None:
    """Train for `epochs` or `budget_s`, whichever ends first, with a linear decay of the learning rate."""
    texts, labels = train
    random = torch.Generator().manual_seed(schedule.seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate, weight_decay=0.01)
    total = schedule.epochs * -(-len(texts) // _BATCH)
    report, started_s, done = progress.on_stderr(), time.monotonic(), 0
    network.train()
    for _ in range(schedule.epochs):
        for rows in torch.randperm(len(texts), generator=random).split(_BATCH):
            spent = max(done / total, (time.monotonic() - started_s) / schedule.budget_s)
            if spent >= 1:
                return
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate * (1 - spent)
            device = next(network.parameters()).device
            logits = network.logits(*_tokens(tokenizer, [texts[row] for row in rows.tolist()], device))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels[rows.numpy()]).to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            done += 1
            report("training steps", done, total)


def _logits(network: TokenNetwork, tokenizer: Any, texts: Sequence[str]) -> NDArray[np.float32]:
    network.eval()
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [
            network.logits(*_tokens(tokenizer, list(texts[start : start + _BATCH]), device)).cpu().numpy()
            for start in range(0, len(texts), _BATCH)
        ]
    return np.concatenate(parts)


def _tokens(tokenizer: Any, texts: list[str], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    encoded = tokenizer.encode_batch(texts)
    ids, mask = [one.ids for one in encoded], [one.attention_mask for one in encoded]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _export(network: TokenNetwork, tokenizer: Any, graph: Path) -> None:
    network.eval()
    example = _tokens(tokenizer, ["table basse", "piscine ronde et grande"], torch.device("cpu"))
    axes = {0: "n", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the TorchScript exporter warns of its deprecation; the newer one takes ten times as long
        torch.onnx.export(
            network,
            example,
            str(graph),
            input_names=["input_ids", "attention_mask"],
            output_names=["probabilities"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "probabilities": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
