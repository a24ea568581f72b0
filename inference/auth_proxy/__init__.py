"""The gateway: who may ask what, then `/predict` and the three models behind it."""
