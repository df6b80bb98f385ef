"""Draws the pictures of the docs: ``python -m tests.pictures`` (needs a Chromium)."""
