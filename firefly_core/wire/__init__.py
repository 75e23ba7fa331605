"""The ground floor: bytes to objects and back. No socket, clock, greenlet or log stands here."""
