"""From the broker to checked columns in a store: receive, decode, admit, keep, and notice who is silent."""
