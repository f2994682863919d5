"""What is wrong with the world, and what is only wrong with a sensor."""
