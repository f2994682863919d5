"""The whole way, with real servers."""
