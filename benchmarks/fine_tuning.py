"""Texts per second of fine-tuning: `python -m benchmarks.fine_tuning [--tiny] [results.json]`.

Both sides train the same randomly initialized encoder of CamemBERT's size on the same synthetic French titles: the loop
of the first release with an encoder (batches of 16 in random order, float32, eager attention), and ours (bfloat16 and
scaled-dot-product attention where there is a GPU, batches by length). Needs PyTorch, transformers, tokenizers and
what our loop imports. `--tiny` measures a small encoder, for a CPU.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CamembertConfig, CamembertForSequenceClassification, CamembertModel

from components.shared.fine_tuning.batches import epoch_batches, load_ahead, micro_batches
from components.shared.fine_tuning.process_group import Processes
from components.shared.fine_tuning.training_loop import optimization_step, optimizer_of
from components.shared.fine_tuning.training_schedule import Schedule
from components.train_text.encoder_network import EncoderClassifier
from components.train_text.token_file import TokenizedTexts, tokenize

CLASSES = 27
MAX_TOKENS = 192
FORMER_BATCH = 16
VOCABULARY = """
piscine ronde bois jardin lampe table basse coussin rideau perceuse sans fil batterie livre ancien roman policier
console jeu vidéo manette chargeur câble figurine carte à collectionner puzzle enfant poussette bébé chaise bureau
papier peint tapis salon cuisine étagère rangement vélo casque sac dos imperméable noir bleu rouge
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """Size of the encoder and numbers of texts."""

    hidden_size: int
    layers: int
    heads: int
    batch: int
    texts: int
    former_texts: int


CAMEMBERT = Scale(hidden_size=768, layers=12, heads=12, batch=256, texts=32_768, former_texts=2048)
TINY = Scale(hidden_size=64, layers=2, heads=4, batch=64, texts=1024, former_texts=512)


def main(argv: Sequence[str]) -> int:
    """Print and optionally write the two throughputs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fine_tuning", description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, help="JSON file to write")
    parser.add_argument("--tiny", action="store_true", help="a small encoder, for a CPU")
    arguments = parser.parse_args(argv)
    found = measure(TINY if arguments.tiny else CAMEMBERT)
    text = json.dumps(found, indent=2)
    sys.stdout.write(f"{text}\n")
    if arguments.results:
        arguments.results.write_text(text)
    return 0


def measure(scale: Scale) -> dict[str, Any]:
    """Return the texts per second of both loops, and what they ran on."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    random = np.random.default_rng(27)
    texts = [
        " ".join(random.choice(VOCABULARY.split(), size))
        for size in random.lognormal(4.2, 0.6, scale.texts).astype(int) + 3
    ]
    labels = random.integers(0, CLASSES, len(texts))
    tokenizer = _tokenizer(texts)
    with tokenize(tokenizer, texts, labels) as examples:
        former = _former_loop(scale, examples, device)
        ours = _our_loop(scale, examples, device)
        tokens = float(examples.lengths.mean())
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "encoder": asdict(scale),
        "tokens per text": round(tokens, 1),
        "former loop, texts/s": round(former, 1),
        "ours, texts/s": round(ours, 1),
        "ratio": round(ours / former, 2),
    }


def _config(scale: Scale, attention: str) -> CamembertConfig:
    return CamembertConfig(
        vocab_size=32_005,
        hidden_size=scale.hidden_size,
        num_hidden_layers=scale.layers,
        num_attention_heads=scale.heads,
        intermediate_size=4 * scale.hidden_size,
        max_position_embeddings=514,
        num_labels=CLASSES,
        pad_token_id=1,
        attn_implementation=attention,
    )


def _tokenizer(texts: Sequence[str]) -> Any:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))  # noqa: S106 - a token of the vocabulary
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=["<s>", "<pad>", "</s>", "<unk>"]))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")  # noqa: S106
    return tokenizer


def _former_loop(scale: Scale, examples: TokenizedTexts, device: torch.device) -> float:
    """Return the texts per second of the loop at 465d588, whose batches were in random order."""
    network = CamembertForSequenceClassification(_config(scale, "eager")).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-5, weight_decay=0.01)
    rows = np.random.default_rng(1).permutation(len(examples.labels))[: scale.former_texts]
    batches = np.split(rows, range(FORMER_BATCH, len(rows), FORMER_BATCH))

    def step(batch_rows: NDArray[np.int64]) -> None:
        batch = examples.load(batch_rows, None)
        ids, mask = (one.to(device) for one in batch.inputs)
        logits = network(input_ids=ids, attention_mask=mask).logits
        loss = torch.nn.functional.cross_entropy(logits, batch.labels.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    step(batches[0])
    started_s = _now_s(device)
    for one in batches[1:]:
        step(one)
    return (len(rows) - FORMER_BATCH) / (_now_s(device) - started_s)


def _our_loop(scale: Scale, examples: TokenizedTexts, device: torch.device) -> float:
    """Return the texts per second of the steps of `train_network`."""
    schedule = Schedule(1, 3600.0, 5e-5, 5e-4, batch_size=scale.batch)
    network = EncoderClassifier(CamembertModel(_config(scale, "sdpa")), CLASSES, "mean").to(device).train()
    optimizer = optimizer_of(network, schedule)
    processes = Processes(0, 1, device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    batches = epoch_batches(examples.lengths, scale.batch, 0, 1, schedule.seed, 0)
    parts = [micro_batches(rows, schedule.products_in_memory(device.type)) for rows in batches]
    loaded = load_ahead(examples, [part for some in parts for part in some], None, device)
    warm_up = 2
    started_s, done = 0.0, 0
    for number, (rows, some) in enumerate(zip(batches, parts, strict=True)):
        if number == warm_up:
            started_s = _now_s(device)
        optimization_step(network, optimizer, [next(loaded) for _ in some], schedule, processes)
        done += len(rows) if number >= warm_up else 0
    return done / (_now_s(device) - started_s)


def _now_s(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
