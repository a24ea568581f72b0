"""HTTP for all services: request bodies, problems, disconnects, client."""
