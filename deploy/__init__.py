"""Deployment: how the flight image is made, proved and run."""
