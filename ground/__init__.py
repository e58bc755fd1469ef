"""The ground side: recovery of what the satellite protected."""
