"""Published releases with their verdicts, and the requests to deploy one of them."""
