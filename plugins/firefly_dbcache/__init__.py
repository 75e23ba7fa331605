"""The db-cache: rows in memory, the database behind, and nothing that was acknowledged is ever lost."""
