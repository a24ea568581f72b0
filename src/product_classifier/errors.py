"""What can go wrong, as a tree.

ProductClassifierError
├── InvalidInput                a caller sent something we cannot use
│   ├── InvalidProduct          neither text nor photo, or text that is not text
│   ├── InvalidImage            not a JPEG or PNG we accept
│   └── UnknownCategory         a code that is not one of the 27
├── CatalogueError              the raw data as a whole cannot be used
├── BundleRefused               a model on disk is not what its manifest says
├── ModelUnavailable            a model server does not answer in time
├── StoreError
│   ├── ObjectNotFound
│   ├── ObjectExists            a write-once object is already there
│   ├── ObjectChanged           a conditional replace lost the race
│   ├── InvalidKey              a key that would leave the bucket
│   └── StoreUnavailable        the store is away, slow, full or answers nonsense
├── NotDurable                  nothing durable could take a record; nothing may be acknowledged
├── LauncherUnavailable         the pipeline API does not answer; whether a run was started is unknown
├── LaunchRefused               a run can never be started as it was asked for
├── RolloutFailed               a release could not be put into service; what served before still does
├── UnknownPrediction           feedback for a prediction nobody made
├── UnknownFeedback             a review of a correction nobody gave
├── FeedbackConflict            the same key with another body, or a review that contradicts an earlier one
├── RetrainActive               a run was asked for while one is active
└── RunSuperseded               this execution is not the run it was started for
"""


class ProductClassifierError(Exception):
    """Root of everything this product raises on purpose."""


class InvalidInput(ProductClassifierError):
    """A caller sent something that cannot be used; the message names it."""


class InvalidProduct(InvalidInput):
    """A product has neither text nor photo, or its text is not usable text."""


class InvalidImage(InvalidInput):
    """A photo is not a JPEG or PNG within the limits."""


class UnknownCategory(InvalidInput):
    """A category code is not one of the catalogue's."""


class CatalogueError(ProductClassifierError):
    """The raw data as a whole cannot be used."""


class BundleRefused(ProductClassifierError):
    """A bundle or release is not what its manifest says; nothing of it was put into service."""


class ModelUnavailable(ProductClassifierError):
    """A model server did not answer in time."""


class StoreError(ProductClassifierError):
    """The object store could not do what was asked."""


class ObjectNotFound(StoreError):
    """No object has this key."""


class ObjectExists(StoreError):
    """A write-once object is already there."""


class ObjectChanged(StoreError):
    """Somebody else replaced the object first."""


class InvalidKey(StoreError):
    """A key is empty, absolute or would leave the bucket."""


class StoreUnavailable(StoreError):
    """The store is away, slow, full or answers nonsense."""


class UnknownPrediction(ProductClassifierError):
    """Feedback names a prediction that was never made."""


class NotDurable(ProductClassifierError):
    """Nothing durable could take a record, so it must not be acknowledged."""


class LauncherUnavailable(ProductClassifierError):
    """The pipeline API did not answer; a run that was being started may or may not exist."""


class LaunchRefused(ProductClassifierError):
    """The pipeline API refused a run; asking again would not help."""


class RolloutFailed(ProductClassifierError):
    """A release could not be put into service; the message says what did not come up."""


class UnknownFeedback(ProductClassifierError):
    """A review names a correction that nobody gave."""


class FeedbackConflict(ProductClassifierError):
    """A key was used before for another body, or a review contradicts an earlier one."""


class RunSuperseded(ProductClassifierError):
    """Another execution is the run, or the run is over; this one must change nothing."""


class RetrainActive(ProductClassifierError):
    """A run was asked for while `run_id` is active."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id!r} is active")
        self.run_id = run_id
