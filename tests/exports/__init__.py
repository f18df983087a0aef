"""Exports: the gate, the runtime without torch, the page."""
