"""The flight side: what runs on the satellite."""
