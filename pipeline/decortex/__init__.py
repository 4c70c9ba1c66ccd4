"""Science of decortex: arrays in, frozen results out. No database, no command line, no plotting state."""

__version__ = "0.1.0"
