"""Sizes the product accepts: the same at every route, in every protocol and in training.

Sizes of requests come from the product's API contract; a setting may lower one, nothing raises one.
"""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# Products and requests

DESIGNATION_CHARACTERS = 10_000
DESCRIPTION_CHARACTERS = 50_000
COMMENT_CHARACTERS = 2_000
PHOTO_BYTES = 8 * MIB

LISTED_CHARACTERS = 500
"""Characters of a designation or description in a list of corrections; more are cut."""

LISTED_BYTES = MIB
"""A page of corrections; it has at least one."""

PHOTO_PIXELS = 16_000_000
"""Width times height of a photo of any format, before decoding."""

PHOTO_DECODING_MS = 200
"""CPU time to decode a photo: estimated from its headers for any format, and enforced for WebP and AVIF.

A JPEG of 16 megapixels takes a quarter of it, because it is reduced while it is decoded."""

PHOTO_DECODING_BYTES = 100_000_000
"""Memory to decode a photo: estimated from its headers for any format, and enforced for WebP and AVIF."""

PHOTO_SCANS = 32
"""Scans of a progressive JPEG. libjpeg writes 10; hundreds of empty scans are a decompression attack."""

PHOTO_SEGMENTS = 4096
"""Segments of a JPEG, chunks of a PNG or WebP, or boxes of an AVIF."""

PHOTO_BODY_BYTES = 12 * MIB
"""A request body that may hold a photo: `/predict`, `/predict/batch`, `/feedback`, V1 and V2."""

BODY_BYTES = 256 * KIB
"""Any other request body."""

TAXONOMY_CHANGE_BYTES = 8 * MIB
"""A change file of a taxonomy, also as the body of `/taxonomy/changes`."""

TAXONOMY_CHANGE_VALUES = 1_000_000
"""Values of a change file as JSON, members of objects and elements of lists."""

TOKEN_BODY_BYTES = 8 * KIB
"""The form of `/token`, the only body that is read without authentication."""

JSON_VALUES = 4096
"""Values of a JSON request body, members of objects and elements of lists. `/predict/batch` needs 4 per product."""

GRPC_MESSAGE_BYTES = 16 * MIB

BATCH_PRODUCTS = 64
"""Products of one `/predict/batch`."""

FULL_VECTOR_CLASSES = 1000
"""Categories up to which V1 and V2 return the probabilities of all; of more, the most probable with their codes."""

EXPLANATION_PRODUCTS = 8
"""Products that one request may have explained."""

OCCLUSION_GRID = 6
"""Regions per side of a photo that an explanation covers one by one: at most 40 predictions may be spent on it."""

EXPLANATION_PREDICTIONS = OCCLUSION_GRID**2 + 1
"""Predictions that the explanation of a photo costs."""

# Bundles

BUNDLE_FILES = 16
BUNDLE_FILE_BYTES = 2 * GIB
ARRAYS_BYTES = 2 * GIB
"""Arrays of one .npz archive, uncompressed."""

JSON_BYTES = 64 * MIB
"""A JSON file of a bundle or release."""

ONNX_GRAPH_DEPTH = 12
"""Nesting of subgraphs in an ONNX graph."""

# Object store and raw files

KEY_BYTES = 1024
"""Key of an object; the limit of S3."""

KEY_SEGMENT_BYTES = 255
"""Part of a key between slashes; the limit of a file name."""

JOURNAL_SEGMENT_BYTES = 16 * MIB
"""Size at which the journal starts a new segment. Replay reads a whole segment into memory."""

CSV_FIELD_BYTES = MIB
"""One field of a raw file."""
