"""What relays say and are asked, without an event loop and without HTTP."""
