"""Tables whose rows hold texts."""
