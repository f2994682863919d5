"""One file per resource; all of them under /api/v1."""
