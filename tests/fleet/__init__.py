"""Tests of many processes on a real PostgreSQL."""
