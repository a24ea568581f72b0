"""Dashboards and the PrometheusRule of the component `monitoring`, generated."""
