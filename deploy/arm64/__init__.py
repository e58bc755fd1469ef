"""The ARM64 image, built and proved under emulation. See docs/arm64.md."""
