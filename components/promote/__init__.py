"""Put a release into service, or say why not."""
