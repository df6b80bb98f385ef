"""The rules broken on purpose, one by one, to see that a test notices: ``python -m tests.mutations``."""
