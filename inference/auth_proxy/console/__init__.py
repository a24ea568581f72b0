"""The web console and the API documentation, as static files."""
