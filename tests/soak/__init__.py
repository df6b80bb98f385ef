"""One client under load and trouble for as long as you like: ``python -m tests.soak``."""
