"""What the measuring programs send and count."""
