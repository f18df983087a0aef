"""What the folder `diagnosis` of a run says, as facts for the verdict and as sections of the report."""
