"""firefly.toml: read, checked against what services declare, and shown; every problem at once."""
