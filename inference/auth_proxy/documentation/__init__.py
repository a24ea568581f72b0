"""The OpenAPI document and Swagger UI, which shows it and sends requests."""
