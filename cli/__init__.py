"""The door: settings are parsed once, every object is made here, and nothing below knows where it came from."""
