"""The five schemes, one folder or file per paper."""
