"""Operate the services: local supervision, the demo and the cluster commands."""
