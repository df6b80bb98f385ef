"""Every case of the list of faults, by its number."""
