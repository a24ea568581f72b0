"""Durable writes: to the store, else to the journal, replayed later."""
