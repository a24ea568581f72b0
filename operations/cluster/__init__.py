"""The product on Kubernetes: what `make up images deploy down` do."""
