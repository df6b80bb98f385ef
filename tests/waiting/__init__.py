"""When ids are polled, alone and together."""
