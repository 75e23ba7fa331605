"""Simulated worlds that promises are counted in: short forms run in the tests, long ones by `make promises`."""
