"""What lies on the disk: files, and lines that are only added."""
