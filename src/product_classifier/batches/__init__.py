"""Files of products that users upload to be classified in the background."""
