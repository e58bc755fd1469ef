"""Whole missions on one machine: real programs, a faulty link between them, and a strict check."""
