"""The run folder: its layout, seal, clock and console."""
