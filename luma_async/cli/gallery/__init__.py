"""One HTML page of what a batch made."""
