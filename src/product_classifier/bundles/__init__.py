"""The format of a saved model: files, hashes, arrays and ONNX graphs."""
