"""The tests of luma_async."""
