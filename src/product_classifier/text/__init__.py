"""The text of a product: preparation, features and models."""
