"""Feedback service: stores corrections and reviews durably, starts and lists training runs."""
