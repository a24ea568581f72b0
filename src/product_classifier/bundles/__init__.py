"""The format of a saved model: manifest, hashes, arrays and ONNX graphs."""
