"""The requests to one relay with one key: connections, limits, backoff and redaction."""
