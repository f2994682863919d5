"""What the city looks like and how the daemon is set: no side effects, no vendors, no clock but the one handed out."""
