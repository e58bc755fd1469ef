"""What the robust scheme and its rivals stand: `occulta-sim evaluate robust`."""
