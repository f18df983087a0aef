"""The pages of attacks, and what the report of a run says about them."""
