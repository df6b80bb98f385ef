"""What relays say and are asked: read without a loop, without a mock."""
