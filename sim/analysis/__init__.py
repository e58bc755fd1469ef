"""Measures of images and shares, and the tables of the papers."""
