"""One way to reach a person per file."""
