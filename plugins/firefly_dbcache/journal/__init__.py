"""The journal: acknowledged changes on disk, until the database has them."""
