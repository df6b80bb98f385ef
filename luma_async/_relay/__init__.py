"""The relay's language: requests and answers as plain values, without an event loop and without HTTP."""
