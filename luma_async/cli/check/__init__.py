"""Checks whether an address is a relay with Luma, and whether it accepts the key."""
