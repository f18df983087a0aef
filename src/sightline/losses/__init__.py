"""What training descends, as functions."""
