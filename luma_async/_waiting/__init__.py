"""When to ask again: one poll loop per id, alone or together with others."""
