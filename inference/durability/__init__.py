"""Durable writes: to the object store, else to a journal on local disk that is replayed later."""
