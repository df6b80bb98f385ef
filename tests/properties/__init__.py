"""What holds whatever comes: properties for hypothesis, which ``python -m tests.fuzz`` runs for as long as you like."""

from hypothesis import settings


def costly(share: int = 4) -> settings:
    """Return settings for a property whose examples take milliseconds: a *share*-th of the profile's examples."""
    return settings(max_examples=-(-settings().max_examples // share))
