"""`python -m benchmarks [CASE ...]`: measure, print the goals, and write JSON, a table and a plot below var/."""

from benchmarks.run import main

if __name__ == "__main__":
    main()
