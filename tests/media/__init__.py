"""Finished media to files."""
