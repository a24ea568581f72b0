"""Open an ONNX graph with ONNX Runtime."""

from pathlib import Path
from typing import Any

import onnxruntime

from product_classifier.errors import BundleRefused


def open_session(graph: Path) -> Any:
    """Open an ONNX graph on the CPU with one thread.

    The text and image servers run in parallel on the same cores; more threads per session make both slower.

    Raises:
        BundleRefused: If ONNX Runtime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime documents no base class of its exceptions
        raise BundleRefused(f"{graph.name}: ONNX Runtime cannot load it: {str(error)[:160]}") from error
