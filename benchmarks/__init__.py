"""The benchmarks: `python -m benchmarks` measures Firefly beside its peers, on this machine, in twelve minutes."""
