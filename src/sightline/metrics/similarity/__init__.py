"""How well distances tell the same from others: verification 1:1, recognition 1:N."""
