"""Score a whole catalogue in shards: planned once, scored by any number of workers."""
