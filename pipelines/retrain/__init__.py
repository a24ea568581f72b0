"""The retrain trigger, which starts training runs when enough corrections have been given."""
