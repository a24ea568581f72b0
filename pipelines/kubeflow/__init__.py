"""Runs on Kubeflow Pipelines and Kubernetes."""
