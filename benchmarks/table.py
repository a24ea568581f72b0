"""The rows in measuring order: metric, goal and module."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row of the benchmark table."""

    metric: str
    goal: str
    module: str


ROWS: Mapping[str, Row] = {
    "P1": Row("CPU of a predictor request, no-op model", "≤ 0.35 ms, ≥ 3× less than the SDK", "p01_predictor_request"),
    "P2": Row("CPU the fusion adds per request", "≤ 0.6 ms, ≥ 10× less at 16 at once", "p02_fusion_request"),
    "P3": Row("cost the gateway adds, token verified", "≤ 0.6 ms CPU, ≤ 1 ms p50", "p03_gateway"),
    "P4": Row("`/predict` with text and photo, p99 ≤ 100 ms", "≥ 130/s, ≥ 2×", "p04_predict"),
    "P5": Row("`/predict` with text, p99 ≤ 25 ms", "≥ 400/s, ≥ 2×", "p05_predict_text"),
    "P6": Row("JPEG of 500² to 224² pixels", "≤ 1.0 ms, ≥ 5×", "p06_decode"),
    "P7": Row("one product text to probabilities", "≤ 0.4 ms, same labels", "p07_text"),
    "P8": Row("the image model on one photo", "≥ 2.5×, F1 loss ≤ 0.002", "p08_image_model"),
    "P9": Row("overload at twice the capacity", "goodput ≥ 90 % of peak, refusals ≤ 50 ms", "p09_overload"),
    "P10": Row("training the text model on 85,000 products", "≤ 60 % of the time, F1 not below", "p10_text_training"),
    "P11": Row("decode and features of 85,000 photos", "≥ 4×", "p11_photo_features"),
    "P12": Row("cold start of a predictor; its memory", "≤ 1.5 s, ≤ 350 MiB", "p12_cold_start"),
    "P13": Row("replay of the unseen set, offline", "≥ 4×", "p13_replay"),
    "P14": Row("durable acknowledgement of a correction, p99 at 200/s", "≤ 15 ms", "p14_feedback"),
    "P15": Row("`make run` to the first prediction", "≤ 60 s", "p15_make_run"),
    "P16": Row("the default image model on one photo, decoded", "≤ 4.5 ms, F1 loss ≤ 0.01", "p16_frozen_backbone"),
    "P18": Row(
        "corrections: first page, reconciliation, start and memory at 100,000; index cost per correction",
        "≤ 50 ms, ≤ 100 ms CPU, ≤ 60 s, ≤ 300 MiB, flat",
        "p18_corrections",
    ),
    "P19": Row("a good client's p99 while another user sends the worst", "≤ 2×, 0 degraded", "p19_noisy_neighbor"),
    "P20": Row(
        "compaction of 100,000 predictions into Parquet (`SIZE=full`: 1,000,000)",
        "1,000,000 in 10 min, ≤ 2 GB, flat",
        "p20_prediction_log",
    ),
    "P21": Row("a reviewer in the browser: key to next product, median of 100", "≤ 150 ms", "p21_reviewer"),
    "P22": Row("a fresh installation", "≤ 2.2 GB", "p22_installation"),
    "P23": Row(
        "text models of 27, 417 and 5,595 categories",
        "F1 ≥ each, ≤ 150 MB, ≤ 1 ms",
        "p23_many_categories",
    ),
    "P24": Row(
        "scoring a catalogue of 100,000 products (`SIZE=full`: 1,000,000), killed up to ten times",
        "≥ 90 % of the offline replay per core, memory flat",
        "p24_scoring",
    ),
    "drift": Row(
        "drift: injected changes, harmless changes, 200 quiet windows",
        "each within 500 products, never, ≤ 2",
        "drift",
    ),
    "steps": Row("cost per product of every step, to 100,000 products", "flat", "steps"),
    "collocated": Row("three models in one process, same API", "compare with P4 and P5", "collocated"),
    "clients": Row("HTTP clients and transports between services", "the cheapest is used", "clients"),
    "scaling": Row("throughput over processes and batch sizes", "curves", "scaling"),
}
