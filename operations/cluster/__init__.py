"""The commands behind `make up`, `make images`, `make deploy` and `make down`."""
