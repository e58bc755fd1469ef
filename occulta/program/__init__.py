"""What the programs share and the library must not do: files, key files, command lines."""
