"""The cases: each measures its subjects in turns, A B A B."""
