"""The tree of errors that the product raises deliberately.

ProductClassifierError
├── InvalidInput              a request or a record is not acceptable
│   ├── InvalidProduct        a product has neither text nor photo, or text that is not valid Unicode
│   ├── InvalidImage          a photo is not an accepted JPEG, PNG, WebP or AVIF
│   ├── TaxonomyError         a taxonomy or a change of one is not valid
│   │   └── ChangeRefused     a change file is malformed, or not valid for the newest version
│   │       └── ChangeConflict  a change file does not start from the newest version
│   └── UnknownCategory       a category code is not in the taxonomy
├── InvalidSettings           environment variables have values that are not accepted
├── CatalogueError            the raw data cannot be used
├── BundleRefused             a bundle or release does not match its manifest
├── ModelUnavailable          a model server or the feedback service did not respond in time, or failed
├── StoreError
│   ├── ObjectNotFound        no object has the key
│   ├── ObjectExists          a write-once object exists
│   ├── InvalidKey            a key is empty, absolute or leaves the bucket
│   └── StoreUnavailable      the store cannot be reached, is full or returns invalid data
├── IndexUnavailable          the index of corrections cannot be used now, or is being built
├── NotDurable                neither store nor journal accepted a record; it must not be acknowledged
├── LauncherUnavailable       the pipeline API did not respond; a run may or may not have started
├── LaunchRefused             the pipeline API rejected a run; retrying does not help
├── RolloutFailed             a rollout or canary failed or could not start
├── UnknownPrediction         feedback refers to a prediction that does not exist
├── UnknownFeedback           a review refers to a correction that does not exist
├── QuotaExceeded             a user has submitted as many corrections today as one may
├── FeedbackConflict          an idempotency key was used for another body, or a review contradicts an earlier one
├── RetrainActive             a run was requested while another is active
└── RunSuperseded             another execution owns the run, or the run is finished

A message about input or configuration reads `<where>: <what is wrong>; <what to do>` and quotes the offending value.
"""


class ProductClassifierError(Exception):
    """Base class of the errors of this product."""


class InvalidInput(ProductClassifierError):
    """A request or a record is not acceptable."""


class InvalidProduct(InvalidInput):
    """A product has neither text nor photo, or text that is not valid Unicode."""


class InvalidImage(InvalidInput):
    """A photo is not an accepted JPEG, PNG, WebP or AVIF."""


class TaxonomyError(InvalidInput):
    """A taxonomy or a change of one is not valid."""


class ChangeRefused(TaxonomyError):
    """A change file is malformed, or not valid for the newest version of the taxonomy."""


class ChangeConflict(ChangeRefused):
    """A change file does not start from the newest version of the taxonomy."""


class UnknownCategory(InvalidInput):
    """A category code is not in the taxonomy."""


class InvalidSettings(ProductClassifierError, ValueError):
    """Environment variables have values that are not accepted; the message names each of them."""


class CatalogueError(ProductClassifierError):
    """The raw data cannot be used."""


class ScoringError(ProductClassifierError):
    """A catalogue cannot be scored: its job is incomplete, of another release, or was changed."""


class BundleRefused(ProductClassifierError):
    """A bundle or release does not match its manifest."""


class ModelUnavailable(ProductClassifierError):
    """A model server or the feedback service did not respond in time, or failed.

    The problem kind is `model-unavailable` for both, because clients rely on it.
    """


class StoreError(ProductClassifierError):
    """An operation of the object store failed."""


class ObjectNotFound(StoreError):
    """No object has the key."""


class ObjectExists(StoreError):
    """A write-once object exists."""


class InvalidKey(StoreError):
    """A key is empty, absolute or leaves the bucket."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, is full or returns invalid data."""


class IndexUnavailable(ProductClassifierError):
    """The index of corrections cannot be used now, or is being built."""


class NotDurable(ProductClassifierError):
    """Neither store nor journal accepted a record; it must not be acknowledged."""


class LauncherUnavailable(ProductClassifierError):
    """The pipeline API did not respond; a run may or may not have started."""


class LaunchRefused(ProductClassifierError):
    """The pipeline API rejected a run; retrying does not help."""


class RolloutFailed(ProductClassifierError):
    """A rollout or canary failed or could not start.

    The previous releases stay deployed or are deployed again, unless the message states that this failed too.
    """


class UnknownPrediction(ProductClassifierError):
    """Feedback refers to a prediction that does not exist."""


class UnknownFeedback(ProductClassifierError):
    """A review refers to a correction that does not exist."""


class QuotaExceeded(ProductClassifierError):
    """A user has submitted as many corrections as one day allows; `retry_after_s` is the wait."""

    def __init__(self, limit: int, retry_after_s: int) -> None:
        super().__init__(f"user: {limit} corrections were submitted today, the most of a day; submit more tomorrow")
        self.retry_after_s = retry_after_s


class FeedbackConflict(ProductClassifierError):
    """An idempotency key was used for another body, or a review contradicts an earlier one."""


class RunSuperseded(ProductClassifierError):
    """Another execution owns the run, or the run is finished."""


class ActionActive(ProductClassifierError):
    """An action on releases has no result yet."""

    def __init__(self, action_id: str) -> None:
        self.action_id = action_id
        super().__init__(f"release action {action_id} is active; wait until it has ended")


class RetrainActive(ProductClassifierError):
    """A run was requested while `run_id` is active."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id!r} is active")
        self.run_id = run_id
