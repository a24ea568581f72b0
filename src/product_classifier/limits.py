"""Sizes a request or a row may have: the same at every route, in every protocol and in training.

Source: the product's API contract. Settings may lower a limit, nothing raises one.
"""

KIB = 1024
MIB = 1024 * KIB

DESIGNATION_CHARACTERS = 10_000
DESCRIPTION_CHARACTERS = 50_000
COMMENT_CHARACTERS = 2_000
PHOTO_BYTES = 8 * MIB

PHOTO_BODY_BYTES = 12 * MIB
"""A request body that may hold a photo: `/predict`, `/predict/batch`, `/feedback`, V1 and V2."""

BODY_BYTES = 256 * KIB
"""Any other request body."""

GRPC_MESSAGE_BYTES = 16 * MIB

BATCH_PRODUCTS = 64
"""Products of one `/predict/batch`."""
