"""Authentication and authorization: users, tokens, keys and roles."""
