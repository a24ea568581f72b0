"""`make score`: classify whole catalogues on this machine, or with workers on Kubeflow Pipelines."""
