"""What an installation without internet needs, and its copies in a registry and a package index."""
