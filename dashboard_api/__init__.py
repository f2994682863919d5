"""The HTTP door: what people and other systems see, and what they may ask to be done."""
