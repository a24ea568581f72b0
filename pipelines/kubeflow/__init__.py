"""Pipeline runs on Kubeflow Pipelines and on Kubernetes."""
