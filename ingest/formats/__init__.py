"""One payload format per file."""
