"""KServe transformer that combines the text and the image predictor."""
