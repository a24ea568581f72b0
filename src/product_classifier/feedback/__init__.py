"""Records of predictions, corrections and reviews, and which corrections are trusted."""
