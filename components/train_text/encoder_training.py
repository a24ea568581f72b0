"""Fine-tune a pretrained text encoder, such as CamemBERT or multilingual E5."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import normalizers
from transformers import AutoConfig, AutoTokenizer

from components.shared.fine_tuning.checkpoints import Checkpoints, NoCheckpoints
from components.shared.fine_tuning.process_group import join_processes
from components.shared.fine_tuning.training_loop import compute_logits, train_network
from components.shared.fine_tuning.training_schedule import Schedule
from components.train_text.encoder_conventions import read_conventions
from components.train_text.encoder_network import export, load_classifier
from components.train_text.token_file import tokenize
from product_classifier.errors import CatalogueError
from product_classifier.fusion.calibration import class_prior, fit_logit_scale
from product_classifier.taxonomy import Codes
from product_classifier.text.text_encoder import TextEncoder, open_tokenizer

Texts = tuple[Sequence[str], NDArray[np.int64]]

_MAX_TOKENS = 192
"""Longer than the text of nine products in ten; the cost of attention grows with its square."""


def fit_encoder(
    encoder: str,
    texts: Texts,
    validation: Texts,
    codes: Codes,
    folder: Path,
    schedule: Schedule,
    checkpoints: Checkpoints | NoCheckpoints,
) -> TextEncoder | None:
    """Train on texts and columns of `codes`, calibrate on held-out ones, write files to `folder`.

    The held-out texts also select the epoch. Of several processes only the first writes files and returns a model.

    Raises:
        CatalogueError: If there is no text to train on.
        InvalidSettings: If training diverges.
    """
    if not len(texts[0]):
        raise CatalogueError("0 products to train on have text; add products with text")
    torch.manual_seed(schedule.seed)
    conventions = read_conventions(encoder)
    max_tokens = _max_tokens(encoder)
    folder.mkdir(parents=True, exist_ok=True)
    with join_processes() as processes:
        tokenizer_file = folder / f"tokenizer-{processes.rank}.json"
        tokenizer = save_tokenizer(encoder, conventions.prefix, tokenizer_file, max_tokens)
        classifier = load_classifier(encoder, len(codes), conventions.pooling)
        with tokenize(tokenizer, *texts) as examples, tokenize(tokenizer, *validation) as held_out:
            train_network(classifier, examples, held_out, schedule, processes, checkpoints)
            logits = compute_logits(
                classifier.to(processes.device), held_out, processes, schedule.products_in_memory(processes.device.type)
            )
        if not processes.is_first:
            tokenizer_file.unlink()
            return None
    tokenizer_file.replace(folder / "tokenizer.json")
    scale = fit_logit_scale(logits, validation[1]) if len(validation[0]) else 1.0
    export(classifier.cpu(), scale, folder / "model.onnx")
    checkpoints.delete()
    return TextEncoder(folder, max_tokens, class_prior(texts[1], len(codes)), codes)


def _max_tokens(encoder: str) -> int:
    """Return the length at which texts are truncated: at most what the encoder has positions for.

    RoBERTa and its descendants number positions from 2.
    """
    positions = getattr(AutoConfig.from_pretrained(encoder), "max_position_embeddings", None) or _MAX_TOKENS + 2
    return min(_MAX_TOKENS, positions - 2)


def save_tokenizer(encoder: str, prefix: str, path: Path, max_tokens: int) -> Any:
    """Write the tokenizer, which adds the prefix to each text, and open it as the model server does."""
    pretrained = AutoTokenizer.from_pretrained(encoder)
    backend = pretrained.backend_tokenizer
    backend.enable_padding(pad_id=pretrained.pad_token_id, pad_token=pretrained.pad_token)
    if prefix:
        first = normalizers.Prepend(prefix)
        backend.normalizer = normalizers.Sequence([first, backend.normalizer]) if backend.normalizer else first
    backend.save(str(path))
    return open_tokenizer(path, max_tokens)
