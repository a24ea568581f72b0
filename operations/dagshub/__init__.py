"""The command behind `make dagshub`: data on DagsHub's DVC remote, runs and models on its MLflow."""
