"""Prometheus metrics of the model servers, in the registry that the SDK serves."""

from prometheus_client.registry import REGISTRY

from product_classifier.metrics import definitions
from product_classifier.metrics.instruments import Durations, counter

MODEL_REQUESTS = Durations(definitions.MODEL_REQUEST_SECONDS, REGISTRY)
PREDICTOR_REQUESTS = Durations(definitions.PREDICTOR_REQUEST_SECONDS, REGISTRY)
RELEASE_RESPONSES = Durations(definitions.RELEASE_RESPONSE_SECONDS, REGISTRY)
DEGRADED = counter(definitions.DEGRADED_RESPONSES, REGISTRY)
SHADOW_PRODUCTS = counter(definitions.SHADOW_PRODUCTS, REGISTRY)
