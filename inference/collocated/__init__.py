"""All three models in one process, for installations too small to spread them: the same names, routes and answers."""
