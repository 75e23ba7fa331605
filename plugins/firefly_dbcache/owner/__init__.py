"""The owner: the one process that a database's rows live in, and the parts it is made of."""
