"""Put releases into service, roll them back, and delete old ones."""
