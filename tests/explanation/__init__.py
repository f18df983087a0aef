"""Explanations: methods against their references, the contract that leaves a network untouched, controls, and the page."""
