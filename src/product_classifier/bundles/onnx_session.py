"""How a graph is opened, by the image model and by a text encoder, whose servers have no photo library."""

from pathlib import Path
from typing import Any

import onnxruntime

from product_classifier.errors import BundleRefused


def open_session(graph: Path) -> Any:
    """Open an ONNX graph for one thread: two servers on two cores gain more from that than from two threads each.

    Raises:
        BundleRefused: If ONNX Runtime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no documented base class
        raise BundleRefused(f"{graph.name}: ONNX Runtime cannot load it: {str(error)[:160]}") from error
