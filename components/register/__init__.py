"""Put a release into the object store and the model registry."""
