"""Fine-tune a pretrained text encoder, such as CamemBERT, as well as a number of seconds allows."""

import time
import warnings
from collections.abc import Sequence
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
from product_classifier.taxonomy import CODES
from product_classifier.text.encoder import TextEncoder, open_tokenizer

Labels = NDArray[np.int64]
Texts = tuple[Sequence[str], Labels]

_BATCH = 16
_MAX_TOKENS = 192
"""Longer than nine of ten products; attention costs the square of it."""


class TokenNetwork(nn.Module):
    """A classifier of `transformers` that answers calibrated probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.scale = 1.0

    def logits(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Classify token ids `[n, tokens]`."""
        answer: torch.Tensor = self.network(input_ids=input_ids, attention_mask=attention_mask).logits
        return answer

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Classify token ids `[n, tokens]`; the answer is calibrated probabilities."""
        return torch.softmax(self.scale * self.logits(input_ids, attention_mask), dim=1)


def fit_encoder(
    encoder: str, train: Texts, validation: Texts, folder: Path, *, epochs: int, budget_s: float, rate: float, seed: int
) -> TextEncoder:
    """Learn from readable texts and label positions, calibrate on held-out ones; leave the files in `folder`."""
    if not len(train[0]):
        raise CatalogueError("no product to learn from has text")
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _save_tokenizer(encoder, folder)
    network = TokenNetwork(
        AutoModelForSequenceClassification.from_pretrained(
            encoder, num_labels=len(CODES), ignore_mismatched_sizes=True, attn_implementation="eager"
        )
    ).to("cuda" if torch.cuda.is_available() else "cpu")
    _train(network, tokenizer, train, epochs, budget_s, rate, seed)
    if len(validation[0]):
        network.scale = fit_logit_scale(_logits(network, tokenizer, validation[0]), validation[1])
    _export(network.cpu(), tokenizer, folder / "model.onnx")
    return TextEncoder(folder, _MAX_TOKENS, class_prior(train[1], len(CODES)), CODES)


def _save_tokenizer(encoder: str, folder: Path) -> Any:
    pretrained = AutoTokenizer.from_pretrained(encoder)
    backend = pretrained.backend_tokenizer
    backend.enable_padding(pad_id=pretrained.pad_token_id, pad_token=pretrained.pad_token)
    backend.save(str(folder / "tokenizer.json"))
    return open_tokenizer(folder / "tokenizer.json", _MAX_TOKENS)


def _train(
    network: TokenNetwork, tokenizer: Any, train: Texts, epochs: int, budget_s: float, rate: float, seed: int
) -> None:
    """Train for `epochs` or `budget_s`, whichever ends first; the learning rate falls with whichever is further."""
    texts, labels = train
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    total = epochs * -(-len(texts) // _BATCH)
    tell, started_s, done = progress.on_stderr(), time.monotonic(), 0
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(texts), generator=random).split(_BATCH):
            spent = max(done / total, (time.monotonic() - started_s) / budget_s)
            if spent >= 1:
                return
            for group in optimiser.param_groups:
                group["lr"] = rate * (1 - spent)
            device = next(network.parameters()).device
            logits = network.logits(*_tokens(tokenizer, [texts[row] for row in rows.tolist()], device))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels[rows.numpy()]).to(device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            done += 1
            tell("training steps", done, total)


def _logits(network: TokenNetwork, tokenizer: Any, texts: Sequence[str]) -> NDArray[np.float32]:
    network.eval()
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [
            network.logits(*_tokens(tokenizer, list(texts[at : at + _BATCH]), device)).cpu().numpy()
            for at in range(0, len(texts), _BATCH)
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
        warnings.simplefilter("ignore")  # the older exporter says so each time; the newer takes ten times as long
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
