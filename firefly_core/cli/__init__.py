"""The commands of `firefly-run`."""
