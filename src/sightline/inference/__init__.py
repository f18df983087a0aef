"""Images in, predictions out: what is named is found, predicted, chosen, written and drawn one after the other."""
