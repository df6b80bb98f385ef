"""When to poll: one poll loop per id, with single polls or batches."""
