"""What the simulated district is made of: rhythms of the day, shared fields, noise, and what a leak or a smoke does."""
