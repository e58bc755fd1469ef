"""What crosses the link: CFDP, space packets, link security, messages, and the one endpoint."""
