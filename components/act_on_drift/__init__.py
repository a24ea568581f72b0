"""Do what the policy says about a window: notify, queue products to label, request a run."""
