"""HTTP shared by the services: bodies, problems, client."""
