"""The gateway: authentication and authorization, `/predict`, and the services behind it."""
