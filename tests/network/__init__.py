"""Bytes out, bytes in: requests, limits, cool-downs, deadlines."""
