"""Local supervision, the demo and the cluster commands: code that operates the services and serves no request."""
