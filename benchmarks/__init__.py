"""Programs that measure and print a table. Run by hand; nothing here is asserted by a test."""
