"""What is measured: Firefly, the limit in C, and the peers."""
