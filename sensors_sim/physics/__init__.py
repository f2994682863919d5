"""What the simulated city is made of: its weather, week and people, shared fields, noise, leaks and smoke."""
