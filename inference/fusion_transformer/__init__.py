"""Both models asked at once, their answers fused."""
