"""Bytes out, bytes in: one relay, one key, and what keeps both safe."""
