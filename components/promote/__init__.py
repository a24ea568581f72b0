"""Deploy a release that passed the gate."""
