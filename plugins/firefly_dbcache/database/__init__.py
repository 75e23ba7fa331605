"""The databases: SQLite, PostgreSQL, MySQL and MariaDB, alike to everybody above."""
