"""Occulta's simulator: the camera, and the demonstration of protecting and recovering a picture."""
