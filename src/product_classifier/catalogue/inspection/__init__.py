"""Inspect the files of a catalogue: propose `catalogue.yaml`, and report what a training would find."""
