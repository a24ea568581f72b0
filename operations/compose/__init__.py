"""The command behind `make compose`: the product on one host, by docker compose."""
