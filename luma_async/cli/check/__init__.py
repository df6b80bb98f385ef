"""Whether an address is a relay with Luma, and whether the key is good."""
