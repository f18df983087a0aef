"""Run → one HTML file."""
