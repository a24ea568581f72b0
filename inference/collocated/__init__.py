"""The three models in one process, with the names and routes of the separate servers."""
